"""The labelled claims among verdicts, as columns: what figures and pictures are made of."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spatialtrust.errors import InputError
from spatialtrust.io.given import is_frame, rows_of
from spatialtrust.io.results import read_results
from spatialtrust.language import canonical_names
from spatialtrust.relations import DIRECTIONAL, RELATIONS
from spatialtrust.tables import Verdicts

Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Confidence (N,) of what an answerer says, NaN: unknown, and whether it is right."""


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """What the figures need, one row per labelled claim; NaN: unknown.

    Attributes
    ----------
    image: number of each claim's image.
    asserted, emitted: 1 yes, 0 no.
    p_yes: None where no verdict has one.
    """

    image: NDArray[np.int64]
    family: NDArray[np.object_]
    directional: NDArray[np.bool_]
    label: NDArray[np.bool_]
    asserted: NDArray[np.float64]
    emitted: NDArray[np.float64]
    p_true: NDArray[np.float64]
    p_boxes: NDArray[np.float64]
    p_yes: NDArray[np.float64] | None

    def select(self, rows: NDArray[np.bool_]) -> LabelledColumns:
        """The claims where a mask is true."""
        kept: dict[str, Any] = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in self.__slots__
        }
        return replace(self, **kept)


def verdicts_of(given: Any) -> Verdicts:
    """Verdicts, whether they are given as such, as a result of ``verify``, or as a table.

    Raises
    ------
    InputError: it is none of these.
    """
    held = getattr(given, "verdicts", given)
    if isinstance(held, Verdicts):
        return held
    if isinstance(held, str | os.PathLike):
        return Verdicts.from_arrow(read_results(os.fspath(held)), str(held))
    if isinstance(held, pa.Table) or is_frame(held):
        return Verdicts.from_arrow(rows_of(held).table, "verdicts")
    raise InputError(
        f"verdicts are a {type(given).__name__}; give the result of verify, its DataFrame or "
        "Arrow table, or the file that spatialtrust verify wrote"
    )


def _check_labels(label: pa.ChunkedArray) -> None:
    try:
        known = pc.is_in(label.cast(pa.float64()), value_set=pa.array([0.0, 1.0]))
    except pa.ArrowException:
        known = pa.chunked_array([pa.repeat(False, len(label))])
    if pc.any(pc.invert(known)).as_py():
        strange = label.filter(pc.invert(known))[0].as_py()
        raise InputError(f'label is "{strange}"; give 1 (true), 0 (false), or nothing')


def columns_of(verdicts: Verdicts) -> LabelledColumns:
    """The labelled claims of verdicts.

    Raises
    ------
    InputError: no row has a label, or a label is neither 1 nor 0.
    """
    data = verdicts.data
    for name in ("label", "relation"):
        if name not in data.column_names:
            raise InputError(
                f'the verdicts have no column "{name}"; give the claims one and run verify again'
            )
    labelled = data.filter(pc.is_valid(data["label"]))
    _check_labels(labelled["label"])
    relation = pa.array(canonical_names(labelled["relation"]))
    family = np.array(
        [None if r is None else RELATIONS[r].family for r in relation.to_pylist()], dtype=object
    )
    if not labelled.num_rows:
        raise InputError(
            "no verdict has a label; give the claims a column label (1: true, 0: false) and run "
            "verify again"
        )
    image = labelled["image_id"] if "image_id" in data.column_names else labelled["claim_id"]
    codes = image.combine_chunks().dictionary_encode().indices.to_numpy()
    return LabelledColumns(
        image=codes,
        family=family,
        directional=pc.is_in(relation, pa.array(DIRECTIONAL)).to_numpy(zero_copy_only=False),
        label=labelled["label"].to_numpy() == 1,
        asserted=_as_number(labelled["asserted"]),
        emitted=_as_number(labelled["emitted"]),
        p_true=_numbers(labelled["p_true"]),
        p_boxes=_numbers(labelled["p_boxes"]),
        p_yes=_numbers(labelled["p_yes"]) if "p_yes" in data.column_names else None,
    )


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _as_number(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """1 for yes, 0 for no, NaN for null."""
    return _numbers(pc.equal(column.cast(pa.string()), "yes").cast(pa.int8()))


def asserted(columns: LabelledColumns) -> Scored:
    """P(asserted is right), and whether it was."""
    confidence = np.where(columns.asserted == 1, columns.p_true, 1 - columns.p_true)
    confidence[np.isnan(columns.asserted)] = np.nan
    return confidence, (columns.asserted == 1) == columns.label


def verifier_alone(columns: LabelledColumns) -> Scored:
    """The boxes' own answer instead of the VLM's."""
    favoured = columns.p_boxes >= 0.5
    return np.where(favoured, columns.p_boxes, 1 - columns.p_boxes), favoured == columns.label


def vlm_alone(columns: LabelledColumns) -> Scored:
    """The VLM's answer, ranked by its own confidence."""
    p_yes = np.full_like(columns.p_true, np.nan) if columns.p_yes is None else columns.p_yes
    favoured = p_yes >= 0.5
    return np.where(favoured, p_yes, 1 - p_yes), favoured == columns.label
