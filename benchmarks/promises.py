"""Are certified promises kept on images that nobody has seen? Whole refits and resplits, real data.

    python -m benchmarks.promises statements.jsonl.gz --work out/promises

The file has the columns of `spatialtrust verify`, with `label`. First the whole procedure of the
shipped model is fitted on two thirds of the images and judged on the others, over and over
(`--refits`); on images of the judged third, labels of one's own are drawn, `TrustModel.fit` and
`TrustModel.certified_on` start from that model, and what is left of the third judges them. Then one
fit of all rows, whose rows are scored out of fold, is split in halves, over and over
(`--resplits`): one half certifies, the other judges.

`risk` is what was delivered: the mean share wrong of an image's emitted claims. `broken` is the
share of splits whose risk exceeds the promise by more than the judging half's own 95 % error,
`above` that of splits whose risk exceeds it at all; `found` says how often a threshold exists.
Refits are kept in `--work`, so the benchmark goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.errors import InputError
from spatialtrust.evidence.box_noise import DETECTED, LEARNT_SEED, disturb
from spatialtrust.evidence.gathering import collect
from spatialtrust.files import write_text
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.claim_files import read_claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from spatialtrust.evidence.columns import Features

ACCURACIES = (0.8, 0.85, 0.9)
DELTA = 0.1
LABELS = (200, 500, 1000)
RESERVES = (0.0, 0.05, 0.1)
DRAWS = 5
ONE_SIDED = 1.645


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("statements", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/promises"))
    parser.add_argument("--refits", type=int, default=30)
    parser.add_argument("--resplits", type=int, default=300)
    given = parser.parse_args()
    file = read_claims(given.statements)
    features = collect(file.claims, file.grounding)
    disturbed = collect(file.claims, disturb(file.grounding, DETECTED, LEARNT_SEED))
    label = file.claims.numbers("label").astype(np.int8)
    image = np.unique(file.claims.strings("image_id"), return_inverse=True)[1]
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for split in range(given.refits):
        kept = given.work / f"{split}.json"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(json.dumps(list(refitted(features, disturbed, label, image, split))), kept)
            print(f"refit {split + 1} of {given.refits}", flush=True)
        for line in json.loads(kept.read_text(encoding="utf-8")):
            found[line.pop("way")].append(line)
    if given.resplits:
        fitted = TrustModel.fit(
            features, label, image, calibrated_on="all of them", disturbed=disturbed
        )
        rows = fitted.certifying
        for split in range(given.resplits):
            for line in resplit(rows, split):
                found[line.pop("way")].append(line)
    print(f"{'way':<34}{'promise':>8}{'splits':>8}{'found':>7}{'risk':>7}{'above':>7}{'broken':>8}"
          f"{'coverage':>10}")  # fmt: skip
    for way, lines in found.items():
        for accuracy in ACCURACIES:
            print(summary(way, accuracy, [x for x in lines if x["accuracy"] == accuracy]))


def refitted(
    features: Features,
    disturbed: Features,
    label: NDArray[Any],
    image: NDArray[Any],
    split: int,
) -> Iterator[dict[str, Any]]:
    """The procedure on two thirds of the images, judged on the others."""
    order = np.random.default_rng(1000 + split).permutation(int(image.max()) + 1)
    judged = np.isin(image, order[: order.size // 3])
    learning, judging = np.flatnonzero(~judged), np.flatnonzero(judged)
    model = TrustModel.fit(
        features.select(learning),
        label[learning],
        image[learning],
        calibrated_on="two thirds",
        disturbed=disturbed.select(learning),
    )
    p_true = model.predict(features.select(judging)).usable
    yield from delivered("refitted", model.certifying, p_true, label[judging], image[judging])
    for count in LABELS:
        for draw in range(DRAWS):
            own, rest = labelled(image, judging, count, draw)
            yield from few_labels(model, features, label, image, own, rest)


def labelled(
    image: NDArray[Any], rows: NDArray[Any], count: int, draw: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """So many rows of images drawn at random, and the rows of all other images."""
    names = np.random.default_rng(draw).permutation(np.unique(image[rows]))
    place = np.argsort(names)[np.searchsorted(np.sort(names), image[rows])]
    own = rows[np.argsort(place, kind="stable")][:count]
    return own, rows[~np.isin(image[rows], image[own])]


def few_labels(
    model: TrustModel,
    features: Features,
    label: NDArray[Any],
    image: NDArray[Any],
    own: NDArray[Any],
    rest: NDArray[Any],
) -> Iterator[dict[str, Any]]:
    """Both ways to use labels of one's own."""
    mine = (features.select(own), label[own], image[own])
    others = features.select(rest)
    for way, how in (
        (f"fit, {len(own)} labels", lambda: TrustModel.fit(*mine, base=model, calibrated_on="own")),
        (
            f"certify only, {len(own)} labels",
            lambda: model.certified_on(*mine, calibrated_on="own"),
        ),
    ):
        try:
            fitted = how()
        except InputError as error:  # too few of one label
            print(f"{way}: {error}", flush=True)
            continue
        p_true = fitted.predict(others).usable
        yield from delivered(way, fitted.certifying, p_true, label[rest], image[rest])


def resplit(rows: CertifyingRows, split: int) -> Iterator[dict[str, Any]]:
    """Half of the images certify, the others judge."""
    order = np.random.default_rng(split).permutation(int(rows.image.max()) + 1)
    half = np.isin(rows.image, order[: order.size // 2])
    certifying = CertifyingRows.of(
        rows.image[half], rows.asserted[half], rows.p_true[half], rows.label[half], rows.reserve
    )
    yield from delivered(
        "resplit", certifying, rows.p_true[~half], rows.label[~half], rows.image[~half]
    )


def delivered(
    way: str,
    rows: CertifyingRows | None,
    p_true: NDArray[np.float32],
    label: NDArray[Any],
    image: NDArray[Any],
) -> Iterator[dict[str, Any]]:
    """What the rules that the rows certify deliver on others; with other reserves, too."""
    if rows is None:
        return
    for accuracy in ACCURACIES:
        for reserve in RESERVES if rows.reserve else (0.0,):
            tried = CertifyingRows(rows.image, rows.asserted, rows.p_true, rows.label, reserve)
            rule = tried.rule(accuracy, DELTA, "image", "accept+correct", "these splits")
            named = f"{way}, reserve {reserve:g}" if rows.reserve else way
            yield {"way": named, "accuracy": accuracy, **judged_by(rule, p_true, label, image)}


def judged_by(
    rule: DecisionRule, p_true: NDArray[np.float32], label: NDArray[Any], image: NDArray[Any]
) -> dict[str, Any]:
    """Risk per image, its standard error, and coverage."""
    decided = decide(p_true, np.ones(len(p_true), dtype=np.int8), rule)
    emitted = decided.emitted >= 0
    count = np.bincount(image, weights=emitted)
    wrong = np.bincount(image, weights=emitted & (decided.emitted != label))
    share = wrong[count > 0] / count[count > 0]
    return {
        "found": rule.threshold is not None,
        "risk": float(share.mean()) if share.size else 0.0,
        "error": float(share.std() / np.sqrt(share.size)) if share.size else 0.0,
        "coverage": float(emitted.mean()),
    }


def summary(way: str, accuracy: float, lines: list[dict[str, Any]]) -> str:
    """One line of the table; risk over the splits with a threshold."""
    columns = {name: np.array([x[name] for x in lines]) for name in lines[0]}
    found = columns["found"]
    over = found & (columns["risk"] > 1 - accuracy)
    broken = found & (columns["risk"] > 1 - accuracy + ONE_SIDED * columns["error"])
    risk = columns["risk"][found].mean() if found.any() else np.nan
    return (
        f"{way:<34}{accuracy:>8.0%}{len(lines):>8}{found.mean():>7.2f}{risk:>7.3f}"
        f"{over.mean():>7.2f}{broken.mean():>8.3f}{columns['coverage'].mean():>10.3f}"
    )


if __name__ == "__main__":
    main()
