"""One training loop for all models: AdamW, one cycle, resumable, the same at every resumption.

A lesson prepares the batch of a step, which worker processes may do ahead of time, and takes its
loss on the model's device.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from safetensors.torch import load_file, save_file

from spatialtrust.documents import read_object
from spatialtrust.files import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_WARM_UP: Final = 0.06
_FLOOR: Final = 0.01
_DECAY: Final = 1e-4
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")


class Lesson(Protocol):
    """What a model is shown; everything random follows from the step."""

    def batch(self, step: int) -> Any:
        """What one step shows, on the CPU."""
        ...

    def loss(self, model: Any, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of a batch, and its parts for the log."""
        ...


def train(
    model: Any,
    lesson: Lesson,
    *,
    steps: int,
    rate: float,
    folder: Path,
    every: int = 250,
    workers: int = 0,
    report: Callable[[str], None] = print,
) -> None:
    """Train a model in place, from where ``folder`` says an earlier run stopped.

    Parameters
    ----------
    steps: of the whole schedule.
    rate: the highest learning rate.
    folder: keeps weights, moments and the step, rewritten ``every`` so many steps.
    workers: processes that prepare batches; the same batches for any number.
    """
    model.train()
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=rate, weight_decay=_DECAY, betas=(0.9, 0.98)
    )
    first = _resume(model, optimiser, folder)
    start = time.monotonic()
    total: dict[str, float] = {}
    batches = _batches(lesson, range(first, steps), workers)
    for step, batch in zip(range(first, steps), batches, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate * _cycle(step / steps)
        # On a GPU products in bfloat16 keep pace with the data; a CPU gains nothing by it.
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss, parts = lesson.loss(model, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        for name, value in parts.items():
            total[name] = total.get(name, 0.0) + value
        done = step + 1
        if done % 100 == 0 or done == steps:
            window = (done - first) % 100 or min(100, done - first)
            pace = (time.monotonic() - start) / (done - first)
            text = ", ".join(f"{name} {value / window:.3f}" for name, value in total.items())
            report(f"step {done} of {steps}, {pace:.2f} s a step: {text}")
            total = {}
        if done % every == 0 or done == steps:
            _keep(model, optimiser, folder, done)
    model.eval()


def _batches(lesson: Lesson, steps: range, workers: int) -> Iterable[Any]:
    """The batches of some steps, in order."""
    if not workers:
        return (lesson.batch(step) for step in steps)
    from torch.utils.data import DataLoader, Dataset

    class Steps(Dataset[Any]):
        def __len__(self) -> int:
            return len(steps)

        def __getitem__(self, place: int) -> Any:
            return lesson.batch(steps[place])

    return DataLoader(Steps(), batch_size=None, num_workers=workers, prefetch_factor=4)


def _cycle(progress: float) -> float:
    """Learning rate as a share of the highest: up in a straight line, down along a cosine."""
    if progress < _WARM_UP:
        return _FLOOR + (1 - _FLOOR) * progress / _WARM_UP
    angle = torch.pi * (progress - _WARM_UP) / (1 - _WARM_UP)
    return float(_FLOOR + (1 - _FLOOR) * 0.5 * (1 + torch.cos(torch.tensor(angle))))


def _keep(model: Any, optimiser: torch.optim.Optimizer, folder: Path, step: int) -> None:
    tensors = {}
    for name, weight in model.named_parameters():
        tensors[f"weight/{name}"] = weight.detach().cpu()
        for moment in _MOMENTS:
            if weight in optimiser.state:
                tensors[f"{moment}/{name}"] = optimiser.state[weight][moment].cpu()
    with replacing(folder / "state.safetensors") as unfinished:
        save_file({name: value.contiguous() for name, value in tensors.items()}, unfinished)
    write_text(json.dumps({"step": step}) + "\n", folder / "state.json")


def _resume(model: Any, optimiser: torch.optim.Optimizer, folder: Path) -> int:
    if not (folder / "state.json").is_file():
        return 0
    step = int(read_object(folder / "state.json")["step"])
    tensors = load_file(folder / "state.safetensors")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(tensors[f"weight/{name}"])
            if f"exp_avg/{name}" in tensors:
                optimiser.state[weight] = {
                    "step": torch.tensor(float(step)),
                    **{m: tensors[f"{m}/{name}"].to(weight.device) for m in _MOMENTS},
                }
    return step
