"""Figures are of what was asserted, what goes out, and the boxes alone, each by its own labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.evaluation.figures import evaluate
from spatialtrust.tables import Verdicts


def _verdicts(rows: int = 400, **columns: Any) -> Verdicts:
    rng = np.random.default_rng(0)
    p_true = rng.random(rows)
    given: dict[str, Any] = {
        "claim_id": [f"{row:05d}" for row in range(rows)],
        "image_id": [str(row // 2) for row in range(rows)],
        "relation": ["left of", "near"] * (rows // 2),
        "asserted": ["yes"] * rows,
        "emitted": ["yes" if p > 0.8 else "no" if p < 0.2 else None for p in p_true],
        "p_true": p_true,
        "p_boxes": p_true,
        "label": (rng.random(rows) < p_true).astype(int),
    }
    return Verdicts.from_columns({**given, **columns})


def test_figures_equal_the_metrics_they_name() -> None:
    verdicts = _verdicts()
    found = evaluate(verdicts, resamples=0)
    p_true, label = verdicts.numbers("p_true"), verdicts.numbers("label") == 1
    assert found["asserted"]["auroc"]["value"] == pytest.approx(metrics.auroc(p_true, label))
    assert found["asserted"]["ece"]["value"] == pytest.approx(metrics.ece(p_true, label))
    alone = found["verifier_alone"]["aurc"]["value"]
    expected = metrics.aurc(np.maximum(p_true, 1 - p_true), (p_true >= 0.5) == label)
    assert alone == pytest.approx(expected)
    out = (p_true > 0.8) | (p_true < 0.2)
    assert found["emitted"]["coverage"] == pytest.approx(out.mean())
    assert found["emitted"]["accuracy"]["value"] == pytest.approx(
        ((p_true > 0.5) == label)[out].mean()
    )
    assert sum(row["rows"] for row in found["reliability"]) == 400


def test_a_no_is_judged_by_the_probability_of_no() -> None:
    yes = _verdicts()
    no = yes.with_columns({"asserted": ["no"] * 400})
    first = evaluate(yes, resamples=0)["asserted"]
    second = evaluate(no, resamples=0)["asserted"]
    assert second["accuracy"]["value"] == pytest.approx(1 - first["accuracy"]["value"])
    assert second["auroc"]["value"] == pytest.approx(first["auroc"]["value"])


def test_rows_without_label_answer_or_probability_are_counted_apart() -> None:
    verdicts = _verdicts()
    p_true = verdicts.numbers("p_true").copy()
    p_true[:10] = np.nan
    label = [None if row < 5 else 1 for row in range(400)]
    found = evaluate(verdicts.with_columns({"p_true": p_true, "label": label}), resamples=0)
    assert found["labelled"] == 395
    assert found["asserted"]["unknown"] == 5


def test_the_vlm_stands_alone_where_its_probability_is_known() -> None:
    assert "vlm_alone" not in evaluate(_verdicts(), resamples=0)
    found = evaluate(_verdicts(p_yes=np.full(400, 0.7)), resamples=0)
    assert found["vlm_alone"]["auroc"]["value"] == pytest.approx(0.5)


def test_intervals_hold_their_value_and_families_their_rows() -> None:
    found = evaluate(_verdicts(), resamples=50)
    auroc = found["asserted"]["auroc"]
    assert auroc["low"] <= auroc["value"] <= auroc["high"]
    assert found["by_relation"]["horizontal"]["rows"] == 200
    assert found["by_relation"]["left/right/above/below"]["rows"] == 200
    assert found == evaluate(_verdicts(), resamples=50)
    json.dumps(found)


def test_small_groups_have_no_figures() -> None:
    found = evaluate(_verdicts(10), resamples=0)
    assert "auroc" not in found["asserted"]


def test_without_labels_the_message_says_what_to_give() -> None:
    with pytest.raises(InputError, match="give the claims a column label"):
        evaluate(_verdicts(label=[None] * 400))


@pytest.mark.parametrize("label", [["yes"] * 400, [2] * 400, [0.5] * 400])
def test_labels_that_are_neither_true_nor_false_are_refused(label: list[Any]) -> None:
    with pytest.raises(InputError, match=r'label is "(yes|2|0\.5).*give 1 \(true\), 0 \(false\)'):
        evaluate(_verdicts(label=label), resamples=0)
