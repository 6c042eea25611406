"""The base method: four signals relative to what is asserted, and trees that rank by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spatialtrust.errors import FileError, InputError
from spatialtrust.evidence.columns import Features
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.base_method import BASE_SIGNALS, BaseMethod, base_signals
from spatialtrust.metrics import auroc
from spatialtrust.run.config import SHIPPED_FOR
from tests.helpers.claims import answers, boxes, claims
from tests.helpers.exams import exam


def test_the_signals_are_relative_to_what_is_asserted() -> None:
    said = claims(*[("cup", "left of", "shelf")] * 3, ("cup", "near", "shelf"))
    found = collect(said, boxes(4), answers(0.9, 0.2, 0.7, 0.6))
    four = base_signals(found, np.array([1, 0, -1, 1], dtype=np.int8))
    assert four.shape == (4, len(BASE_SIGNALS))
    assert four[:, 0] == pytest.approx([2.5, -2.5, np.nan, np.nan], nan_ok=True, rel=1e-5)
    assert (four[:, 1] == found.column("separation")).all()
    assert four[:, 3] == pytest.approx([0.9, 0.8, np.nan, 0.6], nan_ok=True)


def test_it_learns_whether_the_vlm_is_right_and_says_nothing_without_an_answer() -> None:
    learnt, judged = exam(1200, seed=0), exam(600, seed=1)
    model = BaseMethod.fit(learnt.features, learnt.label, learnt.image)
    score = model.score(judged.features)
    right = judged.features.answer == judged.label
    assert auroc(score, right) > 0.75
    assert abs(score.mean() - right.mean()) < 0.1, "it is a probability"
    assert next(iter(model.importances())) == "alignment"
    silent = Features(
        judged.features.values, judged.features.relation, np.full(600, -1, np.int8),
        judged.features.reasons,
    )  # fmt: skip
    assert np.isnan(model.score(silent)).all()
    with pytest.raises(InputError, match="no claim has a VLM's answer"):
        BaseMethod.fit(silent, judged.label, judged.image)


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    learnt = exam(800, seed=0)
    for name in ("a.json", "b.json"):
        BaseMethod.fit(learnt.features, learnt.label, learnt.image).save(tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_one_ships_beside_the_trust_model_of_each_tabletop_asker(tmp_path: Path) -> None:
    judged = exam(50, seed=1)
    for name in set(SHIPPED_FOR.values()):
        model = BaseMethod.load(name)
        model.save(tmp_path / "again.json")
        assert np.isfinite(model.score(judged.features)).all()
    with pytest.raises(FileError, match="cannot be read"):
        BaseMethod.load("no-such-model")
