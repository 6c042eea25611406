"""Training: it learns, goes on where it stopped, and refuses what does not belong together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spatialtrust.backends.tabletop import write_dataset  # noqa: E402
from spatialtrust.csp.building import BuildConfig, build  # noqa: E402
from spatialtrust.csp.dry_run import write_random  # noqa: E402
from spatialtrust.csp.lessons import Lessons, TrainConfig  # noqa: E402
from spatialtrust.csp.loader import open_vlm  # noqa: E402
from spatialtrust.csp.perturbation import LADDER  # noqa: E402
from spatialtrust.csp.questions import read_questions  # noqa: E402
from spatialtrust.csp.training import train  # noqa: E402
from spatialtrust.errors import FileError, InputError  # noqa: E402

SHORT = TrainConfig(steps=4, pictures=3, texts=2, part="all")
BASE = "tabletop:blip2"


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    rows = write_dataset(folder, 2, seed=9).read_text().splitlines()
    (folder / "claims.jsonl").write_text("\n".join(rows[::9]) + "\n")
    return read_questions(folder / "claims.jsonl")


@pytest.fixture(scope="module")
def data(questions, tmp_path_factory):
    out = tmp_path_factory.mktemp("data")
    build(questions, out, BuildConfig())
    return out


def weights(vlm):
    return {name: value.clone() for name, value in vlm.model.state_dict().items()}


def quietly(_: str) -> None:
    pass


@pytest.fixture
def one_thread():
    """Sums in one order: AdamW makes a step of what rounding leaves of a gradient near 0."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("stage", ["sft", "simpo"])
def test_a_stage_that_stopped_ends_like_one_that_did_not(stage, data, tmp_path):
    config = replace(SHORT, stage=stage, falling=0.5, keep=0.1)
    straight = open_vlm(BASE)
    train(straight, data, tmp_path / "a", config, base=BASE, every=2, report=quietly)

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    # The report comes before a step's state is kept, so this one loses two steps.
    with pytest.raises(KeyboardInterrupt):
        train(open_vlm(BASE), data, tmp_path / "b", config, base=BASE, every=2, report=stop)
    later = open_vlm(BASE)
    kept: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            later, data, tmp_path / "b", config, base=BASE, every=1,
            report=lambda text: kept.append(text) if len(kept) < 2 else stop(text),
        )  # fmt: skip
    resumed = open_vlm(BASE)
    train(resumed, data, tmp_path / "b", config, base=BASE, report=quietly)
    expected = weights(straight)
    for name, value in weights(resumed).items():
        assert torch.equal(value, expected[name]), name


def test_training_lowers_the_loss_and_what_was_written_is_what_was_trained(data, tmp_path):
    vlm = open_vlm(BASE)
    lessons = Lessons(vlm, data, SHORT)
    rows = np.arange(6)
    before = float(lessons.loss(rows)[0].detach())
    train(vlm, data, tmp_path, replace(SHORT, steps=12, rate=1e-3), base=BASE, report=quietly)
    after = float(lessons.loss(rows)[0].detach())
    assert after < before
    again = Lessons(open_vlm(str(tmp_path / "model")), data, SHORT)
    assert float(again.loss(rows)[0].detach()) == pytest.approx(after, abs=1e-4)
    # Done is done: nothing is trained again.
    told: list[str] = []
    config = replace(SHORT, steps=12, rate=1e-3)
    train(open_vlm(BASE), data, tmp_path, config, base=BASE, report=told.append)
    assert not told


def test_the_picture_is_in_every_forward_pass(data):
    vlm = open_vlm(BASE)
    rows = np.arange(4)
    for stage in ("sft", "simpo"):
        vlm.model.zero_grad()
        Lessons(vlm, data, replace(SHORT, stage=stage)).loss(rows)[0].backward()
        assert vlm.model.vision_model.embeddings.patch_embedding.weight.grad.abs().sum() > 0


def test_only_the_chosen_part_is_trained(data, tmp_path):
    vlm = open_vlm(BASE)
    before = weights(vlm)
    train(vlm, data, tmp_path, replace(SHORT, part="language"), base=BASE, report=quietly)
    changed = {n for n, value in weights(vlm).items() if not torch.equal(value, before[n])}
    assert changed
    assert all(name.startswith("language_model.") for name in changed)


@pytest.mark.parametrize("shape", ["llava", "qwen2-vl"])
def test_an_adapter_is_trained_written_and_loaded(shape, data, tmp_path):
    pytest.importorskip("peft")
    base = write_random(shape, tmp_path / "base")
    config = TrainConfig(
        steps=2, pictures=2, texts=1, lora=4, accumulate=2, bf16=True, checkpointing=True
    )
    vlm = open_vlm(base)
    train(vlm, data, tmp_path / "out", config, base=base, report=quietly)
    folder = tmp_path / "out" / "model"
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(folder.glob("model*.safetensors"))
    loaded = open_vlm(str(folder))
    picture = [np.zeros((56, 56, 3), np.uint8)]
    prompts = [loaded.prompt("Is it?", "")]
    with torch.inference_mode():
        one = loaded.score(picture, [0], prompts, [" yes, 75%"]).total
        other = vlm.score(picture, [0], prompts, [" yes, 75%"]).total
    assert float(one) == pytest.approx(float(other), abs=1e-3)
    # An adapter belongs to the model that it was trained on.
    for name in ("config.json", "generation_config.json"):
        path = tmp_path / "base" / name
        if path.is_file():
            path.write_text(json.dumps({**json.loads(path.read_text()), "changed": 1}))
    with pytest.raises(InputError, match="its adapter was trained on"):
        open_vlm(str(folder))


def test_shuffled_pictures_are_others_one_for_one(data):
    plain = Lessons(open_vlm(BASE), data, SHORT)
    mixed = Lessons(open_vlm(BASE), data, replace(SHORT, shuffled=True))
    assert (plain._shown != mixed._shown).all()
    assert set(plain._shown) == set(mixed._shown)
    rows = np.arange(6)
    assert float(plain.loss(rows)[0].detach()) != float(mixed.loss(rows)[0].detach())


def test_what_a_folder_was_begun_with_is_kept_to(data, questions, tmp_path):
    train(open_vlm(BASE), data, tmp_path / "o", SHORT, base=BASE, report=quietly)
    with pytest.raises(InputError, match="other config"):
        train(open_vlm(BASE), data, tmp_path / "o", replace(SHORT, steps=5), base=BASE)
    trained = str(tmp_path / "o" / "model")
    with pytest.raises(InputError, match="was begun from tabletop:blip2"):
        train(open_vlm(trained), data, tmp_path / "o", SHORT, base=trained)
    build(questions, tmp_path / "words", BuildConfig(scale="words"))
    with pytest.raises(InputError, match="other data"):
        train(open_vlm(BASE), tmp_path / "words", tmp_path / "o", SHORT, base=BASE)
    (tmp_path / "o" / "csp.json").write_text("{")
    with pytest.raises(FileError, match="csp train"):
        train(open_vlm(BASE), data, tmp_path / "o", SHORT, base=BASE)


def test_a_state_that_cannot_be_read_is_named(data, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.safetensors").write_bytes(b"cut off")
    with pytest.raises(FileError, match=r"state\.safetensors: cannot be read"):
        train(open_vlm(BASE), data, tmp_path, SHORT, base=BASE)


def test_pairs_of_equal_replies_are_left_out_and_counted(questions, tmp_path):
    flat = {"*": dict.fromkeys(LADDER, 0.6)}
    build(questions, tmp_path, BuildConfig(target="measured"), measured=flat)
    with pytest.raises(InputError, match="no example has a reply to be preferred"):
        Lessons(open_vlm(BASE), tmp_path, replace(SHORT, stage="simpo"))
    steps = {level: 0.9 if level < 20 else 0.6 for level in LADDER}
    build(questions, tmp_path / "b", BuildConfig(target="measured"), measured={"*": steps})
    lessons = Lessons(open_vlm(BASE), tmp_path / "b", replace(SHORT, stage="simpo"))
    assert lessons.left_out["equal_replies"] > 0
    assert len(lessons) > 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"stage": "dpo"}, "stage"), ({"part": "head"}, "part"), ({"steps": 0}, "steps"),
        ({"rate": 0.0}, "rate"), ({"rate": float("nan")}, "rate"), ({"beta": -1.0}, "beta"),
        ({"gamma": -0.1}, "gamma"), ({"lora": -1}, "lora"), ({"accumulate": 0}, "accumulate"),
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(setting, said):
    with pytest.raises(InputError, match=said):
        TrainConfig(**setting)
