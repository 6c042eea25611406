"""GroundingDINO: phrases own the right tokens, and each image is looked at once."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends.base import Detector, Options  # noqa: E402
from spatialtrust.backends.grounding_dino import suppression  # noqa: E402
from spatialtrust.backends.grounding_dino.hf import open_backend  # noqa: E402
from spatialtrust.backends.grounding_dino.phrases import MARKS, pack, tokenize  # noqa: E402
from spatialtrust.backends.grounding_dino.suppression import select  # noqa: E402
from spatialtrust.errors import BackendError  # noqa: E402
from tests.backends import tiny  # noqa: E402

KINDS = ("grounding-dino", "mm-grounding-dino")
LIMIT = 32


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.bert_tokenizer()


def open_tiny(checkpoint, kind="grounding-dino", **options):
    folder = checkpoint(kind)
    return open_backend(
        str(folder),
        f"grounding-dino:{folder}",
        Options(device="cpu", **{"score_threshold": 0.0, **options}),
    )


def words_of(tokenizer, phrase, prompts):
    for prompt in prompts:
        if phrase in prompt.spans:
            start, stop = prompt.spans[phrase]
            return tokenizer.convert_ids_to_tokens(list(prompt.tokens[start:stop]))
    return None


@pytest.mark.parametrize(
    ("phrase", "pieces"),
    [
        ("mug", ["mug"]),
        ("red mug", ["red", "mug"]),
        ("Red  Mug ", ["red", "mug"]),
        ("mugs", ["mug", "##s"]),
        ("mug mug", ["mug", "mug"]),
        ("teapot", ["t", "##e", "##a", "##p", "##o", "##t"]),
        ("left-right cup", ["left", "-", "right", "cup"]),
        ("mug. the red cup?", ["mug", "the", "red", "cup"]),
        ("mùg", ["mug"]),
        ("杯", ["杯"]),
        ("杯 mug", ["杯", "mug"]),
        ("[SEP] mug", ["mug"]),
        ("mug 😀", ["mug", "[UNK]"]),
    ],
)
def test_a_phrase_owns_exactly_its_own_tokens(tokenizer, phrase, pieces):
    others = ["red mug cup", "mug", "the mug", "cup"]
    ids, refused = tokenize([phrase, *others], tokenizer, LIMIT)
    assert not refused
    assert words_of(tokenizer, phrase, pack(ids, LIMIT)) == pieces


@pytest.mark.parametrize(
    ("phrase", "status"),
    [("", "phrase_empty"), (" . ", "phrase_empty"), ("?", "phrase_empty"),
     ("😀 😀", "phrase_unknown"), ("mug " * 40, "phrase_too_long")],
)  # fmt: skip
def test_a_phrase_that_cannot_be_looked_for_says_why(tokenizer, phrase, status):
    assert tokenize([phrase], tokenizer, LIMIT) == ({}, {phrase: status})


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="mug cup.?-red杯é", max_size=20), max_size=12))
def test_packing_loses_nothing_and_stays_within_the_limit(phrases):
    tokenizer = tiny.bert_tokenizer() if not TOKENIZER else TOKENIZER[0]
    TOKENIZER[:] = [tokenizer]
    ids, refused = tokenize(phrases, tokenizer, LIMIT)
    prompts = pack(ids, LIMIT)
    assert (
        {p for prompt in prompts for p in prompt.spans} == set(ids) == set(phrases) - set(refused)
    )
    for prompt in prompts:
        assert len(prompt.tokens) <= LIMIT
        assert (prompt.tokens[0], prompt.tokens[-1]) == (101, 102)
        for phrase, (start, stop) in prompt.spans.items():
            assert prompt.tokens[start:stop] == ids[phrase]
            assert prompt.tokens[start - 1] in MARKS
            assert prompt.tokens[stop] in MARKS
    assert [p.tokens for p in pack(dict(reversed(ids.items())), LIMIT)] == [
        p.tokens for p in prompts
    ]


TOKENIZER: list = []


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_boxes_are_those_of_the_library(checkpoint, pictures, kind):
    from transformers import AutoImageProcessor, AutoTokenizer

    folder = checkpoint(kind)
    backend = open_tiny(checkpoint, kind, top_k=1)
    found = backend.detect(pictures, {"a.jpg": ["red mug", "kettle"]}).data.to_pylist()
    tokens = AutoTokenizer.from_pretrained(folder)("red mug . kettle .", return_tensors="pt")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    values = processor(images=pictures["a.jpg"], return_tensors="pt")
    with torch.inference_mode():
        plain = backend._model.__class__.from_pretrained(folder).eval()
        outputs = plain(**values, **tokens)
    probabilities = outputs.logits[0].sigmoid()
    height, width = pictures["a.jpg"].shape[:2]
    for row, span in zip(found, (slice(4, 5), slice(1, 3)), strict=True):
        scores = probabilities[:, span].mean(dim=1)
        best = int(scores.argmax())
        assert row["score"] == pytest.approx(float(scores[best]), abs=1e-4)
        x, y, w, h = outputs.pred_boxes[0, best].tolist()
        wanted = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).clip(0, 1)
        wanted *= [width, height, width, height]
        assert [row[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(wanted, abs=1e-2)


def test_an_absent_object_has_one_row_without_a_box(checkpoint, pictures):
    backend = open_tiny(checkpoint, score_threshold=1.0)
    rows = backend.detect(pictures, {"a.jpg": ["mug", ""], "none.jpg": ["mug"]}).data.to_pylist()
    assert [(row["image_id"], row["phrase"], row["status"]) for row in rows] == [
        ("a.jpg", "", "phrase_empty"),
        ("a.jpg", "mug", "not_found"),
        ("none.jpg", "mug", "image_unreadable"),
    ]
    assert all(row["x1"] is None and row["score"] is None for row in rows)


def test_boxes_come_best_first_with_a_runner_up(checkpoint, pictures):
    rows = open_tiny(checkpoint, top_k=3).detect(pictures, {"b.jpg": ["mug"]}).data.to_pylist()
    assert [row["object_id"] for row in rows] == ["mug#0", "mug#1", "mug#2"]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert 0 <= row["x1"] <= row["x2"] <= 48
        assert 0 <= row["y1"] <= row["y2"] <= 48


def test_phrases_beyond_the_text_limit_go_to_further_prompts(checkpoint, pictures):
    backend = open_tiny(checkpoint, top_k=1)
    passes = []
    _ = backend._sight  # replaces the backbone
    backend._model.model.backbone.backbone.conv_encoder.register_forward_pre_hook(
        lambda module, inputs: passes.append(len(inputs[0]))
    )
    phrases = [f"{colour} mug {number}" for colour in ("red", "blue") for number in range(10)]
    rows = backend.detect(pictures, {"b.jpg": phrases}).data.to_pylist()
    assert {row["phrase"] for row in rows} == set(phrases)
    assert {row["status"] for row in rows} == {"ok"}
    assert sum(passes) == 1, "the backbone sees the image once, whatever the number of prompts"


def test_results_do_not_depend_on_what_else_is_in_the_batch(checkpoint, pictures):
    backend = open_tiny(checkpoint, top_k=2)
    phrases = {"a.jpg": ["mug"], "b.jpg": ["red mug with a left kettle", "cup"], "c.jpg": ["cup"]}
    together = backend.detect(pictures, phrases)
    alone = [backend.detect(pictures, {image: asked}) for image, asked in phrases.items()]
    apart = type(together).concat(alone).sorted()
    assert together.strings("object_id") == apart.strings("object_id")
    np.testing.assert_allclose(together.boxes(), apart.boxes(), atol=1e-3)
    small = open_tiny(checkpoint, top_k=2, memory=1).detect(pictures, phrases)
    np.testing.assert_allclose(together.boxes(), small.boxes(), atol=1e-3)


@pytest.mark.parametrize("levels", [3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_images_of_any_size_share_a_pass_and_get_what_they_get_alone(
    tmp_path, monkeypatch, kind, levels
):
    folder = tiny.grounding_dino(tmp_path / kind, kind, num_feature_levels=levels)
    backend = open_backend(str(folder), "grounding-dino:x",
                           Options(device="cpu", score_threshold=0.0, top_k=3))  # fmt: skip
    generator = np.random.default_rng(0)
    sizes = [(40, 60), (48, 48), (33, 35), (60, 41), (50, 90), (40, 60)]
    images = {
        f"{row}.jpg": generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        for row, size in enumerate(sizes)
    }
    phrases = {
        name: ["mug", "red mug", "kettle with cup"] if row % 2 else ["cup"]
        for row, name in enumerate(images)
    }
    apart = backend.detect(images, phrases)
    passes = []
    encoder = backend._model.model.encoder
    encoder.register_forward_pre_hook(
        lambda module, given, options: passes.append(len(options["vision_features"])),
        with_kwargs=True,
    )
    monkeypatch.setattr(type(backend), "_mixes_sizes", True)  # as on a GPU
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # and prepared on threads
    mixed = backend.detect(images, phrases)
    assert passes == [5, 1], "the upright image, and the five others at once"
    assert mixed.strings("object_id") == apart.strings("object_id")
    np.testing.assert_allclose(mixed.numbers("score"), apart.numbers("score"), atol=1e-4)
    np.testing.assert_allclose(mixed.boxes(), apart.boxes(), atol=1e-3)


def test_padding_the_text_changes_nothing(checkpoint):
    generator = np.random.default_rng(1)
    same_size = {
        name: generator.integers(0, 256, (40, 40, 3), dtype=np.uint8) for name in ("p", "q")
    }
    backend = open_tiny(checkpoint, top_k=1)
    phrases = {"p": ["mug"], "q": ["red mug", "blue cup", "the kettle on the left"]}
    together = backend.detect(same_size, phrases).select(np.array([True, False, False, False]))
    alone = backend.detect(same_size, {"p": ["mug"]})
    np.testing.assert_allclose(together.boxes(), alone.boxes(), atol=1e-3)
    np.testing.assert_allclose(together.numbers("score"), alone.numbers("score"), atol=1e-5)


def test_an_image_that_fails_does_not_take_the_others_along(checkpoint, pictures):
    broken = {**pictures, "b.jpg": np.zeros((5,), np.uint8)}
    rows = (
        open_tiny(checkpoint, top_k=1)
        .detect(broken, {"a.jpg": ["mug"], "b.jpg": ["mug"]})
        .data.to_pylist()
    )
    assert rows[0]["status"] == "ok"
    assert rows[1]["status"].startswith("image_unreadable")


def test_weights_that_cannot_be_read_are_an_error_not_a_row(checkpoint, pictures, tmp_path):
    shutil.copytree(checkpoint("grounding-dino"), tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"not weights")
    backend = open_backend(str(tmp_path / "broken"), "grounding-dino:broken", Options())
    with pytest.raises(BackendError, match=r"cannot be read: .*; fetch the model again"):
        backend.detect(pictures, {"a.jpg": ["mug"]})


def test_overlapping_boxes_of_one_phrase_are_one_object():
    generator = np.random.default_rng(2)
    corner = generator.uniform(0, 10, (60, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + generator.uniform(1, 8, (60, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    scores = generator.uniform(0, 1, (4, 60)).astype(np.float32)
    for phrase, kept in enumerate(select(scores, boxes, 0.3, top_k=60)):
        assert kept.corners.tolist() == greedy(scores[phrase], boxes, 0.3)


@pytest.mark.parametrize("rows", [0, 1, 900])
def test_suppression_computes_no_more_pairs_than_boxes_it_takes(rows, monkeypatch):
    generator = np.random.default_rng(3)
    boxes = generator.uniform(0, 10, (rows, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    boxes[::7, 2] = boxes[::7, 0]  # no area: nobody's
    scores = generator.uniform(0, 1, (5, rows)).round(2).astype(np.float32)  # with ties
    counted = []
    overlap = suppression._overlap
    monkeypatch.setattr(
        suppression,
        "_overlap",
        lambda sides, areas, best: counted.append(len(best)) or overlap(sides, areas, best),
    )
    kept = select(scores, boxes, 0.3, top_k=4)
    assert sum(counted) == sum(len(found.scores) for found in kept) <= 5 * 4
    for phrase, found in enumerate(kept):
        assert found.corners.tolist() == greedy(scores[phrase], boxes, 0.3)[:4]


def greedy(scores, boxes, threshold):
    """Suppression written out one box at a time."""
    kept = []
    for place in np.argsort(-scores, kind="stable"):
        if scores[place] >= threshold and all(iou(boxes[place], other) <= 0.7 for other in kept):
            kept.append(boxes[place])
    return [box.tolist() for box in kept]


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return shared / union if union > 0 else 0.0


def test_it_is_a_detector(checkpoint, pictures):
    backend = open_tiny(checkpoint)
    assert isinstance(backend, Detector)
    assert len(backend.detect(pictures, {})) == 0
