"""The rows that a model may certify thresholds on, kept beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.decision.certification import Grid, certify_verdicts, rule_confidence
from spatialtrust.decision.commit_gate import certify_gate
from spatialtrust.errors import GuaranteeError
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.decision.commit_gate import Gate
    from spatialtrust.decision.rule import DecisionRule, Kind, Unit

_HASH_LENGTH: Final = 10
_STEPS: Final = 100
"""Thresholds of a grid: one a hundredth of the rows."""


def image_hashes(names: Iterable[str]) -> list[str]:
    """Short hashes of image names: enough to recognise an image, not to list them.

    >>> image_hashes(["a.jpg"])
    ['509b0d4641']
    """
    return [sha256(str(name).encode()).hexdigest()[:_HASH_LENGTH] for name in names]


@dataclass(frozen=True, eq=False)
class CertifyingRows:
    """Labelled rows that were drawn at random, each scored by models without its image.

    Attributes
    ----------
    image: int32 (N,), rows of one number are of one image.
    asserted: int8 (N,), 1 yes, 0 no, -1 unparsed.
    p_true: float32 (N,), of the model as it is used.
    label: int8 (N,), 1 true, 0 false.
    reserve: share of the allowed risk that is kept back. 0: the very model that is used has seen
        none of these images, and a certificate is exact. Above: each row was scored by models that
        were fitted without its image (out of fold), the one that is used has seen them all, and a
        certificate is approximate.
    relation: int16 (N,), place in ``relations.NAMES``, -1: not known today. None: the rows do not
        say, and guarantee nothing of single relations.
    repaired_at: the rows are candidates of whole images, ``p_true`` NaN of all that no graph has
        which was decided at this plain threshold and then repaired. None: claims drawn at random.
    """

    image: NDArray[np.int32]
    asserted: NDArray[np.int8]
    p_true: NDArray[np.float32]
    label: NDArray[np.int8]
    reserve: float = 0.0
    relation: NDArray[np.int16] | None = None
    repaired_at: float | None = None

    @classmethod
    def of(
        cls,
        groups: NDArray[Any],
        asserted: NDArray[np.int8],
        p_true: NDArray[np.float32],
        label: NDArray[Any],
        reserve: float = 0.0,
        relation: NDArray[np.int16] | None = None,
    ) -> Self:
        """From the columns of these rows."""
        image = np.unique(groups, return_inverse=True)[1].astype(np.int32)
        return cls(image, asserted, p_true, label.astype(np.int8), reserve, relation)

    def rule(
        self, accuracy: float, delta: float, unit: Unit, kind: Kind, calibrated_on: str
    ) -> DecisionRule:
        """The certified rule, see ``certification.certify_verdicts``."""
        kind = kind if self.repaired_at is None else "accept"
        confidence = rule_confidence(self.p_true, self.asserted, kind)
        found = certify_verdicts(
            self.p_true,
            self.asserted,
            self.label,
            alpha=1 - accuracy,
            delta=delta,
            grids={kind: Grid.predicted(confidence, unit=unit, groups=self.image, steps=_STEPS)},
            calibrated_on=calibrated_on,
            unit=unit,
            groups=self.image,
            reserve=self.reserve,
        )
        return replace(found, repaired_at=self.repaired_at)

    def gate(
        self,
        precision: float,
        delta: float,
        unit: Unit,
        calibrated_on: str,
        relations: Sequence[str] | None = None,
    ) -> Gate:
        """A threshold per relation, see :mod:`spatialtrust.decision.commit_gate`.

        Raises
        ------
        GuaranteeError: the rows do not say of which relation they are.
        """
        if self.relation is None:
            raise GuaranteeError(
                f"the rows that certify on {calibrated_on} do not name their relation (an earlier "
                "version stored them), so there is no guarantee per relation; fit the model again "
                "(spatialtrust fit), or give accuracy, a guarantee for all relations together"
            )
        return certify_gate(
            np.where(self.asserted >= 0, self.p_true, np.nan),
            self.label,
            self.relation,
            self.image,
            precision=precision,
            delta=delta,
            calibrated_on=calibrated_on,
            relations=relations,
            unit=unit,
            reserve=self.reserve,
            repaired_at=self.repaired_at,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "image": self.image.tolist(),
            "asserted": self.asserted.tolist(),
            "p_true": [float(f"{p:.9g}") for p in self.p_true],
            "label": self.label.tolist(),
            "reserve": self.reserve,
            "relation": None if self.relation is None else _by_name(self.relation),
            "repaired_at": self.repaired_at,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError: a column is missing, out of range, or of another length.
        """
        image = np.array(values["image"])
        asserted = _within(values["asserted"], -1, 1)
        label = _within(values["label"], 0, 1)
        p_true = np.array(values["p_true"], np.float64)
        if image.dtype.kind not in "iu" and image.size:
            raise TypeError("certifying rows: image is no whole number")
        if not ((p_true >= 0) & (p_true <= 1) | np.isnan(p_true)).all():
            raise ValueError("certifying rows: p_true is not within 0 to 1")
        reserve, repaired = float(values["reserve"]), values.get("repaired_at")
        if not 0 <= reserve < 1 or not (repaired is None or 0 <= float(repaired) <= 1):
            raise ValueError("certifying rows: reserve or repaired_at is out of range")
        relation = None if values.get("relation") is None else _places(values["relation"])
        columns = [image, asserted, p_true, label, *([] if relation is None else [relation])]
        if any(column.shape != (len(image),) for column in columns):
            raise ValueError("certifying rows: the columns differ in length")
        return cls(
            image.astype(np.int32),
            asserted,
            p_true.astype(np.float32),
            label,
            reserve,
            relation,
            repaired,
        )


def _by_name(relation: NDArray[np.int16]) -> dict[str, Any]:
    """Relations as names and each row's place among them: the vocabulary may grow or be reordered.

    >>> _by_name(np.array([2, -1], dtype=np.int16))["of"]
    [1, 0]
    """
    held, of = np.unique(relation, return_inverse=True)
    return {"names": [NAMES[place] if place >= 0 else "" for place in held], "of": of.tolist()}


def _places(stored: Mapping[str, Any]) -> NDArray[np.int16]:
    known = [NAMES.index(name) if name in NAMES else -1 for name in stored["names"]]
    of = np.array(stored["of"], np.int64)
    if ((of < 0) | (of >= len(known))).any():
        raise ValueError("certifying rows: a relation that is not listed")
    return np.array(known, np.int16)[of]


def _within(given: Any, least: int, most: int) -> NDArray[np.int8]:
    """Whole numbers, checked before they are narrowed: 257 is not 1."""
    values = np.array(given)
    whole = not values.size or values.dtype.kind in "iu"
    if not whole or (values.size and (values.min() < least or values.max() > most)):
        raise ValueError(f"certifying rows: a value is not within {least} to {most}")
    return values.astype(np.int8)
