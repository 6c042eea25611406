from __future__ import annotations

from dataclasses import fields

import pytest

from spatialtrust.errors import FileError, InputError, UnknownRelationError
from spatialtrust.run.config import RunConfig


def test_written_settings_load_back_equal(tmp_path) -> None:
    config = RunConfig(objects=("mug", 'a "big" pan'), min_confidence=0.9, repair=False, delta=0.05)
    (tmp_path / "run.toml").write_text(config.to_toml(), encoding="utf-8")
    assert RunConfig.load(tmp_path / "run.toml") == config


def test_every_option_is_explained_in_the_file() -> None:
    lines = RunConfig().to_toml().splitlines()
    for option in fields(RunConfig):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{option.name} = "))
        assert lines[place - 1].startswith("# ")


def test_changes_go_on_top_of_the_file(tmp_path) -> None:
    (tmp_path / "run.toml").write_text("max_objects = 7\nengine = 'ray'\n")
    config = RunConfig.load(tmp_path / "run.toml", engine="local")
    assert (config.max_objects, config.engine) == (7, "local")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_confidense = 0.9", 'did you mean "min_confidence"'),
        ("min_confidence = 'high'", "give a float"),
        ("min_confidence = 0.2", "valid: 0.5 to 1"),
        ("repair = 1", "give a bool"),
        ("max_objects = true", "give a int"),
        ("max_objects = 1", "2 or more"),
        ("objects = 'mug'", "give a list of texts"),
        ("engine = 'spark'", "valid: local, ray"),
        ("formats = ['png']", "valid: json, graphml, dot"),
        ("pairs = ['mug']", "subject:object"),
        ("accuracy = 1.0", "accuracy is 1.0"),
        ("signals = ['orbit']", "answer is always one of them"),
        ("signals = ['answer', 'orbits']", "valid: answer, paraphrases, orbit, noise, crop"),
    ],
)
def test_a_wrong_option_says_what_is_valid(tmp_path, text: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        RunConfig.load(tmp_path / "run.toml")


def test_a_misspelt_relation_is_found_before_anything_runs() -> None:
    with pytest.raises(UnknownRelationError, match="left of"):
        RunConfig(relations=("leftt of",))


def test_a_file_that_is_not_toml_is_named(tmp_path) -> None:
    (tmp_path / "run.toml").write_text("= =")
    with pytest.raises(FileError, match=r"run\.toml"):
        RunConfig.load(tmp_path / "run.toml")
