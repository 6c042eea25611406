"""Training small heads on arrays in memory: batches, schedule, early stopping, seeds, device."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from spatialtrust.errors import InputError
from spatialtrust.failure.checks import expect_count, expect_number, expect_positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Loss = Callable[[torch.Tensor], torch.Tensor]
    Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """How a head is trained.

    validation: share of rows held out for early stopping; 0 trains all epochs on all rows.
    patience: epochs without a lower validation loss before stopping; the best epoch is kept.
    """

    optimiser: Literal["sgd", "adam"]
    learning_rate: float
    epochs: int
    batch_size: int
    validation: float
    patience: int
    seed: int
    momentum: float = 0.9
    weight_decay: float = 0.0
    warm_up: bool = False

    def check(self) -> None:
        """Refuse parameters out of range, by name."""
        for name in ("epochs", "batch_size", "patience"):
            expect_count(getattr(self, name), name, 1)
        expect_positive(self.learning_rate, "learning_rate")
        expect_number(self.validation, "validation", 0, 1, below=True)
        expect_number(self.momentum, "momentum", 0, 1, below=True)
        expect_number(self.weight_decay, "weight_decay", 0)
        expect_count(self.seed, "seed", 0)

    def check_rows(self, rows: int) -> None:
        """Refuse plans that cannot be carried out on that many rows."""
        if rows - int(rows * self.validation) < 2:
            raise InputError(f"{rows} rows are too few to train on; give more labelled data")


def pick_device(device: str) -> torch.device:
    """``auto`` is the GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f'device is "{device}", but no GPU is available; give device="cpu"')
    return torch.device(device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights that depend on the seed alone; the caller's generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def on_device(module: torch.nn.Module, *arrays: NDArray[Any]) -> tuple[torch.Tensor, ...]:
    """Arrays as tensors beside the module's parameters."""
    device = next(module.parameters()).device
    # A copy where an array is read-only, as memory-mapped files are: torch warns of those.
    owned = (np.require(array, requirements=["C", "W"]) for array in arrays)
    return tuple(torch.from_numpy(array).to(device) for array in owned)


def perceptron(inputs: int, widths: Sequence[int]) -> torch.nn.Sequential:
    """Linear layers of these widths with ReLU between, torch's default initialisation."""
    layers: list[torch.nn.Module] = []
    for width in widths:
        layers += [torch.nn.Linear(inputs, width), torch.nn.ReLU()]
        inputs = width
    return torch.nn.Sequential(*layers[:-1])


def make_optimiser(module: torch.nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """SGD with momentum or Adam, as the plan says."""
    parameters = list(module.parameters())
    if plan.optimiser == "adam":
        return torch.optim.Adam(
            parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, foreach=True
        )
    return torch.optim.SGD(
        parameters,
        lr=plan.learning_rate,
        momentum=plan.momentum,
        weight_decay=plan.weight_decay,
        foreach=True,
    )


def make_schedule(
    optimiser: torch.optim.Optimizer, plan: Plan
) -> torch.optim.lr_scheduler.LRScheduler:
    """Cosine decay by epoch; with ``warm_up`` chained to five linear epochs, as ViLU releases it.

    Chained recursively, so the peak lies below the base rate.
    """
    schedules = torch.optim.lr_scheduler
    cosine = schedules.CosineAnnealingLR(optimiser, T_max=plan.epochs)
    if not plan.warm_up:
        return cosine
    linear = schedules.LinearLR(optimiser, start_factor=0.1, total_iters=5)
    return schedules.ChainedScheduler([linear, cosine], optimizer=optimiser)


def step(module: torch.nn.Module, optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One update. Parameters outside the graph get a zero gradient, so decay still reaches them."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in module.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    optimiser.step()


def train(
    module: torch.nn.Module,
    rows: int,
    plan: Plan,
    loss: Loss,
    validation_loss: Loss,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on row indices and return what happened; the module holds the best weights after.

    ``loss`` and ``validation_loss`` take a tensor of row indices on the module's device;
    ``progress`` is called after each epoch with how many are done, and how many there will be at
    most. Training that early stopping did not end is noted: it may have been cut
    short.
    """
    plan.check()
    plan.check_rows(rows)
    device = next(module.parameters()).device
    generator = torch.Generator().manual_seed(plan.seed)
    order = torch.randperm(rows, generator=generator)
    held_out = order[: int(rows * plan.validation)].to(device)
    kept = order[len(held_out) :]
    optimiser = make_optimiser(module, plan)
    schedule = make_schedule(optimiser, plan)
    best, best_epoch, best_weights, steps, epoch = float("inf"), 0, None, 0, 0
    for epoch in range(1, plan.epochs + 1):
        module.train()
        shuffled = kept[torch.randperm(len(kept), generator=generator)].to(device)
        for batch in torch.split(shuffled, plan.batch_size):
            step(module, optimiser, loss(batch))
            steps += 1
        schedule.step()
        if progress is not None:
            progress(epoch, plan.epochs)
        if not len(held_out):
            continue
        module.eval()
        with torch.no_grad():
            parts = torch.split(held_out, plan.batch_size)
            current = sum(float(validation_loss(part)) * len(part) for part in parts)
        if current < best:
            best, best_epoch = current, epoch
            best_weights = copy.deepcopy(module.state_dict())
        elif epoch - best_epoch >= plan.patience:
            break
    if best_weights is not None:
        module.load_state_dict(best_weights)
    module.eval()
    found: dict[str, Any] = {
        "epochs_run": epoch,
        "best_epoch": best_epoch or epoch,
        "steps": steps,
    }
    if len(held_out) and epoch - best_epoch < plan.patience:
        note = (
            f"training ended at its last epoch ({epoch}; the best was {best_epoch}) before early "
            f"stopping could end it, so it may be cut short: try epochs={2 * plan.epochs}"
        )
        found["notes"] = [note]
    return found


def weights_of(module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """A module's parameters as arrays."""
    return {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}


def give_weights(module: torch.nn.Module, weights: dict[str, NDArray[Any]]) -> None:
    """Put arrays back into a module."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    module.load_state_dict(tensors)


def error_weight(correct: torch.Tensor) -> torch.Tensor:
    """ViLU's weight of wrong rows, ``log(1 + acc / (1 - acc)) = -log(error rate)``."""
    return -torch.log1p(-correct.to(torch.float64).mean())


def confidence_loss(
    output: torch.Tensor,
    correct: torch.Tensor,
    p_true: torch.Tensor,
    *,
    kind: Literal["bce", "mse"],
    wrong_weight: torch.Tensor | float,
) -> torch.Tensor:
    """Mean over rows of weighted cross-entropy to ``correct``, or squared error to ``p_true``."""
    weight = torch.ones_like(output)
    weight[~correct] = torch.as_tensor(wrong_weight, dtype=output.dtype, device=output.device)
    if kind == "mse":
        return (weight * (torch.sigmoid(output) - p_true) ** 2).mean()
    return torch.nn.functional.binary_cross_entropy_with_logits(
        output, correct.to(output.dtype), weight
    )
