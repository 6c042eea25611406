"""Published conventions by name, average precision, and metrics of whole distributions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.metrics.bootstrap import interval, resample_means
from spatialtrust.metrics.conventions import CONVENTIONS

RNG = np.random.default_rng(3)
CONFIDENCE = RNG.random(200)
CORRECT = RNG.random(200) < CONFIDENCE


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_convention_is_the_same_by_keyword_and_in_the_table(convention: str) -> None:
    table = metrics.published(CONFIDENCE, CORRECT, convention)
    by_keyword = {
        "auroc": metrics.auroc,
        "aurc": metrics.aurc,
        "eaurc": metrics.eaurc,
        "augrc": metrics.augrc,
        "fpr95": metrics.fpr_at_tpr,
        "ece": metrics.ece,
        "aupr_error": partial(metrics.average_precision, positive="error"),
        "aupr_correct": metrics.average_precision,
    }
    assert set(table) <= set(by_keyword)
    for name, metric in by_keyword.items():
        if name in table:
            assert metric(CONFIDENCE, CORRECT, convention=convention) == table[name]
        else:
            with pytest.raises(InputError, match=f"has no {name} of its own; it has"):
                metric(CONFIDENCE, CORRECT, convention=convention)
    assert table["auroc"] == pytest.approx(metrics.auroc(CONFIDENCE, CORRECT))


def test_conventions_are_never_the_default_and_unknown_ones_are_named() -> None:
    rounded = np.round(CONFIDENCE * 4) / 4
    orders = [np.arange(200), np.arange(200)[::-1]]
    assert len({metrics.aurc(rounded[o], CORRECT[o]) for o in orders}) == 1
    assert len({metrics.aurc(rounded[o], CORRECT[o], convention="trustvlm") for o in orders}) == 2
    with pytest.raises(InputError, match=r'did you mean "trustvlm"\? valid: vilu, trustvlm'):
        metrics.published(CONFIDENCE, CORRECT, "trustvml")
    with pytest.raises(InputError, match="a convention fixes tpr"):
        metrics.fpr_at_tpr(CONFIDENCE, CORRECT, 0.9, convention="vilu")
    assert np.isnan(list(metrics.published([], [], "fd-shifts").values())).all()


def test_an_interval_in_a_convention_resamples_rows() -> None:
    metric = partial(metrics.aurc, convention="fd-shifts")
    found = metrics.bootstrap(metric, CONFIDENCE, CORRECT, n=20)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("levels", [0, 8])
@pytest.mark.parametrize("positive", ["correct", "error"])
def test_average_precision_is_scikit_learns_and_keeps_ties_whole(
    levels: int, positive: str
) -> None:
    from sklearn.metrics import average_precision_score

    confidence = np.round(CONFIDENCE * levels) / levels if levels else CONFIDENCE
    found = metrics.average_precision(confidence, CORRECT, positive=positive)
    if positive == "correct":
        expected = average_precision_score(CORRECT, confidence)
    else:
        expected = average_precision_score(~CORRECT, -confidence)
    assert found == pytest.approx(expected, rel=1e-12)
    order = RNG.permutation(200)
    again = metrics.average_precision(confidence[order], CORRECT[order], positive=positive)
    assert again == found
    counted = metrics.bootstrap(
        partial(metrics.average_precision, positive=positive), confidence, CORRECT, n=30
    )
    copied = metrics.bootstrap(
        lambda c, y: metrics.average_precision(c, y, positive), confidence, CORRECT, n=30
    )
    assert counted.low == pytest.approx(copied.low)


def test_average_precision_without_positives_is_nan_and_names_what_is_valid() -> None:
    assert np.isnan(metrics.average_precision([0.5, 0.1], [0, 0]))
    assert np.isnan(metrics.average_precision([0.5, 0.1], [1, 1], "error"))
    with pytest.raises(InputError, match='valid: "correct", "error"'):
        metrics.average_precision([0.5], [1], "wrong")


def test_losses_of_distributions_are_scikit_learns() -> None:
    from sklearn.metrics import log_loss

    p = RNG.dirichlet(np.ones(5), 50)
    y = RNG.integers(0, 5, 50)
    assert metrics.log_loss(p, y) == pytest.approx(log_loss(y, p, labels=range(5)))
    expected = np.square(p - np.eye(5)[y]).sum(axis=1).mean()
    assert metrics.brier_multiclass(p, y) == pytest.approx(expected)
    assert np.isnan(metrics.log_loss(np.empty((0, 2)), np.empty(0, int)))


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, 0.5], [0.7, 0.7]], [0, 1], "row 1 is no distribution"),
        ([[0.5, 0.5], [np.nan, 1.0]], [0, 1], "row 1 is no distribution"),
        ([[0.5, 0.5]], [2], "row 0 is 2; with 2 classes valid labels are 0 to 1"),
        ([[0.5, 0.5]], [0, 1], "one class index for each of the 1 rows"),
        ([[0.5, 0.5]], [0.5], "dtype float64"),
        ([0.5, 0.5], [0], "have shape"),
    ],
)
def test_what_is_no_distribution_is_refused_by_row(
    probabilities: list[list[float]], labels: list[int], message: str
) -> None:
    for metric in (metrics.log_loss, metrics.brier_multiclass):
        with pytest.raises(InputError, match=message):
            metric(probabilities, labels)


def test_scores_resampled_together_are_what_they_are_alone_and_can_be_subtracted() -> None:
    image = RNG.integers(0, 60, 200)
    other = np.round(CONFIDENCE * 5) / 5 + 0.1 * RNG.random(200).round(1)
    names = [metrics.auroc, metrics.aurc, partial(metrics.fpr_at_tpr, positive="error")]
    scores = [(CONFIDENCE, CORRECT), (other, CORRECT)]
    found = metrics.resample(names, scores, groups=image, n=30, seed=4)
    for place, metric in enumerate(names):
        alone = metrics.bootstrap(metric, CONFIDENCE, CORRECT, groups=image, n=30, seed=4)
        together = interval(found[0][place], groups=alone.groups)
        assert together == alone
        paired = metrics.bootstrap(
            metric, CONFIDENCE, CORRECT, groups=image, baseline=scores[1], n=30, seed=4
        )
        assert interval(found[0][place], found[1][place], groups=alone.groups) == paired


def test_means_are_resampled_on_the_same_draws() -> None:
    image = RNG.integers(0, 60, 200)
    squared = np.square(CONFIDENCE - CORRECT)
    (mean,) = resample_means([squared], groups=image, n=25, seed=9)
    ((brier,),) = metrics.resample(
        [metrics.brier], [(CONFIDENCE, CORRECT)], groups=image, n=25, seed=9
    )
    np.testing.assert_allclose(mean.draws, brier.draws)
    assert mean.value == pytest.approx(brier.value)
