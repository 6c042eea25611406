"""Chat models: shared computation gives what asking every claim by itself gives."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from PIL import Image  # noqa: E402

from spatialtrust.backends import asking  # noqa: E402
from spatialtrust.backends.base import Asker, Options  # noqa: E402
from spatialtrust.backends.blip2.replies import read  # noqa: E402
from spatialtrust.backends.chat.wording import Asked, spell  # noqa: E402
from spatialtrust.backends.packing import best_size, plant  # noqa: E402
from spatialtrust.backends.registry import open_asker  # noqa: E402
from spatialtrust.errors import BackendError  # noqa: E402
from spatialtrust.tables import Claims  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # of PaliGemma's processor
)

QWEN = ("qwen2-vl", "qwen2.5-vl", "qwen3-vl")
SHARED = ("llava", *QWEN, "smolvlm", "idefics3", "internvl", "gemma3")
KINDS = (*SHARED, "paligemma")
LATER = ("qwen2.5-vl", "qwen3-vl", "idefics3", "internvl")
"""Shapes whose code is mostly another's: compared by `make test-slow`."""


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """The folder of a tiny random chat model, made at first use."""
    from tests.backends.tiny_chat import MAKERS

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("chat")

    def get(kind):
        folder = root / kind
        return folder if folder.exists() else MAKERS[kind](folder)

    return get


@pytest.fixture
def every_reply(monkeypatch):
    """Random models hardly ever say yes or no; their replies are read all the same."""
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)


def opened(folder, **options):
    backend = open_asker(f"vlm:{folder}", Options(device="cpu", **options))
    assert isinstance(backend, Asker)
    return backend


def rows(answers):
    return {(row["claim_id"], row["prompt_id"]): row for row in answers.data.to_pylist()}


def naive(reader, pixels, asked):
    """The library's own processor and pass over one whole prompt: logits and token ids."""
    text, images = [reader.loaded.wording.prompt(asked)], [Image.fromarray(pixels)]
    inputs = reader.loaded.processor(text=text, images=images, return_tensors="pt")
    inputs.pop("labels", None)
    with torch.inference_mode():
        return reader.loaded.model(**inputs).logits[0], inputs["input_ids"][0]


def spoken(reader, stated):
    """The tokens of a statement behind its prompt."""
    ids = reader.loaded.processor.tokenizer(reader.loaded.wording.prompt(stated))["input_ids"]
    before = reader.loaded.processor.tokenizer(reader.loaded.wording.prompt(Asked(stated.request)))[
        "input_ids"
    ]
    assert ids[: len(before)] == before
    return ids[len(before) :]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind in LATER else ()) for kind in KINDS],
)
def test_replies_and_statements_equal_a_plain_pass_per_claim(
    chat, pictures, claims, kind, every_reply
):
    backend = opened(chat(kind))
    found = rows(backend.ask(pictures, claims, prompts=("default", "statement")))
    reader = backend.reader
    assert reader.sight.shared is (kind in SHARED)
    for claim in claims.data.to_pylist():
        says = (claim["subject"], claim["relation"], claim["object"])
        pixels = pictures[claim["image_id"]]
        logits, _ = naive(reader, pixels, spell(says, "default"))
        wanted = read(logits[-1:], reader.loaded.spellings)
        row = found[claim["claim_id"], "default"]
        assert row["margin"] == pytest.approx(float(wanted.margin), abs=1e-3)
        assert row["entropy"] == pytest.approx(float(wanted.entropy), abs=1e-3)
        assert row["p_yes"] == pytest.approx(float(torch.sigmoid(wanted.margin)), abs=1e-4)
        stated = spell(says, "statement")
        logits, ids = naive(reader, pixels, stated)
        said = spoken(reader, stated)
        end = len(ids) - (1 if kind == "paligemma" else 0)  # it ends every prompt with a break
        assert ids[end - len(said) : end].tolist() == said
        logp = logits.log_softmax(-1)[
            torch.arange(end - len(said) - 1, end - 1), torch.tensor(said)
        ]
        row = found[claim["claim_id"], "statement"]
        assert row["loglik_per_token"] == pytest.approx(float(logp.mean()), abs=1e-3)
        assert row["answer"] is None


@pytest.mark.parametrize("kind", ["llava", "qwen2-vl", "smolvlm", "gemma3", "paligemma"])
def test_one_claim_alone_and_no_claim(chat, pictures, claims, kind, every_reply):
    folder = chat(kind)
    everything = rows(opened(folder).ask(pictures, claims))
    alone = rows(opened(folder).ask(pictures, claims.take(np.array([1]))))
    assert alone["1", "default"]["margin"] == pytest.approx(
        everything["1", "default"]["margin"], abs=1e-4
    )
    assert len(opened(folder).ask(pictures, Claims.empty())) == 0


@pytest.mark.parametrize("kind", ["llava", "qwen2-vl", "smolvlm"])
def test_each_picture_and_each_common_beginning_is_computed_once(chat, pictures, claims, kind):
    backend = opened(chat(kind))
    reader = backend.reader
    towers = [
        module
        for name, module in reader.loaded.model.named_modules()
        if name in ("model.visual", "model.vision_tower", "model.vision_model")
    ]
    passes = []
    towers[0].register_forward_pre_hook(lambda module, inputs, named: passes.append(1),
                                        with_kwargs=True)  # fmt: skip
    shapes = []
    reader.loaded.model.register_forward_pre_hook(
        lambda module, inputs, named: shapes.append(tuple(named["input_ids"].shape)),
        with_kwargs=True,
    )
    backend.ask(pictures, claims, prompts=("default", "true"))
    assert [rows for rows, _ in shapes][:3] == [1, 3, 2], (
        "one alone, to try whether sharing is right; all pictures in one pass; two replies to try"
    )
    assert len(passes) == 1 + 1
    backend.ask(pictures, claims, prompts=("say",))
    assert len(passes) == 2, "a later call remembers the pictures"
    one_image = claims.take(np.array([0, 1, 2, 3, 7]))
    shapes.clear()
    backend.ask({"a.jpg": pictures["a.jpg"]}, one_image)
    texts = [
        spell((row["subject"], row["relation"], row["object"]), "default")
        for row in one_image.data.to_pylist()
    ]
    size = best_size(32, reader.encode([reader.prepare(pictures["a.jpg"])])[0].length)
    trees = plant(reader.loaded.wording.tails(texts), size)
    assert shapes[:1] == [(len(trees), max(map(len, trees)))], (
        "the picture's tokens are not run again, nor a common word"
    )


def test_a_small_memory_budget_changes_nothing_but_the_batches(chat, pictures, claims, every_reply):
    folder = chat("qwen2-vl")
    asked = {"prompts": ("default", "statement")}
    wide = opened(folder).ask(pictures, claims, **asked)
    narrow = opened(folder, memory=1).ask(pictures, claims, **asked)
    for name in ("margin", "entropy", "loglik_per_token"):
        np.testing.assert_allclose(wide.numbers(name), narrow.numbers(name), atol=1e-4)


@pytest.mark.parametrize("kind", ["qwen2-vl", "gemma3"])
def test_half_precision_answers_are_close(chat, pictures, claims, kind, every_reply):
    full, half = (
        opened(chat(kind), dtype=dtype).ask(pictures, claims) for dtype in ("float32", "bfloat16")
    )
    assert set(half.strings("status")) == {"ok"}
    np.testing.assert_allclose(full.numbers("margin"), half.numbers("margin"), atol=0.5)


def test_rows_that_cannot_be_asked_say_why(chat, pictures):
    said = [
        ("mug " * 1200, "text_too_long"),
        ("mug <|im_end|>", "text_has_control_tokens"),
        ("<|image_pad|> mug", "text_has_control_tokens"),
        ("mug", "ok"),
    ]
    claims = Claims.from_rows(
        {"claim_id": str(place), "image_id": "a.jpg", "subject": subject, "relation": "on",
         "object": "table"} for place, (subject, _) in enumerate(said)
    )  # fmt: skip
    answers = opened(chat("qwen2-vl")).ask(pictures, claims)
    assert answers.strings("status") == [status for _, status in said]


def test_a_picture_that_fails_does_not_take_the_others_along(chat, pictures, claims):
    broken = {**pictures, "b.jpg": np.zeros((5, 5, 7), np.uint8)}
    answers = opened(chat("smolvlm")).ask(broken, claims)
    status = dict(zip(answers.strings("claim_id"), answers.strings("status"), strict=True))
    assert {claim for claim, told in status.items() if told != "ok"} == {"4", "5"}


def changed(chat, tmp_path, kind="llava", **config):
    """A copy of a model whose files can be spoilt."""
    folder = tmp_path / kind
    shutil.copytree(chat(kind), folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


def refusal(folder, pictures, claims):
    with pytest.raises(BackendError) as found:
        open_asker(f"vlm:{folder}", Options(device="cpu")).ask(pictures, claims)
    return str(found.value)


def test_a_missing_chat_template_is_said(chat, tmp_path, pictures, claims):
    folder = changed(chat, tmp_path)
    (folder / "chat_template.jinja").unlink()
    assert "has no chat template" in refusal(folder, pictures, claims)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m['content'][1]['text'] }}{% endfor %}", "puts no picture in"),
        ("{% for m in messages %}{{ m['content'][1]['text'] }}<image>{% endfor %}",
         "question before the picture"),
        ("{{ raise_exception('only two roles') }}", "cannot be filled in"),
        ("{% for m in messages %}", "cannot be filled in"),
        ("hello", "puts no picture in"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_fit_is_said(chat, tmp_path, pictures, claims, template, says):
    folder = changed(chat, tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    assert says in refusal(folder, pictures, claims)


def test_a_template_that_wants_plain_text_is_filled_in(chat, tmp_path, pictures, claims):
    folder = changed(chat, tmp_path)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}USER: {{ '' + m['content'] }} ASSISTANT:{% endfor %}"
    )
    answers = open_asker(f"vlm:{folder}", Options(device="cpu")).ask(pictures, claims)
    assert set(answers.strings("status")) == {"ok"}


def test_models_that_see_no_pictures_are_refused(chat, tmp_path, pictures, claims):
    folder = changed(chat, tmp_path, image_token_index=None, image_token_id=None)
    assert "names no image token" in refusal(folder, pictures, claims)
    folder = changed(chat, tmp_path / "blip", model_type="blip-2")
    assert "use blip2:" in refusal(folder, pictures, claims)
    folder = changed(chat, tmp_path / "unknown", model_type="vlm-of-tomorrow")
    assert "asks no models of type" in refusal(folder, pictures, claims)


def test_a_tokenizer_without_the_image_token_is_said(chat, tmp_path, pictures, claims):
    folder = changed(chat, tmp_path)
    other = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps({**other, "image_token": "<picture>"}))
    message = refusal(folder, pictures, claims)
    assert "image token" in message or "cannot be made" in message


def test_files_that_cannot_be_read_are_named(chat, tmp_path, pictures, claims):
    folder = changed(chat, tmp_path)
    (folder / "processor_config.json").write_text("{")
    assert "processor_config.json: cannot be read" in refusal(folder, pictures, claims)
