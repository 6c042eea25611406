"""Reason codes: why something is unknown, or why a verdict came out as it did.

Inside the package a row's reasons are one ``uint32`` bit mask, so ten million rows cost 40 MB and
combine with ``|``. At the boundary they are lists of codes; prose is made on demand.

>>> import numpy as np
>>> mask = np.array([0, bit("subject_missing") | bit("answer_unparsed")], dtype=np.uint32)
>>> decode(mask).to_pylist()
[[], ['subject_missing', 'answer_unparsed']]
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PROSE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "subject_missing": "no box was found for the subject",
        "object_missing": "no box was found for the object",
        "ambiguous_subject": "several boxes fit the subject's phrase equally well",
        "ambiguous_object": "several boxes fit the object's phrase equally well",
        "same_box": "subject and object were given one and the same box",
        "degenerate_box": "a box is inverted, has no area, or holds a number that is not finite",
        "box_outside_image": "a box lies outside the image; the part inside was used",
        "box_format_deviates": "a box does not fit the format assumed for the whole file",
        "image_size_unknown": "pixel boxes came without the image's width and height",
        "image_unreadable": "the image could not be read",
        "relation_unknown": "the relation is not in the vocabulary",
        "relation_not_2d": "boxes carry no evidence for this relation",
        "relation_needs_depth": "the relation is decided by depth, at which boxes only hint",
        "claim_unparsed": "the claim's text could not be split into subject, relation and object",
        "claim_incomplete": "the claim lacks a subject, a relation or an object",
        "duplicate_claim_id": "the claim's id was taken already and got a suffix",
        "row_unreadable": "the row could not be read",
        "answer_missing": "the VLM gave no answer for this claim",
        "answer_unparsed": "the VLM's reply is neither yes nor no",
        "answer_not_used": "the model has never seen this VLM, so its answer carries no weight",
        "signal_unavailable": "the model in use does not supply every signal",
        "below_threshold": "neither the claim nor its negation reaches the threshold",
        "no_threshold": "no threshold meets the stated guarantee",
        "contradicts": "it contradicts better supported edges of the same axis",
        "evidence_for": "the evidence favours what was asserted",
        "evidence_against": "the evidence favours the opposite of what was asserted",
        "picture_only": "true of the picture at most; depth or another view would tell of space",
        "needs_depth": "boxes do not tell; a depth map or another view would",
        "remembered": "a thing is hidden now: what is believed is from earlier frames",
        "not_looked_for": "the detector knows no such thing, so it did not look for it",
    }
)  # fmt: skip
"""Code to prose, in bit order. New codes go at the end: stored masks keep their meaning."""

CODES: Final[tuple[str, ...]] = tuple(PROSE)
_BITS: Final = {code: 1 << place for place, code in enumerate(CODES)}


def bit(code: str) -> int:
    """The bit of a reason code.

    >>> bit("subject_missing")
    1
    """
    return _BITS[code]


def decode(mask: NDArray[np.uint32]) -> pa.Array:
    """A bit mask (N,) as an Arrow array of lists of codes, dictionary encoded."""
    mask = np.ascontiguousarray(mask, dtype=np.uint32)
    distinct, row_kind = np.unique(mask, return_inverse=True)
    codes_of = [[place for place in range(len(CODES)) if int(m) >> place & 1] for m in distinct]
    lengths = np.array([len(codes) for codes in codes_of], dtype=np.int64)[row_kind]
    offsets = np.zeros(len(mask) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    # For each row its kind's run of codes: start of the kind's run plus position within the row.
    flat = np.array([place for codes in codes_of for place in codes], dtype=np.int8)
    kind_start = np.cumsum([0, *(len(codes) for codes in codes_of)])[:-1]
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    values = flat[np.repeat(kind_start[row_kind], lengths) + within] if len(flat) else flat
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.DictionaryArray.from_arrays(pa.array(values), pa.array(CODES))
    )


def encode(lists: pa.Array | pa.ChunkedArray) -> NDArray[np.uint32]:
    """Inverse of :func:`decode`; unknown codes are dropped, null lists are empty.

    >>> encode(pa.array([["object_missing"], None])).tolist()
    [2, 0]
    """
    chunked = lists if isinstance(lists, pa.ChunkedArray) else pa.chunked_array([lists])
    masks = [_encode_chunk(chunk) for chunk in chunked.chunks]
    return np.concatenate(masks) if masks else np.zeros(0, dtype=np.uint32)


def _encode_chunk(chunk: pa.ListArray) -> NDArray[np.uint32]:
    import pyarrow.compute as pc

    parents = pc.list_parent_indices(chunk).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(chunk)
    if pa.types.is_dictionary(values.type):
        values = values.cast(pa.string())
    places = pc.index_in(values, value_set=pa.array(CODES)).to_numpy(zero_copy_only=False)
    known = np.isfinite(places.astype(np.float64))
    mask = np.zeros(len(chunk), dtype=np.uint32)
    bits = np.left_shift(np.uint32(1), places[known].astype(np.uint32))
    np.bitwise_or.at(mask, parents[known], bits)
    return mask


def prose(mask: int) -> str:
    """One mask in words, empty for none.

    >>> prose(bit("subject_missing"))
    'no box was found for the subject'
    """
    return "; ".join(text for code, text in PROSE.items() if mask & _BITS[code])
