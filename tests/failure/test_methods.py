"""What single methods promise beyond the common contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spatialtrust.errors import InputError
from spatialtrust.failure import BayesVLM, RelU, TrustVLM, ViLU, doctor, mcm
from spatialtrust.failure.bayesvlm import infonce_curvature
from spatialtrust.failure.heads import ViLUHead, ZeroShot
from spatialtrust.failure.training import (
    Plan,
    confidence_loss,
    error_weight,
    on_device,
    perceptron,
    train,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [2, 3, 11, 12])
def test_relu_takes_any_number_of_classes(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits, labels = rng.normal(size=(200, classes)), rng.integers(0, classes, 200)
    model = RelU().fit(logits, labels)
    assert model.distance.shape == (classes, classes)
    np.testing.assert_allclose(model.distance, model.distance.T)
    assert np.linalg.norm(model.distance) == pytest.approx(1.0)
    assert model.score(logits).shape == (200,)


def test_relu_without_contrast_ranks_as_gini() -> None:
    logits, labels = RNG.normal(size=(100, 4)), RNG.integers(0, 4, 100)
    score = RelU(balance=0.0).fit(logits, labels).score(logits)
    assert (np.argsort(score) == np.argsort(doctor(logits))).all()


def test_relu_balance_must_be_a_share() -> None:
    with pytest.raises(InputError, match=r"balance is 1\.5"):
        RelU(balance=1.5).fit(np.eye(3), [0, 1, 1])


FEATURES, SHOT_LABELS = RNG.normal(size=(60, 6)) + 0.5, np.repeat(np.arange(3), 20)
LOGITS = 3 * RNG.normal(size=(60, 3))


def test_trustvlm_names_the_class_that_has_too_few_shots() -> None:
    with pytest.raises(InputError, match="class 1 has 2 labelled images where 16 shots"):
        TrustVLM().fit(FEATURES[18:42], np.r_[np.zeros(16, int), 1, 1, np.full(6, 2)])


def test_trustvlm_names_the_class_without_any_image() -> None:
    with pytest.raises(InputError, match="class 3 has 0 labelled images"):
        TrustVLM(shots=None).fit(FEATURES, SHOT_LABELS, classes=4)


def test_trustvlm_leaves_a_scored_shot_out_of_its_own_prototype() -> None:
    for prototype in ("mean", "mean-of-units"):
        model = TrustVLM(shots=None, prototype=prototype).fit(FEATURES, SHOT_LABELS)
        rows = np.arange(60)
        left_out = model.score(LOGITS, FEATURES, fitted_rows=rows)
        for row in (0, 25, 59):
            rest = rows != row
            other = TrustVLM(shots=None, prototype=prototype).fit(FEATURES[rest], SHOT_LABELS[rest])
            alone = other.score(LOGITS[row : row + 1], FEATURES[row : row + 1])
            own = LOGITS[row].argmax() == SHOT_LABELS[row]
            expected = alone if own else model.score(LOGITS, FEATURES)[row]
            np.testing.assert_allclose(left_out[row], expected, rtol=1e-12)
        np.testing.assert_array_equal(
            model.score(LOGITS, FEATURES, fitted_rows=np.full(60, -1)),
            model.score(LOGITS, FEATURES),
        )


def test_trustvlm_rows_that_were_no_shots_are_scored_as_usual() -> None:
    model = TrustVLM(shots=5).fit(FEATURES, SHOT_LABELS)
    plain = model.score(LOGITS, FEATURES)
    left_out = model.score(LOGITS, FEATURES, fitted_rows=np.arange(60))
    shot = model.tensors_["shot_of_row"] >= 0
    assert shot.sum() == 15
    np.testing.assert_array_equal(left_out[~shot], plain[~shot])
    assert (left_out[shot] <= plain[shot] + 1e-12).all()


def test_trustvlm_cannot_leave_out_what_it_was_tuned_on_or_the_only_shot() -> None:
    tuned = TrustVLM(shots=5, fine_tune_steps=2).fit(FEATURES, SHOT_LABELS)
    with pytest.raises(InputError, match="fine-tuned prototypes have seen every shot"):
        tuned.score(LOGITS, FEATURES, fitted_rows=np.arange(60))
    with pytest.raises(InputError, match="row among the 60 given to fit"):
        tuned.score(LOGITS, FEATURES, fitted_rows=np.full(60, 60))
    single = TrustVLM(shots=1).fit(FEATURES, SHOT_LABELS)
    with pytest.raises(InputError, match="at least two shots"):
        single.score(LOGITS, FEATURES, fitted_rows=np.arange(60))


def test_trustvlm_shots_of_one_class_do_not_depend_on_the_others() -> None:
    whole = TrustVLM(shots=4).fit(FEATURES, SHOT_LABELS).prototypes
    fewer = TrustVLM(shots=4).fit(FEATURES[:40], SHOT_LABELS[:40]).prototypes
    np.testing.assert_array_equal(whole[:2], fewer)
    assert (TrustVLM(shots=4, seed=1).fit(FEATURES, SHOT_LABELS).prototypes != whole).any()


def test_trustvlm_fine_tuning_fits_the_shots_better() -> None:
    def error(model: TrustVLM) -> float:
        cosine = FEATURES / np.linalg.norm(FEATURES, axis=1)[:, None] @ model.prototypes.T
        p = np.exp(cosine / 0.01 - (cosine / 0.01).max(axis=1, keepdims=True))
        return float(-np.log(p / p.sum(axis=1)[:, None])[np.arange(60), SHOT_LABELS].mean())

    plain = TrustVLM(shots=None).fit(FEATURES, SHOT_LABELS)
    tuned = TrustVLM(shots=None, fine_tune_steps=50).fit(FEATURES, SHOT_LABELS)
    assert error(tuned) < error(plain)


def test_trustvlm_star_speaks_of_its_own_predictions() -> None:
    model = TrustVLM("star", shots=None).fit(FEATURES, SHOT_LABELS)
    predicted = model.predict(LOGITS, FEATURES)
    assert (predicted != LOGITS.argmax(axis=1)).any()
    plain = TrustVLM(shots=None).fit(FEATURES, SHOT_LABELS)
    assert (plain.predict(LOGITS, FEATURES) == LOGITS.argmax(axis=1)).all()


def test_infonce_curvature_is_the_gauss_newton_matrix() -> None:
    embedding, targets, scale = RNG.normal(size=5), RNG.normal(size=(7, 5)), 4.0
    unit = torch.tensor(targets / np.linalg.norm(targets, axis=1, keepdims=True))

    def logits(x: torch.Tensor) -> torch.Tensor:
        return scale * unit @ (x / x.norm())

    x = torch.tensor(embedding)
    jacobian = torch.autograd.functional.jacobian(logits, x)
    p = torch.softmax(logits(x), 0)
    expected = jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    np.testing.assert_allclose(
        infonce_curvature(embedding[None], targets, scale), expected, rtol=1e-9, atol=1e-12
    )


def test_bayesvlm_without_uncertainty_is_mcm() -> None:
    images, texts = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 6))
    sure = BayesVLM(image_prior_precision=1e12, text_prior_precision=1e12)
    score = sure.fit(images, texts, logit_scale=5.0).score(images, texts[:4])
    v = images / np.linalg.norm(images, axis=1, keepdims=True)
    t = texts[:4] / np.linalg.norm(texts[:4], axis=1, keepdims=True)
    np.testing.assert_allclose(score, mcm(5.0 * v @ t.T), rtol=1e-6)


def test_bayesvlm_projections_may_have_different_widths() -> None:
    images, texts = RNG.normal(size=(40, 9)), RNG.normal(size=(40, 7))
    model = BayesVLM(evidence="released").fit(
        images,
        texts,
        image_projection=RNG.normal(size=(4, 9)),
        text_projection=RNG.normal(size=(4, 7)),
        logit_scale=10.0,
        candidates=16,
    )
    probabilities = model.probabilities(images, texts[:3])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    with pytest.raises(InputError, match="columns where"):
        BayesVLM().fit(images, texts, logit_scale=10.0)


def _head(**settings: Any) -> ViLUHead:
    base: dict[str, Any] = {
        "attention": "released",
        "predicted": True,
        "learned": True,
        "freeze_steps": 2,
        "logit_scale": 10.0,
    }
    return ViLUHead(6, (8,), **(base | settings)).double()


IMAGES = torch.nn.functional.normalize(torch.tensor(RNG.normal(size=(30, 6))), dim=1)
TEXTS = torch.nn.functional.normalize(torch.tensor(RNG.normal(size=(4, 6))), dim=1)


@pytest.mark.parametrize("attention", ["released", "paper"])
def test_attended_texts_computed_once_are_exact_while_projections_are_bypassed(
    attention: Any,
) -> None:
    head = _head(attention=attention)
    known = ZeroShot.of_classes(
        IMAGES, TEXTS, torch.zeros(30, dtype=torch.int64), 10.0, head, rows=7
    )
    torch.testing.assert_close(known.attended, head.attend(IMAGES, TEXTS))


def test_projections_thaw_after_the_frozen_steps() -> None:
    head = _head()
    for frozen in (True, True, False):
        head.count_step()
        assert head.frozen is frozen
    assert _head(learned=False, freeze_steps=0).frozen


def test_error_weight_is_minus_log_of_the_error_rate() -> None:
    correct = torch.tensor([True, True, True, False])
    assert float(error_weight(correct)) == pytest.approx(np.log(4))


def test_batches_without_errors_have_a_finite_loss() -> None:
    correct = torch.ones(4, dtype=torch.bool)
    loss = confidence_loss(
        torch.zeros(4), correct, torch.ones(4), kind="bce", wrong_weight=error_weight(correct)
    )
    assert float(loss) == pytest.approx(np.log(2))


def test_the_same_caption_twice_in_a_batch_counts_as_right() -> None:
    captions = torch.cat([TEXTS[:1], TEXTS[:1], TEXTS[1:2]])
    known = ZeroShot.of_captions(captions, captions, 10.0)
    assert known.correct.all()


def test_caption_scores_depend_on_the_batch_alone() -> None:
    images, captions = IMAGES.numpy(), np.tile(TEXTS.numpy(), (8, 1))[:30]
    model = ViLU(epochs=1, widths=(4,), batch_size=10, validation=0.0).fit_captions(
        images, captions, logit_scale=10.0
    )
    whole = model.score_captions(images, captions)
    np.testing.assert_allclose(
        whole[10:20], model.score_captions(images[10:20], captions[10:20]), rtol=1e-12
    )
    with pytest.raises(InputError, match="30 images"):
        model.score_captions(images, captions[:20])
    with pytest.raises(InputError, match="at least one rival"):
        ViLU(batch_size=1).fit_captions(images, captions)


def _descent(validation: float, patience: int, validation_losses: list[float]) -> dict[str, Any]:
    """Train one weight by constant gradient, with validation losses told in advance."""
    module = perceptron(1, [1])
    told = iter(validation_losses)
    plan = Plan("sgd", 0.1, 6, 100, validation, patience, 0)
    history = train(
        module,
        20,
        plan,
        lambda rows: module(torch.ones(len(rows), 1)).mean(),
        lambda rows: torch.tensor(next(told)),
    )
    return history | {"bias": float(module[0].bias.detach())}


def test_early_stopping_keeps_the_best_epoch() -> None:
    best = _descent(0.5, 2, [3.0, 1.0, 2.0, 2.0])
    assert (best["epochs_run"], best["best_epoch"]) == (4, 2)
    whole = _descent(0.5, 9, [3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    assert (whole["epochs_run"], whole["best_epoch"]) == (6, 2)


def test_without_validation_all_epochs_run() -> None:
    history = _descent(0.0, 1, [])
    assert (history["epochs_run"], history["best_epoch"]) == (6, 6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": 1.0}, "validation is 1.0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"loss": "hinge"}, "valid: bce, mse"),
        ({"weighting": "focal"}, "valid: batch, dataset, none"),
        ({"attention": "cross"}, "valid: released, paper, none"),
        ({"projection": "frozen"}, "valid: identity, learned"),
    ],
)
def test_vilu_refuses_settings_that_make_no_sense(settings: Any, message: str) -> None:
    labels = np.arange(30) % 4
    with pytest.raises(InputError, match=message):
        ViLU(**settings).fit(IMAGES.numpy(), TEXTS.numpy(), labels)


def test_read_only_arrays_go_to_the_device_without_a_warning() -> None:
    """As memory-mapped files are; torch itself would warn once a process."""
    array = np.ones((3, 2), dtype=np.float32)
    array.setflags(write=False)
    torch.set_warn_always(True)
    try:
        (found,) = on_device(torch.nn.Linear(2, 1), array)
    finally:
        torch.set_warn_always(False)
    assert found.shape == (3, 2)
