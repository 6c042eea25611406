"""From scratch to the table: CSP on rendered scenes, stage by stage, over several seeds.

Each seed has scenes of its own to train on and to be judged by. Beside the two stages stand two
controls: the first stage trained with every question's picture exchanged for another question's,
and the trained model judged on other pictures. Figures are about a small rendered world and a tiny
model: they show what the training does, not how photographs do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from spatialtrust.csp.building import BuildConfig, build
from spatialtrust.csp.drawing import draw_falling, draw_levels, draw_reliability
from spatialtrust.csp.judging import judge, reliability_of
from spatialtrust.csp.lessons import TrainConfig
from spatialtrust.csp.loader import open_vlm
from spatialtrust.csp.observing import observe
from spatialtrust.csp.perturbation import LADDER
from spatialtrust.csp.questions import Questions
from spatialtrust.csp.scales import scale_named
from spatialtrust.csp.tabletop import CLAIMS, JUDGED_SEEDS, TRAINING_SEEDS, scene_questions
from spatialtrust.csp.targets import measure
from spatialtrust.csp.training import MODEL, train
from spatialtrust.documents import loads, read_object
from spatialtrust.errors import InputError
from spatialtrust.files import write_text
from spatialtrust.io.images import read_image
from spatialtrust.jobs.demo import draw_scenes, write_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from spatialtrust.csp.vlm import Vlm

LEVELS: Final = (0, 40, 100)
"""At which the models are judged."""

BEFORE, FIRST, SECOND = "before", "stage 1", "stage 2"
TRAINED_SHUFFLED: Final = "trained on other pictures"
JUDGED_SHUFFLED: Final = "judged on other pictures"
MODELS: Final = (BEFORE, FIRST, SECOND, TRAINED_SHUFFLED, JUDGED_SHUFFLED)

_APART: Final = 10_000
"""Seeds of scenes between one seed of the study and the next."""
_MEASURED: Final = 4
"""One in so many questions measures how often the model is right at each level."""


FIRST_STAGE: Final = TrainConfig(steps=300, rate=1.5e-3, pictures=40, texts=2)
SECOND_STAGE: Final = TrainConfig(
    stage="simpo", steps=100, rate=3e-4, pictures=32, texts=1, falling=1.0, keep=0.5
)
"""Rates and steps were set by a few short trials, which were judged on scenes of the first seed."""


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """What the study takes.

    Attributes
    ----------
    seeds: repetitions, each with scenes of its own.
    scenes, judged: to train on and to be judged by.
    target, kind, scale: see ``building.BuildConfig``.
    first, second: settings of the stages.
    resamples: of the bootstrap by image, within a seed.
    """

    seeds: int = 3
    scenes: int = 200
    judged: int = 24
    target: str = "measured"
    kind: str = "noise"
    scale: str = "percent"
    first: TrainConfig = FIRST_STAGE
    second: TrainConfig = SECOND_STAGE
    resamples: int = 200

    def __post_init__(self) -> None:
        """Refuse what is not valid."""
        if not 1 <= self.seeds <= 10 or self.scenes < 3 or self.judged < 3:
            raise InputError(
                f"seeds is {self.seeds}, scenes {self.scenes}, judged {self.judged}; give 1 to 10 "
                "seeds, and at least 3 scenes to train on and 3 to be judged by"
            )


DRY: Final = StudyConfig(
    seeds=1, scenes=3, judged=3, target="linear", scale="grades",
    first=TrainConfig(steps=2, pictures=4), second=TrainConfig(stage="simpo", steps=2, pictures=4),
    resamples=20,
)  # fmt: skip
"""Two steps on three scenes: does it all run?"""


def study(
    out: Path,
    checkpoint: str,
    config: StudyConfig | None = None,
    *,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train and judge every seed that is not done yet; then the table and the pictures.

    Parameters
    ----------
    out: gets a folder a seed, ``study.json``, ``levels.png``, ``reliability.png``, ``falling.png``.
    checkpoint: a generative VLM, see ``loader.open_vlm``.

    Returns
    -------
    ``table``: model to figure to mean, low and high over the seeds; ``gains``: the same of
    differences to ``before``, seed by seed; ``seeds``: all figures of each.

    Raises
    ------
    InputError: ``out`` holds a study of another checkpoint or other settings.
    """
    config = config or StudyConfig()
    torch.set_flush_denormal(True)
    try:
        base = open_vlm(checkpoint)
        about = {"checkpoint": base.revision, "config": repr(replace(config, seeds=1))}
        found = [
            _seed(out / f"seed-{seed}", checkpoint, config, seed, about, report)
            for seed in range(config.seeds)
        ]
    finally:  # it holds for the whole process
        torch.set_flush_denormal(False)
    first = found[0]
    draw_levels(
        read_image(first["example"]["uri"]), first["example"]["regions"], out / "levels.png"
    )
    draw_reliability(
        {name: first["models"][name]["reliability"] for name in MODELS[:4]}
        | {"p_yes, Platt": first["models"][BEFORE]["reliability_platt"]},
        out / "reliability.png",
    )
    draw_falling({name: first["models"][name]["noise"] for name in MODELS[:4]}, out / "falling.png")
    result = {**about, **summarise([seed["models"] for seed in found]), "seeds": found}
    write_text(json.dumps(result, indent=1) + "\n", out / "study.json")
    return result


def _seed(
    out: Path,
    checkpoint: str,
    config: StudyConfig,
    seed: int,
    about: dict[str, str],
    report: Callable[[str], None],
) -> dict[str, Any]:
    """The figures of one seed; what was done before is not done again."""
    path = out / "figures.json"
    done: dict[str, Any] = {**about, "models": {}}
    if path.is_file():
        done = read_object(path)
        if {name: done.get(name) for name in about} != about:
            raise InputError(
                f"{out}: holds figures of another checkpoint or other settings; give another --out"
            )
        if set(done["models"]) == set(MODELS):
            return done
    questions = {}
    for name, begin, count in (
        ("train", TRAINING_SEEDS, config.scenes), ("judged", JUDGED_SEEDS, config.judged),
    ):  # fmt: skip
        scenes = draw_scenes(count, begin + seed * _APART)
        write_pictures(scenes, out / name)
        questions[name] = scene_questions(scenes, out / name, 1 if name == "train" else CLAIMS)
    example = questions["judged"].table.slice(0, 1).to_pylist()[0]
    done["example"] = {"uri": example["uri"], "regions": loads(example["regions"])}
    _build(out / "data", checkpoint, questions["train"], config, seed, report)
    first, second = (replace(stage, seed=seed) for stage in (config.first, config.second))
    stages = {
        FIRST: ("stage-1", checkpoint, first),
        SECOND: ("stage-2", str(out / "stage-1" / MODEL), second),
        TRAINED_SHUFFLED: ("shuffled", checkpoint, replace(first, shuffled=True)),
    }
    for name in MODELS:
        if name in done["models"]:
            continue
        report(f"seed {seed}: {name}")
        made = str(out / "stage-2" / MODEL) if name == JUDGED_SHUFFLED else checkpoint
        if name in stages:
            folder, start, stage = stages[name]
            train(open_vlm(start), out / "data", out / folder, stage, base=start, report=report)
            # A stage that was done before is on disk, not in memory.
            made = str(out / folder / MODEL)
        vlm = open_vlm(made)
        shuffled = name == JUDGED_SHUFFLED
        done["models"][name] = _figures(vlm, questions["judged"], config, shuffled=shuffled)
        write_text(json.dumps(done, indent=1) + "\n", path)
    return done


def _build(
    out: Path,
    checkpoint: str,
    questions: Questions,
    config: StudyConfig,
    seed: int,
    report: Callable[[str], None],
) -> None:
    settings = BuildConfig(config.kind, config.scale, config.target, draws=3, seed=seed)
    measured = None
    if config.target != "linear":
        report(f"seed {seed}: how often is it right at each level?")
        some = Questions(questions.table.take(np.arange(0, len(questions), _MEASURED)), {}, ())
        path = out.with_name("measured.json")
        measured = keep_measured(path, open_vlm(checkpoint), some, config.scale, config.kind)
    build(questions, out, settings, measured=measured)


def keep_measured(
    path: Path, vlm: Vlm, questions: Questions, scale: str, kind: str
) -> dict[str, dict[int, float]]:
    """What :func:`measure_levels` finds, written to a file, or read from it.

    Raises
    ------
    InputError: the file was measured with another model or other settings.
    """
    about = {"model": vlm.revision, "scale": scale, "kind": kind, "questions": len(questions)}
    if path.is_file():
        kept = read_object(path)
        if kept.get("about") != about:
            raise InputError(
                f"{path}: was measured with another model or other questions; give another --out, "
                "or delete the file"
            )
    else:
        kept = {"about": about, "shares": measure_levels(vlm, questions, scale, kind)}
        write_text(json.dumps(kept, indent=1) + "\n", path)
    return {
        group: {int(level): share for level, share in table.items()}
        for group, table in kept["shares"].items()
    }


def measure_levels(
    vlm: Vlm, questions: Questions, scale: str, kind: str = "noise"
) -> dict[str, dict[int, float]]:
    """How often a model is right at each level of the ladder, see ``targets.measure``."""
    seen = observe(vlm, questions, scale_named(scale), LADDER, kind=kind)
    groups = np.repeat(seen.group, len(LADDER)).tolist()
    return measure(np.tile(seen.levels, len(seen)), groups, seen.right.ravel())


def _figures(
    vlm: Vlm, questions: Questions, config: StudyConfig, *, shuffled: bool
) -> dict[str, Any]:
    seen = observe(
        vlm, questions, scale_named(config.scale), LEVELS, kind=config.kind, shuffled=shuffled
    )
    return {
        **judge(seen, resamples=config.resamples),
        "reliability": reliability_of(seen),
        "reliability_platt": reliability_of(seen, "p_yes Platt"),
    }


def summarise(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the seeds with a 95 % interval (Student's t), and of the gains over ``before``."""
    columns = {
        name: [
            {figure: _pick(seed[name], path) for figure, path in FIGURES.items()} for seed in seeds
        ]
        for name in MODELS
    }
    table = {
        name: {figure: _spread([row[figure] for row in rows]) for figure in FIGURES}
        for name, rows in columns.items()
    }
    gains = {name: _gain(columns[name], columns[BEFORE]) for name in MODELS[1:]}
    gains["stage 2 over stage 1"] = _gain(columns[SECOND], columns[FIRST])
    return {"table": table, "gains": gains}


def _gain(after: list[dict[str, float]], before: list[dict[str, float]]) -> dict[str, Any]:
    """What changed, seed by seed."""
    return {
        figure: _spread([a[figure] - b[figure] for a, b in zip(after, before, strict=True)])
        for figure in FIGURES
    }


FIGURES: Final = {
    "accuracy, clean": ("clean", "accuracy"),
    "F1, clean": ("clean", "f1"),
    "ECE, clean": ("clean", "stated", "ece"),
    "AUROC, clean": ("clean", "stated", "auroc"),
    "accuracy, all levels": ("all_levels", "accuracy"),
    "ECE, all levels": ("all_levels", "stated", "ece"),
    "Brier, all levels": ("all_levels", "stated", "brier"),
    "AUROC, all levels": ("all_levels", "stated", "auroc"),
    "rank correlation with noise": ("noise", "rank_correlation"),
    "mass": ("all_levels", "mass"),
    "p_yes ECE, all levels": ("all_levels", "p_yes", "ece"),
    "p_yes AUROC, all levels": ("all_levels", "p_yes", "auroc"),
    "Platt ECE, all levels": ("all_levels", "p_yes Platt", "ece"),
    "Platt Brier, all levels": ("all_levels", "p_yes Platt", "brier"),
    "Platt AUROC, all levels": ("all_levels", "p_yes Platt", "auroc"),
    "Platt ECE, clean": ("clean", "p_yes Platt", "ece"),
    "Platt AUROC, clean": ("clean", "p_yes Platt", "auroc"),
}
"""Figure to where it stands in what ``judging.judge`` found."""


def _pick(found: Any, path: Sequence[str]) -> float:
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    value = found.get("value", float("nan")) if isinstance(found, dict) else found
    return float("nan") if value is None else float(value)


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and its interval; NaN ends with fewer than two seeds."""
    from scipy.stats import t

    given = np.array(values, dtype=np.float64)
    mean = float(given.mean())
    if len(given) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    half = float(t.ppf(0.975, len(given) - 1) * given.std(ddof=1) / np.sqrt(len(given)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def render(result: dict[str, Any]) -> str:
    """The table for people: mean and interval over the seeds.

    Columns are the models, rows the figures.
    """
    names = [*MODELS]
    width = max(map(len, FIGURES)) + 2
    lines = ["".ljust(width) + "".join(name.rjust(27) for name in names)]
    for figure in FIGURES:
        cells = [_cell(result["table"][name][figure]) for name in names]
        lines.append(figure.ljust(width) + "".join(cell.rjust(27) for cell in cells))
    return "\n".join(lines)


def _cell(spread: dict[str, float]) -> str:
    if np.isnan(spread["low"]):
        return f"{spread['mean']:.3f}"
    return f"{spread['mean']:.3f} [{spread['low']:.3f}, {spread['high']:.3f}]"
