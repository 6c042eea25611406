"""A trust model on a few lines: what it is for, what it looks at, what it can guarantee."""

from __future__ import annotations

from typing import Any

import numpy as np


def model_card(model: Any) -> str:
    """What ``repr(model)`` prints of a :class:`~spatialtrust.fusion.model.TrustModel`.

    >>> from spatialtrust.fusion.model import TrustModel
    >>> print(model_card(TrustModel.load("vsr-boxes")).splitlines()[0])
    TrustModel "vsr-boxes"
    """
    importances = list(model.importances().items())[:4]
    looked_at = ", ".join(f"{family} {share:.0%}" for family, share in importances)
    listens = "boxes and a VLM's answers" if model.uses_answers else "boxes alone, no VLM"
    asker = f" (those of {model.asker})" if model.asker else ""
    lines = [
        f'TrustModel "{model.name}"',
        f"  calibrated on: {model.calibrated_on}",
        f"  looks at: {listens}{asker if model.uses_answers else ''}",
        f"  weighs most: {looked_at}" if looked_at else "",
        f"  fitted on: {len(model.images)} images",
        f"  can certify: {_certifies(model)}",
        f"  sha256: {model.sha256[:12]}" if model.sha256 else "  not saved yet",
    ]
    return "\n".join(line for line in lines if line)


def _certifies(model: Any) -> str:
    rows = model.certifying
    if rows is None:
        return "nothing; it holds no rows to certify with (spatialtrust label, spatialtrust fit)"
    about = "edges of repaired graphs" if rows.repaired_at is not None else "single claims"
    if rows.repaired_at is None and not model.for_pairs:
        about = "claims as people write them, not pairs enumerated of a scene"
    exact = "approximately" if rows.reserve else "exactly"
    images = np.unique(rows.image).size
    return f"{about}, {exact}: {rows.label.size} labelled rows on {images} images"
