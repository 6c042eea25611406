"""Two stages of training, with the picture in every forward pass: fine-tuning, then SimPO.

A stage's folder holds ``model/`` once it is done, and until then what it takes to go on: weights
that are trained, moments of the optimiser, and the step, in safetensors. Everything random follows
from seed and step, so a stage that was stopped ends like one that was not.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from spatialtrust import __version__
from spatialtrust.csp.lessons import Lessons, TrainConfig
from spatialtrust.csp.loader import NOTES, import_peft, older_names
from spatialtrust.documents import read_object
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spatialtrust.csp.vlm import Vlm

log: Final = logging.getLogger("spatialtrust")

MODEL: Final = "model"
_STATE: Final = "state"
_MOMENTS: Final = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW knows of a weight; ``step`` counts the steps that were not skipped."""
_WARM_UP: Final = 0.06


def train(
    vlm: Vlm,
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    base: str,
    every: int = 100,
    report: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train one stage in place, from where ``out`` says an earlier run stopped.

    Parameters
    ----------
    vlm: is trained, and written to ``out/model`` when done.
    data: folder that ``building.build`` wrote.
    base: reference of the checkpoint that ``vlm`` was loaded from, for the notes.
    every: steps between what is kept for going on.

    Returns
    -------
    Notes: base, settings, losses of the last steps, what was left out.

    Raises
    ------
    InputError: ``out`` was begun from another model, other data or other settings, or the data has
        no pair to prefer.
    FileError: what is there cannot be read, or ``out`` cannot be written.
    """
    lessons = Lessons(vlm, data, config)
    notes: dict[str, Any] = {
        "version": __version__,
        "base": base,
        "base_revision": vlm.revision,
        "scale": lessons.scale.name,
        "config": asdict(config),
        "data": lessons.fingerprint,
        "examples": len(lessons),
        "left_out": lessons.left_out,
    }
    notes = json.loads(json.dumps(notes))
    done = _claim(out, notes)
    if done is not None:
        return done
    weights = _prepare(vlm, config)
    optimiser = torch.optim.AdamW(weights.values(), lr=config.rate, weight_decay=1e-4)
    first = _resume(weights, optimiser, out / _STATE)
    parts: dict[str, float] = {}
    for step in range(first, config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * cycle((step + 0.5) / config.steps)
        optimiser.zero_grad(set_to_none=True)
        torch.manual_seed(config.seed + step)  # of dropout
        told = _step(lessons, config, step, vlm.device)
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        if torch.isfinite(norm):
            optimiser.step()
        else:
            told["steps_skipped"] = 1.0
        for name, value in told.items():
            parts[name] = parts.get(name, 0.0) + value
        if (step + 1) % every == 0 or step + 1 == config.steps:
            count = (step - first) % every + 1
            text = ", ".join(f"{name} {value / count:.3f}" for name, value in parts.items())
            report(f"{config.stage}: step {step + 1} of {config.steps}: {text}")
            notes["losses"] = {name: value / count for name, value in parts.items()}
            parts = {}
            _keep(weights, optimiser, out / _STATE, step + 1)
    _finish(vlm, out, notes, config)
    return notes


def cycle(progress: float) -> float:
    """Learning rate as a share of the highest: up in a straight line, down along a cosine.

    >>> cycle(0.03), round(cycle(1.0), 3)
    (0.5, 0.0)
    """
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


def _step(lessons: Lessons, config: TrainConfig, step: int, device: Any) -> dict[str, float]:
    """Gradients of one step, and the parts of its loss."""
    told: dict[str, float] = {}
    for rows in lessons.draw(step):
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            loss, parts = lessons.loss(rows)
        (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
        for name, value in parts.items():
            told[name] = told.get(name, 0.0) + value / config.accumulate
    return told


def _prepare(vlm: Vlm, config: TrainConfig) -> dict[str, torch.nn.Parameter]:
    """The weights that are trained, by name."""
    torch.manual_seed(config.seed)
    chosen = vlm.language if config.part == "language" else vlm.model
    if config.lora:
        peft = import_peft()
        inside = {id(module) for module in chosen.modules()}
        targets = [
            name
            for name, module in vlm.model.named_modules()
            if isinstance(module, torch.nn.Linear)
            and id(module) in inside
            and not name.endswith("lm_head")
        ]
        adapter = peft.LoraConfig(
            r=config.lora, lora_alpha=2 * config.lora, target_modules=targets, lora_dropout=0.0
        )
        with older_names():
            vlm.model = peft.get_peft_model(vlm.model, adapter)
    else:
        vlm.model.requires_grad_(False)
        chosen.requires_grad_(True)
    if config.checkpointing:
        inner = vlm.model.get_base_model() if config.lora else vlm.model
        with older_names():
            inner.gradient_checkpointing_enable({"use_reentrant": False})
        if config.lora:
            inner.enable_input_require_grads()
    vlm.model.train()
    return {name: weight for name, weight in vlm.model.named_parameters() if weight.requires_grad}


def _claim(out: Path, notes: dict[str, Any]) -> dict[str, Any] | None:
    """Begin the folder; its notes where the stage was done before.

    Raises
    ------
    InputError: it was begun with something else.
    """
    path = out / NOTES
    if path.is_file():
        try:
            before = read_object(path)
            changed = [name for name in notes if before[name] != notes[name]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(
                path, f"is not what csp train writes ({error!r})", "give another --out"
            ) from error
        if "base_revision" in changed:
            raise InputError(
                f"{out}: was begun from {before['base']} ({before['base_revision']}), not from "
                f"{notes['base']} ({notes['base_revision']}); give that checkpoint, or another "
                "--out"
            )
        if "data" in changed:
            raise InputError(
                f"{out}: was begun with other data; give the same data, or another --out"
            )
        changed = [name for name in changed if name != "base"]
        if changed:
            raise InputError(
                f"{out}: was begun with other {', '.join(changed)}; give the same settings, or "
                "another --out"
            )
        if (out / MODEL / NOTES).is_file():
            found: dict[str, Any] = read_object(out / MODEL / NOTES)
            return found
        return None
    write_text(json.dumps(notes, indent=2) + "\n", path)
    return None


def _keep(weights: dict[str, torch.nn.Parameter], optimiser: Any, folder: Path, step: int) -> None:
    """Write weights, what the optimiser knows of them, and the step as one file."""
    tensors = {"step": torch.tensor(step)}
    for name, weight in weights.items():
        tensors[f"weight/{name}"] = weight.detach().contiguous()
        for moment in _MOMENTS:
            if moment in optimiser.state.get(weight, {}):
                tensors[f"{moment}/{name}"] = optimiser.state[weight][moment].contiguous()
    with replacing(folder / "state.safetensors") as unfinished:
        save_file(tensors, unfinished)


def _resume(weights: dict[str, torch.nn.Parameter], optimiser: Any, folder: Path) -> int:
    path = folder / "state.safetensors"
    if not path.is_file():
        return 0
    try:
        tensors = load_file(path)
        step = int(tensors["step"])
        same = {f"weight/{name}" for name in weights} == {
            name for name in tensors if name.startswith("weight/")
        }
    except (OSError, SafetensorError, KeyError) as error:
        raise FileError(
            path, f"cannot be read ({error})", "delete its folder to begin the stage again"
        ) from error
    if not same:
        raise InputError(f"{path}: holds weights of another model; give another --out")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"weight/{name}"])
            if f"exp_avg/{name}" in tensors:
                optimiser.state[weight] = {
                    moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS
                }
    return step


def _finish(vlm: Vlm, out: Path, notes: dict[str, Any], config: TrainConfig) -> None:
    """Write the model, its notes last, and remove what was kept for going on."""
    vlm.model.eval()
    folder = out / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    if config.lora:
        with older_names():
            vlm.model.save_pretrained(folder / "adapter")
    else:
        vlm.save(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o644)  # weights are written for their owner alone
    write_text(json.dumps(notes, indent=2) + "\n", folder / NOTES)
    (out / _STATE / "state.safetensors").unlink(missing_ok=True)
