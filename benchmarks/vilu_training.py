"""ViLU training on cached embeddings at ImageNet size, against the released per-step recipe.

Both train the same network on the same random unit embeddings (N x d images, K classes) with the
same optimiser, on one machine, in one run. The released recipe is rebuilt in plain torch on cached
embeddings too (it really runs the image encoder in every step, which is left out here, so the ratio
is a lower bound): each step recomputes the zero-shot logits and the attention over all K texts, and
sends both sides through projections that are multiplied by zero while frozen.

Then what bounds a step, and an epoch of pairs with 1,024 captions a batch.

    python -m benchmarks.vilu_training [--rows 50000] [--classes 1000] [--batch 512] [--steps 60]
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from itertools import pairwise

import numpy as np
import torch

from spatialtrust.failure import ViLU
from spatialtrust.failure.heads import ViLUHead, ZeroShot
from spatialtrust.failure.training import (
    Plan,
    confidence_loss,
    error_weight,
    make_optimiser,
    perceptron,
    step,
)

SCALE = 100.0
WIDTHS = (512, 256, 128)


def clock_of(device: str) -> float:
    """Seconds of the processor on a CPU, where other work must not count; of the wall on a GPU."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Released(torch.nn.Module):
    """The released forward pass: everything anew in every step."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.in_proj_v = torch.nn.Linear(dimension, dimension, bias=False)
        self.in_proj_t = torch.nn.Linear(dimension, dimension, bias=False)
        torch.nn.init.eye_(self.in_proj_v.weight)
        torch.nn.init.eye_(self.in_proj_t.weight)
        self.mlp = perceptron(3 * dimension, [*WIDTHS, 1])

    def forward(self, v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        query, key = self.in_proj_v(v) * 0 + v, self.in_proj_t(t) * 0 + t
        attended = torch.softmax(SCALE * query @ key.T, dim=-1) @ key
        chosen = torch.softmax(SCALE * v @ t.T, dim=-1).topk(1, 1, True, True).indices[:, 0]
        return self.mlp(torch.cat([v, attended, t[chosen]], dim=1)).squeeze(1)


def released_loss(
    output: torch.Tensor, probabilities: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    correct = labels == probabilities.argmax(dim=-1)
    accuracy = correct.float().mean()
    weight = torch.ones_like(output)
    weight[~correct] *= torch.log(1 + accuracy / (1 - accuracy))
    return torch.nn.functional.binary_cross_entropy_with_logits(output, correct.float(), weight)


def measure(rows: int, classes: int, dimension: int, batch: int, steps: int, device: str) -> dict:
    rng = np.random.default_rng(0)

    def unit(count: int) -> torch.Tensor:
        values = torch.from_numpy(rng.normal(size=(count, dimension)).astype(np.float32))
        return torch.nn.functional.normalize(values, dim=1).to(device)

    images, texts = unit(rows), unit(classes)
    labels = torch.from_numpy(rng.integers(0, classes, rows)).to(device)
    # Half of the images lie near their class, or the zero-shot accuracy would be 1 / K.
    near = torch.from_numpy(rng.random(rows) < 0.5).to(device)
    images[near] = torch.nn.functional.normalize(images[near] + texts[labels[near]], dim=1)
    plan = Plan("sgd", 0.01, 1, batch, 0.0, 0, 0, weight_decay=5e-4)
    order = torch.randint(0, rows, (steps + 5, batch), device=device)

    def clock(take_step) -> float:
        for part in order[:5]:
            take_step(part)
        if device == "cuda":
            torch.cuda.synchronize()
        started = clock_of(device)
        for part in order[5:]:
            take_step(part)
        if device == "cuda":
            torch.cuda.synchronize()
        return (clock_of(device) - started) / steps

    held = peak_mib()
    torch.manual_seed(0)
    theirs = Released(dimension).to(device)
    their_optimiser = make_optimiser(theirs, plan)
    their_losses: list[float] = []

    def their_step(part: torch.Tensor) -> None:
        v = images[part]
        probabilities = torch.softmax(SCALE * v @ texts.T, dim=-1)
        loss = released_loss(theirs(v, texts), probabilities, labels[part])
        their_losses.append(loss.item())
        their_optimiser.zero_grad()
        loss.backward()
        their_optimiser.step()

    ours = ViLUHead(
        dimension,
        WIDTHS,
        attention="released",
        predicted=True,
        learned=False,
        freeze_steps=0,
        logit_scale=SCALE,
    ).to(device)
    ours.mlp.load_state_dict(theirs.mlp.state_dict())
    started = time.perf_counter()
    known = ZeroShot.of_classes(images, texts, labels, SCALE, ours)
    once = time.perf_counter() - started
    our_optimiser = make_optimiser(ours, plan)
    our_losses: list[float] = []

    def our_step(part: torch.Tensor) -> None:
        ours.count_step()
        output = ours(images[part], texts, known.chosen[part], known.attended[part])
        correct = known.correct[part]
        loss = confidence_loss(
            output, correct, known.p_true[part], kind="bce", wrong_weight=error_weight(correct)
        )
        our_losses.append(loss.item())
        step(ours, our_optimiser, loss)

    seconds = {"released": clock(their_step), "ours": clock(our_step)}
    floor = products(dimension, batch, device)
    apart = max(abs(a - b) for a, b in zip(our_losses, their_losses, strict=True))
    per_epoch = rows / batch
    return {
        "rows": rows,
        "classes": classes,
        "dimension": dimension,
        "batch": batch,
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "zero_shot_accuracy": float(known.correct.float().mean()),
        "steps_per_second": {name: 1 / value for name, value in seconds.items()},
        "ratio": seconds["released"] / seconds["ours"],
        "share_of_matrix_products": floor / seconds["ours"],
        "largest_difference_of_losses": apart,
        "seconds_once": once,
        "epoch_seconds": {name: value * per_epoch for name, value in seconds.items()},
        "cached_mib": (images.nbytes + known.attended.nbytes) / 2**20,
        "peak_mib": peak_mib(),
        "peak_before_mib": held,
    }


def products(dimension: int, batch: int, device: str, times: int = 20) -> float:
    """Seconds of the matrix products alone that one step cannot do without.

    Forward, and backward to the weights and (but for the first layer) to the inputs.
    """
    sizes = [3 * dimension, *WIDTHS, 1]
    layers = [
        (torch.rand(batch, wide, device=device), torch.rand(narrow, wide, device=device),
         torch.rand(batch, narrow, device=device))
        for wide, narrow in pairwise(sizes)
    ]  # fmt: skip

    def once() -> None:
        for place, (inputs, weights, gradient) in enumerate(layers):
            torch.mm(inputs, weights.T)
            torch.mm(gradient.T, inputs)
            if place:
                torch.mm(gradient, weights)

    once()
    started = time.process_time()
    for _ in range(times):
        once()
    return (time.process_time() - started) / times


def captions(rows: int, dimension: int, candidates: int, device: str) -> dict:
    """One epoch on pairs whose batch is the set of candidates, projections learned and not."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(rows, dimension)).astype(np.float32)
    texts = images + 3 * rng.normal(size=(rows, dimension)).astype(np.float32)
    found = {"pairs": rows, "candidates": candidates, "dimension": dimension}
    for projection in ("identity", "learned"):
        model = ViLU(
            epochs=1, batch_size=candidates, validation=0, projection=projection, device=device
        )
        started = time.process_time()
        model.fit_captions(images, texts)
        found[f"epoch_seconds_{projection}"] = time.process_time() - started
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--candidates", type=int, default=1_024, help="captions in a batch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    found = measure(
        given.rows, given.classes, given.dimension, given.batch, given.steps, given.device
    )
    found["captions"] = captions(given.rows, given.dimension, given.candidates, given.device)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
