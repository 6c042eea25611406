"""The script that fits what ships for the tabletop's askers still runs, and fits what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from spatialtrust.fusion.base_method import BaseMethod
from spatialtrust.fusion.model import TrustModel
from spatialtrust.run.config import SHIPPED_FOR
from tests.helpers.exams import exam
from tests.helpers.scripts import load

fit_tabletop = load("fit_tabletop")


def test_a_short_run_fits_both_askers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["fit_tabletop", "--scenes", "60", "--folds", "2", "--work", str(tmp_path / "work"),
             "--out", str(tmp_path / "models")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", given)
    fit_tabletop.main()
    printed = capsys.readouterr().out
    for asker in fit_tabletop.ASKERS:
        name = SHIPPED_FOR[asker]
        model = TrustModel.load(tmp_path / "models" / f"{name}.json")
        assert (model.name, model.asker, model.for_pairs) == (name, asker, False)
        assert (tmp_path / "models" / "base_method" / f"{name}.json").is_file()
        assert set(model.importances()) >= {"detector", "relation"}
        assert f'"{asker}"' in printed
    found = json.JSONDecoder().raw_decode(printed)[0]["tabletop:blip2"]
    assert found["asked"]["true"] == 0.5
    assert found["asked"]["auroc"] > 0.9
    assert found["enumerated"]["true"] < 0.5


def test_only_scenes_of_asked_claims_certify() -> None:
    asked, enumerated = exam(120, seed=0), exam(80, seed=1)
    purpose = fit_tabletop.purposes(asked, enumerated)
    assert set(purpose[120:]) == {"fit"}
    certify = purpose[:120] == "certify"
    assert certify.mean() == pytest.approx(1 / fit_tabletop.CERTIFYING)
    assert not set(asked.image[certify]) & set(asked.image[~certify]), "whole scenes"
    joined = fit_tabletop.both(asked, enumerated)
    assert len(joined) == len(joined.image) == len(joined.text) == 200
    np.testing.assert_array_equal(joined.features.answer[120:], enumerated.features.answer)


def test_one_of_the_base_method_ships_beside_each() -> None:
    for name in set(SHIPPED_FOR.values()):
        assert BaseMethod.load(name).importances()
