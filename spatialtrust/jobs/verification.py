"""My VLM said these things, here are my boxes: how far can I trust each?"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import __version__, schema
from spatialtrust.decision.rule import one_threshold
from spatialtrust.decision.verdicts import conclude
from spatialtrust.defaults import MIN_CONFIDENCE, TRUST_MODEL
from spatialtrust.errors import GuaranteeError
from spatialtrust.evidence.gathering import Inputs
from spatialtrust.fusion.model import ANSWERS_UNUSED, TrustModel
from spatialtrust.io.claim_files import read_claims
from spatialtrust.io.given import index_names
from spatialtrust.io.results import expect_ending, write_results
from spatialtrust.reasons import CODES, encode, prose
from spatialtrust.shown import ROWS, html_table, to_pandas
from spatialtrust.tables import Verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spatialtrust.decision.rule import DecisionRule
    from spatialtrust.errors import FileError, RowError
    from spatialtrust.io.claim_files import ClaimFile
    from spatialtrust.io.given import Held

log: Final = logging.getLogger("spatialtrust")

_RENAMED: Final = "input_"
_SHOWN: Final = (
    "claim_id", "subject", "relation", "object", "asserted", "emitted", "p_true", "confidence",
    "decision", "reasons",
)  # fmt: skip
"""Columns that a notebook shows."""


@dataclass(frozen=True, slots=True, repr=False)
class Verification:
    """Verdicts on claims with boxes: the result of :func:`verify`.

    Attributes
    ----------
    verdicts: one row per row given, in their order; the given columns are kept, one that shares a
        name with ours and holds other values as ``input_<name>``.
    rule: the threshold that was used, and its guarantee.
    notes: what was inferred about the input, one sentence each.
    faults: problems with single rows.
    broken: why the file ended early; None where it was read whole.
    manifest: versions, model, rule and counts.
    index: columns that were a DataFrame's index, with the name that each level had.
    """

    verdicts: Verdicts
    rule: DecisionRule
    notes: tuple[str, ...]
    faults: tuple[RowError, ...]
    broken: FileError | None
    manifest: dict[str, Any]
    index: Mapping[str, str | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __repr__(self) -> str:
        decisions = self.manifest["decisions"]
        counts = ", ".join(
            f"{decisions.get(name, 0)} {said}"
            for name, said in (
                ("accept", "accepted"),
                ("correct", "corrected"),
                ("abstain", "abstained"),
            )
        )
        faults = f"; {len(self.faults)} rows have faults" if self.faults else ""
        return f"Verification of {len(self)} claims: {counts}{faults}; {self.rule}"

    def _repr_html_(self) -> str:
        held = [name for name in _SHOWN if name in self.verdicts.data.column_names]
        rows = self.verdicts.data.select(held).slice(0, ROWS).to_pylist()
        return html_table(
            repr(self), held, [[row[name] for name in held] for row in rows], len(self)
        )

    def to_pandas(self) -> Any:
        """The verdicts as a pandas DataFrame; of claims from a DataFrame with its index.

        Raises
        ------
        MissingDependencyError: pandas is not installed.
        """
        frame = to_pandas(self.verdicts.data)
        if not self.index:
            return frame
        return frame.set_index(list(self.index)).rename_axis(list(self.index.values()))

    def to_csv(self, path: str | Path) -> None:
        """Write the verdicts as ``.csv`` (or ``.csv.gz``), as ``spatialtrust verify`` does.

        Raises
        ------
        FileError: another ending, or the path cannot be written.
        """
        expect_ending(path, (".csv", ".csv.gz"))
        for note in write_results(self.verdicts.data, path):
            log.warning("%s", note)

    def to_parquet(self, path: str | Path) -> None:
        """Write the verdicts as ``.parquet``.

        Raises
        ------
        FileError: another ending, or the path cannot be written.
        """
        expect_ending(path, (".parquet",))
        write_results(self.verdicts.data, path)

    def plot(self, axes: Any = None) -> Any:
        """Draw risk over coverage, or without labels a histogram of confidences; returns the Axes.

        Other pictures: :mod:`spatialtrust.plots`.

        Raises
        ------
        MissingDependencyError: matplotlib is not installed.
        """
        from spatialtrust import plots

        labels = self.verdicts.data["label"]
        known = len(labels) > labels.null_count
        drawn = plots.risk_coverage if known else plots.confidence_histogram
        return drawn(self.verdicts, axes=axes)


def verify(
    claims: Held,
    *,
    model: str | Path | TrustModel = TRUST_MODEL,
    min_confidence: float | None = None,
    accuracy: float | None = None,
    delta: float | None = None,
    box_format: str | None = None,
    box_unit: str | None = None,
    explain: bool = False,
) -> Verification:
    """Check claims against boxes.

    Parameters
    ----------
    claims: a file (``.jsonl``, ``.csv``, ``.parquet``, ``.gz``), a DataFrame, an Arrow table, a
        list of row dictionaries, or one such row, with the columns that
        :mod:`spatialtrust.io.claim_files` lists; others are kept.
    model: name of a shipped model, path of a fitted one, or the model itself.
    min_confidence: plain threshold, no guarantee. None: 0.8, unless ``accuracy`` is given.
    accuracy, delta: ask for a certified threshold instead: with probability 1 - ``delta`` at least
        ``accuracy`` of what is emitted is right, on data like the model's certification rows.
    box_format, box_unit: format and unit of the boxes (listed in :mod:`spatialtrust.io.boxes`).
        None: taken from the columns of these names, otherwise inferred and logged.
    explain: add a column ``explanation`` that gives the reasons in words.

    Raises
    ------
    InputError: the claims as a whole cannot be used (single bad rows abstain with a reason
        instead), or both ``min_confidence`` and ``accuracy`` are given.
    GuaranteeError: the model has no rows to certify with.

    >>> found = verify([{"caption": "The mug is left of the kettle.",
    ...                  "subject_box": [0.2, 0.5, 0.1, 0.1], "object_box": [0.8, 0.5, 0.2, 0.3]}])
    >>> found.verdicts.strings("decision")
    ['accept']
    """
    one_threshold(min_confidence, accuracy)
    if min_confidence is None:
        min_confidence = MIN_CONFIDENCE
    fitted = model if isinstance(model, TrustModel) else TrustModel.load(model)
    rule = fitted.rule(min_confidence=min_confidence, accuracy=accuracy, delta=delta)
    if rule.repaired_at is not None:
        raise GuaranteeError(
            f'model "{fitted.name}" is certified on repaired graphs of whole images, and single '
            "claims are not like their edges; give min_confidence, or fit on labelled claims"
        )
    file = read_claims(claims, box_format=box_format, box_unit=box_unit)
    inputs = Inputs.of(file.claims, file.grounding, file.answers)
    fused = fitted.score(inputs)
    verdicts = conclude(file.claims, fused, rule, inputs.asserted)
    if explain:
        grounds = fitted.explain(inputs.features(), fused)
        verdicts = verdicts.with_columns({"explanation": _in_words(grounds, verdicts)})
    verdicts = _with_given(verdicts, file)
    notes = [*file.notes, f"decided by: {rule}"]
    if file.unparsed is not None:
        notes.append(file.unparsed)
    if file.answers is not None and not fitted.uses_answers:
        notes.append(ANSWERS_UNUSED)
    seen = fitted.seen_share(file.claims)
    if seen > 0:
        notes.append(
            f"{seen:.0%} of the claims are on images the model was fitted on: "
            "figures from them are in-sample"
        )
    return Verification(
        verdicts,
        rule,
        tuple(notes),
        file.faults,
        file.broken,
        _manifest(verdicts, fitted, rule, file, seen),
        index_names(claims),
    )


def _with_given(verdicts: Verdicts, file: ClaimFile) -> Verdicts:
    """The verdicts with the file's own columns behind; none is lost, none replaces ours."""
    added: dict[str, pa.ChunkedArray] = {}
    for name in file.given.column_names:
        column = file.given[name]
        if name not in verdicts.data.column_names:
            added[name] = column
        elif not _same(column, verdicts.data[name]):
            added[f"{_RENAMED}{name}"] = column
    return verdicts.with_columns(added)


def _in_words(grounds: list[str], verdicts: Verdicts) -> list[str]:
    """What was found, and why it did or did not suffice."""
    masks = encode(verdicts.column("reasons"))
    notes = {int(mask): prose(int(mask)) for mask in np.unique(masks)}
    return [
        ". ".join(part for part in (ground, notes[int(mask)]) if part)
        for ground, mask in zip(grounds, masks, strict=True)
    ]


def _same(given: pa.ChunkedArray, ours: pa.ChunkedArray) -> bool:
    try:
        return bool(given.cast(ours.type).equals(ours))
    except pa.ArrowException:
        return False


def _manifest(
    verdicts: Verdicts,
    model: TrustModel,
    rule: DecisionRule,
    file: ClaimFile,
    seen: float,
) -> dict[str, Any]:
    decisions = verdicts.column("decision").value_counts().to_pylist()
    masks = encode(verdicts.column("reasons"))
    return {
        "spatialtrust": __version__,
        "schema": schema.VERSION,
        "input": file.source,
        "model": model.name,
        "model_sha256": model.sha256,
        "calibrated_on": model.calibrated_on,
        "in_sample_share": seen,
        "rule": rule.to_dict(),
        "boxes": file.convention.describe(),
        "box_misfits": dict(file.box_misfits),
        "claims": len(verdicts),
        "decisions": {entry["values"]: entry["counts"] for entry in decisions},
        "emitted": int(pc.count(verdicts.column("emitted")).as_py()),
        "reasons": {
            code: int(np.count_nonzero(masks >> place & 1))
            for place, code in enumerate(CODES)
            if np.any(masks >> place & 1)
        },
        "faults": len(file.faults),
        "broken": None if file.broken is None else str(file.broken),
    }
