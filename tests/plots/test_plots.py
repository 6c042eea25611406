"""Pictures say what the figures say, on Axes of their own."""

from __future__ import annotations

import sys

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from spatialtrust import TrustModel, metrics, plots, verify  # noqa: E402
from spatialtrust.errors import FileError, InputError  # noqa: E402
from spatialtrust.jobs.verification import Verification  # noqa: E402
from spatialtrust.plots.style import ASSERTED, CEILING, VERIFIER, VLM  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

ONE = {"caption": "The mug is left of the kettle.", "subject_box": [0.2, 0.5, 0.1, 0.1],
       "object_box": [0.8, 0.5, 0.2, 0.3]}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Verification:
    return verify(ROOT / "data" / "claims.jsonl")


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_nothing_global_is_touched(found) -> None:
    before = dict(matplotlib.rcParams)
    plots.evaluation(found, resamples=5)
    assert dict(matplotlib.rcParams) == before
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_risk_over_coverage_ends_at_the_share_wrong_of_all(found) -> None:
    axes = plots.risk_coverage(found, resamples=5)
    (line,) = (line for line in axes.lines if line.get_label() == ASSERTED)
    label = found.verdicts.numbers("label") == 1
    wrong = (np.array(found.verdicts.strings("asserted")) == "yes") != label
    assert line.get_ydata()[-1] == pytest.approx(wrong.mean())
    assert set(labels(axes)) == {ASSERTED, VERIFIER, CEILING}
    assert plots.risk_coverage(found, resamples=0, axes=axes) is axes


def test_legends_stand_in_the_order_of_the_curves(found) -> None:
    for draw in (plots.risk_coverage, plots.coverage_targets):
        axes = draw(found, resamples=0)
        lines = {line.get_label(): np.mean(line.get_ydata()) for line in axes.lines}
        assert labels(axes).index(ASSERTED) < len(lines)
        first, last = labels(axes)[0], labels(axes)[-1]
        assert lines[first] > lines[last]


def test_legends_are_not_cut(found) -> None:
    page = plots.evaluation(found, resamples=0)
    figure = page[0, 0].figure
    figure.draw_without_rendering()
    for axes in page.flat:
        legend, outer = axes.get_legend().get_window_extent(), figure.bbox
        assert outer.x0 <= legend.x0 <= legend.x1 <= outer.x1
        assert outer.y0 <= legend.y0 <= legend.y1 <= outer.y1


def test_coverage_at_targets_is_the_metric(found) -> None:
    axes = plots.coverage_targets(found, targets=(0.8, 0.9), resamples=0)
    (line,) = (line for line in axes.lines if line.get_label() == VERIFIER)
    p = found.verdicts.numbers("p_boxes").astype(float)
    right = (p >= 0.5) == (found.verdicts.numbers("label") == 1)
    expected = [metrics.coverage_at_accuracy(np.maximum(p, 1 - p), right, t) for t in (0.8, 0.9)]
    assert line.get_ydata().tolist() == pytest.approx(expected)


def test_a_vlm_with_probabilities_has_a_line_of_its_own() -> None:
    rows = [{**ONE, "p_yes": 0.5 + 0.01 * n, "label": n % 2} for n in range(30)]
    assert VLM in labels(plots.risk_coverage(verify(rows), resamples=0))


@pytest.mark.parametrize("draw", [plots.risk_coverage, plots.coverage_targets, plots.reliability,
                                  plots.confidence_histogram])  # fmt: skip
def test_one_row_and_rows_without_a_confidence_are_drawn(draw) -> None:
    assert draw(verify({**ONE, "label": 1})).figure is not None
    unknown = verify({**ONE, "caption": "Hello.", "label": 1})
    assert draw(unknown).texts


def test_labels_are_asked_for_by_name() -> None:
    with pytest.raises(InputError, match="give the claims a column label"):
        plots.risk_coverage(verify(ONE))
    assert plots.confidence_histogram(verify(ONE)).get_ylabel() == "claims"
    with pytest.raises(InputError, match="give the result of verify"):
        plots.reliability(3)


def test_importance_names_the_families_largest_on_top() -> None:
    model = TrustModel.load()
    axes = plots.importance(model)
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[::-1] == list(model.importances())
    with pytest.raises(InputError, match="has no importances"):
        plots.importance("vsr-boxes")


def test_pictures_are_written_as_their_ending_says(found, tmp_path) -> None:
    plots.save(plots.reliability(found), tmp_path / "r.svg")
    assert b"<svg" in (tmp_path / "r.svg").read_bytes()
    with pytest.raises(FileError, match=r"\.png"):
        plots.save(plots.reliability(found), tmp_path / "r.jpg")
