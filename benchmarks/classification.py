"""Every failure predictor on one split, and the studies, on embeddings that can be made here.

    python -m benchmarks.classification                      digits, everything (about half an hour)
    python -m benchmarks.classification --world tabletop     the shipped CLIP on rendered scenes
    python -m benchmarks.classification --only comparison labels

Prints the tables of docs/classification.md in Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING, Any

from spatialtrust.classify import Splits, compare, studies
from spatialtrust.classify.rendering import to_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from spatialtrust.classify.image_set import EmbeddedImages


class Digits:
    """Ten classes; captions of one to three digits; a hundred pairs as another label set."""

    def labels(self) -> Splits:
        from benchmarks.digits import embedded

        sizes = {"train": 10_000, "calibration": 2_000, "test": 4_000}
        return Splits(*(embedded(*item, seed=1, digits=(1,)) for item in sizes.items()))

    def captions(self) -> tuple[EmbeddedImages, EmbeddedImages]:
        from benchmarks.digits import embedded

        return embedded("train", 8_000, 2), embedded("test", 4_096, 2)

    def label_sets(self) -> Mapping[str, EmbeddedImages]:
        from benchmarks.digits import embedded

        return {
            "10 digits": embedded("test", 4_000, 1, digits=(1,)),
            "100 pairs": embedded("test", 4_000, 3, digits=(2,)),
        }


class Tabletop:
    """Coloured solids in crops; statements about whole scenes as captions."""

    def labels(self) -> Splits:
        from benchmarks.tabletop_crops import objects

        sizes = {"train": 2_000, "calibration": 500, "test": 800}
        return Splits(*(objects(*item) for item in sizes.items()))

    def captions(self) -> tuple[EmbeddedImages, EmbeddedImages]:
        from benchmarks.tabletop_crops import statements

        return statements("train", 8_000), statements("test", 4_096)

    def label_sets(self) -> Mapping[str, EmbeddedImages]:
        from benchmarks.tabletop_crops import objects

        return {"objects": objects("test", 800)}


def show_comparison(splits: Splits) -> None:
    found = compare(splits)
    print(to_markdown(found))
    for metric in ("auroc", "aurc"):
        print(f"Ahead beyond noise by {metric.upper()} (paired, by image):\n")
        for name in found.table["method"].to_pylist():
            behind = [
                win["worse"]
                for win in found.wins.to_pylist()
                if win["metric"] == metric and win["better"] == name
            ]
            print(f"- {name}: {', '.join(behind) or 'nobody'}")
        print()


def show_study(table: pa.Table) -> None:
    print("| variant | seeds | accuracy | AUROC | FPR95 |\n|---|---|---|---|---|")
    for row in studies.summary(table):
        spread = ("", "") if row["seeds"] < 2 else (row["auroc_sd"], row["fpr95_sd"])
        auroc, fpr95 = (f" ± {sd:.3f}" if sd != "" else "" for sd in spread)
        print(
            f"| {row['variant']} | {row['seeds']} | {row['accuracy']:.1%} "
            f"| {row['auroc']:.3f}{auroc} | {row['fpr95']:.3f}{fpr95} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    sections = ["comparison", "components", "losses", "labels", "captions", "transfer"]
    parser.add_argument("--world", choices=["digits", "tabletop"], default="digits")
    parser.add_argument("--seeds", type=int, default=3, help="of the studies")
    parser.add_argument("--only", nargs="+", choices=sections)
    given = parser.parse_args()
    wanted = given.only or sections
    world: Any = Digits() if given.world == "digits" else Tabletop()
    warnings.simplefilter("always")
    splits = world.labels()
    seeds = range(given.seeds)
    for section in wanted:
        print(f"\n### {section}\n", flush=True)
        if section == "comparison":
            show_comparison(splits)
        elif section == "components":
            show_study(studies.components(splits, seeds=seeds))
        elif section == "losses":
            show_study(studies.losses(splits, seeds=seeds))
        elif section == "labels":
            show_study(studies.label_efficiency(splits, seeds=seeds))
        elif section == "captions":
            show_study(studies.candidates(*world.captions(), sizes=(16, 128, 1024), seeds=seeds))
        else:
            show_study(studies.transfer(world.captions()[0], world.label_sets(), seeds=seeds))


if __name__ == "__main__":
    main()
