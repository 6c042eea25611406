"""The losses against numbers computed by hand, and SimPO against TRL's own on text."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from spatialtrust.csp.losses import falling, simpo  # noqa: E402


def _log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def test_simpo_is_what_the_formula_says():
    chosen, rejected = torch.tensor([-3.0, -8.0]), torch.tensor([-9.0, -4.0])
    lengths = torch.tensor([3.0, 4.0]), torch.tensor([6.0, 2.0])
    found = simpo(chosen, rejected, *lengths, beta=2.5, gamma=0.75)
    # 2.5 (-1 - -1.5) - 0.75 = 0.5; 2.5 (-2 - -2) - 0.75 = -0.75
    assert found.tolist() == pytest.approx([-_log_sigmoid(0.5), -_log_sigmoid(-0.75)], abs=1e-6)
    assert found.tolist() == pytest.approx([0.474077, 1.136871], abs=1e-6)


def test_simpo_weighs_replies_by_their_length():
    same = simpo(
        torch.tensor([-4.0]), torch.tensor([-2.0]), torch.tensor([4.0]), torch.tensor([2.0]),
        beta=10.0, gamma=0.0,
    )  # fmt: skip
    assert float(same) == pytest.approx(math.log(2))


def test_simpo_is_the_loss_of_trl(monkeypatch):
    cpo = pytest.importorskip("trl.experimental.cpo.cpo_trainer")
    from types import SimpleNamespace

    chosen, rejected = torch.tensor([-1.2, -0.4, -2.0]), torch.tensor([-1.0, -0.9, -2.5])
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu")), loss_type="simpo",
        simpo_gamma=0.6, beta=2.0, label_smoothing=0.0, alpha=0.0,
    )  # fmt: skip
    theirs = cpo.CPOTrainer.cpo_loss(trainer, chosen, rejected)[0]
    lengths = torch.tensor([5.0, 2.0, 7.0]), torch.tensor([3.0, 4.0, 6.0])
    ours = simpo(chosen * lengths[0], rejected * lengths[1], *lengths, beta=2.0, gamma=0.6)
    assert ours.tolist() == pytest.approx(theirs.tolist(), abs=1e-6)


def test_confidence_that_falls_costs_less_than_one_that_rises():
    surer, less = torch.tensor([-1.0]), torch.tensor([-3.0])
    falls = falling(surer, less, less, surer, beta=1.0)
    rises = falling(less, surer, surer, less, beta=1.0)
    assert float(falls) == pytest.approx(-_log_sigmoid(4.0), abs=1e-6)
    assert float(rises) == pytest.approx(-_log_sigmoid(-4.0), abs=1e-6)


def test_a_model_that_does_not_look_gains_nothing_from_falling():
    surer, less = torch.tensor([-0.2]), torch.tensor([-5.0])
    assert float(falling(surer, less, surer, less, beta=3.0)) == pytest.approx(math.log(2))
