"""Our metrics, and every published convention rebuilt beside them, against reference numbers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import conventions
from spatialtrust.metrics import (
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    average_precision,
    brier,
    brier_multiclass,
    coverage_at_accuracy,
    eaurc,
    ece,
    fpr_at_tpr,
    log_loss,
    published,
    reliability,
    risk_coverage_curve,
)

SETS = [
    "mcm",
    "rand",
    "ties8",
    "bf16",
    "const",
    "allcorrect",
    "allwrong",
    "perfect",
    "inverted",
    "topwrong",
    "n3",
    "n2",
]
UNTIED = [name for name in SETS if name not in ("ties8", "bf16", "const")]
BOTH_CLASSES = [name for name in SETS if name not in ("allcorrect", "allwrong")]
LOOSE = {"rtol": 1e-6, "atol": 1e-7}  # references that pass through float32
TIGHT = {"rtol": 1e-9, "atol": 1e-12}
# The order in which TrustVLM's released code returns its metrics.
TRUSTVLM_METRICS = (
    "aurc", "eaurc", "auroc", "aupr_success", "aupr_err", "fpr95_argmin", "tnr95_first_ge"
)  # fmt: skip


@pytest.fixture(scope="module")
def ranking(golden):
    with np.load(golden / "g06_metrics.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def calibration(golden):
    with np.load(golden / "g07_calibration.npz", allow_pickle=False) as stored:
        return dict(stored)


def rows(ranking, name):
    return ranking[f"{name}__conf"], ranking[f"{name}__correct"]


def analytic_optimum(error: float) -> float:
    return error + (1 - error) * np.log(1 - error) if error < 1 else 1.0


@pytest.mark.parametrize("name", SETS)
def test_auroc_is_everyones(ranking, name) -> None:
    for key, scale in (("sk_auroc", 1), ("vilu_auroc", 1), ("fd_failauc", 1)):
        expected = ranking[f"{name}__{key}"] / scale
        np.testing.assert_allclose(auroc(*rows(ranking, name)), expected, **TIGHT)


@pytest.mark.parametrize("name", UNTIED)
def test_aurc_without_ties_is_the_mean_of_cumulative_risks(ranking, name) -> None:
    np.testing.assert_allclose(aurc(*rows(ranking, name)), ranking[f"{name}__trust_aurc"], **TIGHT)


def test_aurc_with_ties_lies_among_the_values_of_arrival_order(ranking) -> None:
    by_order = ranking["ties8perm_trust_aurc"]
    confidence, correct = rows(ranking, "ties8")
    ours = {aurc(confidence[order], correct[order]) for order in ranking["ties8perm_perms"]}
    assert len(ours) == 1
    (value,) = ours
    assert by_order.min() < value < by_order.max()
    standard_error = by_order.std(ddof=1) / np.sqrt(by_order.size)
    assert abs(value - by_order.mean()) < 3 * standard_error


@pytest.mark.parametrize("name", [n for n in UNTIED if n != "allwrong"])
def test_eaurc_differs_from_the_analytic_one_by_the_optimum_only(ranking, name) -> None:
    confidence, correct = rows(ranking, name)
    error = 1 - correct.mean()
    discrete = aurc(confidence, correct) - eaurc(confidence, correct)
    np.testing.assert_allclose(
        eaurc(confidence, correct) + discrete - analytic_optimum(error),
        ranking[f"{name}__trust_eaurc"],
        **TIGHT,
    )


@pytest.mark.parametrize("name", SETS)
def test_trapezoids_over_thresholds(ranking, name) -> None:
    confidence, correct = rows(ranking, name)
    area = conventions.aurc_fd_shifts(confidence, correct)
    np.testing.assert_allclose(area, ranking[f"{name}__fd_aurc"] / 1000, **TIGHT)
    excess = area - analytic_optimum(1 - correct.mean())
    np.testing.assert_allclose(excess, ranking[f"{name}__fd_e-aurc"] / 1000, **TIGHT)
    if name != "const":  # the reference raises on a constant score
        np.testing.assert_allclose(
            conventions.aurc_relu(confidence, correct),
            ranking[f"{name}__relu_aurc_unique_thr_trapz"],
            **TIGHT,
        )


@pytest.mark.parametrize("name", SETS)
def test_curve_has_the_points_of_fd_shifts(ranking, name) -> None:
    curve = risk_coverage_curve(*rows(ranking, name))
    for ours, key in (
        (np.append(curve.coverage[::-1], 0), "coverages"),
        (np.append(curve.risk[::-1], curve.risk[0]), "risks"),
    ):
        np.testing.assert_allclose(ours, ranking[f"{name}__fd_rc_{key}"], **TIGHT)


@pytest.mark.parametrize("name", SETS)
def test_arrival_order_decides_where_ties_are_split(ranking, name) -> None:
    np.testing.assert_allclose(
        conventions.aurc_trustvlm(*rows(ranking, name)), ranking[f"{name}__trust_aurc"], **TIGHT
    )


def test_arrival_order_is_reproduced_over_twenty_orders(ranking) -> None:
    confidence, correct = rows(ranking, "ties8")
    theirs = [
        conventions.aurc_trustvlm(confidence[order], correct[order])
        for order in ranking["ties8perm_perms"]
    ]
    np.testing.assert_allclose(theirs, ranking["ties8perm_trust_aurc"], **TIGHT)


@pytest.mark.parametrize("name", UNTIED)
@pytest.mark.parametrize("version", ["tu13", "tu8"])
def test_trapezoids_of_torch_uncertainty(ranking, name, version) -> None:
    confidence, correct = rows(ranking, name)
    np.testing.assert_allclose(
        conventions.aurc_torch_uncertainty(confidence, correct),
        ranking[f"{name}__{version}_aurc"],
        **LOOSE,
    )
    curve = risk_coverage_curve(confidence, correct)
    area = np.trapezoid(curve.risk * curve.coverage, curve.coverage)
    np.testing.assert_allclose(
        area / (1 - 1 / correct.size), ranking[f"{name}__{version}_augrc"], **LOOSE
    )


@pytest.mark.parametrize("name", SETS)
def test_augrc_is_fd_shifts(ranking, name) -> None:
    confidence, correct = rows(ranking, name)
    ours = augrc(confidence, correct)
    np.testing.assert_allclose(ours, ranking[f"{name}__fd_augrc"] / 1000, **TIGHT)
    optimum = (1 - correct.mean()) ** 2 / 2
    np.testing.assert_allclose(ours - optimum, ranking[f"{name}__fd_e-augrc"] / 1000, **TIGHT)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("positive", ["Correct", "Error"])
def test_fpr_is_the_tie_aware_first_threshold(ranking, name, positive) -> None:
    np.testing.assert_allclose(
        fpr_at_tpr(*rows(ranking, name), positive=positive.lower()),
        ranking[f"{name}__tu13_fpr95_pos{positive}"],
        **LOOSE,
    )


@pytest.mark.parametrize("name", BOTH_CLASSES)
def test_fpr_of_other_codes_by_their_own_rules(ranking, name) -> None:
    confidence, correct = rows(ranking, name)
    strict = fpr_at_tpr(confidence, correct)
    np.testing.assert_allclose(1 - strict, ranking[f"{name}__trust_tnr95_first_ge"], **TIGHT)
    np.testing.assert_allclose(
        fpr_at_tpr(confidence, correct, tpr=0.9495), ranking[f"{name}__fd_fpr@95tpr"], **TIGHT
    )
    np.testing.assert_allclose(
        fpr_at_tpr(confidence, correct, positive="error"),
        ranking[f"{name}__relu_fpr95_first_ge_posError"],
        **TIGHT,
    )
    for rule, key in (
        (conventions.fpr95_vilu, "vilu_fpr95_interp_posCorrect"),
        (conventions.fpr95_trustvlm, "trust_fpr95_argmin_posCorrect"),
    ):
        np.testing.assert_allclose(rule(confidence, correct), ranking[f"{name}__{key}"], **TIGHT)


@pytest.mark.parametrize("name", UNTIED)
@pytest.mark.parametrize("risk", [0.05, 0.20])
def test_coverage_at_a_risk_is_torch_uncertainty_of_0_13(ranking, name, risk) -> None:
    ours = coverage_at_accuracy(*rows(ranking, name), accuracy=1 - risk)
    expected = ranking[f"{name}__tu13_cov{100 * risk:.0f}risk"]
    # It has NaN where no threshold reaches the risk; for us nothing accepted is coverage 0.
    np.testing.assert_allclose(ours, np.nan_to_num(expected), **LOOSE)


@pytest.mark.parametrize("name", UNTIED)
def test_risk_at_coverage_is_torch_uncertainty(ranking, name) -> None:
    np.testing.assert_allclose(
        1 - accuracy_at_coverage(*rows(ranking, name), coverage=0.8),
        ranking[f"{name}__tu13_risk80cov"],
        **LOOSE,
    )


CALIBRATION = ["base", "ts45", "cal3", "edges", "saturated"]


def top(calibration, name):
    probs = calibration[f"{name}__probs"].astype(np.float64)
    return probs.max(axis=1), probs.argmax(axis=1) == calibration[f"{name}__labels"]


@pytest.mark.parametrize("name", CALIBRATION)
@pytest.mark.parametrize("bins", [10, 15, 20])
def test_ece_by_every_binning(calibration, name, bins) -> None:
    confidence, correct = top(calibration, name)
    np.testing.assert_allclose(
        conventions.ece_right_closed(confidence, correct, bins),
        calibration[f"{name}__relu_ece_right_closed_{bins}"],
        **LOOSE,
    )
    if name == "edges":
        return  # bin edges differ there between codes: the next test
    np.testing.assert_allclose(
        ece(confidence, correct, bins), calibration[f"{name}__fd_ece_{bins}"], **LOOSE
    )
    table = reliability(confidence, correct, bins)
    gap = np.abs(table.confidence - table.accuracy)
    np.testing.assert_allclose(np.nanmax(gap), calibration[f"{name}__fd_mce_{bins}"], **LOOSE)


@pytest.mark.parametrize("name", CALIBRATION)
@pytest.mark.parametrize("bins", [10, 15, 20])
def test_ece_of_torchmetrics_puts_certainty_in_a_bin_of_its_own(calibration, name, bins) -> None:
    np.testing.assert_allclose(
        conventions.ece_torchmetrics(*top(calibration, name), bins),
        calibration[f"{name}__torchmetrics_l1_{bins}"],
        **LOOSE,
    )


@pytest.mark.parametrize("name", CALIBRATION)
def test_brier_of_the_top_answer(calibration, name) -> None:
    ours = brier(*top(calibration, name))
    np.testing.assert_allclose(ours, calibration[f"{name}__tu13_brier_topclass"], **LOOSE)
    np.testing.assert_allclose(ours, calibration[f"{name}__sk_brier_binary_correctness"], **LOOSE)


# What each code printed, by the name it has in `published`.
KEYS = {
    "vilu": {
        "auroc": ("vilu_auroc", 1),
        "fpr95": ("vilu_fpr95_interp_posCorrect", 1),
        "aupr_error": ("sk_ap_error", 1),
    },
    "trustvlm": {
        "aurc": ("trust_aurc", 1),
        "eaurc": ("trust_eaurc", 1),
        "fpr95": ("trust_fpr95_argmin_posCorrect", 1),
        "aupr_error": ("sk_ap_error", 1),
    },
    "fd-shifts": {
        "auroc": ("fd_failauc", 1),
        "aurc": ("fd_aurc", 1000),
        "eaurc": ("fd_e-aurc", 1000),
        "augrc": ("fd_augrc", 1000),
        "fpr95": ("fd_fpr@95tpr", 1),
    },
    "torch-uncertainty": {
        "aurc": ("tu13_aurc", 1),
        "augrc": ("tu13_augrc", 1),
        "fpr95": ("tu13_fpr95_posCorrect", 1),
    },
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("convention", KEYS)
def test_a_convention_prints_what_its_code_printed(ranking, name, convention) -> None:
    found = published(*rows(ranking, name), convention)
    for metric, (key, scale) in KEYS[convention].items():
        if convention == "torch-uncertainty" and "rc" in metric and name not in UNTIED:
            continue  # an unstable sort: its value is that of one unknown order
        expected = ranking[f"{name}__{key}"] / scale
        tolerance = LOOSE if convention == "torch-uncertainty" else TIGHT
        np.testing.assert_allclose(found[metric], expected, **tolerance, err_msg=f"{metric} {name}")


def test_the_trustvlm_convention_prints_its_whole_line(golden) -> None:
    with np.load(golden / "g04_trustvlm_repo.npz", allow_pickle=False) as stored:
        for run in ("v1_w1.0_T1.0", "v1_w0.1_T1.0", "v2_w1.0_T0.01", "v2_w0.1_T0.1"):
            found = published(stored[f"score_{run}"], stored[f"correct_{run}"], "trustvlm")
            line = dict(zip(TRUSTVLM_METRICS, stored[f"metrics_{run}"], strict=True))
            for ours, theirs in (
                ("aurc", "aurc"), ("eaurc", "eaurc"), ("auroc", "auroc"),
                ("aupr_correct", "aupr_success"), ("aupr_error", "aupr_err"),
                ("fpr95", "fpr95_argmin"),
            ):  # fmt: skip
                np.testing.assert_allclose(found[ours], line[theirs], **TIGHT, err_msg=ours)


@pytest.mark.parametrize("name", BOTH_CLASSES)
def test_average_precision_is_scikit_learns(ranking, name) -> None:
    for positive, key in (("correct", "sk_ap_success"), ("error", "sk_ap_error")):
        found = average_precision(*rows(ranking, name), positive=positive)
        np.testing.assert_allclose(found, ranking[f"{name}__{key}"], **TIGHT)


@pytest.mark.parametrize("name", ["base", "ts45", "cal3", "saturated"])
def test_log_loss_and_brier_over_all_classes(calibration, name) -> None:
    probs = calibration[f"{name}__probs"].astype(np.float64)
    labels = calibration[f"{name}__labels"]
    np.testing.assert_allclose(
        brier_multiclass(probs, labels),
        calibration[f"{name}__tu13_brier_sum_over_classes"],
        **LOOSE,
    )
    if f"{name}__nll" in calibration and name != "saturated":
        np.testing.assert_allclose(log_loss(probs, labels), calibration[f"{name}__nll"], **LOOSE)
