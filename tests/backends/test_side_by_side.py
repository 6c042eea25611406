"""Pictures side by side in a pass: the answers of one at a time, in fewer passes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialtrust.backends import asking, packing  # noqa: E402
from spatialtrust.backends.base import Options  # noqa: E402
from spatialtrust.backends.preparing import preparers  # noqa: E402
from spatialtrust.backends.registry import open_asker  # noqa: E402
from spatialtrust.tables import Claims  # noqa: E402

BLIP2 = ("opt", "t5", "itm")
CLIPS = ("clip", "siglip")
CHAT = ("llava", "qwen2-vl", "smolvlm", "gemma3")
LATER = ("qwen2.5-vl", "qwen3-vl", "idefics3", "internvl")
EXACT = 1e-4
NUMBERS = ("margin", "entropy", "loglik_per_token", "p_yes")


@pytest.fixture(scope="module")
def opened(checkpoint, tmp_path_factory):
    """A backend of a tiny random model of each kind, opened afresh at each call."""
    from tests.backends.tiny_chat import MAKERS

    root = tmp_path_factory.mktemp("side")

    def get(kind, **options):
        if kind in (*BLIP2, *CLIPS):
            folder, scheme = checkpoint(kind), "clip" if kind in CLIPS else "blip2"
        else:
            folder, scheme = root / kind, "vlm"
            if not folder.exists():
                MAKERS[kind](folder)
        return open_asker(f"{scheme}:{folder}", Options(device="cpu", **options))

    return get


@pytest.fixture(autouse=True)
def every_reply(monkeypatch):
    """Random models hardly ever say yes or no; their replies are read all the same."""
    monkeypatch.setattr(asking, "LEAST_MASS", 0.0)


@pytest.fixture(scope="module")
def images():
    """Six images of four sizes; two are alike in size, two in what is asked of them."""
    generator = np.random.default_rng(5)
    sizes = [(40, 60), (40, 60), (60, 40), (48, 48), (33, 35), (40, 60)]
    return {
        f"{n}.png": generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        for n, size in enumerate(sizes)
    }


@pytest.fixture(scope="module")
def asked():
    """From one to nine questions an image: the same of the first two, others of the rest."""
    things = ("mug", "kettle", "red cup", "table with three small cups on it")
    pairs = [(a, r, b) for r in ("left of", "above", "contains") for a in things for b in things]
    wanted = {0: range(8), 1: range(8), 2: range(1), 3: range(5, 14), 4: range(20, 23),
              5: [3, 40]}  # fmt: skip
    rows = [(f"{n}.png", *pairs[place]) for n, places in wanted.items() for place in places]
    names = ("image_id", "subject", "relation", "object")
    return Claims.from_rows(
        {"claim_id": f"{row:03}", **dict(zip(names, said, strict=True))}
        for row, said in enumerate(rows)
    )


def one_at_a_time(backend, images, asked, **how):
    parts = []
    for name, pixels in images.items():
        mine = np.flatnonzero(np.array(asked.strings("image_id")) == name)
        parts.append(backend.ask({name: pixels}, asked.take(mine), **how))
    return type(parts[0]).concat(parts).sorted()


def same(found, wanted):
    assert found.strings("claim_id") == wanted.strings("claim_id")
    assert found.strings("status") == wanted.strings("status")
    for name in NUMBERS:
        np.testing.assert_allclose(
            found.numbers(name), wanted.numbers(name), atol=EXACT, err_msg=name
        )


def language_of(backend):
    """The module whose passes are launches of the language part."""
    reader = backend.reader
    if hasattr(reader, "loaded"):
        return reader.loaded.model
    model = reader.model
    return model.language_model.base_model if hasattr(model, "language_model") else model.qformer


def counted(backend):
    """Rows of each pass through the language part, as they happen."""
    found = []

    def note(module, inputs, named):
        given = named.get("inputs_embeds")
        given = named.get("query_embeds") if given is None else given
        given = named["input_ids"] if given is None else given
        found.append(len(given))

    language = language_of(backend)
    modules = [language.encoder] if hasattr(language, "shared") else [language]
    for module in modules:
        module.register_forward_pre_hook(note, with_kwargs=True)
    return found


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in LATER else ())
        for kind in (*BLIP2, "clip", *CHAT, *LATER)
    ],
)
def test_answers_are_those_of_one_image_at_a_time(opened, images, asked, kind):
    how = {"prompts": ("default", "statement")}
    found = opened(kind).ask(images, asked, **how)
    assert set(found.strings("status")) == {"ok"}
    assert np.isfinite(found.numbers("margin")).sum() >= len(asked)
    same(found, one_at_a_time(opened(kind), images, asked, **how))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["opt", "t5", "llava", "qwen2-vl"])
def test_the_tokenizers_side_of_padding_does_not_matter(opened, images, asked, kind, side):
    backend = opened(kind)
    reader = backend.reader
    (reader.loaded.processor if hasattr(reader, "loaded") else reader).tokenizer.padding_side = side
    same(backend.ask(images, asked), opened(kind).ask(images, asked))


@pytest.mark.parametrize("kind", ["opt", "t5", "itm", "llava", "qwen2-vl"])
def test_images_share_passes_of_the_language_part(opened, images, asked, kind):
    together, alone = opened(kind), opened(kind)
    few, many = counted(together), counted(alone)
    together.ask(images, asked)
    one_at_a_time(alone, images, asked)
    # A chat model looks, tries whether that was right (a reply behind the pictures, and the
    # library's own pass), and asks; the others look without their language part.
    assert len(few) == (4 if kind in CHAT else 1)
    assert len(many) >= len(images) * (2 if kind in CHAT else 1)
    few.clear()
    together.ask(images, asked, prompts=("true",))
    assert len(few) == 1, "what is known of the images and that they go together is remembered"


def test_images_asked_the_same_share_one_tree_and_known_texts_are_not_read_again(
    opened, images, monkeypatch
):
    plant = packing.plant
    said = [("mug", relation, "kettle") for relation in ("left of", "above", "on")]
    claims = Claims.from_rows(
        {"claim_id": f"{name}{n}", "image_id": name, "subject": a, "relation": r, "object": b}
        for name in images
        for n, (a, r, b) in enumerate(said)
    )
    for kind in ("opt", "llava"):
        backend = opened(kind)
        planted: list[int] = []
        monkeypatch.setattr(packing, "plant", noted(plant, planted))
        backend.ask(images, claims)
        backend.ask(dict(reversed(images.items())), claims)
        assert planted == [len(said), 0], "one set of texts, planted once"


def noted(work, counts):
    """A function that notes how many things it is given."""

    def noting(things, *more):
        counts.append(len(things))
        return work(things, *more)

    return noting


@pytest.mark.parametrize("kind", ["opt", "llava", "qwen2-vl"])
def test_a_picture_that_cannot_be_prepared_fails_alone(opened, images, asked, kind):
    broken = {**images, "1.png": np.zeros((5, 5, 7), np.uint8)}
    found = opened(kind).ask(broken, asked)
    others = opened(kind).ask(images, asked)
    failed = np.array(asked.strings("image_id")) == "1.png"
    status = np.array(found.strings("status"))
    assert set(status[~failed]) == {"ok"}
    assert all(told.startswith("failed: ") for told in status[failed])
    margins, wanted = found.numbers("margin"), others.numbers("margin")
    np.testing.assert_allclose(margins[~failed], wanted[~failed], atol=EXACT)


@pytest.mark.parametrize("bad", ["0.png", "4.png"])
@pytest.mark.parametrize("kind", ["opt", "llava", "qwen2-vl", "smolvlm"])
def test_a_picture_that_breaks_its_pass_fails_alone(opened, images, asked, kind, bad):
    """Wherever it stands in the first pass, in which a chat model is also tried."""
    backend = opened(kind)
    reader = backend.reader
    prepared = reader.prepare(images[bad])
    marked = prepared.inputs["pixel_values"] if kind in CHAT else reader.gathered([prepared])
    sign = marked.flatten()[:16].clone()
    model = reader.loaded.model if kind in CHAT else reader.model
    inner = model.model if kind in CHAT else model
    tower = next(
        getattr(inner, name)
        for name in ("visual", "vision_tower", "vision_model")
        if hasattr(inner, name)
    )

    def refuse(module, inputs, named):
        values = [*inputs, *named.values()][0].flatten()
        if (values.unfold(0, 16, 1) == sign).all(dim=1).any():
            raise ValueError("this picture is bad")

    tower.register_forward_pre_hook(refuse, with_kwargs=True)
    found = backend.ask(images, asked)
    failed = np.array(asked.strings("image_id")) == bad
    status = np.array(found.strings("status"))
    assert set(status[~failed]) == {"ok"}
    assert set(status[failed]) == {"failed: ValueError: this picture is bad"}
    if kind in CHAT:
        assert reader.sight.shared


@pytest.mark.parametrize("kind", ["opt", "llava", "qwen2-vl"])
def test_out_of_memory_splits_passes_and_changes_no_answer(opened, images, asked, kind, caplog):
    backend = opened(kind)

    def exhaust(module, inputs, named):
        given = named.get("input_ids", named.get("inputs_embeds"))
        if len(given) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")

    language_of(backend).register_forward_pre_hook(exhaust, with_kwargs=True)
    found = backend.ask(images, asked)
    assert "out of memory" in caplog.text
    same(found, opened(kind).ask(images, asked))
    if kind in CHAT:
        assert backend.reader.sight.together


def test_a_model_that_takes_one_picture_a_pass_is_given_one(opened, images, asked, caplog):
    backend = opened("llava")

    def refuse(module, inputs, named):
        if len(named["input_ids"]) > 1:
            raise ValueError("one at a time, please")

    language_of(backend).register_forward_pre_hook(refuse, with_kwargs=True)
    found = backend.ask(images, asked)
    assert backend.reader.sight.together is False
    assert "looking at one picture at a time" in caplog.text
    same(found, opened("llava").ask(images, asked))


def test_a_model_that_mixes_pictures_up_is_found_out(opened, images, asked, caplog):
    backend = opened("qwen2-vl")

    def mix(module, inputs, named, outputs):
        if len(named["input_ids"]) > 1:
            outputs.logits = outputs.logits.roll(1, dims=0)
        return outputs

    language_of(backend).register_forward_hook(mix, with_kwargs=True)
    found = backend.ask(images, asked)
    assert backend.reader.sight.together is False
    assert "log-probabilities differ" in caplog.text
    same(found, opened("qwen2-vl").ask(images, asked))


class Gate:
    """Notes which pictures were prepared from beginning to end while one pass ran.

    Some pictures cannot be prepared before that pass has begun, and it does not end before one of
    them is prepared: it ends only if both happen at once.
    """

    def __init__(self, held):
        self.held = held
        self.running, self.ready = threading.Event(), threading.Event()
        self.during: list[int] = []
        self.ended = False

    def prepare(self, work):
        def preparing(pixels):
            number = int(pixels[0, 0, 0])
            if number in self.held:
                assert self.running.wait(60), "no pass began"
            made = work(pixels)
            if number in self.held and not self.ended:
                self.during.append(number)
                self.ready.set()
            return made

        return preparing

    def enter(self, module, inputs, named):
        if not self.running.is_set():
            self.running.set()
            assert self.ready.wait(60), "no picture was prepared while the pass ran"
            self.ended = True


@pytest.mark.parametrize("part", ["vision", "language"])
@pytest.mark.parametrize("kind", ["opt", "clip", "llava"])
def test_pictures_are_prepared_while_a_pass_runs(opened, asked, kind, part, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    images = {f"{n}.png": np.full((40, 40, 3), n, dtype=np.uint8) for n in range(12)}
    claims = Claims.from_rows(
        {"claim_id": f"{n:02}", "image_id": name, "subject": "mug", "relation": "left of",
         "object": "cup"}
        for n, name in enumerate(images)
    )  # fmt: skip
    wanted = opened(kind).ask(images, claims)
    backend = opened(kind, memory=1)  # one picture a pass, four in a window
    reader = backend.reader
    if kind in CHAT:
        backend.ask({"x.png": np.full((40, 40, 3), 99, np.uint8)}, claims.take(np.array([0])))
        model = reader.loaded.model
        places = {"vision": model.model.vision_tower, "language": model.model.language_model}
    else:
        language = getattr(reader.model, "language_model", None)
        places = {
            "vision": reader.model.vision_model,
            "language": reader.model.text_model if language is None else language.base_model,
        }
    # A chat model's language part looks at pictures too; the others' is asked about four at once.
    gate = Gate(range(5, 12) if part == "language" and kind not in CHAT else range(1, 12))
    monkeypatch.setattr(reader, "prepare", gate.prepare(reader.prepare))
    places[part].register_forward_pre_hook(gate.enter, with_kwargs=True)
    same(backend.ask(images, claims), wanted)
    assert gate.during, "prepared within one pass"


def test_where_one_core_may_be_used_no_thread_prepares(opened, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert opened("opt").reader.preparers == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert opened("opt").reader.preparers == 3
    assert preparers(torch.device("cuda")) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert preparers(torch.device("cuda")) == 1, "the core only waits for the GPU"


@pytest.mark.parametrize("kind", ["opt", "clip", "siglip", "llava", "qwen2-vl", "gemma3"])
def test_prepared_pixels_are_those_of_the_librarys_processor(opened, images, kind):
    reader = opened(kind).reader
    processor = reader.loaded.processor.image_processor if kind in CHAT else reader.processor
    scale = float(np.min(processor.image_std)) * 255  # a step of one in 255, normalised
    pixels = list(images.values())
    whole = processor(images=pixels, return_tensors="pt")["pixel_values"]
    made = [reader.prepare(one) for one in pixels]
    ours = (
        torch.cat([one.inputs["pixel_values"] for one in made])
        if kind in CHAT
        else reader.gathered(made)
    )
    assert ours.shape == whole.shape
    assert float((ours - whole).abs().max()) <= min(1 / scale, 1e-5)
