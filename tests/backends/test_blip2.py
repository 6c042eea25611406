"""BLIP-2: shared computation gives what asking every claim by itself gives."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends import asking  # noqa: E402
from spatialtrust.backends.asking import ask_for  # noqa: E402
from spatialtrust.backends.base import Asker, Options  # noqa: E402
from spatialtrust.backends.blip2 import open_backend  # noqa: E402
from spatialtrust.backends.blip2.replies import read  # noqa: E402
from spatialtrust.backends.packing import plant  # noqa: E402
from spatialtrust.errors import InputError  # noqa: E402
from spatialtrust.evidence.from_answers import listen  # noqa: E402
from spatialtrust.questions.prompts import caption, question  # noqa: E402
from spatialtrust.questions.signals import ASKED  # noqa: E402
from spatialtrust.questions.views import mirror  # noqa: E402
from spatialtrust.tables import Claims, Grounding  # noqa: E402

KINDS = ("opt", "t5", "itm")


def ask(checkpoint, kind, pictures, claims, options=None, **asked):
    folder = checkpoint(kind)
    backend = open_backend(str(folder), f"blip2:{folder}", options or Options(device="cpu"))
    return backend, backend.ask(pictures, claims, **asked)


def by_claim(answers, name, **where):
    rows = [
        row
        for row in answers.data.to_pylist()
        if all(row[key] == value for key, value in where.items())
    ]
    return {row["claim_id"]: row[name] for row in rows}


def triples(claims):
    for row in claims.data.to_pylist():
        yield row["claim_id"], row["image_id"], (row["subject"], row["relation"], row["object"])


def plain_logits(reader, pixels, text):
    """One claim, one picture, the library's own processor and forward pass: logits of the reply."""
    from transformers import Blip2Processor

    model = reader.model
    processor = Blip2Processor(reader.processor, reader.tokenizer, model.config.num_query_tokens)
    inputs = processor(images=pixels, text=text, return_tensors="pt")
    if not model.config.use_decoder_only_language_model:
        inputs["decoder_input_ids"] = torch.zeros(1, 1, dtype=torch.long)
    with torch.inference_mode():
        return model(**inputs).logits


@pytest.mark.parametrize("kind", ["opt", "t5"])
def test_replies_equal_a_plain_pass_per_claim(checkpoint, pictures, claims, kind, monkeypatch):
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)
    backend, answers = ask(checkpoint, kind, pictures, claims)
    reader = backend.reader
    for claim_id, image, claim in triples(claims):
        logits = plain_logits(reader, pictures[image], f"Question: {question(claim)} Answer:")
        wanted = read(logits[:, -1], reader.spellings)
        for name, value in (("margin", wanted.margin), ("entropy", wanted.entropy)):
            found = by_claim(answers, name)[claim_id]
            assert found == pytest.approx(float(value), abs=1e-3), (claim_id, name)
        p_yes = float(torch.sigmoid(wanted.margin))
        assert by_claim(answers, "p_yes")[claim_id] == pytest.approx(p_yes, abs=1e-4)


def test_opt_statements_equal_a_plain_pass_per_claim(checkpoint, pictures, claims):
    backend, answers = ask(checkpoint, "opt", pictures, claims, prompts=("statement",))
    reader = backend.reader
    for claim_id, image, claim in triples(claims):
        text = question(claim, "statement")
        targets = torch.tensor(reader.tokenizer(text)["input_ids"][1:])
        logits = plain_logits(reader, pictures[image], text)[0, -len(targets) - 1 : -1]
        wanted = logits.log_softmax(-1).gather(1, targets[:, None]).mean()
        found = by_claim(answers, "loglik_per_token")[claim_id]
        assert found == pytest.approx(float(wanted), abs=1e-3)
        assert by_claim(answers, "answer")[claim_id] is None


def test_t5_statements_equal_a_plain_pass_per_claim(checkpoint, pictures, claims):
    backend, answers = ask(checkpoint, "t5", pictures, claims, prompts=("statement",))
    reader = backend.reader
    model = reader.model
    queries = reader.tokenizer("<image>" * 4, add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([[*queries, 1]])
    for claim_id, image, claim in triples(claims):
        targets = torch.tensor(reader.tokenizer(question(claim, "statement"))["input_ids"][:-1])
        values = reader.processor(images=pictures[image], return_tensors="pt")["pixel_values"]
        shifted = torch.cat([torch.tensor([0]), targets[:-1]])[None]
        with torch.inference_mode():
            logits = model(
                pixel_values=values,
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                decoder_input_ids=shifted,
            ).logits[0]
        wanted = logits.log_softmax(-1).gather(1, targets[:, None]).mean()
        found = by_claim(answers, "loglik_per_token")[claim_id]
        assert found == pytest.approx(float(wanted), abs=1e-3)


def test_matching_equals_a_plain_pass_per_claim(checkpoint, pictures, claims):
    backend, answers = ask(checkpoint, "itm", pictures, claims)
    reader = backend.reader
    for claim_id, image, claim in triples(claims):
        inputs = reader.tokenizer(caption(claim), return_tensors="pt")
        values = reader.processor(images=pictures[image], return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits = reader.model(
                pixel_values=values,
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                use_image_text_matching_head=True,
            ).logits_per_image[0]
        margin = float(logits[1] - logits[0])
        assert by_claim(answers, "margin")[claim_id] == pytest.approx(margin, abs=1e-3)
        p_yes = float(logits.softmax(-1)[1])
        assert by_claim(answers, "p_yes")[claim_id] == pytest.approx(p_yes, abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_opt_equals_a_padded_batch_of_the_library(checkpoint, pictures, claims, side, monkeypatch):
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)
    backend, answers = ask(checkpoint, "opt", pictures, claims)
    reader = backend.reader
    model, tokenizer = reader.model, reader.tokenizer
    asked = [(c, f"Question: {question(t)} Answer:") for c, i, t in triples(claims) if i == "a.jpg"]
    tokenizer.padding_side = side
    batch = tokenizer([text for _, text in asked], padding=True, return_tensors="pt")
    queries = torch.full((len(asked), 4), model.config.image_token_index)
    values = reader.processor(images=pictures["a.jpg"], return_tensors="pt")["pixel_values"]
    mask = torch.cat([torch.ones_like(queries), batch["attention_mask"]], dim=1)
    with torch.inference_mode():
        logits = model(
            pixel_values=values.expand(len(asked), -1, -1, -1),
            input_ids=torch.cat([queries, batch["input_ids"]], dim=1),
            attention_mask=mask,
        ).logits
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    wanted = read(logits[torch.arange(len(asked)), last], reader.spellings).margin
    found = by_claim(answers, "margin")
    assert [found[claim_id] for claim_id, _ in asked] == pytest.approx(wanted.tolist(), abs=1e-3)


def test_a_statement_asks_nothing_of_a_matcher_either(checkpoint, pictures, claims):
    _, answers = ask(checkpoint, "itm", pictures, claims, prompts=("default", "statement"))
    assert set(by_claim(answers, "answer", prompt_id="statement").values()) == {None}
    assert set(by_claim(answers, "p_yes", prompt_id="statement").values()) == {None}
    margins = (by_claim(answers, "margin", prompt_id=name) for name in ("default", "statement"))
    assert len({tuple(margin.values()) for margin in margins}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_claim_alone_and_no_claim(checkpoint, pictures, claims, kind, monkeypatch):
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)
    _, all_answers = ask(checkpoint, kind, pictures, claims)
    _, alone = ask(checkpoint, kind, pictures, claims.take(np.array([1])))
    assert len(alone) == 1
    assert by_claim(alone, "margin")["1"] == pytest.approx(
        by_claim(all_answers, "margin")["1"], abs=1e-4
    )
    _, none = ask(checkpoint, kind, pictures, Claims.empty())
    assert len(none) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_vision_pass_per_picture_whatever_is_asked(checkpoint, pictures, claims, kind):
    folder = checkpoint(kind)
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    passes = []
    backend.reader.model.vision_model.register_forward_pre_hook(
        lambda module, inputs: passes.append(len(inputs[0]))
    )
    backend.ask(pictures, claims, prompts=("default", "true"), forms=("claim", "converse"))
    assert sum(passes) == 3
    backend.ask(pictures, claims, prompts=("say",))
    assert sum(passes) == 3, "a later call remembers the pictures"
    backend.ask(pictures, claims, views=("mirror",))
    assert sum(passes) == 6


def test_the_language_model_sees_each_common_beginning_once(checkpoint, pictures, claims):
    folder = checkpoint("opt")
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    widths = []
    backend.reader.model.language_model.base_model.register_forward_pre_hook(
        lambda module, inputs, named: widths.append(tuple(named["inputs_embeds"].shape[:2])),
        with_kwargs=True,
    )
    one_image = claims.take(np.array([0, 1, 2, 3, 7]))
    backend.ask({"a.jpg": pictures["a.jpg"]}, one_image)
    texts = [f"Question: {question(t)} Answer:" for _, _, t in triples(one_image)]
    tree = plant(backend.reader.tokenizer(texts)["input_ids"], limit=10_000)
    assert widths == [(1, 4 + len(tree[0]))]


def test_views_forms_and_prompts_are_rows_with_their_own_answers(checkpoint, pictures, claims):
    few = claims.take(np.array([0, 5]))
    boxes = np.array([[[2, 2, 12, 12]] * 2, [[20, 20, 32, 30]] * 2], dtype=np.float32)
    _, answers = ask(
        checkpoint,
        "itm",
        pictures,
        few,
        views=("plain", "mirror", "crop", "noise-60"),
        forms=("claim", "converse", "opposite", "swapped"),
        grounding=Grounding.from_boxes(boxes[0], boxes[1]),
    )
    assert len(answers) == 2 * 4 * 4
    status = by_claim(answers, "status", form="converse", view="plain")
    assert status == {"0": "ok", "5": "form_undefined"}
    plain, mirrored, cropped, noised = (
        by_claim(answers, "margin", view=view, form="claim")["0"]
        for view in ("plain", "mirror", "crop", "noise-60")
    )
    assert len({plain, mirrored, cropped, noised}) == 4
    _, other = ask(checkpoint, "itm", {"a.jpg": mirror(pictures["a.jpg"])}, few.take(np.array([0])))
    assert mirrored == pytest.approx(by_claim(other, "margin")["0"], abs=1e-4)


def test_all_signals_from_real_answers(checkpoint, pictures, claims):
    """Every signal has its questions, and every picture is encoded once for all of them."""
    folder = checkpoint("opt")
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    passes = []
    backend.reader.model.vision_model.register_forward_pre_hook(
        lambda module, inputs: passes.append(len(inputs[0]))
    )
    few = claims.take(np.array([0, 2]))
    boxes = np.array([[[2, 2, 12, 12]] * 2, [[20, 20, 32, 30]] * 2], dtype=np.float32)
    asked = [name for name in ASKED if name != "stated"]  # which this model cannot say
    answers = ask_for(asked, backend, pictures, few, Grounding.from_boxes(boxes[0], boxes[1]))
    assert len(answers) == 2 * (1 + 4 + 8 + 4 + 1)
    assert sum(passes) == len(("plain", "mirror", "crop")) + 4
    found = listen(few, answers).columns
    for name in ("orbit", "orbit_plain", "orbit_mirror", "vlm_entropy"):
        assert np.isfinite(found[name]).all(), name
    stated = by_claim(
        answers, "loglik_per_token", view="plain", form="claim", prompt_id="statement"
    )
    assert found["orbit_plain"][0] == pytest.approx(
        stated["0"] / 2
        + sum(
            sign
            * by_claim(answers, "loglik_per_token", view="plain", form=form, prompt_id="statement")[
                "0"
            ]
            / 2
            for form, sign in (("converse", 1), ("opposite", -1), ("swapped", -1))
        ),
        abs=1e-4,
    )
    with pytest.raises(InputError, match='did you mean "orbit"'):
        ask_for(["orbits"], backend, pictures, few)


def test_rows_that_cannot_be_asked_say_why(checkpoint, pictures):
    rows = [
        ("no-image.jpg", "mug", "on", "table", "plain", "image_unreadable"),
        ("a.jpg", None, "on", "table", "plain", "claim_incomplete"),
        ("a.jpg", "mug", None, "table", "plain", "claim_incomplete"),
        ("a.jpg", "mug", "leftish", "table", "plain", "relation_unknown"),
        ("a.jpg", "mug " * 200, "on", "table", "plain", "text_too_long"),
        ("a.jpg", "mug", "on", "table", "crop", "boxes_missing"),
        ("a.jpg", "mug", "on", "table", "plain", "ok"),
    ]
    for place, (image, subject, relation, object_, view, status) in enumerate(rows):
        claim = {"claim_id": str(place), "image_id": image, "subject": subject,
                 "relation": relation, "object": object_}  # fmt: skip
        for kind in KINDS:
            if kind == "t5" and status == "text_too_long":
                continue  # relative positions: no limit
            _, answers = ask(checkpoint, kind, pictures, Claims.from_rows([claim]), views=(view,))
            row = answers.data.to_pylist()[0]
            assert row["status"] == status
            assert (row["answer"] is None) == (status != "ok")
            assert (row["entropy"] is None) == (status != "ok")


def test_a_reply_that_is_neither_yes_nor_no_is_unparsed(checkpoint, pictures, claims):
    _, answers = ask(checkpoint, "opt", pictures, claims)
    assert set(by_claim(answers, "answer").values()) == {"unparsed"}
    assert set(by_claim(answers, "p_yes").values()) == {None}
    assert set(by_claim(answers, "status").values()) == {"ok"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_memory_budget_changes_nothing_but_the_batches(
    checkpoint, pictures, claims, kind, monkeypatch
):
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)
    asked = {"prompts": ("default", "statement")}
    _, wide = ask(checkpoint, kind, pictures, claims, **asked)
    _, narrow = ask(checkpoint, kind, pictures, claims, Options(device="cpu", memory=1), **asked)
    for name in ("margin", "entropy", "loglik_per_token"):
        np.testing.assert_allclose(wide.numbers(name), narrow.numbers(name), atol=1e-4)


def test_out_of_memory_halves_the_batch_and_goes_on(checkpoint, pictures, claims, caplog):
    folder = checkpoint("itm")
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    vision = backend.reader.model.vision_model

    def exhaust(module, inputs):
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")

    vision.register_forward_pre_hook(exhaust)
    answers = backend.ask(pictures, claims)
    assert set(by_claim(answers, "status").values()) == {"ok"}
    assert "out of memory" in caplog.text


def test_a_picture_that_fails_does_not_take_its_batch_along(checkpoint, pictures, claims):
    folder = checkpoint("itm")
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    broken = {**pictures, "b.jpg": np.zeros((5, 5), np.uint8)}
    status = by_claim(backend.ask(broken, claims), "status")
    failed = {claim for claim, image, _ in triples(claims) if image == "b.jpg"}
    assert {claim for claim, said in status.items() if said != "ok"} == failed
    assert all(status[claim].startswith("failed: ") for claim in failed)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_answers_are_close(checkpoint, pictures, claims, kind, dtype, monkeypatch):
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)
    full, half = (
        ask(checkpoint, kind, pictures, claims, Options(device="cpu", dtype=given))[1]
        for given in ("float32", dtype)
    )
    assert set(half.strings("status")) == {"ok"}
    np.testing.assert_allclose(full.numbers("margin"), half.numbers("margin"), atol=0.25)


def test_it_is_an_asker_that_says_which_weights_it_used(checkpoint):
    folder = checkpoint("opt")
    backend = open_backend(str(folder), f"blip2:{folder}", Options(device="cpu"))
    assert isinstance(backend, Asker)
    assert backend.revision.startswith("sha256:")
