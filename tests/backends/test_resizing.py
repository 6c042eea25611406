"""Pictures resized by products of matrices are Pillow's, to the bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends import preparing  # noqa: E402
from spatialtrust.backends.preparing import Prepared, Preparer, last_steps  # noqa: E402
from spatialtrust.backends.resizing import FILTERS, Resizing, fits, learned, resized  # noqa: E402

CPU = torch.device("cpu")
SIDE = st.integers(1, 90)


def picture(seed, height, width):
    """Noise, or black and white: what overshoots most."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return drawn if seed % 2 else (drawn > 127).astype(np.uint8) * 255


@settings(max_examples=150)
@given(SIDE, SIDE, SIDE, SIDE, st.sampled_from(sorted(FILTERS)), st.integers(0, 99))
def test_resized_as_pillow_does_it(height, width, rows, columns, resample, seed):
    image = picture(seed, height, width)
    wanted = np.asarray(Image.fromarray(image).resize((columns, rows), resample))
    size = (rows, columns)
    ways = [
        resized(torch.from_numpy(image)[None], Resizing(size, resample, first, size))
        for first in (True, False)
    ]
    # Versions of Pillow differ in which direction comes first; there are no others.
    assert any(np.array_equal(made[0].permute(1, 2, 0), wanted) for made in ways)


def test_where_sums_would_not_be_exact_it_says_so():
    assert fits(3000, 224, Image.Resampling.BICUBIC)
    assert not fits(30_000, 224, Image.Resampling.BICUBIC)
    assert not fits(10, 10, Image.Resampling.NEAREST)


def processors():
    import transformers as library

    return {
        "square": library.BlipImageProcessorPil(size={"height": 30, "width": 30}),
        "cropped": library.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        "both edges": library.GroundingDinoImageProcessorPil(
            size={"shortest_edge": 48, "longest_edge": 70}
        ),
    }


@pytest.mark.parametrize("name", ["square", "cropped", "both edges"])
@pytest.mark.parametrize("size", [(40, 60), (60, 40), (30, 30), (21, 90)])
def test_a_device_prepares_what_the_processor_does(name, size):
    processor = processors()[name]
    how = learned(processor, size, CPU, partial(preparing._made, last=False))
    assert how is not None
    preparer = Preparer(processor, CPU, torch.float32)
    images = [picture(seed, *size) for seed in range(3)]
    sent = [Prepared(torch.from_numpy(image), how.crop, how) for image in images]
    # One of them was prepared on the CPU, as the first of its size is.
    sent[1] = preparer.prepare(images[1])
    whole = processor(images=images, return_tensors="pt", input_data_format="channels_last")
    torch.testing.assert_close(preparer.gathered(sent), whole["pixel_values"], atol=1e-5, rtol=0)


def test_what_resizes_in_another_way_is_left_to_the_processor():
    class Blurs(type(processors()["square"])):
        def resize(self, image, *given, **named):
            return np.roll(super().resize(image, *given, **named), 1, axis=-1)

    bytes_of = partial(preparing._made, last=False)
    processor = Blurs(size={"height": 30, "width": 30})
    assert learned(processor, (40, 60), CPU, bytes_of) is None
    never = processors()["square"]
    never.do_resize = False
    assert learned(never, (30, 30), CPU, bytes_of) is None


def test_last_steps_that_are_no_product_and_sum_are_left_to_the_processor():
    processor = processors()["square"]
    factor, summand = last_steps(processor)
    assert factor.shape == summand.shape == (3, 1, 1)

    class Gamma(type(processor)):
        def normalize(self, image, *given, **named):
            return super().normalize(np.sqrt(np.abs(image)), *given, **named)

    odd = Gamma(size={"height": 30, "width": 30})
    assert last_steps(odd) is None
    image = picture(1, 40, 60)
    prepared = Preparer(odd, CPU, torch.float32).batch([image])
    whole = odd(images=[image], return_tensors="pt", input_data_format="channels_last")
    torch.testing.assert_close(prepared, whole["pixel_values"])


def blank(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


def test_a_size_is_learned_when_it_comes_again(monkeypatch):
    made = []
    monkeypatch.setattr(preparing, "learned", lambda processor, size, *rest: made.append(size))
    known = preparing._Resizings(processors()["square"], CPU, trusted=True)
    for size in ((40, 60), (60, 40), (40, 60), (40, 60)):
        assert known.of(blank(*size, 3)) is None
    for odd in (blank(3000, 3000, 3), blank(9, 9, 4), blank(9, 9), blank(9, 9, 3, dtype=float)):
        assert known.of(odd) is known.of(odd) is None
    assert made == [(40, 60)], "neither a size that came once, nor what is large or no picture"
    assert preparing._Resizings(None, CPU, trusted=False).of(blank(40, 60, 3)) is None
    for side in range(1, 60):
        assert known.of(blank(side, 1, 3)) is known.of(blank(side, 1, 3)) is None
    assert len(made) == preparing._SIZES


def test_a_size_that_cannot_be_learned_fails_no_picture(caplog):
    class Fails(type(processors()["square"])):
        def resize(self, image, *given, **named):
            raise MemoryError("no memory left")

    known = preparing._Resizings(Fails(size={"height": 30, "width": 30}), CPU, trusted=True)
    with caplog.at_level("INFO"):
        assert known.of(blank(40, 60, 3)) is known.of(blank(40, 60, 3)) is None
    assert "60 x 40 are resized on the CPU: no memory left" in caplog.text
