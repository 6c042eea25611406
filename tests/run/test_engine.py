from __future__ import annotations

import json
from pathlib import Path

import pytest

from spatialtrust.errors import FileError, InputError
from spatialtrust.run import engine
from spatialtrust.run.folder import MANIFEST, RunFolder
from spatialtrust.run.parts import Source
from spatialtrust.run.plan import execute, prepare
from tests.helpers.runs import TABLES, close, copies, same, settings, tables


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Images, boxes, and a finished run."""
    folder = tmp_path_factory.mktemp("scenes")
    images, boxes = copies(folder / "photos", 7)
    execute(prepare(settings(boxes), folder / "run", [images]))
    return images, boxes, folder / "run"


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("writes_before", [0, 1, 3, 7, 9, 15, 26])
def test_a_run_that_was_stopped_goes_on_where_it_was(
    scenes, tmp_path, monkeypatch, writes_before: int
) -> None:
    images, boxes, whole = scenes
    write, written = RunFolder.write, []

    def failing(folder, table, part, rows) -> None:
        if len(written) == writes_before:
            raise Killed
        written.append((table, part))
        write(folder, table, part, rows)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "write", failing)
        with pytest.raises(Killed):
            execute(prepare(settings(boxes), tmp_path, [images]))
    written_then = list(written)
    written.clear()

    def counting(folder, table, part, rows) -> None:
        written.append((table, part))
        write(folder, table, part, rows)

    monkeypatch.setattr(RunFolder, "write", counting)
    execute(prepare(settings(boxes), tmp_path, [images]))
    assert same(tables(tmp_path), tables(whole))
    assert not set(written) & set(written_then), "what was written is not made again"


def test_the_same_inputs_give_the_same_bytes(scenes, tmp_path) -> None:
    images, boxes, whole = scenes
    execute(prepare(settings(boxes), tmp_path, [images]))
    for name in TABLES:
        parts = [file.read_bytes() for file in sorted((whole / name).glob("*.parquet"))]
        assert parts == [file.read_bytes() for file in sorted((tmp_path / name).glob("*.parquet"))]
    assert (tmp_path / MANIFEST).read_text() == (whole / MANIFEST).read_text()


@pytest.mark.parametrize("part_size", [1, 100])
def test_the_size_of_parts_does_not_change_the_result(scenes, tmp_path, part_size: int) -> None:
    images, boxes, whole = scenes
    execute(prepare(settings(boxes, part_size=part_size), tmp_path, [images]))
    assert close(tables(tmp_path), tables(whole))


def test_images_that_came_later_are_added(scenes, tmp_path) -> None:
    images, boxes, whole = scenes
    execute(prepare(settings(boxes), tmp_path, [images / "b"]))
    early = sorted(images.rglob("*.jpg"))[:3]
    execute(prepare(settings(boxes), tmp_path / "run", [*early, images / "b" / "0001.jpg"]))
    execute(prepare(settings(boxes), tmp_path / "run", [images]))
    assert close(tables(tmp_path / "run"), tables(whole))


def test_cheap_tables_are_made_again_when_a_setting_changes_and_costly_ones_kept(
    scenes, tmp_path
) -> None:
    images, boxes, whole = scenes
    execute(prepare(settings(boxes, relations=("left of",)), tmp_path, [images]))
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "detections").iterdir()}
    execute(prepare(settings(boxes), tmp_path, [images]))
    assert same(tables(tmp_path), tables(whole))
    assert before == {f: f.stat().st_mtime_ns for f in (tmp_path / "detections").iterdir()}


def test_a_stage_that_is_run_again_takes_what_stood_on_it_along(scenes, tmp_path) -> None:
    images, boxes, _ = scenes
    execute(prepare(settings(boxes), tmp_path, [images]))
    execute(prepare(settings(boxes, model="tabletop-clip"), tmp_path), ["fuse"])
    assert not list((tmp_path / "scenes").glob("*.parquet"))
    assert "scenes" not in json.loads((tmp_path / MANIFEST).read_text())["tables"]


def test_costly_tables_are_not_made_again_unasked(scenes, tmp_path) -> None:
    images, boxes, _ = scenes
    execute(prepare(settings(boxes), tmp_path, [images]), ["detect"])
    changed = prepare(settings(boxes, objects=("mug",)), tmp_path, [images])
    with pytest.raises(InputError, match="--remake to make them again"):
        execute(changed, ["detect"])
    execute(changed, ["detect"], remake=True)
    phrases = set(tables(tmp_path, ("detections",))["detections"]["phrase"].to_pylist())
    assert phrases == {"mug"}


def test_a_folder_in_use_is_refused(scenes, tmp_path) -> None:
    images, boxes, _ = scenes
    job = prepare(settings(boxes), tmp_path, [images])
    with RunFolder(tmp_path), pytest.raises(FileError, match="in use by another process"):
        execute(job)


def test_a_stage_without_what_it_reads_names_the_order(tmp_path, scenes) -> None:
    _, boxes, _ = scenes
    with pytest.raises(InputError, match="detect claims ask gather fuse decide link"):
        execute(prepare(settings(boxes), tmp_path), ["gather"])


def test_an_unknown_engine_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="valid: local, ray"):
        engine.run([], Source(), tmp_path, "spark")


def test_progress_counts_every_image_once(scenes, tmp_path) -> None:
    images, boxes, _ = scenes
    counts: list[int] = []
    execute(prepare(settings(boxes), tmp_path, [images]), progress=counts.append)
    assert counts == [2, 2, 2, 1]


def test_side_rows_are_found_by_bisection_wherever_they_are(scenes) -> None:
    import pyarrow as pa

    rows = pa.table({"image_id": ["a", "c", "c", "e"], "n": [1, 2, 3, 4]})
    source = Source(side={"rows": rows})
    for listed, expected in ((["b"], []), (["c"], [2, 3]), (["a", "e"], [1, 4]), (["f"], [])):
        batch = source.batch(pa.table({"image_id": listed}))
        assert [row["n"] for cell in batch["rows"].to_pylist() for row in cell] == expected
