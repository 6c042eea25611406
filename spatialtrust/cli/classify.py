"""``spatialtrust classify``: whether zero-shot classifications can be trusted.

spatialtrust classify embed photos/ --backend clip:openai/clip-vit-base-patch32 --out cache/
spatialtrust classify compare cache/ --out table.md
spatialtrust classify compare --images x.npy --texts t.npy --labels y.npy --out table.tex
spatialtrust classify methods
spatialtrust classify train cache/ --method vilu --out vilu.safetensors
spatialtrust classify score cache/ --method vilu.safetensors --out scores.parquet
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialtrust.cli.classify_arrays import (
    ArrayFiles,
    Captions,
    ClassFile,
    Features,
    Images,
    Labels,
    LastLayersFile,
    Logits,
    LogitScale,
    Texts,
    grouped_options,
    method_options,
    read_splits,
)
from spatialtrust.cli.output import emit, plain, progress, say
from spatialtrust.defaults import DELTA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.classify.image_set import EmbeddedImages

app = typer.Typer(
    name="classify",
    help="Decide which zero-shot classifications to trust: embed images once, then score them, "
    "train predictors of failure, and compare all methods on one split.",
    no_args_is_help=True,
)

Cache = Annotated[Path, typer.Argument(help="Folder from `embed`.")]
Name = Annotated[str, typer.Option(help="Data set in it.")]
Model = Annotated[str | None, typer.Option(help="Model of the embeddings, if several are cached.")]
Auxiliary = Annotated[
    str | None, typer.Option(help="Second image encoder, for TrustVLM's prototypes.")
]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]


class Study(StrEnum):
    """A study of the ViLU paper."""

    COMPONENTS = "components"
    LOSSES = "losses"
    LABELS = "label-efficiency"
    CANDIDATES = "candidates"
    TRANSFER = "transfer"


@app.command()
def embed(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder CLASS/... or SPLIT/CLASS/...; list (.csv .jsonl .parquet: image, class or "
            "caption, split); CoOp split (.json); WebDataset archives (.tar)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Cache; several models and data sets can share it.")],
    backend: Annotated[str, typer.Option(help="Embedder, such as clip:openai/clip-vit-b...")],
    name: Name = "images",
    images: Annotated[
        Path | None, typer.Option(help="Folder that paths in a list are relative to.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Class names, one per line; default: those found, sorted.")
    ] = None,
    template: Annotated[str, typer.Option(help="Prompt.")] = "a photo of a {}.",
    images_only: Annotated[bool, typer.Option(help="For a second image encoder.")] = False,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
) -> None:
    """Embed images, class prompts and captions once; repeat it to continue after a stop."""
    from spatialtrust.backends.registry import open_embedder
    from spatialtrust.classify.embedded_images import embed_images
    from spatialtrust.classify.labelled_images import labelled_images
    from spatialtrust.io.text import read_lines

    with progress("images") as report:
        table = embed_images(
            out,
            open_embedder(backend),
            labelled_images(source, images=images),
            name=name,
            classes=None if classes is None else read_lines(classes),
            template=template,
            images_only=images_only,
            batch_size=batch_size,
            progress=report,
        )
    status = table["status"].to_pylist()
    unreadable = [
        f"{image_id}: {why}"
        for image_id, why in zip(table["image_id"].to_pylist(), status, strict=True)
        if why != "ok"
    ]
    for line in unreadable[:20]:
        say(line)
    splits = {
        entry["values"] or "all": entry["counts"]
        for entry in table["split"].value_counts().to_pylist()
    }
    emit(
        {
            "data_set": out / f"{name}.parquet",
            "backend": backend,
            "images": len(status),
            "unreadable": len(unreadable),
            "splits": splits,
            "classes": table["class_name"].drop_null().unique().to_pylist(),
            "captions": len(status) - table["caption"].null_count,
        }
    )


@app.command()
def train(
    cache: Cache,
    out: Annotated[Path, typer.Option(help="File for the fitted method (.safetensors).")],
    method: Annotated[str, typer.Option(help="vilu, trustvlm, rel-u ...; see compare.")] = "vilu",
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of the method, such as epochs=50.")
    ] = None,
    captions: Annotated[
        bool, typer.Option(help="ViLU and LVU: learn from pairs of image and caption.")
    ] = False,
    name: Name = "images",
    model: Model = None,
    auxiliary: Auxiliary = None,
    seed: Seed = 0,
) -> None:
    """Fit one method and save it."""
    from spatialtrust.classify import Splits, fit, fit_captions
    from spatialtrust.errors import InputError

    parts = _load(cache, name, model, auxiliary)
    options = method_options(option or [], method)
    if captions:
        pairs = parts["train"] if "train" in parts else parts["all"]
        fitted = fit_captions(method, pairs, seed=seed, progress=_told, **options)
    else:
        fitted = fit(method, Splits.of(parts, seed=seed), seed=seed, progress=_told, **options)
    if fitted.predictor is None:
        raise InputError(f"{method} needs no training; use score --method {method}")
    fitted.predictor.save(out)
    emit(
        {
            "method": method,
            "file": out,
            "labelled_data": str(fitted.labelled_data),
            **fitted.predictor.facts_,
        }
    )


@app.command()
def score(
    cache: Cache,
    out: Annotated[Path, typer.Option(help="Scores, one row per image: .parquet, .csv or .jsonl.")],
    method: Annotated[str, typer.Option(help="File from train, or a label-free score.")] = "mcm",
    split: Annotated[str, typer.Option(help="train, calibration, test or all.")] = "test",
    name: Name = "images",
    model: Model = None,
    auxiliary: Auxiliary = None,
) -> None:
    """Score the predictions on one split; higher is safer."""
    import pyarrow as pa

    from spatialtrust.classify import METRICS, load_method
    from spatialtrust.errors import InputError
    from spatialtrust.io.results import expect_ending, write_results

    expect_ending(out)
    parts = _load(cache, name, model, auxiliary)
    if split not in parts:
        raise InputError(f'split "{split}" is not there; splits here: {", ".join(parts)}')
    images = parts[split]
    fitted = load_method(method)
    confidence = fitted.score(images)
    names = pa.array(images.class_names)
    predicted = fitted.predict(images)
    columns: dict[str, Any] = {
        "image_id": images.image_ids.tolist(),
        "predicted": names.take(pa.array(predicted)),
        "confidence": confidence,
    }
    result: dict[str, Any] = {"method": fitted.name, "images": len(images), "scores": out}
    if (images.labels >= 0).all():
        correct = predicted == images.labels
        columns["is_correct"] = correct
        result["accuracy"] = float(correct.mean())
        result |= {key: metric(confidence, correct) for key, metric in METRICS.items()}
    for changed in write_results(pa.table(columns), out):
        say(changed)
    emit(result)


@app.command()
def methods(
    json_: Annotated[bool, typer.Option("--json", help="JSON, also on a terminal.")] = False,
) -> None:
    """List the methods: what each is, needs and costs."""
    from spatialtrust.classify import CATALOGUE
    from spatialtrust.classify.rendering import lines_of

    rows = [("method", "labels it uses", "arrays it needs", "source", "cost")]
    rows += [
        (name, card.labels, ", ".join(card.needs), card.source, card.cost)
        for name, card in CATALOGUE.items()
    ]
    _show(lines_of(rows), {name: card.to_dict() for name, card in CATALOGUE.items()}, json_)


@app.command()
def compare(
    cache: Annotated[
        Path | None, typer.Argument(help="Folder from `embed`; or give arrays instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the table: .csv, .tex, .md or .json.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Method to compare (repeatable); default: all.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="METHOD.OPTION=VALUE, such as trustvlm.shots=4; with --study OPTION=VALUE of ViLU."
        ),
    ] = None,
    images: Images = None,
    texts: Texts = None,
    labels: Labels = None,
    logits: Logits = None,
    features: Features = None,
    captions: Captions = None,
    test_images: Images = None,
    test_labels: Labels = None,
    test_logits: Logits = None,
    test_features: Features = None,
    test_captions: Captions = None,
    calibration_images: Images = None,
    calibration_labels: Labels = None,
    calibration_logits: Logits = None,
    calibration_features: Features = None,
    last_layers: LastLayersFile = None,
    classes: ClassFile = None,
    logit_scale: LogitScale = None,
    candidates: Annotated[
        int | None,
        typer.Option(min=2, help="Compare on captions, with this many candidates each."),
    ] = None,
    study: Annotated[Study | None, typer.Option(help="Run a study of ViLU instead.")] = None,
    label_set: Annotated[
        list[str] | None, typer.Option(help="Data sets for the transfer study.")
    ] = None,
    baseline: Annotated[str, typer.Option(help="Report gains over this method.")] = "mcm",
    convention: Annotated[
        str | None,
        typer.Option(
            help="Metrics as another code computes them, to reproduce its table: vilu, trustvlm, "
            "fd-shifts or torch-uncertainty."
        ),
    ] = None,
    accuracy: Annotated[float, typer.Option(min=0.5, max=1.0, help="Accuracy to certify.")] = 0.95,
    delta: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Probability that the certificate fails.")
    ] = DELTA,
    resamples: Annotated[int, typer.Option(min=1)] = 1000,
    name: Name = "images",
    model: Model = None,
    auxiliary: Auxiliary = None,
    seed: Seed = 0,
    json_: Annotated[
        bool, typer.Option("--json", help="JSON with the grids of thresholds, no table.")
    ] = False,
) -> None:
    """Compare methods on one split, with paired intervals, from a cache or your own arrays."""
    from spatialtrust.classify import CAPTION_METHODS, METHODS, Splits, compare_captions
    from spatialtrust.classify import compare as run
    from spatialtrust.classify.rendering import expect_table_ending, to_screen, write_comparison
    from spatialtrust.errors import InputError
    from spatialtrust.files import write_text

    ending = None if out is None else expect_table_ending(out)
    files = ArrayFiles(
        {
            "train": (images, labels, logits, features, captions),
            "calibration": (
                calibration_images, calibration_labels, calibration_logits, calibration_features,
                None,
            ),
            "test": (test_images, test_labels, test_logits, test_features, test_captions),
        },
        texts, last_layers, classes, logit_scale,
    )  # fmt: skip
    if (cache is None) == (not files.given):
        raise InputError(
            "give either the folder that `classify embed` wrote, or arrays: --images, --texts and "
            "--labels (or --logits and --labels)"
        )
    parts = read_splits(files) if cache is None else _load(cache, name, model, auxiliary)
    if study is not None:
        if ending not in (None, ".json"):
            raise InputError(f"--out {out}: a study is written as .json")
        sets = {one: _load(cache, one, model, None) for one in label_set or [] if cache}
        result = _study(study, parts, sets, method_options(option or [], "vilu"), seed)
        emit(result)
        if out is not None:
            write_text(json.dumps(plain(result), indent=2) + "\n", out)
        return
    shared: dict[str, Any] = {
        "seed": seed,
        "baseline": baseline,
        "resamples": resamples,
        "options": grouped_options(option or []),
        "convention": convention,
        "progress": say,
    }
    if candidates is not None:
        train, test = _pairs(parts, seed)
        chosen = method or CAPTION_METHODS
        found = compare_captions(train, test, chosen, candidates=candidates, **shared)
    else:
        found = run(
            Splits.of(parts, seed=seed),
            method or METHODS,
            accuracy=accuracy,
            delta=delta,
            **shared,
        )
    result = found.to_dict(grids=json_)
    _show(to_screen(found).splitlines(), result, json_)
    if out is not None and ending == ".json":
        write_text(json.dumps(plain(result), indent=2) + "\n", out)
    elif out is not None:
        for changed in write_comparison(found, out):
            say(changed)


def _show(lines: list[str], result: Any, as_json: bool) -> None:
    """Lines for people on a terminal, JSON into files and pipes, where the lines go to stderr."""
    if sys.stdout.isatty() and not as_json:
        typer.echo("\n".join(lines))
        return
    if not as_json:
        say("\n".join(lines))
    emit(result)


def _pairs(parts: Mapping[str, EmbeddedImages], seed: int) -> tuple[EmbeddedImages, EmbeddedImages]:
    """Pairs to train on and to test on; an undivided set is halved."""
    from spatialtrust.classify import divide
    from spatialtrust.errors import InputError

    if set(parts) == {"all"}:
        train, test = divide(parts["all"], (0.5, 0.5), seed=seed)
        return train, test
    if not {"train", "test"} <= set(parts):
        raise InputError(f"captions need the splits train and test; here: {', '.join(parts)}")
    return parts["train"], parts["test"]


def _told(done: int, most: int) -> None:
    if done % 10 == 0 or done == most:
        say(f"epoch {done} of at most {most}")


def _study(
    study: Study,
    parts: Mapping[str, EmbeddedImages],
    label_sets: Mapping[str, Mapping[str, EmbeddedImages]],
    options: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    from spatialtrust.classify import Splits, studies
    from spatialtrust.errors import InputError

    seeds = (seed, seed + 1, seed + 2)
    if study in (Study.CANDIDATES, Study.TRANSFER) and not {"train", "test"} <= set(parts):
        raise InputError(f"this study needs the splits train and test; here: {', '.join(parts)}")
    if study is Study.CANDIDATES:
        table = studies.candidates(parts["train"], parts["test"], seeds=seeds, **options)
    elif study is Study.TRANSFER:
        if not label_sets:
            raise InputError("the transfer study needs --label-set, the data sets to score")
        tests = {
            one: sets.get("test", next(iter(sets.values()))) for one, sets in label_sets.items()
        }
        table = studies.transfer(parts["train"], tests, seeds=seeds, **options)
    else:
        run = {
            Study.COMPONENTS: studies.components,
            Study.LOSSES: studies.losses,
            Study.LABELS: studies.label_efficiency,
        }[study]
        table = run(Splits.of(parts, seed=seed), seeds=seeds, **options)
    return {"study": study.value, "summary": studies.summary(table), "rows": table.to_pylist()}


def _load(
    cache: Path, name: str, model: str | None, auxiliary: str | None
) -> dict[str, EmbeddedImages]:
    from spatialtrust.classify.embedded_images import load_embedded

    return load_embedded(cache, name=name, model=model, auxiliary=auxiliary)
