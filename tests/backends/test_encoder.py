"""Image encoders of transformers, tiny and untrained, through the code that loads the big ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    BertConfig,
    BertModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    ViTConfig,
    ViTModel,
)

from spatialtrust.backends.registry import kinds, open_embedder
from spatialtrust.errors import BackendError, InputError

SMALL: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
MODELS: dict[str, Any] = {
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL)),
    "dinov3": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SMALL, num_register_tokens=2)),
    "vit": lambda: ViTModel(ViTConfig(**SMALL)),
    "convnext": lambda: ConvNextModel(
        ConvNextConfig(hidden_sizes=[4, 8, 8, 16], depths=[1] * 4, patch_size=2)
    ),
}
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8) for _ in range(5)]


def save(folder: Path, model: Any) -> Path:
    torch.manual_seed(0)
    model.eval().save_pretrained(folder)
    size = {"height": 28, "width": 28}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_any_image_encoder_gives_the_mean_of_all_its_tokens(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / name, MODELS[name]())
    encoder = open_embedder(f"encoder:{folder}")
    found = encoder.embed_images(IMAGES)
    assert found.shape == (5, 16)
    assert found.dtype == np.float32
    assert encoder.logit_scale == 1.0
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.ViTImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        states = model(**processor(images=IMAGES, return_tensors="pt")).last_hidden_state
    expected = states.flatten(2).mean(2) if states.ndim == 4 else states.mean(1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)
    assert encoder.embed_images([]).shape == (0, 16)


def test_features_do_not_depend_on_the_batch_and_the_revision_is_that_of_the_files(
    tmp_path: Path,
) -> None:
    first = open_embedder(f"encoder:{save(tmp_path / 'a', MODELS['dinov2']())}")
    alone = np.concatenate([first.embed_images([image]) for image in IMAGES])
    np.testing.assert_allclose(first.embed_images(IMAGES), alone, rtol=1e-4, atol=1e-5)
    other = open_embedder(f"encoder:{save(tmp_path / 'b', MODELS['vit']())}")
    assert first.revision != other.revision


def test_what_is_no_image_encoder_is_refused_with_what_to_give(tmp_path: Path) -> None:
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        vocab_size=20,
    )  # fmt: skip
    text = save(tmp_path / "bert", BertModel(config))
    with pytest.raises(BackendError, match="bert does not look at images"):
        open_embedder(f"encoder:{text}").embed_images(IMAGES)
    (text / "preprocessor_config.json").unlink()
    with pytest.raises(BackendError, match=r"holds no preprocessor_config\.json"):
        open_embedder(f"encoder:{text}")
    clip = tmp_path / "clip"
    clip.mkdir()
    (clip / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (clip / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackendError, match="a model of type clip has a backend of its own; give"):
        open_embedder(f"encoder:{clip}")
    with pytest.raises(BackendError, match="spatialtrust backends fetch encoder:no/such"):
        open_embedder("encoder:no/such")
    with pytest.raises(InputError, match="names no model"):
        open_embedder("encoder")
    assert "encoder" in kinds()


def test_texts_are_refused(tmp_path: Path) -> None:
    encoder = open_embedder(f"encoder:{save(tmp_path / 'v', MODELS['vit']())}")
    with pytest.raises(BackendError, match=r"reads no texts .*--images-only"):
        encoder.embed_texts(["a mug"])


def test_it_is_the_second_encoder_of_a_cache(tmp_path: Path) -> None:
    """DINOv2's features make TrustVLM's prototypes, and the comparison says whose they are."""
    from PIL import Image

    from spatialtrust.classify import Splits, compare
    from spatialtrust.classify.embedded_images import embed_images, load_embedded
    from spatialtrust.classify.labelled_images import labelled_images

    photos = tmp_path / "photos"
    for split in ("train", "val", "test"):
        for place, label in enumerate(("red", "green")):
            (photos / split / label).mkdir(parents=True)
            for number in range(20):
                pixels = RNG.integers(0, 160, (30, 30, 3), dtype=np.uint8)
                pixels[..., place] += 60
                Image.fromarray(pixels).save(photos / split / label / f"{number}.png")
    cache = tmp_path / "cache"
    reference = f"encoder:{save(tmp_path / 'dino', MODELS['dinov2']())}"
    clip = open_embedder("tabletop:clip")
    embed_images(cache, clip, labelled_images(photos))
    embed_images(cache, open_embedder(reference), labelled_images(photos), images_only=True)
    parts = load_embedded(cache, model="tabletop:clip", auxiliary=reference)
    found = compare(
        Splits.of(parts), ["mcm", "trustvlm"], resamples=5, options={"trustvlm": {"shots": 4}}
    )
    assert found.settings["auxiliary"].startswith(reference)
    assert found.table["status"].to_pylist() == ["ok", "ok"]
    assert found.methods["trustvlm"].predictor.facts_["features"] == "auxiliary"  # type: ignore[union-attr]
