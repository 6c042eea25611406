"""The base method's published table beside ours: BLIP-2 and CLIP with GroundingDINO on VSR.

    python -m benchmarks.vsr_live --statements train.jsonl dev.jsonl test.jsonl --images coco/
    python -m benchmarks.vsr_live --dry-run

`--statements` are the files that VSR publishes (or any with `image`, `caption`, `label`) and
`--images` the folder of COCO's pictures. Models must be here already (`spatialtrust backends
fetch`) and want a GPU for sizes like these. The run goes on where it was stopped. Published: arXiv
2601.11644.

Each asker gets a trust model and the base method of its own, two ways: cross-validated
over all statements, and on the paper's split sizes (705 to fit on, 312 to test), repeated; images
are never shared between fitting and judging. The paper's own split is not public. `--dry-run` does
it all with the embedded tiny models on rendered scenes, and says so: its figures mean nothing.

Writes `vsr_live.json` and `vsr_live.md` to `--out`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import metrics
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.defaults import TRUST_MODEL
from spatialtrust.errors import SpatialTrustError
from spatialtrust.evaluation.crossvalidation import out_of_fold
from spatialtrust.evaluation.figures import interval
from spatialtrust.evaluation.ways import RECALL, compare, render, ways
from spatialtrust.files import write_text
from spatialtrust.fusion.base_method import BaseMethod
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.claim_files import read_statements
from spatialtrust.jobs.demo import claims_about, draw_scenes, exam_of, write_pictures
from spatialtrust.questions.signals import ASKED
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Claims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.evaluation.ways import Exam

ASKERS = ("blip2:Salesforce/blip2-opt-2.7b", "clip:openai/clip-vit-base-patch32")
TINY = ("tabletop:blip2", "tabletop:clip")
DETECTOR = "grounding-dino:IDEA-Research/grounding-dino-tiny"
RELATIONS = ("left of", "right of", "above", "below", "near")
SPLIT = (705, 312)
REPEATS = 20
DRY_SEED = 800_000


@dataclass(frozen=True)
class Published:
    """What the paper prints of one VLM; None: it does not say."""

    accuracy: float
    auroc: dict[str, float]
    coverage_at_60: dict[str, float]
    importances: dict[str, float]
    pruning: tuple[float, float] | None


PUBLISHED = {
    "blip2": Published(
        0.54,
        {"base method": 0.674, "five-prompt text": 0.503, "geometry alone": 0.493},
        {"base method": 0.619, "five-prompt text": 0.032, "geometry alone": 0.276},
        {
            "alignment": 0.375,
            "separation": 0.327,
            "detection_quality": 0.172,
            "vlm_confidence": 0.127,
        },
        (0.521, 0.783),
    ),
    "clip": Published(
        0.49,
        {"base method": 0.583, "five-prompt text": 0.502, "geometry alone": 0.509},
        {"base method": 0.545, "five-prompt text": 0.042, "geometry alone": 0.122},
        {},
        None,
    ),
}
VERIFICATION = 0.46
"""Published share by which checking lengthens the time of an image."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--statements", type=Path, nargs="+", help="VSR's files")
    parser.add_argument("--images", type=Path, help="folder of COCO's pictures")
    parser.add_argument("--out", type=Path, default=Path("out/vsr_live"))
    parser.add_argument("--askers", nargs="+", help=f"default: {' '.join(ASKERS)}")
    parser.add_argument("--detector", help=f"default: {DETECTOR}")
    parser.add_argument("--relations", nargs="+", default=[*RELATIONS], help="or: all")
    parser.add_argument("--signals", nargs="+", default=[*ASKED], choices=[*ASKED])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--scenes", type=int, default=120, help="rendered for a dry run")
    given = parser.parse_args(arguments)
    given.askers = given.askers or (TINY if given.dry_run else ASKERS)
    given.detector = given.detector or ("tabletop" if given.dry_run else DETECTOR)
    if given.dry_run:
        claims, pictures = dry(given.scenes, given.out)
    elif given.statements and given.images:
        claims, pictures = real(given.statements, given.images, given.relations)
    else:
        parser.error("give --statements and --images, or --dry-run")
    for asker in given.askers:
        open_asker(asker)  # a model that is not here is said now, not after hours
    open_detector(given.detector)
    boxes = given.out / "boxes"
    # The shipped model is only clocked here: each asker gets models of its own below.
    base = RunConfig(
        detector=given.detector, device=given.device, dtype=given.dtype, model=TRUST_MODEL
    )
    looked = clocked(base, boxes, ["detect", "claims"], pictures, claims)
    found = {
        asker: judged(asker, base, boxes, looked, given) for asker in dict.fromkeys(given.askers)
    }
    text = (banner() if given.dry_run else "") + "\n\n".join(
        report(asker, figures) for asker, figures in found.items()
    )
    print(text)
    result = {"dry_run": given.dry_run, "detector": given.detector, "askers": found}
    write_text(json.dumps(result, indent=1) + "\n", given.out / "vsr_live.json")
    write_text(text + "\n", given.out / "vsr_live.md")
    return result


def banner() -> str:
    """What a dry run is."""
    return (
        "**DRY RUN: rendered scenes and tiny models. These figures say nothing about VSR, BLIP-2 "
        "or CLIP;\nthey show that the table can be made.**\n\n"
    )


def dry(scenes: int, out: Path) -> tuple[Claims, list[Path]]:
    """Rendered scenes in place of VSR."""
    drawn = draw_scenes(scenes, DRY_SEED)
    write_pictures(drawn, out / "scenes")
    return claims_about(drawn), [out / "scenes" / name for name in drawn]


def real(files: list[Path], images: Path, relations: list[str]) -> tuple[Claims, list[Path]]:
    """Statements whose picture is there, and the pictures. Columns that leak are not read."""
    tables = [read_statements(path).claims.data for path in files]
    data = pa.concat_tables(tables)
    if relations != ["all"]:
        data = data.filter(pc.is_in(data["relation"], pa.array(relations)))
    names = pc.unique(data["image_id"]).to_pylist()
    places = {path.name: path for path in images.rglob("*") if path.is_file()}
    here = [name for name in names if Path(name).name in places]
    if len(here) < len(names):
        print(f"{len(names) - len(here)} of {len(names)} pictures are missing; their statements "
              "are left out", file=sys.stderr)  # fmt: skip
    data = data.filter(pc.is_in(data["image_id"], pa.array(here, pa.string())))
    if not data.num_rows:
        raise SystemExit(f"no picture of {', '.join(map(str, files))} is in {images}")
    ids = pa.array([f"{row:07d}" for row in range(data.num_rows)])
    data = data.set_column(data.schema.get_field_index("claim_id"), "claim_id", ids)
    return Claims.from_arrow(data), [places[Path(name).name] for name in here]


def clocked(
    config: RunConfig,
    folder: Path,
    stages: Sequence[str],
    pictures: list[Path] | None = None,
    claims: Claims | None = None,
) -> float:
    """Run stages; seconds an image, as measured when the images were first done."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more

    found = execute(prepare(config, folder, pictures, claims), stages, progress=count)
    note = folder / f"seconds-{'-'.join(stages)}.json"
    if done or not note.exists():
        write_text(json.dumps(found["seconds"] / max(done, 1)), note)
    return float(json.loads(note.read_text("utf-8")))


def judged(
    asker: str, base: RunConfig, boxes: Path, looked: float, given: argparse.Namespace
) -> dict[str, Any]:
    """All figures of one asker, on boxes that were found once for all."""
    folder = given.out / asker.replace(":", "-").replace("/", "-")
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(boxes, unfinished)
        unfinished.rename(folder)
    config = RunConfig.from_dict({**base.to_dict(), "asker": asker, "signals": list(given.signals)})
    asked = clocked(config, folder, ["ask"])
    gathered = clocked(config, folder, ["gather", "fuse", "decide"])
    exam = exam_of(folder)
    scores = out_of_fold(lambda fit, rows: fitted(exam, fit, rows), exam.image, given.folds)
    compared = compare(exam, ways(exam, *scores.T), resamples=given.resamples)
    base = BaseMethod.fit(exam.features, exam.label, exam.image)
    return {
        "cross_validated": compared,
        "split": split(exam, given.repeats),
        "importances": base.importances(),
        "importances_full": trust(exam, np.arange(len(exam))).importances(),
        "ms_per_image": {
            "detect": 1e3 * looked,
            "ask": 1e3 * asked,
            "gather, fuse, decide": 1e3 * gathered,
        },
        "asked_for": list(given.signals),
        "checking_over_asking": (looked + gathered) / asked if asked else None,
    }


def trust(exam: Exam, rows: NDArray[np.int64]) -> TrustModel:
    """A trust model from nothing: the one that ships has seen VSR's images."""
    return TrustModel.fit(
        exam.features.select(rows), exam.label[rows], exam.image[rows], calibrated_on="VSR"
    )


def fitted(exam: Exam, fit: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(rows, 3): ``p_true`` and ``p_boxes`` of the trust model, P(right) of the base method."""
    features = exam.features.select(rows)
    fused = trust(exam, fit).predict(features)
    base = BaseMethod.fit(exam.features.select(fit), exam.label[fit], exam.image[fit])
    return np.stack([fused.p_true, fused.p_boxes, base.score(features)], axis=1).astype(np.float32)


def split(exam: Exam, repeats: int) -> dict[str, Any]:
    """AUROC and coverage at 60 % on the paper's split sizes: mean and range over repeats."""
    images, owner, counts = np.unique(exam.image, return_inverse=True, return_counts=True)
    sizes = [int(len(exam) * share / sum(SPLIT)) if len(exam) < sum(SPLIT) else share
             for share in SPLIT]  # fmt: skip
    figures: dict[str, list[tuple[float, float]]] = {}
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(images))
        before = np.empty(len(images), dtype=np.int64)
        before[order] = np.cumsum(counts[order]) - counts[order]
        start = before[owner]
        fit = np.flatnonzero(start < sizes[0])
        rows = np.flatnonzero((start >= sizes[0]) & (start < sum(sizes)))
        part = exam.select(rows)
        for name, way in ways(part, *fitted(exam, fit, rows).T).items():
            score, right = way.ranked(part.label)
            figures.setdefault(name, []).append(
                (metrics.auroc(score, right), metrics.coverage_at_accuracy(score, right, 0.6))
            )

    def spread(values: NDArray[np.float64]) -> dict[str, float]:
        low, high = np.quantile(values, (0.025, 0.975))
        return {"value": float(values.mean()), "low": float(low), "high": float(high)}

    return {
        "fitted_on": sizes[0],
        "judged_on": sizes[1],
        "repeats": repeats,
        "ways": {
            name: {
                "auroc": spread(np.array(pairs)[:, 0]),
                "coverage_at_60": spread(np.array(pairs)[:, 1]),
            }
            for name, pairs in figures.items()
        },
    }


def report(asker: str, figures: dict[str, Any]) -> str:
    """Published beside ours, as Markdown."""
    paper = PUBLISHED["clip" if "clip" in asker else "blip2"]
    crossed, parts = figures["cross_validated"], figures["split"]
    of = crossed["ways"]

    def said(value: float | None, kind: str = ".3f") -> str:
        return "-" if value is None else format(value, kind)

    lines = [
        f"## {asker}",
        "",
        f"{crossed['claims']} statements on {crossed['images']} images, cross-validated by image; "
        f"split: {parts['fitted_on']} to fit, {parts['judged_on']} to judge, "
        f"{parts['repeats']} times.",
        f"VLM accuracy {of['VLM confidence']['accuracy']['value']:.3f} "
        f"(published {paper.accuracy:.2f}); {crossed['unanswered']} statements had no answer.",
        "",
        "| | AUROC published | split sizes | cross-validated "
        "| coverage at 60 % published | split sizes | cross-validated |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, way in of.items():
        part = parts["ways"][name]
        cells = (
            said(paper.auroc.get(name)),
            interval(part["auroc"]),
            interval(way["auroc"]),
            said(paper.coverage_at_60.get(name)),
            interval(part["coverage_at_60"]),
            interval(way["coverage_at_accuracy"]["0.6"]),
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    ceiling = of["VLM confidence"]["coverage_at_accuracy"]["0.6"]["ceiling"]
    lines += [
        "",
        f"Most that accepting alone can cover at 60 %: {ceiling:.3f}.",
        "",
        "| importance (gain) of the base method | published | ours |",
        "|---|---|---|",
        *(
            f"| {name} | {said(paper.importances.get(name), '.1%')} | {share:.1%} |"
            for name, share in figures["importances"].items()
        ),
        "",
        f"| pruned to {RECALL:.1%} of the correct edges | precision before | after | kept |",
        "|---|---|---|---|",
    ]
    if paper.pruning:
        lines.append(f"| published | {paper.pruning[0]:.3f} | {paper.pruning[1]:.3f} | - |")
    for name, way in of.items():
        edges = way["edges"]
        lines.append(
            f"| {name} | {interval(edges['precision'])} | {interval(edges['precision_pruned'])} "
            f"| {edges['share_kept']:.3f} |"
        )
    took = ", ".join(f"{name} {ms:.1f}" for name, ms in figures["ms_per_image"].items())
    lines += [
        "",
        f"Time an image, loading included, ms: {took}. "
        f"Asked for: {', '.join(figures['asked_for'])}. "
        f"Checking over asking: {said(figures['checking_over_asking'], '.1%')} (published "
        f"{VERIFICATION:.0%} over one plain question an image).",
        "",
        "```",
        render(crossed),
        "```",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except SpatialTrustError as error:
        raise SystemExit(f"error: {error}") from None
