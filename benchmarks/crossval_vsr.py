"""How well boxes judge VSR statements: cross-validated by image, beside simpler rules.

    python -m benchmarks.crossval_vsr statements.jsonl.gz

The file has the columns of `spatialtrust verify`, with `label`. Everything a line is made with
(regressions, trees, when to stop, calibrator) is fitted inside the folds. The base method's signals
without a VLM or detector scores are alignment and separation alone: given boxes have no score.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust import metrics
from spatialtrust.evaluation.crossvalidation import cross_validate, out_of_fold
from spatialtrust.evidence.box_noise import DETECTED, LEARNT_SEED, disturb
from spatialtrust.evidence.columns import Features
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.base_method import BASE_SIGNALS, base_signals
from spatialtrust.io.claim_files import read_claims
from spatialtrust.relations import DIRECTIONAL, FAMILIES, NAMES, RELATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

TREES = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.06, "min_child_weight": 5}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("statements")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    file = read_claims(given.statements)
    features = collect(file.claims, file.grounding)
    disturbed = collect(file.claims, disturb(file.grounding, DETECTED, LEARNT_SEED))
    label = file.claims.numbers("label").astype(int)
    image = np.unique(file.claims.strings("image_id"), return_inverse=True)[1]
    relation = np.array(NAMES)[features.relation]
    directional = np.isin(relation, DIRECTIONAL)
    signals = base_signals(features, np.ones(len(label), dtype=np.int8))
    folds = partial(out_of_fold, groups=image, folds=given.folds)

    def fitted(make: Any) -> Column:
        return folds(lambda fit, rows: make(signals[fit], label[fit], signals[rows]))

    scores = {
        "centre rule (alignment > 0)": (signals[:, 0] > 0).astype(float),
        "alignment alone": np.nan_to_num(signals[:, 0]),
        "logistic regression, 4 signals": fitted(_logistic),
        "base method": fitted(_boosted),
        "this package": cross_validate(
            features, label, image, disturbed=disturbed, folds=given.folds
        ),
    }
    interval = partial(_interval, image=image, resamples=given.resamples)
    print(f"{len(label)} statements on {image.max() + 1} images, {given.folds} folds by image\n")
    print(f"{'AUROC [95 % by image]':<32}{'left/right/above/below':<26}all relations")
    for name, score in scores.items():
        both = "".join(
            f"{interval(metrics.auroc, score, label, rows=rows):<26}"
            for rows in (directional, np.ones(len(label), dtype=bool))
        )
        print(f"{name:<32}{both}")
    ours = scores["this package"]
    print("\nthis package by family")
    family = np.array([RELATIONS[name].family for name in relation])
    for name in FAMILIES:
        rows = family == name
        area = interval(metrics.auroc, ours, label, rows=rows)
        error = interval(metrics.ece, ours, label, rows=rows)
        bias = interval(_bias, ours, label, rows=rows)
        print(f"  {name:<14}{rows.sum():>5}  AUROC {area}  ECE {error}  bias {bias}")
    print(f"\nECE over all relations {interval(metrics.ece, ours, label)}, "
          f"{metrics.ece_floor(ours):.3f} to expect if perfectly calibrated")  # fmt: skip
    print("\nbest threshold by F1, of claims called true")
    for name, rows in (("left/right/above/below", directional), ("all", label >= 0)):
        print(f"  {name:<24}{_best_f1(ours[rows], label[rows])}")
    print("\ngain importances of the base method (no VLM, no detector scores in this data)")
    for name, share in _importances(features, signals, label).items():
        print(f"  {name:<20}{share:.1%}")


def _bias(p_true: Column, true: NDArray[np.bool_]) -> float:
    """How much too sure."""
    return float(p_true.mean() - true.mean())


def _logistic(fit: Column, label: NDArray[Any], rows: Column) -> Column:
    from sklearn.linear_model import LogisticRegression

    known = np.nan_to_num
    model = LogisticRegression(max_iter=1000).fit(known(fit), label)
    return np.asarray(model.predict_proba(known(rows))[:, 1])


def _boosted(fit: Column, label: NDArray[Any], rows: Column) -> Column:
    return np.asarray(_trees().fit(fit, label).predict_proba(rows)[:, 1])


def _trees() -> Any:
    import xgboost

    return xgboost.XGBClassifier(**TREES, tree_method="hist", importance_type="gain")


def _importances(features: Features, signals: Column, label: NDArray[Any]) -> dict[str, float]:
    gains = _trees().fit(signals, label).feature_importances_
    return dict(zip(BASE_SIGNALS, map(float, gains), strict=True))


def _interval(
    metric: Any,
    score: Column,
    label: NDArray[Any],
    *,
    image: NDArray[Any],
    resamples: int,
    rows: NDArray[Any] | None = None,
) -> str:
    chosen = np.ones(len(label), dtype=bool) if rows is None else rows
    found = metrics.bootstrap(
        metric, score[chosen], label[chosen] == 1, groups=image[chosen], n=resamples
    )
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _best_f1(score: Column, label: NDArray[Any]) -> str:
    from sklearn.metrics import precision_recall_curve

    precision, recall, threshold = precision_recall_curve(label, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    return (
        f"threshold {threshold[best]:.2f}: precision {precision[best]:.3f}, "
        f"recall {recall[best]:.3f}, F1 {f1[best]:.3f}"
    )


if __name__ == "__main__":
    main()
