"""A trust model of your own, from labelled claims: a file, or a run whose edges you judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.decision.certifying_rows import CertifyingRows, image_hashes
from spatialtrust.defaults import DELTA, TARGETS, TRUST_MODEL
from spatialtrust.errors import InputError, by_kind
from spatialtrust.evidence.columns import Features, relation_places
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.model import ANSWERS_UNUSED, TrustModel
from spatialtrust.io.claim_files import read_claims
from spatialtrust.jobs.label_sheet import OF_GRAPH, PURPOSES
from spatialtrust.jobs.labelling import read_labels, repaired_graphs
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.io.claim_files import ClaimFile
    from spatialtrust.io.given import Held
    from spatialtrust.jobs.labelling import Labelled
    from spatialtrust.tables import Answers


class Fitted(NamedTuple):
    """A fitted model, and what came of the labels.

    Attributes
    ----------
    model: the model; ``model.save("mine.json")`` keeps it.
    report: counts, notes and what it can guarantee, as plain data.
    """

    model: TrustModel
    report: dict[str, Any]

    def __repr__(self) -> str:
        said = [f"  {accuracy}: {rule}" for accuracy, rule in self.report["guarantees"].items()]
        notes = [f"  note: {note}" for note in self.report["notes"]]
        head = f"fitted on {self.report['rows']} labels of {self.report['images']} images"
        return "\n".join([head, repr(self.model), "guarantees", *said, *notes])


def fit(
    source: Held,
    *,
    base: str | Path = TRUST_MODEL,
    name: str | None = None,
    box_format: str | None = None,
    box_unit: str | None = None,
    certify_only: bool = False,
    seed: int = 0,
) -> Fitted:
    """Fit on labelled claims.

    Parameters
    ----------
    source: claims as ``verify`` takes them (a file, a DataFrame, rows), with a ``label``; or a run
        folder with the labels that ``spatialtrust label`` asked for. A column ``purpose`` says
        which rows may ``certify`` (drawn at random) and which only ``fit``.
    base: model to start from.
    name: name of the data in the model's messages; None: the source's name.
    box_format, box_unit: format and unit of a file's boxes; None: inferred and logged.
    certify_only: do not fit; certify the base on all rows that were drawn at random. The
        certificate is exact, and makes the most of few labels.
    seed: same rows and seed, same model.

    Returns
    -------
    The model; and counts and possible guarantees, as plain data.

    Raises
    ------
    InputError: no row has a label, or too few have.
    """
    if isinstance(source, str | Path) and Path(source).is_dir():
        source = Path(source)
        judged = read_labels(source)
        called = source.name
        if OF_GRAPH in judged.purpose:
            return _on_graphs(source, judged, base, name)
        read = _of_run(judged)
    else:
        file = read_claims(source, box_format=box_format, box_unit=box_unit)
        source, called = file.source, Path(file.source).name
        read = _of_file(file)
    features, label, image, purpose, asker, notes = read
    if not label.size:
        raise InputError(f"{source}: no row has a label; give 1 (true) or 0 (false)")
    start = TrustModel.load(base)
    known = np.isin(image_hashes(image), list(start.images))
    if certify_only:
        random = np.ones(label.size, dtype=np.bool_) if purpose is None else purpose == "certify"
        rows = np.flatnonzero(random & ~known)
        notes = (*notes, *_left_out(random, known, start.name))
        model = start.certified_on(
            features.select(rows),
            label[rows],
            image[rows],
            calibrated_on=name or called,
            asker=asker or start.asker,
            seed=seed,
        )
        if (features.answer >= 0).any() and not model.uses_answers:
            notes = (*notes, ANSWERS_UNUSED)
    else:
        if known.any():
            notes = (*notes, _seen_before(int(known.sum()), start.name))
        model = TrustModel.fit(
            features,
            label,
            image,
            calibrated_on=name or called,
            base=start,
            purpose=purpose,
            asker=asker,
            seed=seed,
        )
    guarantees = {}
    if model.certifying is not None:
        rules = {target: model.rule(accuracy=target, delta=DELTA) for target in TARGETS}
        guarantees = {f"{target:g}": str(rule) for target, rule in rules.items()}
    report = {
        "rows": int(label.size),
        "images": int(np.unique(image).size),
        "true": float(label.mean()),
        "certifying": 0 if model.certifying is None else int(model.certifying.label.size),
        "answered": int((features.answer >= 0).sum()),
        "uses_answers": model.uses_answers,
        "asker": model.asker,
        "calibrated_on": model.calibrated_on,
        "guarantees": guarantees,
        "notes": list(notes),
    }
    return Fitted(model, report)


def _on_graphs(source: Path, judged: Labelled, base: str | Path, name: str | None) -> Fitted:
    """The base as it is, certified on the repaired graphs of whole labelled images."""
    if set(judged.purpose) != {OF_GRAPH}:
        raise InputError(
            f"{source}: has labels of whole graphs (purpose {OF_GRAPH}) and of single claims; they "
            "certify different things: keep one kind"
        )
    start = TrustModel.load(base)
    with RunFolder(source) as folder:
        fused = folder.settings("scores")["made_with"]
        if fused["sha256"] != start.sha256:
            raise InputError(
                f'{source}: was scored by the model "{fused["model"]}", and only that can be '
                f"certified on its graphs; give --base {fused['model']}"
            )
        repaired_at, graphs = repaired_graphs(folder)
    label_of = dict(
        zip(
            judged.claims.strings("claim_id"),
            judged.claims.column("label").to_pylist(),
            strict=True,
        )
    )
    drawn = set(judged.claims.strings("image_id"))
    labelled = [(g.image_id, g.edges) for g in graphs if g.image_id in drawn]
    whole = [
        (image, edges)
        for image, edges in labelled
        if all(key in label_of for key in edges["claim_id"].to_pylist())
    ]
    if not whole:
        raise InputError(
            f"{source}: no image has a label on each of its edges; judge whole images "
            "(spatialtrust label RUN --images 30)"
        )
    seen = [image for image, _ in whole]
    table = pa.concat_tables([edges for _, edges in whole])
    image = np.repeat(np.arange(len(whole)), [len(edges) for _, edges in whole])
    label = np.array([label_of[key] for key in table["claim_id"].to_pylist()], np.int8)
    rows = CertifyingRows(
        image.astype(np.int32),
        np.ones(label.size, np.int8),
        np.asarray(table["p_true"].to_numpy(), np.float32),
        label,
        0.0,
        relation_places(table["relation"]),
        repaired_at,
    )
    model = start.certified_by(
        rows,
        calibrated_on=name or source.name,
        images=seen,
        asker=_asker(judged.answers) or start.asker,
    )
    model = replace(model, pairs_as=start.pairs_as or start.name)  # as the run read them
    partly = len(labelled) - len(whole)
    notes = [f"{partly} images do not certify: some of their edges have no label"] if partly else []
    guarantees = {f"{t:g}": str(model.rule(accuracy=t, delta=DELTA)) for t in TARGETS}
    per_relation = {f"{t:g}": str(model.gate(precision=t, delta=DELTA)) for t in TARGETS}
    report = {
        "rows": int(label.size),
        "images": len(seen),
        "true": float(label.mean()),
        "certifying": int(label.size),
        "repaired_at": repaired_at,
        "uses_answers": model.uses_answers,
        "asker": model.asker,
        "calibrated_on": model.calibrated_on,
        "guarantees": guarantees,
        "per_relation": per_relation,
        "notes": notes,
    }
    return Fitted(model, report)


def _left_out(random: NDArray[np.bool_], known: NDArray[np.bool_], base: str) -> list[str]:
    """Why rows do not certify, with counts."""
    told = {
        "were not drawn at random (purpose fit)": int((~random).sum()),
        f"are on images that {base} was fitted on": int((random & known).sum()),
    }
    return [f"{count} rows do not certify: they {why}" for why, count in told.items() if count]


def _seen_before(rows: int, base: str) -> str:
    return (
        f"{rows} rows are on images that {base} was fitted on: what it says of them is too good, "
        "and so are calibration and certificates; label other images"
    )


_Rows = tuple[
    Features, "NDArray[Any]", "NDArray[Any]", "NDArray[Any] | None", str | None, tuple[str, ...]
]
"""Evidence, label, image, purpose, whose answers they are, where it is known, and what was assumed
of a file."""


def _of_file(file: ClaimFile) -> _Rows:
    if file.broken is not None:
        raise file.broken
    rows = pc.is_valid(file.claims.column("label")).to_numpy()
    purpose = None
    if "purpose" in file.given.column_names:
        purpose = np.array(file.given["purpose"].to_pylist(), dtype=object)[rows]
        unknown = sorted({str(entry) for entry in purpose} - set(PURPOSES))
        if unknown:
            raise InputError(
                f'{file.source}: purpose "{unknown[0]}" is not known; valid: {", ".join(PURPOSES)}'
            )
    labelled = file.claims.select(rows)
    return (
        collect(file.claims, file.grounding, file.answers).select(rows),
        labelled.column("label").to_numpy(),
        np.array(labelled.strings("image_id")),
        purpose,
        None,
        (*file.notes, *_said(file)),
    )


def _said(file: ClaimFile) -> list[str]:
    """What was wrong with answers and rows, counted by kind."""
    said = [] if file.unparsed is None else [file.unparsed]
    return [*said, *by_kind(file.faults)]


def _of_run(judged: Labelled) -> _Rows:
    return (
        Features.from_table(judged.evidence),
        judged.claims.column("label").to_numpy(),
        np.array(judged.claims.strings("image_id")),
        np.array(judged.purpose, dtype=object),
        _asker(judged.answers),
        (),
    )


def _asker(answers: Answers | None) -> str | None:
    """The one model whose answers these are."""
    models = [] if answers is None else pc.unique(answers.column("model")).to_pylist()
    return models[0] if len(models) == 1 else None
