from __future__ import annotations

import json

import pyarrow as pa
import pytest

from spatialtrust.errors import FileError, InputError, SchemaVersionError
from spatialtrust.run.folder import MANIFEST, RunFolder

ROWS = pa.table({"image_id": ["a.jpg"]})


def test_one_process_holds_a_folder_at_a_time(tmp_path) -> None:
    with RunFolder(tmp_path), pytest.raises(FileError, match="in use by another process"):
        RunFolder(tmp_path).__enter__()
    with RunFolder(tmp_path):
        pass


@pytest.mark.parametrize(("field", "value"), [("schema", 0), ("package", "0.0.1")])
def test_a_folder_of_another_version_is_refused(tmp_path, field: str, value: object) -> None:
    with RunFolder(tmp_path) as run:
        run.record({})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, field: value}))
    with pytest.raises(SchemaVersionError, match="give another --out"):
        RunFolder(tmp_path).__enter__()
    with pytest.raises(SchemaVersionError):
        RunFolder(tmp_path).__enter__()


def test_a_manifest_of_something_else_is_refused(tmp_path) -> None:
    (tmp_path / MANIFEST).write_text('{"name": "web app"}')
    with pytest.raises(FileError, match="not a manifest of this package"):
        RunFolder(tmp_path).__enter__()


def test_what_a_dead_process_left_unfinished_is_no_part_and_is_removed(tmp_path) -> None:
    with RunFolder(tmp_path) as run:
        run.write("images", "00000000", ROWS)
        run.record({"images": {"made_with": {}, "from": {}, "costly": False}})
    left = tmp_path / "images" / f".{'0a' * 12}.unfinished"
    left.write_bytes(b"half")
    foreign = tmp_path / "images" / ".mine.unfinished"
    foreign.write_bytes(b"whole")
    with RunFolder(tmp_path) as run:
        assert run.parts("images") == ["00000000"]
    assert not left.exists()
    assert foreign.exists()


def test_a_missing_table_names_those_there_are(tmp_path) -> None:
    with RunFolder(tmp_path) as run:
        run.record({"images": {}})
        with pytest.raises(InputError, match=r"no table claims yet \(tables here: images\)"):
            run.require(["images", "claims"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be used as a run folder"):
        RunFolder(tmp_path / "file" / "run").__enter__()
