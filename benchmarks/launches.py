"""How often asking calls on a model's language part, and with how many tokens.

What is counted is the same for every architecture: forward calls of the language part (BLIP-2's
encoder-decoder with T5: of both halves), tokens in them, and how many of these are padding: tokens
beyond those of every job by itself. ``device_work`` adds what a GPU does meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spatialtrust.backends import asking
from spatialtrust.backends.packing import best_size, plant
from spatialtrust.questions.prompts import alternatives, caption, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from spatialtrust.questions.prompts import Triple
    from spatialtrust.tables import Claims

    Images = dict[str, np.ndarray]
    Asked = list[tuple[str, Triple]]


@dataclass
class Launches:
    """Of one way to ask.

    Attributes
    ----------
    passes, tokens: calls of the language part, and places in them.
    within: CPU seconds in these calls (on a GPU: until they are launched).
    seconds: CPU seconds of all.
    """

    passes: int = 0
    tokens: int = 0
    within: float = 0.0
    seconds: float = 0.0


def parts(reader: Any) -> list[Any]:
    """The modules that are a reader's language part."""
    if hasattr(reader, "loaded"):
        return [reader.loaded.model]
    model = reader.model
    if hasattr(model, "text_model"):
        return [model.text_model]
    if not hasattr(model, "language_model"):
        return [model.qformer]
    language = model.language_model
    return [language.encoder, language.decoder] if hasattr(language, "encoder") else [
        language.base_model
    ]  # fmt: skip


def counted(reader: Any, work: Callable[[], object]) -> Launches:
    """What some work launches."""
    found = Launches()
    began: list[float] = []

    def enter(module: Any, inputs: Any, named: dict[str, Any]) -> None:
        given = next(
            value
            for name in ("inputs_embeds", "query_embeds", "input_ids")
            if (value := named.get(name)) is not None
        )
        found.passes += 1
        found.tokens += given.shape[0] * given.shape[1]
        began.append(time.process_time())

    def leave(module: Any, inputs: Any, outputs: Any) -> None:
        found.within += time.process_time() - began.pop()

    hooks = [part.register_forward_pre_hook(enter, with_kwargs=True) for part in parts(reader)]
    hooks += [part.register_forward_hook(leave) for part in parts(reader)]
    started = time.process_time()
    work()
    found.seconds = time.process_time() - started
    for hook in hooks:
        hook.remove()
    return found


def afresh(asker: Any) -> None:
    """Forget all pictures, and CLIP's texts."""
    asker._memory = asking.Memory()
    if hasattr(asker.reader, "logit_scale"):
        asker.reader._texts.clear()


def both(asker: Any, images: Images, claims: Claims) -> tuple[Launches, Launches]:
    """Asked one image at a time, and all images at once."""
    names = np.array(claims.strings("image_id"))
    mine = {name: claims.take(np.flatnonzero(names == name)) for name in images}

    def each() -> None:
        for name, pixels in images.items():
            asker.ask({name: pixels}, mine[name])

    found = []
    for work in (each, lambda: asker.ask(images, claims)):
        work()  # whatever is tried or read once
        afresh(asker)
        found.append(counted(asker.reader, work))
    return found[0], found[1]


def needed(reader: Any, images: Images, asked: Asked) -> int:
    """Tokens of all jobs, each by itself: nothing is padded."""
    texts = [f"Question: {question(claim)} Answer:" for _, claim in asked]
    mine = {name: [row for row, (image, _) in enumerate(asked) if image == name] for name in images}
    kind = type(reader).__name__
    if kind == "ClipReader":
        distinct = list(dict.fromkeys(t for _, claim in asked for t in alternatives(claim)))
        config = reader.model.config.text_config
        size = min(best_size(config.hidden_size, 2), config.max_position_embeddings)
        return sum(map(len, plant(reader.tokenizer(distinct)["input_ids"], size)))
    if kind == "MatchReader":
        queries = reader.model.query_tokens.shape[1]
        tokens = reader.tokenizer([caption(claim) for _, claim in asked])["input_ids"]
        return sum(queries + len(ids) for ids in tokens)
    if kind == "T5Reader":
        queries = reader.model.config.num_query_tokens
        return sum(queries + len(ids) + 1 for ids in reader.tokenizer(texts)["input_ids"])
    if kind == "OptReader":
        queries = reader.model.config.num_query_tokens
        size = best_size(reader.model.language_model.config.hidden_size, queries + 1)
        tokens = reader.tokenizer(texts)["input_ids"]
        trees = [plant([tokens[row] for row in rows], size) for rows in mine.values()]
        return sum(queries + len(tree) for planted in trees for tree in planted)
    seen = reader.encode([reader.prepare(pixels) for pixels in images.values()])
    said = [reader.spell(claim, "default") for _, claim in asked]
    tails = reader.loaded.wording.tails(said)
    size = best_size(reader.loaded.text.hidden_size, max(picture.length for picture in seen))
    trees = [plant([tails[row] for row in rows], size) for rows in mine.values()]
    return sum(p.length for p in seen) + sum(len(tree) for planted in trees for tree in planted)


def device_work(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """What a GPU does during some work: kernels, seconds that they take together, and the whole.

    Kernels are counted by the profiler, which slows the work down; the whole is timed without it.
    """
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    def timed() -> float:
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        work()
        torch.cuda.synchronize(device)
        return time.perf_counter() - started

    work()
    whole = min(timed() for _ in range(3))
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        timed()
    spans = np.array([
        (event.time_range.start, event.time_range.end)
        for event in seen.events() or ()
        if event.device_type == DeviceType.CUDA
    ])  # fmt: skip
    return {"kernels": float(len(spans)), "busy": covered(spans) / 1e6, "whole": whole}


def covered(spans: np.ndarray) -> float:
    """How long at least one of some spans (N, 2) lasts.

    >>> covered(np.array([[5, 6], [0, 2], [1, 3], [1, 2]]))
    4.0
    """
    spans = spans.reshape(-1, 2)
    spans = spans[np.argsort(spans[:, 0], kind="stable")].astype(float)
    reached = np.concatenate([[-np.inf], np.maximum.accumulate(spans[:, 1])[:-1]])[: len(spans)]
    return float(np.maximum(spans[:, 1] - np.maximum(spans[:, 0], reached), 0).sum())
