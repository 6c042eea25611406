"""``spatialtrust csp``: a VLM that says how sure it is, from data to a calibrated model.

spatialtrust csp build claims.jsonl --images photos/ --out data/
spatialtrust csp train data/ --checkpoint blip2:models/blip2 --out trained/
spatialtrust csp eval held_out.jsonl --images photos/ --checkpoint trained/simpo/model --out judged/
spatialtrust csp tabletop --out out/csp
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialtrust.cli.output import emit, plain, progress, say

if TYPE_CHECKING:
    from spatialtrust.csp.questions import Questions

app = typer.Typer(
    name="csp",
    help="Train a VLM to state its confidence: perturb the objects a question is about, train "
    "a VLM to say how sure it is, and judge it (arXiv 2504.14848).",
    no_args_is_help=True,
)

Source = Annotated[
    Path,
    typer.Argument(
        help="Labelled claims with boxes (as for verify), questions with `objects`, a POPE file, "
        "or a run folder with labels."
    ),
]
Images = Annotated[Path | None, typer.Option(help="Folder of the images; default: the file's own.")]
Checkpoint = Annotated[
    str, typer.Option(help="Generative VLM: a folder, OWNER/NAME in the cache, tabletop:blip2.")
]
ScaleOption = Annotated[
    str, typer.Option(help="Scale of the confidence: percent, percent-open, words or grades.")
]
Kind = Annotated[str, typer.Option(help="Perturbation: noise, blur or occlusion.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")]


@app.command()
def build(
    source: Source,
    out: Annotated[Path, typer.Option(help="Data folder; finished parts are kept.")],
    images: Images = None,
    scale: ScaleOption = "percent",
    target: Annotated[
        str,
        typer.Option(help="Target of a level: linear, measured or measured-by-group."),
    ] = "linear",
    checkpoint: Annotated[
        str | None, typer.Option(help="For measured: the VLM that will be trained.")
    ] = None,
    kind: Kind = "noise",
    levels: Annotated[int, typer.Option(min=2, max=11, help="Levels per question.")] = 4,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Perturbed pictures, replies that state a confidence, and pairs of replies.

    A build that was stopped goes on where it was; nothing is written twice.
    """
    from spatialtrust.csp.building import BuildConfig, reasons_in_words
    from spatialtrust.csp.building import build as run
    from spatialtrust.errors import InputError

    config = BuildConfig(kind, scale, target, levels, seed)
    questions = _questions(source, images)
    measured = None
    if target != "linear":
        if checkpoint is None:
            raise InputError(
                f"--target {target} needs --checkpoint, the VLM that will be trained: it is asked "
                "how often it is right at each level"
            )
        measured = _measured(questions, out, checkpoint, config, device)
    with progress("questions") as report:
        found = run(questions, out, config, measured=measured, progress=report)
    say(reasons_in_words({**found["dropped"], **found["pairs_left_out"]}))
    emit({"out": out, **{name: value for name, value in found.items() if name != "settings"}})


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Folder from `csp build`.")],
    checkpoint: Checkpoint,
    out: Annotated[
        Path, typer.Option(help="Output folder: one folder per stage, each with model/.")
    ],
    stages: Annotated[str, typer.Option(help="sft, or sft,simpo.")] = "sft,simpo",
    steps: Annotated[int, typer.Option(min=1, help="Steps per stage.")] = 400,
    rate: Annotated[float, typer.Option(help="Highest learning rate of sft.")] = 1e-4,
    simpo_rate: Annotated[float, typer.Option(help="Highest learning rate of simpo.")] = 2e-5,
    pictures: Annotated[int, typer.Option(min=1, help="Images per step.")] = 16,
    texts: Annotated[int, typer.Option(min=1, help="Most questions per image and step.")] = 2,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Split each step into parts, to save memory.")
    ] = 1,
    part: Annotated[str, typer.Option(help="Which part to train: language or all.")] = "language",
    lora: Annotated[
        int, typer.Option(min=0, help="Rank of the LoRA adapter; 0: train the weights.")
    ] = 16,
    beta: Annotated[float, typer.Option(help="SimPO's beta.")] = 2.0,
    gamma: Annotated[float, typer.Option(help="SimPO's margin.")] = 0.5,
    falling: Annotated[
        float, typer.Option(help="Weight of lower confidence on corrupted images; 0: none.")
    ] = 0.5,
    keep: Annotated[float, typer.Option(help="Weight of the likelihood term in SimPO.")] = 0.2,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Control: train on another question's image.")
    ] = False,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Recompute activations, to save memory.")
    ] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="bfloat16 autocast.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Supervised fine-tuning, then SimPO, with the picture in every forward pass.

    A training that was stopped goes on where it was, and ends like one that was not.
    """
    from spatialtrust.backends.base import Options
    from spatialtrust.csp.lessons import TrainConfig
    from spatialtrust.csp.loader import open_vlm
    from spatialtrust.csp.training import MODEL
    from spatialtrust.csp.training import train as run
    from spatialtrust.errors import InputError

    wanted = [stage.strip() for stage in stages.split(",") if stage.strip()]
    if wanted not in (["sft"], ["simpo"], ["sft", "simpo"]):
        raise InputError(f'--stages "{stages}" is not valid; give sft, simpo, or sft,simpo')
    configs = [
        TrainConfig(
            stage=stage,
            steps=steps,
            rate=rate if stage == "sft" else simpo_rate,
            pictures=pictures,
            texts=texts,
            accumulate=accumulate,
            part=part,
            lora=lora,
            beta=beta,
            gamma=gamma,
            falling=falling,
            keep=keep,
            shuffled=shuffled,
            checkpointing=checkpointing,
            bf16=bf16,
            seed=seed,
        )
        for stage in wanted
    ]
    start, found = checkpoint, {}
    for config in configs:
        vlm = open_vlm(start, Options(device=device))
        found[config.stage] = run(vlm, data, out / config.stage, config, base=start, report=say)
        start = str(out / config.stage / MODEL)
    emit({"model": start, "stages": found})


@app.command(name="eval")
def evaluate(
    source: Source,
    checkpoint: Annotated[list[str], typer.Option(help="VLM to evaluate (repeatable).")],
    out: Annotated[Path, typer.Option(help="Folder for figures.json and reliability.png.")],
    images: Images = None,
    scale: Annotated[
        str | None, typer.Option(help="Default: the scale it was trained on, else percent.")
    ] = None,
    levels: Annotated[str, typer.Option(help="Noise levels, 0 first.")] = "0,20,40,60,80,100",
    kind: Kind = "noise",
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap by image; 0: none.")] = 500,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Control: evaluate on other images.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Evaluate stated confidences: ECE, Brier, AUROC, accuracy and F1, with 95 % intervals.

    Beside them: the VLM's own p_yes, and p_yes after Platt scaling on the same labels, which any
    stated confidence has to beat. A file in the form of POPE has no boxes: it is judged clean.
    """
    from spatialtrust.backends.base import Options
    from spatialtrust.csp.drawing import draw_reliability
    from spatialtrust.csp.judging import judge, reliability_of
    from spatialtrust.csp.loader import bundle_folder, open_vlm, read_notes
    from spatialtrust.csp.observing import observe
    from spatialtrust.csp.scales import scale_named
    from spatialtrust.errors import MissingDependencyError
    from spatialtrust.files import write_text

    asked = _levels(levels)
    questions = _questions(source, images)
    if not questions.has_regions and len(asked) > 1:
        say("the questions have no boxes, so nothing is perturbed: judged on clean pictures alone")
        asked = [0]
    found: dict[str, Any] = {}
    panels = {}
    for reference in checkpoint:
        name = scale or read_notes(bundle_folder(reference)).get("scale", "percent")
        vlm = open_vlm(reference, Options(device=device))
        vlm.model.eval()
        with progress("questions") as report:
            seen = observe(
                vlm, questions, scale_named(name), asked,
                kind=kind, seed=seed, shuffled=shuffled, progress=report,
            )  # fmt: skip
        found[reference] = {"scale": name, **judge(seen, resamples=resamples, seed=seed)}
        panels[Path(reference).parent.name or reference] = reliability_of(seen)
    try:
        draw_reliability(panels, out / "reliability.png")
    except MissingDependencyError as error:
        say(str(error))
    result = {"source": source, "dropped": questions.dropped, "models": found}
    write_text(json.dumps(plain(result), indent=1) + "\n", out / "figures.json")
    emit(result)


@app.command()
def tabletop(
    out: Annotated[Path, typer.Option(help="Folder of the study; a stopped study continues.")] = (
        Path("out/csp")
    ),
    checkpoint: Checkpoint = "tabletop:blip2",
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Repetitions.")] = 3,
    target: Annotated[
        str, typer.Option(help="Target of a level: linear, measured, measured-by-group.")
    ] = "measured",
    dry_run: Annotated[
        str | None,
        typer.Option(help="llava or qwen2-vl: two steps of a tiny random model of that kind."),
    ] = None,
) -> None:
    """From scratch to the table on rendered scenes: before, stage 1, stage 2, and the controls.

    Minutes a seed on one core. The world is small and so is the model: it shows what the training
    does, not how photographs do. --checkpoint also takes the weights of a tabletop BLIP-2 by
    themselves (.safetensors).
    """
    from spatialtrust.csp.dry_run import LOUD, write_random
    from spatialtrust.csp.study import DRY, StudyConfig, render, study
    from spatialtrust.csp.tabletop import checkpoint_of

    config = StudyConfig(seeds=seeds, target=target)
    if dry_run is not None:
        checkpoint, config = write_random(dry_run, out / "random"), DRY
        say(LOUD.format(shape=dry_run))
    found = study(out, checkpoint_of(checkpoint, out), config, report=say)
    say("\n" + render(found))
    if dry_run is not None:
        say(LOUD.format(shape=dry_run))
    emit(
        {
            "out": out,
            "dry_run": dry_run is not None,
            "figures_of": "a rendered world and a tiny model",
            **{name: found[name] for name in ("table", "gains")},
        }
    )


@app.command()
def levels(
    image: Annotated[Path, typer.Argument(help="Picture.")],
    objects: Annotated[str, typer.Option(help="JSON: a box x1, y1, x2, y2, or a list of regions.")],
    out: Annotated[Path, typer.Option(help="PNG: one row per kind, one column per level.")] = Path(
        "levels.png"
    ),
    seed: Seed = 0,
) -> None:
    """Draw some objects at every level of noise, blur and occlusion."""
    from spatialtrust.csp.drawing import draw_levels
    from spatialtrust.csp.questions import listed_regions
    from spatialtrust.errors import InputError
    from spatialtrust.io.images import read_image

    regions = listed_regions(objects)
    if not regions:
        raise InputError(
            f"--objects {objects} is no JSON list; give a box such as [10, 20, 60, 80], or several"
        )
    draw_levels(read_image(image), regions, out, seed=seed)
    emit({"out": out})


@app.command()
def existence(
    detections: Annotated[Path, typer.Argument(help="Recorded boxes, in any supported format.")],
    out: Annotated[Path, typer.Option(help="Questions in POPE's format (.jsonl).")],
    kind: Annotated[str, typer.Option(help="random, popular or adversarial.")] = "random",
    each: Annotated[
        int, typer.Option(min=1, help="Questions per image with answer yes, and as many with no.")
    ] = 3,
    seed: Seed = 0,
) -> None:
    """Make questions like POPE's from boxes: is an object in the image or not?"""
    from spatialtrust.csp.existence import make_questions, things_in, write_pope

    rows = make_questions(things_in(detections), kind, each, seed)
    write_pope(rows, out)
    emit({"out": out, "questions": len(rows), "images": len({row["image"] for row in rows})})


def _questions(source: Path, images: Path | None) -> Questions:
    from spatialtrust.csp.questions import read_questions

    found = read_questions(source, images)
    for note in found.notes:
        say(note)
    return found


def _levels(given: str) -> list[int]:
    from spatialtrust.errors import InputError

    try:
        found = [int(level) for level in given.split(",")]
    except ValueError:
        found = []
    if not found or found[0] != 0 or found != sorted(set(found)) or found[-1] > 100:
        raise InputError(f'--levels "{given}" is not valid; give 0 and rising whole numbers to 100')
    return found


def _measured(
    questions: Questions, out: Path, checkpoint: str, config: Any, device: str
) -> dict[str, dict[int, float]]:
    """How often the VLM is right at each level; kept for a build that goes on."""
    from spatialtrust.backends.base import Options
    from spatialtrust.csp.loader import open_vlm
    from spatialtrust.csp.study import keep_measured

    vlm = open_vlm(checkpoint, Options(device=device))
    return keep_measured(out / "measured.json", vlm, questions, config.scale, config.kind)
