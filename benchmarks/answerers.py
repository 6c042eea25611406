"""What boxes make of an answerer that is hardly better than chance: simulated on real statements.

    python -m benchmarks.answerers statements.jsonl.gz [--labels 200 500 1000]

The file has the columns of `spatialtrust verify`, with `label`. Answerers are right on 54 % of the
claims: whatever they show; less often where boxes are unsure (chance falls with |log-odds| of a box
model that never saw the image); less often where that model itself is unsure or wrong; or because
they say yes to 85 %. Each is simulated twice: always sure (`p_yes` 0 or 1, as real models are), and
with a confidence that carries a little (right answers are surer than wrong ones in 60 % of pairs).

A box model is fitted on one half of the images, then `TrustModel.fit(base=...)` on a few labels of
the other half; the rest of that half is judged, and the halves change places. Coverage is the most
that one threshold covers at that accuracy on the judged rows, over all draws of answers and labels;
the brackets are 95 % intervals by image (of these draws, not over others). `ceiling` bounds every
rule that only accepts or abstains. AUROC and ECE are of each way's confidence that its own answer
is right.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.evaluation.crossvalidation import out_of_fold
from spatialtrust.evaluation.figures import TARGETS, Estimator, interval
from spatialtrust.evaluation.ways import Exam, Way, ways
from spatialtrust.evidence.columns import Features
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.claim_files import read_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Key = tuple[str, str, int, str]

ACCURACY = 0.54
YES = 0.85
LOGIT_SHIFT = 0.36  # of right answers' confidence, in its own spread: AUROC 0.60
ALONE, VERIFIER = "VLM confidence", "verifier alone"
TRUSTING = ("trust model", "trust model, may correct")
WORDS = {
    ALONE: "answerer alone",
    TRUSTING[0]: "accept or abstain",
    TRUSTING[1]: "accept or correct",
    VERIFIER: "verifier alone",
}
"""The ways of `evaluation/ways.py` that are compared, in this order."""


class Half(NamedTuple):
    """Rows (N,) to label and judge, and a box model that saw none of their images."""

    rows: Rows
    base: TrustModel


@dataclass(frozen=True)
class Statements:
    """Labelled claims with boxes.

    Attributes
    ----------
    features: (N,) without answers.
    label: int8 (N,).
    image: int64 (N,).
    halves: two, that share no image.
    log_odds: (N,) of the claim by the base of its half; 0 where a box is unknown.
    """

    features: Features
    label: NDArray[np.int8]
    image: Rows
    halves: tuple[Half, ...]
    log_odds: NDArray[np.float64]

    @classmethod
    def read(cls, path: str, seed: int) -> Statements:
        """Read a file and fit a box model on each half of its images."""
        file = read_claims(path)
        label = file.claims.numbers("label")
        known = np.flatnonzero(np.isfinite(label))
        label = label[known].astype(np.int8)
        features = collect(file.claims, file.grounding).select(known)
        image = np.unique(np.array(file.claims.strings("image_id"))[known], return_inverse=True)[1]
        halves = []

        def score(fitting: Rows, rows: Rows) -> NDArray[np.float32]:
            base = TrustModel.fit(
                features.select(fitting),
                label[fitting],
                image[fitting],
                calibrated_on="the other half",
                seed=seed,
            )
            halves.append(Half(rows, base))
            return base.predict(features.select(rows)).p_boxes

        p_boxes = out_of_fold(score, image, folds=2, seed=seed)
        log_odds = np.nan_to_num(logit(p_boxes.astype(np.float64)))
        return cls(features, label, image, tuple(halves), log_odds)

    @property
    def towards_truth(self) -> NDArray[np.float64]:
        """(N,) log-odds of what is true: how easy a claim is for boxes."""
        return np.where(self.label == 1, self.log_odds, -self.log_odds)

    def answered(self, right: NDArray[np.bool_], p_right: NDArray[np.float64]) -> Features:
        """The claims as an answerer leaves them, right here and there, and this sure of it."""
        answer = np.where(right, self.label, 1 - self.label).astype(np.int8)
        features = replace(self.features, values=self.features.values.copy(), answer=answer)
        features.column("p_yes")[:] = np.where(answer == 1, p_right, 1 - p_right)
        return features


def chances(statements: Statements) -> dict[str, NDArray[np.float64]]:
    """Chance (N,) that each simulated answerer is right about a claim."""
    true = statements.label == 1
    # accuracy = P(true) P(yes|true) + P(false) P(no|false), and likewise the share of yes.
    yes_if_false = (1 + (YES - ACCURACY) / (1 - true.mean())) / 2
    yes_if_true = (YES - (1 - true.mean()) * yes_if_false) / true.mean()
    return {
        "independent": np.full(len(true), ACCURACY),
        "worse where boxes are unsure": _on_average(np.abs(statements.log_odds)),
        "worse where boxes are unsure or wrong": _on_average(statements.towards_truth),
        "yes-biased": np.clip(np.where(true, yes_if_true, 1 - yes_if_false), 0, 1),
    }


def _on_average(ease: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances whose log-odds rise by 1 with ease, ``ACCURACY`` in the mean."""
    constant = brentq(lambda shift: float(expit(shift + ease).mean()) - ACCURACY, -50, 50)
    chance: NDArray[np.float64] = expit(constant + ease)
    return chance


def always_sure(right: NDArray[np.bool_], _: np.random.Generator) -> NDArray[np.float64]:
    """No doubt, right or wrong."""
    return np.ones(len(right))


def a_little_informed(
    right: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Confidences above a half, a little higher where right."""
    normal = generator.standard_normal(len(right)) + LOGIT_SHIFT * right
    confidence: NDArray[np.float64] = expit(np.exp(normal))
    return confidence


CONFIDENCES: dict[str, Callable[..., NDArray[np.float64]]] = {
    "always sure": always_sure,
    "a little informed": a_little_informed,
}


def deal(
    half: Half, image: Rows, labels: Sequence[int], generator: np.random.Generator
) -> tuple[list[Rows], Rows]:
    """Rows to fit on for each number of labels, each within the next; rows to judge.

    Whole images, drawn at random, until there are as many rows.
    """
    most = max(labels)
    if len(half.rows) < 1.5 * most:
        raise InputError(
            f"half the images have {len(half.rows)} labelled claims, too few to fit on {most} and "
            "judge the rest; give more statements or smaller --labels"
        )
    rank = generator.permutation(image.max() + 1)[image[half.rows]]
    order = np.argsort(rank, kind="stable")
    rank, rows = rank[order], half.rows[order]
    ends = [int(np.searchsorted(rank, rank[number - 1], side="right")) for number in labels]
    return [rows[:end] for end in ends], rows[max(ends) :]


class Judged(NamedTuple):
    """What (N,) judged rows got from each way, and the answerer's own confidence."""

    ways: dict[str, Way]
    label: NDArray[np.int8]
    image: Rows

    @classmethod
    def together(cls, parts: Sequence[Judged]) -> Judged:
        joined = {
            name: Way(*map(np.concatenate, zip(*(part.ways[name] for part in parts), strict=True)))
            for name in parts[0].ways
        }
        return cls(joined, *(np.concatenate([part[n] for part in parts]) for n in (1, 2)))


def judge(statements: Statements, features: Features, half: Half, fitting: Rows, rows: Rows,
          seed: int) -> Judged:  # fmt: skip
    """Fit on some rows of a half, and judge others."""
    label, image = statements.label, statements.image
    model = TrustModel.fit(
        features.select(fitting),
        label[fitting],
        image[fitting],
        calibrated_on="labels of this half",
        base=half.base,
        seed=seed,
    )
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    exam = Exam(features.select(rows), unknown, label[rows], image[rows])
    fused = model.predict(exam.features)
    found = ways(exam, fused.p_true, fused.p_boxes, unknown)
    return Judged({name: found[name] for name in WORDS}, exam.label, exam.image)


def figures(judged: Judged, name: str, resamples: int) -> dict[str, Any]:
    """Coverages with their ceiling, AUROC and ECE of one way."""
    way = judged.ways[name]
    confidence, right = way.ranked(judged.label)
    known = np.isfinite(confidence)
    estimate = Estimator(confidence, right, judged.image, resamples, 0)
    sure = Estimator(confidence[known], right[known], judged.image[known], resamples, 0)
    return {
        "accuracy": float(right.mean()),
        "yes": float(way.answer.mean()),
        "coverage": estimate.coverages(),
        "auroc": estimate(metrics.auroc),
        "ece": sure(metrics.ece),
    }


def simulate(
    statements: Statements,
    chance: NDArray[np.float64],
    confidence: Callable[..., NDArray[np.float64]],
    labels: Sequence[int],
    draws: int,
    seed: int,
) -> dict[int, Judged]:
    """What is judged of one answerer, by number of labels; the same rows for all of them."""
    parts: dict[int, list[Judged]] = {number: [] for number in labels}
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        dealt = [deal(half, statements.image, labels, generator) for half in statements.halves]
        right = generator.random(len(chance)) < chance
        features = statements.answered(right, confidence(right, generator))
        for half, (fittings, rows) in zip(statements.halves, dealt, strict=True):
            for number, fitting in zip(labels, fittings, strict=True):
                parts[number].append(judge(statements, features, half, fitting, rows, seed))
    return {number: Judged.together(those) for number, those in parts.items()}


def main(argv: Sequence[str] | None = None) -> dict[Key, dict[str, Any]]:
    """Print the tables; figures by answerer, confidence, number of labels (0: none) and way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("statements")
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 500, 1000])
    parser.add_argument("--draws", type=int, default=3, help="of answers and labels, each half")
    parser.add_argument("--resamples", type=int, default=200, help="0: no intervals")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    statements = Statements.read(given.statements, given.seed)
    print(f"{len(statements.label)} labelled statements on {statements.image.max() + 1} images, "
          f"{statements.label.mean():.1%} true; {given.draws} draws on each half")  # fmt: skip
    found: dict[Key, dict[str, Any]] = {}
    verifier: dict[int, dict[str, Any]] = {}  # hears nobody, so it is the same beside all of them
    for answerer, chance in chances(statements).items():
        for kind, confidence in CONFIDENCES.items():
            judged = simulate(statements, chance, confidence, given.labels, given.draws, given.seed)
            blocks = {(0, ALONE): figures(judged[given.labels[0]], ALONE, given.resamples)}
            for number, those in judged.items():
                if number not in verifier:
                    verifier[number] = figures(those, VERIFIER, given.resamples)
                for name in TRUSTING:
                    blocks[number, name] = figures(those, name, given.resamples)
                blocks[number, VERIFIER] = verifier[number]
            found |= {(answerer, kind, *key): block for key, block in blocks.items()}
            _print(f"{answerer}, {kind}", statements, chance, blocks)
    return found


def _print(
    title: str,
    statements: Statements,
    chance: NDArray[np.float64],
    blocks: dict[tuple[int, str], dict[str, Any]],
) -> None:
    alone = blocks[0, ALONE]
    fifth = len(chance) // 5
    by_ease = chance[np.argsort(statements.towards_truth, kind="stable")]
    print(f"\n== {title}: right {alone['accuracy']:.3f}, says yes {alone['yes']:.2f}; right where "
          f"boxes are hardest {by_ease[:fifth].mean():.2f}, easiest {by_ease[-fifth:].mean():.2f} "
          "(fifths)")  # fmt: skip
    heads = "".join(f"{f'covered at {target:.0%}':<22}" for target in TARGETS)
    print(f"{'labels':<8}{'':<20}{heads}{'AUROC':<22}ECE")
    ceiling = "".join(f"{of['ceiling']:<22.3f}" for of in alone["coverage"].values())
    print(f"{'':<8}{'ceiling, accepting':<20}{ceiling.rstrip()}")
    for (number, name), block in blocks.items():
        cells = [*block["coverage"].values(), block["auroc"], block["ece"]]
        text = "".join(f"{interval(cell):<22}" for cell in cells)
        print(f"{number or '':<8}{WORDS[name]:<20}{text.rstrip()}", flush=True)


if __name__ == "__main__":
    main()
