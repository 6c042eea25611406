from __future__ import annotations

from dataclasses import fields

import pytest

from spatialtrust.errors import FileError, InputError, UnknownRelationError
from spatialtrust.run.config import RunConfig, over


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
        ("relations = 'left of'", "give a list of texts"),
        ("engine = 'spark'", "valid: local, ray"),
        ("formats = ['png']", "valid: json, graphml, dot"),
        ("pairs = ['mug']", "subject:object"),
        ("accuracy = 1.0", "accuracy is 1.0"),
        ("signals = ['orbit']", "answer is always one of them"),
        (
            "signals = ['answer', 'orbits']",
            "paraphrases, orbit, noise, stated, crop",
        ),
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


@pytest.mark.parametrize("written", ["'red cube. St. Bernard.'", "['red cube. St. Bernard.']",
                                     "'red cube, St. Bernard'"])  # fmt: skip
def test_a_prompt_in_the_file_is_its_phrases(tmp_path, written: str, caplog) -> None:
    (tmp_path / "run.toml").write_text(f"objects = {written}")
    config = RunConfig.load(tmp_path / "run.toml")
    assert config.objects == ("red cube", "St. Bernard")
    assert "is read as 2 phrases" in caplog.text
    (tmp_path / "again.toml").write_text(config.to_toml(), encoding="utf-8")
    caplog.clear()
    assert RunConfig.load(tmp_path / "again.toml") == config
    assert caplog.text == ""


def test_of_two_thresholds_the_one_given_last_holds(tmp_path, caplog) -> None:
    assert over({"accuracy": 0.9}, {"min_confidence": 0.7}) == {"min_confidence": 0.7}
    assert "accuracy of 0.9 set earlier is dropped" in caplog.text
    assert over({"min_confidence": 0.7}, {"accuracy": 0.9}) == {"accuracy": 0.9}
    assert over({"min_confidence": 0.7}, {"accuracy": 0.0})["min_confidence"] == 0.7
    (tmp_path / "run.toml").write_text("accuracy = 0.9")
    assert RunConfig.load(tmp_path / "run.toml", min_confidence=0.7).accuracy == 0
    assert RunConfig.load(tmp_path / "run.toml", {"min_confidence": 0.7}).accuracy == 0.9
    (tmp_path / "run.toml").write_text("min_confidence = 0.7\naccuracy = 0.0")
    assert RunConfig.load(tmp_path / "run.toml", {"accuracy": 0.9}).accuracy == 0
    assert RunConfig.load(tmp_path / "run.toml", accuracy=0.9).accuracy == 0.9


def test_two_thresholds_at_once_are_an_error(tmp_path) -> None:
    (tmp_path / "run.toml").write_text("min_confidence = 0.8\naccuracy = 0.9")
    with pytest.raises(InputError, match=r"run\.toml: min_confidence .* and accuracy"):
        RunConfig.load(tmp_path / "run.toml")
    with pytest.raises(InputError, match=r"min_confidence .* and accuracy"):
        RunConfig(min_confidence=0.9, accuracy=0.9)
    (tmp_path / "run.toml").write_text("")
    with pytest.raises(InputError, match=r"min_confidence .* and accuracy"):
        RunConfig.load(tmp_path / "run.toml", min_confidence=0.8, accuracy=0.9)


def test_certified_settings_are_written_without_the_plain_threshold(tmp_path) -> None:
    config = RunConfig(accuracy=0.9)
    (tmp_path / "run.toml").write_text(config.to_toml())
    assert RunConfig.load(tmp_path / "run.toml") == config
