"""What box noise costs, for a model fitted on annotated boxes and one fitted on disturbed ones too.

    python -m benchmarks.box_noise statements.jsonl.gz [--folds 5] [--limit ROWS]

The file has the columns of `spatialtrust verify`, with `label`. Cross-validated by image: a model
never sees the images that it judges, and boxes to judge are disturbed by another seed than boxes to
learn from. AUROC and ECE are over the claims that have both boxes.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spatialtrust.evaluation.crossvalidation import out_of_fold
from spatialtrust.evidence.box_noise import DETECTED, LEARNT_SEED, BoxNoise, disturb
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.claim_files import read_claims
from spatialtrust.metrics import auroc, ece
from spatialtrust.relations import DIRECTIONAL, NAMES, RELATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Int64
    from spatialtrust.evidence.columns import Features

CONDITIONS = {
    "annotated": BoxNoise(),
    "jitter 5 %": BoxNoise(jitter=0.05),
    "jitter 10 %": BoxNoise(jitter=0.1),
    "jitter 20 %": BoxNoise(jitter=0.2),
    "loose x1.25": BoxNoise(loose=1.25),
    "18 % missing": BoxNoise(missing=0.18),
    "10 % swapped": BoxNoise(swapped=0.1),
}
JUDGED_SEED = 991


class Statements(NamedTuple):
    """Labelled claims (N,) with clean, disturbed and conditions' evidence."""

    clean: Features
    noisy: Features
    judged: dict[str, Features]
    label: NDArray[np.int8]
    image: Int64


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("statements")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=0, help="first rows only, for a quick try")
    given = parser.parse_args()
    said = read(given.statements, given.limit)
    print(f"{len(said.label)} statements on {said.image.max() + 1} images, {given.folds} folds")
    for name, noisy in (("annotated boxes", None), ("disturbed boxes too", said.noisy)):
        scores = judge(said, noisy, given.folds)
        print(f"\nfitted on {name}\n{'AUROC':<16}directional  all    contact  ECE    unseen")
        for place, condition in enumerate(CONDITIONS):
            print(f"{condition:<16}{row(said, scores[:, place])}", flush=True)


def read(path: str, limit: int) -> Statements:
    """Statements and what is measured of their boxes under each condition."""
    file = read_claims(path)
    rows = np.arange(len(file.claims)) < (limit or len(file.claims))

    def measured(noise: BoxNoise, seed: int) -> Features:
        return collect(file.claims, disturb(file.grounding, noise, seed)).select(rows)

    return Statements(
        collect(file.claims, file.grounding).select(rows),
        measured(DETECTED, LEARNT_SEED),
        {name: measured(noise, JUDGED_SEED) for name, noise in CONDITIONS.items()},
        file.claims.numbers("label").astype(np.int8)[rows],
        np.unique(np.array(file.claims.strings("image_id"))[rows], return_inverse=True)[1],
    )


def fit(
    clean: Features, noisy: Features | None, label: NDArray[np.int8], image: Int64
) -> TrustModel:
    """A model of claims whose regressions see some of them disturbed."""
    return TrustModel.fit(
        clean, label, image, calibrated_on="folds", disturbed=noisy, for_pairs=False
    )


def judge(said: Statements, noisy: Features | None, folds: int) -> Float32:
    """(N, conditions) ``p_true`` by models fitted on the other folds; NaN without both boxes."""
    begun = time.perf_counter()

    def score(fitting: Int64, rows: Int64) -> Float32:
        model = fit(
            said.clean.select(fitting),
            None if noisy is None else noisy.select(fitting),
            said.label[fitting],
            said.image[fitting],
        )
        print(f"fitted after {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        found = [model.predict(judged.select(rows)).usable for judged in said.judged.values()]
        return np.stack(found, axis=1)

    return out_of_fold(score, said.image, folds)


def row(said: Statements, score: Float32) -> str:
    """One line of figures."""
    relation = np.array(NAMES)[said.clean.relation]
    contact = np.array([RELATIONS[name].family == "contact" for name in relation])
    seen = np.isfinite(score)
    true = said.label == 1
    areas = [
        auroc(score[rows & seen], true[rows & seen])
        for rows in (np.isin(relation, DIRECTIONAL), seen, contact)
    ]
    return (
        f"{areas[0]:<13.3f}{areas[1]:<7.3f}{areas[2]:<9.3f}"
        f"{ece(score[seen], true[seen]):<7.3f}{1 - seen.mean():.1%}"
    )


if __name__ == "__main__":
    main()
