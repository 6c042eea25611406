"""What a run is fed with: its images, recorded boxes and the user's claims laid to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.io.detections import read_detections
from spatialtrust.io.matching import match_names
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from spatialtrust.tables import Answers, Claims


def images_of(out: Path) -> pa.Table:
    """The images that a run folder has; none in one that was not begun."""
    folder = RunFolder(out)
    tables = [
        folder.read("images", part).select(["image_id", "uri"]) for part in folder.parts("images")
    ]
    return pa.concat_tables(tables) if tables else pa.table({"image_id": pa.array([], pa.string())})


def recorded_boxes(path: Path, image_ids: list[str]) -> tuple[pa.Table, list[str]]:
    """Recorded boxes with the image each belongs to, and what does not fit."""
    found = read_detections(path)
    matching = match_names(found.names, image_ids)
    names = found.boxes["name"].to_pylist()
    owners = pa.array([matching.image_of.get(name) for name in names], pa.string())
    rows = found.boxes.append_column("image_id", owners)
    rows = rows.set_column(rows.schema.get_field_index("name"), "name", owners)
    bare = len(set(image_ids) - set(matching.image_of.values()))
    notes = found.said()
    for problem, listed in (
        ("name no image that was given, and are left out", matching.unknown),
        ("fit several images, or share one, and are left out", matching.ambiguous),
    ):
        if listed:
            shown = ", ".join(listed[:3]) + (" ..." if len(listed) > 3 else "")
            notes.append(f"{found.source}: {len(listed)} recorded names {problem}: {shown}")
    if bare:
        notes.append(f"{found.source}: has nothing on {bare} of {len(image_ids)} images")
    return rows.filter(owners.is_valid()), notes


def given_claims(claims: Claims, image_ids: list[str]) -> tuple[pa.Table, int]:
    """The user's claims under our image ids, and how many are on images that were not given."""
    names = claims.strings("image_id")
    image_of = match_names((str(name) for name in names), image_ids).image_of
    owners = pa.array([image_of.get(str(name)) for name in names], pa.string())
    known = owners.is_valid()
    placed = claims.with_columns({"image_id": owners}).data.filter(known)
    return placed, len(names) - placed.num_rows


def given_answers(answers: Answers, claims: pa.Table) -> pa.Table:
    """The answers to the claims that :func:`given_claims` placed, with the image of each."""
    place = pc.index_in(answers.column("claim_id"), value_set=claims["claim_id"].combine_chunks())
    owned = answers.data.append_column("image_id", claims["image_id"].take(place))
    return owned.filter(place.is_valid())
