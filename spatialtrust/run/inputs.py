"""What a run is fed with: its images, recorded boxes and the user's claims laid to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.graph.files import check_image_ids
from spatialtrust.io.matching import match_names, with_sizes
from spatialtrust.io.names import cleaned_note, few, plain_column, plain_name, was_unclean
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spatialtrust.errors import RowError
    from spatialtrust.io.detections import Recorded
    from spatialtrust.tables import Answers, Claims

_LONGEST: Final = 12
"""Words of a label that is looked at for labels within it."""


def images_of(out: Path) -> pa.Table:
    """The images that a run folder has; none in one that was not begun."""
    folder = RunFolder(out)
    tables = [
        folder.read("images", part).select(["image_id", "uri"]) for part in folder.parts("images")
    ]
    for table in tables:
        check_image_ids(table["image_id"].to_pylist(), out / "images")
    return pa.concat_tables(tables) if tables else pa.table({"image_id": pa.array([], pa.string())})


class Laid(NamedTuple):
    """Recorded boxes laid to the images of a run.

    Attributes
    ----------
    rows: those whose image was given, with its ``image_id``.
    notes: what a reader should know, one sentence each.
    not_used: how many of the boxes that were read are left out, by reason.
    """

    rows: pa.Table
    notes: list[str]
    not_used: Counter[str]


def known_phrases(objects: tuple[str, ...], recorded: Recorded | None) -> tuple[str, ...]:
    """Names of things that claims may be about: what is looked for, else the recorded labels."""
    if objects or recorded is None:
        return objects
    return tuple(_distinct(plain_column(recorded.boxes["phrase"])))


def recorded_boxes(found: Recorded, image_ids: list[str]) -> Laid:
    """Recorded boxes with the image each belongs to, and what does not fit."""
    matching = match_names(found.names, image_ids)
    names = found.boxes["name"].to_pylist()
    owners = pa.array([matching.image_of.get(name) for name in names], pa.string())
    rows = with_sizes(found.boxes, found.sizes).append_column("image_id", owners)
    rows = rows.set_column(rows.schema.get_field_index("name"), "name", owners)
    bare = len(set(image_ids) - set(matching.image_of.values()))
    notes = found.said()
    not_used = Counter(_code(fault) for fault in found.faults)
    for code, problem, listed in (
        ("image_unknown", "name no image that was given, and are left out", matching.unknown),
        (
            "image_name_ambiguous",
            "fit several images, or share one, and are left out",
            matching.ambiguous,
        ),
    ):
        if listed:
            outside = set(listed)
            count = sum(name in outside for name in names)
            not_used[code] += count
            text = f"{found.source}: {len(listed)} recorded names {problem}"
            notes.append(f"{text} with {count} boxes: {_shown(listed)}")
    if matching.by_case:
        pairs = [f"{plain_name(name)} ({matching.image_of[name]})" for name in matching.by_case]
        notes.append(
            f"{found.source}: {len(pairs)} recorded names differ from an image's in case only, and "
            f"are taken for it: {few(pairs)}"
        )
    if bare:
        notes.append(f"{found.source}: has nothing on {bare} of {len(image_ids)} images")
    unclean = [label for label in _distinct(found.boxes["phrase"]) if was_unclean(label)]
    notes += cleaned_note(found.source, unclean)
    return Laid(rows.filter(owners.is_valid()), notes, +not_used)


def labels_asked_for(
    rows: pa.Table, source: str, objects: Sequence[str], claims: pa.Table | None
) -> tuple[int, list[str]]:
    """How many recorded boxes have labels that nobody asked for, and what to say of labels.

    Parameters
    ----------
    rows: recorded boxes with their ``image_id``.
    source: file of the boxes.
    objects: phrases to look for; empty: those of the claims about an image.
    claims: the user's, under our image ids; None: every label is asked for.
    """
    labels = plain_column(rows["phrase"])
    lowered = pc.utf8_lower(labels)
    if objects:
        asked = [plain_name(phrase).lower() for phrase in objects]
        unasked = pc.invert(pc.is_in(lowered, value_set=pa.array(asked, pa.string())))
        problem = "boxes of labels that were not asked for"
    elif claims is not None:
        phrases = [pc.utf8_lower(plain_column(claims[side])) for side in ("subject", "object")]
        keys = pa.chunked_array([_keys(claims["image_id"], side) for side in phrases])
        known = pc.is_in(rows["image_id"], value_set=claims["image_id"].combine_chunks())
        wanted = pc.is_in(_keys(rows["image_id"], lowered), value_set=keys.combine_chunks())
        unasked = pc.and_(known, pc.invert(wanted))
        asked = _distinct(pa.chunked_array(phrases))
        problem = "boxes of labels that no claim about their image is about"
    else:
        odd = _odd_labels(_distinct(labels), _distinct(labels))
        return 0, [f"{source}: labels that may be none: {note}; kept as they are" for note in odd]
    count = int(pc.sum(unasked).as_py() or 0)
    if not count:
        return 0, []
    left = _distinct(labels.filter(unasked))
    notes = _odd_labels(left, asked)
    return count, ["; ".join([f"{source}: {count} {problem}: {few(left)}", *notes])]


def _odd_labels(labels: list[str], known: Sequence[str]) -> list[str]:
    """Labels that are several known ones in one, or pieces of words, as detectors write them."""
    whole = {label.lower() for label in known}
    merged = [label for label in labels if _is_joined(label.lower().split(), whole)]
    pieces = [label for label in labels if "##" in label]
    said = ((merged, "several labels in one"), (pieces, "pieces of words"))
    return [f"{what}: {few(listed)}" for listed, what in said if listed]


def _is_joined(words: list[str], whole: set[str], parts: int = 0) -> bool:
    """Whether words are two or more known labels, one behind the other."""
    if not words or len(words) > _LONGEST:
        return not words and parts > 1
    return any(
        _is_joined(words[end:], whole, parts + 1)
        for end in range(1, len(words) + 1)
        if " ".join(words[:end]) in whole and (parts or end < len(words))
    )


def given_claims(claims: Claims, image_ids: list[str]) -> tuple[pa.Table, int]:
    """The user's claims under our image ids, and how many are on images that were not given."""
    names = claims.strings("image_id")
    image_of = match_names((str(name) for name in names), image_ids).image_of
    owners = pa.array([image_of.get(str(name)) for name in names], pa.string())
    known = owners.is_valid()
    phrases = {side: plain_column(claims.column(side)) for side in ("subject", "object")}
    placed = claims.with_columns({"image_id": owners, **phrases}).data.filter(known)
    return placed, len(names) - placed.num_rows


def given_answers(answers: Answers, claims: pa.Table) -> pa.Table:
    """The answers to the claims that :func:`given_claims` placed, with the image of each."""
    place = pc.index_in(answers.column("claim_id"), value_set=claims["claim_id"].combine_chunks())
    owned = answers.data.append_column("image_id", claims["image_id"].take(place))
    return owned.filter(place.is_valid())


def _keys(image_id: pa.ChunkedArray, phrase: pa.Array) -> pa.Array:
    """One text for each pair; null where there is no phrase."""
    joined = pc.binary_join_element_wise(image_id, phrase, "\0")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _distinct(column: pa.Array | pa.ChunkedArray) -> list[str]:
    return [str(value) for value in pc.unique(column).drop_null().to_pylist()]


def _code(fault: RowError) -> str:
    """The reason of a fault as a code, as the summary names it."""
    return str(getattr(fault, "reason", "box unreadable")).replace(" ", "_")


def _shown(names: Sequence[str]) -> str:
    return few(plain_name(name) for name in names)
