"""What is known of any noun: written rows first, then predicted ones, then nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spatialtrust.evidence import priors, things


@pytest.mark.parametrize(
    ("name", "field", "low", "high"),
    [
        ("red wooden bowl", "contains", 1, 1),
        ("dining table", "supports", 1, 1),
        ("book", "supports", 1, 1),
        ("cardboard boxes", "supports", 1, 1),
        ("knife", "contains", 0, 0),
        ("bar stool", "supports", 1, 1),
        ("a silver chalice", "contains", 0.7, 1),
        ("rucksacks", "contains", 0.7, 1),
        ("moose", "has_front", 0.7, 1),
        ("moose", "contains", 0, 0.3),
        ("hatchet", "supports", 0, 0.3),
        ("minibus", "log_size", np.log(3), np.log(12)),
        ("teaspoon", "log_size", np.log(0.05), np.log(0.3)),
    ],
)
def test_nouns_are_known(name: str, field: str, low: float, high: float) -> None:
    (value,) = getattr(priors.knowledge([name]), field)
    assert low - 1e-6 <= value <= high + 1e-6


@pytest.mark.parametrize("name", ["qwzx", "", None, "the", "object", "thing", "gizmo", "something"])
def test_words_that_say_nothing_stay_unknown(name: str | None) -> None:
    assert np.isnan(np.stack(priors.knowledge([name]))).all()


def test_no_names_are_no_rows() -> None:
    assert [column.shape for column in priors.knowledge([])] == [(0,)] * 4


def test_columns_are_float32_and_belong_to_their_names() -> None:
    known = priors.knowledge(["chalice", "qwzx", "table"])
    assert all(column.dtype == np.float32 for column in known)
    assert np.isfinite(known.log_size).tolist() == [True, False, True]


def test_what_models_were_fitted_with_is_not_touched_by_what_was_added() -> None:
    added = [noun for noun in priors.hand_made() if noun not in priors.nouns()]
    heads = {noun for name in added for noun in priors.readings(name)} & set(priors.nouns())
    unknown = [name for name in added if not set(priors.readings(name)) & heads]
    assert len(unknown) > 300
    assert np.isnan(priors.attributes([*unknown, "chalice", "moose"])).all()
    box = dict(zip(priors.COLUMNS, priors.attributes(["box"])[0], strict=True))
    assert box["support"] == 0
    assert priors.knowledge(["box"]).supports == 1


def test_a_written_head_goes_before_a_predicted_phrase() -> None:
    assert priors.knowledge(["zebra chair"]).supports == priors.knowledge(["chair"]).supports


def test_written_rows_are_whole_and_new() -> None:
    rows = np.stack(list(priors.hand_made().values()))
    assert np.isfinite(rows).all()
    assert (rows[:, :3] >= 0).all()
    assert (rows[:, :3] <= 1).all()
    new = [
        entry.rpartition(" ")[0] for _, listed in things._lines(things._MORE) for entry in listed
    ]
    assert not set(new) & set(priors.nouns())
    assert len(new) == len(set(new))


def test_predicted_rows_are_sound_and_no_written_ones() -> None:
    table = things.predicted()
    assert len(table.row) > 20_000
    assert not set(table.row) & set(priors.hand_made())
    shares = table.values[:, :3]
    assert ((shares >= 0) & (shares <= 1)).all()
    assert np.exp(table.values[:, 3]).min() > 0.005
    assert things.TABLE.stat().st_size < 1_500_000


def test_predictions_are_less_sure_than_rows() -> None:
    spread = [np.stack(list(priors.hand_made().values())), things.predicted().values]
    assert spread[1][:, :2].std() < spread[0][:, :2].std()
    assert spread[1][:, 3].std() < spread[0][:, 3].std()


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    values = np.array([[1, 0, np.nan, 0.5], [0.25, 0.5, 1, -2]], dtype=np.float32)
    things.write(tmp_path / "t.npz", ["a", "b c"], values)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as stored:
        assert stored["nouns"].tobytes() == b"a\nb c"
        back = things.from_levels(stored["levels"])
    np.testing.assert_allclose(back, values, atol=0.03)
