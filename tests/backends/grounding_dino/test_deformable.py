"""Deformable attention level by level, and as a kernel, is the library's."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends.grounding_dino import deformable  # noqa: E402
from spatialtrust.backends.grounding_dino.deformable import lighten, sampled  # noqa: E402

CPU = torch.device("cpu")


def librarys(value, shapes, sizes, places, weights):
    from transformers.models.grounding_dino.modeling_grounding_dino import (
        MultiScaleDeformableAttention,
    )

    return MultiScaleDeformableAttention()(value, shapes, sizes, None, places, weights, 64)


def test_it_samples_what_the_library_samples():
    given = deformable._trial(CPU)
    torch.testing.assert_close(sampled(*given), librarys(*given), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino"])
def test_every_sampling_of_a_model_is_replaced(checkpoint, kind):
    import transformers

    name = {"grounding-dino": "GroundingDino", "mm-grounding-dino": "MMGroundingDino"}[kind]
    model = getattr(transformers, f"{name}ForObjectDetection").from_pretrained(checkpoint(kind))

    def count():
        return sum(type(m).__name__ == "MultiScaleDeformableAttention" for m in model.modules())

    assert count() == model.config.encoder_layers + model.config.decoder_layers
    lighten(model, CPU)
    assert count() == 0


def test_heads_that_a_kernel_does_not_take_are_sampled_level_by_level(monkeypatch):
    def kernel(value, *given):
        assert value.shape[3] != 12
        return sampled(value, *given)

    class MultiScaleDeformableAttention(torch.nn.Module):
        pass

    monkeypatch.setattr(deformable, "_fastest", lambda device: kernel)
    model = torch.nn.ModuleDict({"attn": MultiScaleDeformableAttention()})
    lighten(model, CPU)
    value, shapes, sizes, places, weights = deformable._trial(CPU)
    for given in (value, value[..., :12]):
        found = model["attn"](given, shapes, sizes, None, places, weights, 64)
        torch.testing.assert_close(found, librarys(given, shapes, sizes, places, weights))


@pytest.mark.skipif(find_spec("triton") is None, reason="needs triton, which runs it on the CPU")
def test_the_kernel_samples_the_same():
    """In a process of its own: Triton decides when it is imported that it interprets."""
    code = (
        "import torch\n"
        "from spatialtrust.backends.grounding_dino import deformable\n"
        "from spatialtrust.backends.grounding_dino.deformable_kernel import sampled_by_kernel\n"
        "given = deformable._trial(torch.device('cpu'))\n"
        "print(float((sampled_by_kernel(*given) - deformable.sampled(*given)).abs().max()))"
    )
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-5


@pytest.mark.parametrize(
    ("off", "said", "used"),
    [(0.0, None, True), (0.1, "is off by", False), (None, "without its kernel", False)],
)
def test_a_kernel_that_cannot_be_built_or_is_wrong_is_not_used(
    monkeypatch, caplog, off, said, used
):
    def kernel(*given):
        if off is None:
            raise RuntimeError("no C compiler")
        return sampled(*given) + off

    made = types.ModuleType("deformable_kernel")
    made.sampled_by_kernel = kernel
    monkeypatch.setitem(sys.modules, f"{deformable.__package__}.deformable_kernel", made)
    trial = deformable._trial(CPU)
    monkeypatch.setattr(deformable, "_trial", lambda device: trial)
    assert deformable._fastest(CPU) is sampled
    with caplog.at_level("INFO"):
        chosen = deformable._fastest(torch.device("cuda"))
    assert (chosen is kernel) == used
    assert said is None or said in caplog.text
