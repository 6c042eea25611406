"""Four synthetic worlds: when do which predictors of failure pay, and why?

    python -m benchmarks.worlds [--seeds 1]       a few minutes a seed

- **text ambiguity**: all images are equally noisy, and the texts of neighbouring classes nearly
  coincide. Which classes those are can be learned from labels.
- **noise only**: texts are right, images are noisy, each to its own degree. Labels have nothing to
  add to the model's own logits.
- **256 captions**, **1,024 captions**: the candidates of an image are the captions of its batch;
  half of every embedding says nothing of the other side. Class methods have no classes here.

Simulations: they say what a claim needs to hold, not what holds on photographs. Prints the tables
of docs/classification.md.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.classify import EmbeddedImages, Splits, compare, compare_captions

if TYPE_CHECKING:
    from spatialtrust.classify import Comparison

CLASSES, DIMENSION = 20, 64
SIZES = {"train": 5_000, "calibration": 1_000, "test": 4_000}
PAIRS = {"train": 8_192, "test": 4_096}
METHODS = (
    "mcm", "temperature-scaling", "rel-u", "trustvlm", "logistic-probe", "lda-probe",
    "lda-probe-mcm", "correctness-probe", "class-gaussians", "delta-mds", "delta-knn",
    "delta-knn-margin", "lvu", "vilu",
)  # fmt: skip


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _splits(texts: np.ndarray, centres: np.ndarray, noise, seed: int) -> Splits:
    """Images around their class's centre, ``noise(rng, rows)`` from it; texts as they are."""
    parts = []
    for place, rows in enumerate(SIZES.values()):
        rng = np.random.default_rng([seed, place])
        labels = rng.integers(0, CLASSES, rows)
        spread = noise(rng, rows)[:, None] * rng.normal(size=(rows, DIMENSION))
        parts.append(
            EmbeddedImages(_unit(centres[labels] + spread), texts, labels, logit_scale=25.0)
        )
    return Splits(*parts)


def text_ambiguity(seed: int) -> Splits:
    """Texts of classes 2k and 2k + 1 differ little, and by chance: one of them takes both."""
    rng = np.random.default_rng([seed, 100])
    centres = _unit(rng.normal(size=(CLASSES, DIMENSION)))
    partner = np.arange(CLASSES) ^ 1
    share = rng.uniform(0.3, 0.6, CLASSES)[:, None]
    texts = _unit((1 - share) * centres + share * centres[partner])
    return _splits(texts, centres, lambda rng, rows: np.full(rows, 0.2), seed)


def noise_only(seed: int) -> Splits:
    """Texts are the centres; every image has a noise of its own."""
    centres = _unit(np.random.default_rng([seed, 200]).normal(size=(CLASSES, DIMENSION)))
    return _splits(centres, centres, lambda rng, rows: rng.uniform(0.05, 0.4, rows), seed)


def captions(seed: int) -> tuple[EmbeddedImages, EmbeddedImages]:
    """Pairs that share one half of their dimensions, and of the other half nothing."""
    half = DIMENSION // 2
    mixing = np.random.default_rng([seed, 300]).normal(size=(DIMENSION, DIMENSION))
    rotation = np.linalg.qr(mixing)[0]
    parts = []
    for place, rows in enumerate(PAIRS.values()):
        rng = np.random.default_rng([seed, 301 + place])
        meaning = rng.normal(size=(rows, half))
        seen = meaning + rng.uniform(0.3, 1.3, rows)[:, None] * rng.normal(size=(rows, half))
        sides = [
            _unit(np.hstack([side, 0.7 * rng.normal(size=(rows, half))]) @ rotation)
            for side in (seen, meaning)
        ]
        parts.append(
            EmbeddedImages(
                sides[0], sides[1][:2], np.full(rows, -1), captions=sides[1], logit_scale=25.0
            )
        )
    return parts[0], parts[1]


def show(title: str, found: list[Comparison]) -> None:
    """Methods in the order of their mean AUROC; ahead of MCM beyond noise in the first seed?"""
    print(f"\n### {title}\n", flush=True)
    tables = [one.table.to_pylist() for one in found]
    wins = [
        (win["better"], win["worse"])
        for win in found[0].wins.to_pylist()
        if win["metric"] == "auroc"
    ]
    rows = []
    for entries in zip(*tables, strict=True):
        name, first = entries[0]["method"], entries[0]
        if first["status"] != "ok":
            print(f"{name}: {first['status']}\n")
            continue
        auroc = [100 * entry["auroc"] for entry in entries]
        aurc = np.mean([entry["aurc"] for entry in entries])
        against = "ahead" if (name, "mcm") in wins else "behind" if ("mcm", name) in wins else "="
        seconds = np.mean([entry["seconds"] for entry in entries])
        rows.append(
            (
                np.mean(auroc),
                name,
                first["labelled_data"],
                np.ptp(auroc) / 2,
                aurc,
                against,
                seconds,
            )
        )
    print(f"accuracy {np.mean([t[0]['accuracy'] for t in tables]):.1%}\n")
    print(
        "| method | labels used | AUROC | AURC | against MCM | seconds |\n|---|---|---|---|---|---|"
    )
    for auroc, name, labels, spread, aurc, against, seconds in sorted(rows, reverse=True):
        print(
            f"| {name} | {labels} | {auroc:.1f} ± {spread:.1f} | {aurc:.4f} | {against} "
            f"| {seconds:.1f} |"
        )


def show_captions(candidates: int, seeds: range) -> None:
    found = []
    for seed in seeds:
        train, test = captions(seed)
        one = compare_captions(
            train, test, ["mcm", "margin", "lvu", "vilu"], candidates=candidates, seed=seed,
            resamples=300,
        )  # fmt: skip
        learned = {"vilu": {"projection": "learned"}}
        other = compare_captions(
            train, test, ["vilu"], candidates=candidates, seed=seed, resamples=300, options=learned
        )
        found.append((one, other))
    show(f"{candidates:,} captions", [one for one, _ in found])
    moved = [100 * other.table["auroc"][0].as_py() for _, other in found]
    print(f"\nvilu with learned projections: {np.mean(moved):.1f} ± {np.ptp(moved) / 2:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=1)
    seeds = range(parser.parse_args().seeds)
    for title, world in (("text ambiguity", text_ambiguity), ("noise only", noise_only)):
        show(title, [compare(world(seed), METHODS, seed=seed, resamples=300) for seed in seeds])
    for candidates in (256, 1024):
        show_captions(candidates, seeds)


if __name__ == "__main__":
    main()
