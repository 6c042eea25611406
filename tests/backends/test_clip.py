"""CLIP and SigLIP: the library's own scores, each picture and each text computed once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends.base import Asker, Embedder, Options  # noqa: E402
from spatialtrust.backends.clip import open_backend  # noqa: E402
from spatialtrust.backends.packing import best_size, plant  # noqa: E402
from spatialtrust.errors import BackendError  # noqa: E402
from spatialtrust.questions.prompts import alternatives, caption  # noqa: E402
from spatialtrust.tables import Claims  # noqa: E402

KINDS = ("clip", "siglip")


def open_tiny(checkpoint, kind="clip", **options):
    folder = checkpoint(kind)
    return open_backend(str(folder), f"clip:{folder}", Options(device="cpu", **options))


def plain_logits(reader, pixels, texts):
    """Texts against a picture as the library scores them."""
    padding = {"padding": True} if reader.causal else {"padding": "max_length", "max_length": 24}
    inputs = dict(reader.tokenizer(list(texts), return_tensors="pt", **padding))
    if not reader.causal:
        del inputs["attention_mask"]  # SigLIP attends to its padding, as it was trained
    inputs["pixel_values"] = reader.processor(images=pixels, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return reader.model(**inputs).logits_per_image[0].double()


@pytest.mark.parametrize("kind", KINDS)
def test_answers_equal_a_plain_pass_per_claim(checkpoint, pictures, claims, kind):
    backend = open_tiny(checkpoint, kind)
    short = claims.take(np.array([0, 2, 3, 4, 5, 6, 7]))
    answers = {row["claim_id"]: row for row in backend.ask(pictures, short).data.to_pylist()}
    for row in short.data.to_pylist():
        claim = (row["subject"], row["relation"], row["object"])
        logits = plain_logits(backend.reader, pictures[row["image_id"]], alternatives(claim))
        wanted = logits.softmax(0)
        found = answers[row["claim_id"]]
        assert found["p_yes"] == pytest.approx(float(wanted[0]), abs=1e-4)
        assert found["margin"] == pytest.approx(float(torch.logit(wanted[0])), abs=1e-3)
        assert found["entropy"] == pytest.approx(float(-(wanted * wanted.log()).sum()), abs=1e-3)
        assert found["answer"] == ("yes" if wanted[0] >= 0.5 else "no")
        if kind == "clip":
            similarity = float(logits[0]) / backend.logit_scale
            assert found["similarity"] == pytest.approx(similarity, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_unit_rows_equal_to_the_library(checkpoint, pictures, kind):
    backend = open_tiny(checkpoint, kind)
    texts = ["the mug", "the mug is left of the kettle", "a", "the mug"]
    rows = backend.embed_texts(texts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    images = backend.embed_images(list(pictures.values()))
    for place, pixels in enumerate(pictures.values()):
        logits = plain_logits(backend.reader, pixels, texts).numpy()
        found = backend.logit_scale * rows @ images[place]
        # SigLIP adds a bias, which no softmax sees.
        np.testing.assert_allclose(found - found[0], logits - logits[0], atol=1e-3)
    assert backend.embed_images([]).shape == (0, rows.shape[1])
    assert backend.embed_texts([]).shape == (0, rows.shape[1])


def test_directions_compete_with_one_another_and_the_rest_with_its_opposite():
    said = alternatives(("mug", "left of", "kettle"))
    assert said[0] == caption(("mug", "left of", "kettle"))
    assert set(said) == set(alternatives(("mug", "above", "kettle")))
    assert len(alternatives(("mug", "near", "kettle"))) == 2
    assert alternatives(("mug", "between", "cups"))[1] == "The mug is not between the cups."
    assert alternatives(("box", "contains", "cup"))[1] == "The box does not contain the cup."


def test_the_four_directions_of_a_pair_share_four_captions(checkpoint, pictures):
    backend = open_tiny(checkpoint)
    directions = ("left of", "right of", "above", "below")
    claims = Claims.from_rows(
        {"claim_id": str(i), "image_id": "a.jpg", "subject": "mug", "relation": relation,
         "object": "cup"}
        for i, relation in enumerate(directions)
    )  # fmt: skip
    rows = []
    backend.reader.model.text_model.register_forward_pre_hook(
        lambda module, inputs, named: rows.append(named["input_ids"].numel()), with_kwargs=True
    )
    answers = backend.ask(pictures, claims)
    assert answers.numbers("p_yes").sum() == pytest.approx(1.0, abs=1e-5)
    texts = list(alternatives(("mug", "left of", "cup")))
    tree = plant(backend.reader.tokenizer(texts)["input_ids"], best_size(32, 2))
    assert rows == [len(tree[0])]
    backend.ask(pictures, claims)
    assert len(rows) == 1, "texts are embedded once a run"


def test_more_captions_than_one_row_holds(checkpoint):
    backend = open_tiny(checkpoint)
    texts = [f"the {a} {b} is {c} the {d}" for a in ("red", "blue") for b in ("mug", "cup", "box")
             for c in ("above", "below", "near") for d in ("table", "kettle")]  # fmt: skip
    assert sum(len(ids) for ids in backend.reader.tokenizer(texts)["input_ids"]) > 3 * 77
    together = backend.embed_texts(texts)
    alone = open_tiny(checkpoint)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(alone.embed_texts([text])[0], row, atol=1e-5)


def test_a_text_too_long_fails_alone(checkpoint, pictures):
    backend = open_tiny(checkpoint)
    claims = Claims.from_rows(
        {"claim_id": name, "image_id": "a.jpg", "subject": subject, "relation": "on",
         "object": "table"}
        for name, subject in (("long", "mug " * 100), ("short", "mug"))
    )  # fmt: skip
    rows = {
        row["claim_id"]: row["status"] for row in backend.ask(pictures, claims).data.to_pylist()
    }
    assert rows == {"long": "text_too_long", "short": "ok"}
    with pytest.raises(BackendError, match="text_too_long"):
        backend.embed_texts(["mug " * 100])


def test_a_statement_has_a_similarity_and_no_answer(checkpoint, pictures, claims):
    few = claims.take(np.array([0, 2]))
    backend = open_tiny(checkpoint)
    stated = backend.ask(pictures, few, prompts=("statement",))
    assert set(stated.strings("answer")) == {None}
    assert np.isnan(stated.numbers("p_yes")).all()
    asked = backend.ask(pictures, few).numbers("similarity")
    np.testing.assert_allclose(stated.numbers("similarity"), asked, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_memory_budget_changes_nothing_but_the_batches(checkpoint, pictures, claims, kind):
    wide = open_tiny(checkpoint, kind).ask(pictures, claims)
    narrow = open_tiny(checkpoint, kind, memory=1).ask(pictures, claims)
    np.testing.assert_allclose(wide.numbers("margin"), narrow.numbers("margin"), atol=1e-4)


def test_it_is_an_asker_and_an_embedder(checkpoint):
    backend = open_tiny(checkpoint)
    assert isinstance(backend, Asker)
    assert isinstance(backend, Embedder)
