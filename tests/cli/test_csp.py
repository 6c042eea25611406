"""``spatialtrust csp``: the commands, end to end and in words."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from spatialtrust.backends.tabletop import write_dataset
from spatialtrust.cli.commands import app
from spatialtrust.errors import InputError

BASE = "tabletop:blip2"


def run(*words: object) -> dict:
    result = CliRunner().invoke(app, ["csp", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    rows = write_dataset(folder, 2, seed=21).read_text().splitlines()
    (folder / "few.jsonl").write_text("\n".join(rows[::9]) + "\n")
    return folder / "few.jsonl"


def test_from_claims_to_figures(claims, tmp_path):
    built = run("build", claims, "--out", tmp_path / "data", "--target", "measured-by-group",
                "--checkpoint", BASE, "--levels", 2)  # fmt: skip
    assert built["examples"] == 2 * built["questions"]
    built = run("build", claims, "--out", tmp_path / "linear", "--levels", 2)
    trained = run("train", tmp_path / "linear", "--checkpoint", BASE, "--out", tmp_path / "trained",
                  "--steps", 2, "--pictures", 2, "--lora", 0)  # fmt: skip
    assert set(trained["stages"]) == {"sft", "simpo"}
    judged = run("eval", claims, "--checkpoint", BASE, "--checkpoint", trained["model"],
                 "--out", tmp_path / "judged", "--levels", "0,60", "--resamples", 20)  # fmt: skip
    assert set(judged["models"]) == {BASE, trained["model"]}
    assert {"stated", "p_yes"} <= set(judged["models"][BASE]["clean"])
    assert (tmp_path / "judged" / "reliability.png").stat().st_size > 5000
    graph = CliRunner().invoke(
        app,
        ["graph", str(claims.parent), "--claims", str(claims), "--detector",
         "tabletop:grounding-dino", "--asker", f"csp:{trained['model']}", "--signals",
         "answer,stated", "--no-overlays", "--out", str(tmp_path / "run")],
        catch_exceptions=False,
    )  # fmt: skip
    assert graph.exit_code == 0, graph.output
    from spatialtrust.run.folder import RunFolder

    with RunFolder(tmp_path / "run") as folder:
        stated = folder.whole("evidence")["stated_confidence"].to_pylist()
    assert all(0.5 <= value <= 1 for value in stated)


def test_levels_and_existence(claims, tmp_path):
    image = next(claims.parent.glob("*.png"))
    run("levels", image, "--objects", "[20, 20, 60, 60]", "--out", tmp_path / "levels.png")
    assert (tmp_path / "levels.png").stat().st_size > 5000
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text(
        '{"image": "a.png", "label": "cup", "box_format": "xyxy", "box": [1, 2, 30, 40]}\n'
        '{"image": "b.png", "label": "dog", "box_format": "xyxy", "box": [1, 2, 30, 40]}\n'
    )
    made = run("existence", boxes, "--out", tmp_path / "pope.jsonl", "--kind", "popular")
    assert made["questions"] == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "{claims}", "--checkpoint", BASE, "--out", "o", "--levels", "5,3"], "--levels"),
        (["eval", "{claims}", "--checkpoint", "tabletop:clip", "--out", "o"], "no language head"),
        (["build", "{claims}", "--out", "o", "--target", "measured"], "needs --checkpoint"),
        (["build", "{claims}", "--out", "o", "--scale", "stars"], 'scale "stars" is not known'),
        (["train", "{claims}", "--checkpoint", BASE, "--out", "o", "--stages", "dpo"], "--stages"),
        (["train", "nowhere", "--checkpoint", BASE, "--out", "o"], "csp build"),
        (["levels", "x.png", "--objects", "nothing"], "no JSON list"),
        (["tabletop", "--out", "o", "--dry-run", "gpt"], 'shape "gpt" is not known'),
        (["tabletop", "--out", "o", "--checkpoint", "no.safetensors"], "weights of a tabletop"),
        (["tabletop", "--out", "o", "--target", "exact"], 'target "exact" is not known'),
    ],
)
def test_what_is_not_valid_is_refused_in_words(words, said, claims, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [word.format(claims=claims) for word in words]
    result = CliRunner().invoke(app, ["csp", *given])
    assert isinstance(result.exception, InputError), result.output
    assert said in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llava", "qwen2-vl"])
def test_a_dry_run_goes_from_scratch_to_the_table_and_says_so(shape, tmp_path):
    result = CliRunner().invoke(
        app, ["csp", "tabletop", "--out", str(tmp_path), "--dry-run", shape], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert result.stderr.count("DRY RUN") == 2
    found = json.loads(result.stdout)
    assert found["dry_run"] is True
    assert set(found["table"]) >= {"before", "stage 1", "stage 2"}
    for name in ("levels.png", "reliability.png", "falling.png"):
        assert (tmp_path / name).stat().st_size > 5000
