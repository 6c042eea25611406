"""Which box each phrase of a claim means: choice, runner-up, ambiguity, and why one is missing.

A claim that names a detection (``subject_id``) gets that detection. One that only has a phrase gets
the best box of that phrase in its image; how far behind the second best is says how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.reasons import bit
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.tables import Claims, Detections, Images

AMBIGUITY_MARGIN: Final = 0.1
"""Two boxes of a phrase whose scores are closer than this fit it equally well."""

_ARTICLE: Final = r"^(?:the|a|an) "


def ground(claims: Claims, detections: Detections, images: Images | None = None) -> Grounding:
    """Find the boxes of every claim.

    Parameters
    ----------
    claims: (N,) rows.
    detections: boxes of the same images, in pixels; rows without a box count as not found. Phrases
        match without regard to case and articles.
    images: gives width and height; without it, or for an image that is not in it, the size is NaN
        and the reason ``image_size_unknown``.

    Returns
    -------
    Row i belongs to claim i. Margin: score minus the runner-up's, NaN without one or without
    scores. Count: boxes of the phrase in the image. Several boxes closer than ``AMBIGUITY_MARGIN``,
    or without scores, make a phrase ambiguous; a claim that names its detections never is.

    >>> from spatialtrust.tables import Claims, Detections
    >>> boxes = Detections.from_rows([
    ...     {"image_id": "a", "object_id": "m", "phrase": "mug", "x1": 0, "y1": 0, "x2": 2, "y2": 2,
    ...      "score": 0.9}])
    >>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": "the mug",
    ...                             "relation": "on", "object": "table"}])
    >>> ground(claims, boxes).subject_box.tolist()
    [[0.0, 0.0, 2.0, 2.0]]
    """
    boxed = detections.select(np.asarray(np.isfinite(detections.boxes()).all(axis=1)))
    subject = _choose(claims, boxed, "subject")
    other = _choose(claims, boxed, "object")
    unlooked = detections.select(_not_looked_for(detections))
    size, unreadable = _sizes(claims, images)
    reasons = subject.reasons | other.reasons
    if len(unlooked):
        for side, choice in (("subject", subject), ("object", other)):
            wanted, offered = _pair_codes(
                claims, unlooked, _plain(claims.column(side)), _plain(unlooked.column("phrase"))
            )
            lost = (choice.row < 0) & (wanted >= 0) & np.isin(wanted, offered)
            reasons |= lost * np.uint32(bit("not_looked_for"))
    reasons |= unreadable * np.uint32(bit("image_unreadable"))
    reasons |= np.isnan(size).any(axis=1) * np.uint32(bit("image_size_unknown"))
    same = (subject.row == other.row) & (subject.row >= 0)
    reasons |= same * np.uint32(bit("same_box"))
    return Grounding(
        subject.box,
        other.box,
        size,
        subject.score,
        other.score,
        subject.margin,
        other.margin,
        subject.count,
        other.count,
        reasons,
    )


def chosen_ids(claims: Claims, detections: Detections) -> dict[str, pa.Array]:
    """``subject_id`` and ``object_id`` of each claim: as given, else of the box that was chosen.

    Null where there is no box.
    """
    boxed = detections.select(np.asarray(np.isfinite(detections.boxes()).all(axis=1)))
    ids = boxed.column("object_id")
    chosen = {}
    for side in ("subject", "object"):
        row = _choose(claims, boxed, side).row
        chosen[f"{side}_id"] = pc.take(ids, pa.array(row, mask=row < 0)).combine_chunks()
    return chosen


@dataclass(frozen=True, slots=True)
class _Choice:
    """One side of all claims: row of its detection (-1: none) and what goes with it."""

    row: NDArray[np.int64]
    box: NDArray[np.float32]
    score: NDArray[np.float32]
    margin: NDArray[np.float32]
    count: NDArray[np.float32]
    reasons: NDArray[np.uint32]


def _choose(claims: Claims, boxed: Detections, side: str) -> _Choice:
    best, second, count = _by_phrase(claims, boxed, side)
    named = claims.column(f"{side}_id")
    given = named.is_valid().to_numpy()
    by_id = _first_match(
        _pair_codes(claims, boxed, named, boxed.column("object_id")),
    )
    row = np.where(given, by_id, best)
    found = row >= 0
    score = _pick(boxed.numbers("score"), row)
    margin = np.where(given, np.nan, score - _pick(boxed.numbers("score"), second))
    box = np.full((len(row), 4), np.nan, dtype=np.float32)
    box[found] = boxed.boxes()[row[found]]
    ambiguous = ~given & found & (count > 1) & ~(margin >= AMBIGUITY_MARGIN)
    degenerate = found & ~((box[:, 2:] > box[:, :2]).all(axis=1))
    phrase_missing = claims.column(side).is_null().to_numpy() & ~given
    box[degenerate] = np.nan
    reasons = (
        (~found & ~phrase_missing) * np.uint32(bit(f"{side}_missing"))
        | phrase_missing * np.uint32(bit("claim_incomplete"))
        | ambiguous * np.uint32(bit(f"ambiguous_{side}"))
        | degenerate * np.uint32(bit("degenerate_box"))
    )
    return _Choice(row, box, score, margin.astype(np.float32), count.astype(np.float32), reasons)


def _not_looked_for(detections: Detections) -> NDArray[np.bool_]:
    """Rows of phrases that the detector could not look for."""
    unknown = pc.starts_with(detections.column("status"), "phrase_")
    return np.asarray(pc.fill_null(unknown, False).to_numpy(), dtype=np.bool_)


def _by_phrase(
    claims: Claims, boxed: Detections, side: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each claim the best and second best box of its phrase (-1: none) and their number."""
    wanted, offered = _pair_codes(
        claims, boxed, _plain(claims.column(side)), _plain(boxed.column("phrase"))
    )
    rank = boxed.numbers("rank")
    order = np.lexsort((rank, -boxed.numbers("score"), offered))
    ordered = offered[order]
    start = np.searchsorted(ordered, wanted, side="left")
    count = np.searchsorted(ordered, wanted, side="right") - start
    best = np.where(count > 0, _pick_row(order, start), -1)
    second = np.where(count > 1, _pick_row(order, start + 1), -1)
    return best, second, np.where(wanted >= 0, count, 0)


def _first_match(
    codes: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.int64]:
    wanted, offered = codes
    order = np.argsort(offered, kind="stable")
    start = np.searchsorted(offered[order], wanted)
    row = _pick_row(order, start)
    hit = (row >= 0) & (wanted >= 0)
    hit[hit] = offered[row[hit]] == wanted[hit]
    return np.where(hit, row, -1)


def _pair_codes(
    claims: Claims, boxed: Detections, wanted: pa.ChunkedArray, offered: pa.ChunkedArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One integer per (image, value), equal on both sides where the strings are; -1 for null."""
    left_image, right_image = _shared_codes(claims.column("image_id"), boxed.column("image_id"))
    left, right = _shared_codes(wanted, offered)
    width = int(max(left.max(initial=0), right.max(initial=0))) + 1
    codes = (left_image * width + left, right_image * width + right)
    return np.where(left < 0, -1, codes[0]), np.where(right < 0, -1, codes[1])


def _shared_codes(
    left: pa.ChunkedArray, right: pa.ChunkedArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    joined = pa.chunked_array([*left.chunks, *right.chunks], type=pa.string())
    places = pc.index_in(joined, value_set=pc.unique(joined).drop_null())
    codes = np.asarray(pc.fill_null(places, -1).to_numpy(), dtype=np.int64)
    return codes[: len(left)], codes[len(left) :]


def _sizes(claims: Claims, images: Images | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Width and height of each claim's image, and whether the image could not be read."""
    if images is None:
        return np.full((len(claims), 2), np.nan, dtype=np.float32), np.zeros(len(claims), bool)
    row = _first_match(_shared_codes(claims.column("image_id"), images.column("image_id")))
    size = np.stack([_pick(images.numbers(name), row) for name in ("width", "height")], axis=1)
    status = pc.fill_null(images.column("status"), "ok")
    failed = np.append(pc.not_equal(status, "ok").to_numpy(), False)
    return size, failed[row]


def _plain(phrases: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_lower(pc.utf8_trim_whitespace(phrases))
    return pc.replace_substring_regex(trimmed, pattern=_ARTICLE, replacement="")


def _pick(values: NDArray[np.float32], row: NDArray[np.int64]) -> NDArray[np.float32]:
    """Values at rows, NaN for row -1."""
    return np.append(values, np.float32(np.nan))[row]


def _pick_row(order: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows at places, -1 past the end."""
    return np.append(order, -1)[np.minimum(place, len(order))]
