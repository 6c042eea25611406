"""Probes, class Gaussians and likelihood ratios: by their formulas, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spatialtrust.errors import InputError
from spatialtrust.failure import (
    LVU,
    BayesVLM,
    ClassGaussians,
    ConfidNet,
    CorrectnessProbe,
    FailurePredictor,
    LikelihoodRatio,
    LinearProbe,
    RelU,
    TemperatureScaling,
    TrustVLM,
    ViLU,
    margin,
    mcm,
)
from spatialtrust.metrics import auroc
from tests.failure.test_predictors import TEST, TRAIN

V = TRAIN.images / np.linalg.norm(TRAIN.images, axis=1, keepdims=True)
NEW = TEST.images / np.linalg.norm(TEST.images, axis=1, keepdims=True)
CHOSEN = TEST.logits.argmax(axis=1)
ROWS = np.arange(len(CHOSEN))
MADE: list[Any] = [
    LinearProbe(), LinearProbe("lda"), LinearProbe("lda", text=True), CorrectnessProbe(),
    ClassGaussians(components=6), LikelihoodRatio("mds"), LikelihoodRatio("knn"),
    LikelihoodRatio("mds", margin=True), LikelihoodRatio("knn", margin=True),
]  # fmt: skip


def fitted(model: Any) -> Any:
    if isinstance(model, LinearProbe | ClassGaussians):
        return model.fit(TRAIN.images, TRAIN.labels)
    if isinstance(model, LikelihoodRatio) and model.margin:
        weighing = (TEST.images[:150], TEST.logits[:150], TEST.labels[:150])
        return model.fit(TRAIN.images, TRAIN.logits, TRAIN.labels, weighing=weighing)
    return model.fit(TRAIN.images, TRAIN.logits, TRAIN.labels)


def scored(model: Any) -> Any:
    if isinstance(model, CorrectnessProbe):
        return model.score(TEST.images)
    return model.score(TEST.logits, TEST.images)


@pytest.mark.parametrize("model", MADE, ids=repr)
def test_each_sees_the_errors_that_labels_show_and_survives_a_file(
    model: Any, tmp_path: Any
) -> None:
    found = fitted(model)
    score = scored(found)
    assert score.shape == (300,)
    assert np.isfinite(score).all()
    assert auroc(score, TEST.correct) > 0.6
    loaded = FailurePredictor.load(found.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(scored(loaded), score)
    weighed = getattr(model, "margin", False)
    assert found.labelled_data.rows == (550 if weighed else 400)
    assert found.notes == ()
    half = type(model)(**model.get_params())
    again = fitted(half)
    np.testing.assert_array_equal(scored(again), score)


def test_lda_is_the_linear_discriminant_of_its_formula() -> None:
    model = LinearProbe("lda", shrinkage=1e-12).fit(TRAIN.images, TRAIN.labels)
    theirs = LinearDiscriminantAnalysis(priors=np.full(5, 0.2)).fit(V, TRAIN.labels)
    np.testing.assert_allclose(
        np.exp(model.log_probabilities(NEW)), theirs.predict_proba(NEW), atol=0.02
    )
    shrunk = LinearProbe("lda", shrinkage=0.5).fit(TRAIN.images, TRAIN.labels)
    means = np.stack([V[TRAIN.labels == k].mean(axis=0) for k in range(5)])
    inner = V - means[TRAIN.labels]
    covariance = inner.T @ inner / len(V)
    covariance += 0.5 * np.trace(covariance) / 12 * np.eye(12)
    inverse = np.linalg.inv(covariance)
    odds = NEW @ inverse @ means.T - 0.5 * np.einsum("kd,de,ke->k", means, inverse, means)
    expected = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(shrunk.log_probabilities(NEW), expected, rtol=1e-8, atol=1e-10)
    score = shrunk.score(TEST.logits, TEST.images)
    np.testing.assert_allclose(score, expected[ROWS, CHOSEN], rtol=1e-8, atol=1e-10)
    both = LinearProbe("lda", shrinkage=0.5, text=True).fit(TRAIN.images, TRAIN.labels)
    np.testing.assert_allclose(
        both.score(TEST.logits, TEST.images), score + np.log(mcm(TEST.logits))
    )


def test_logistic_probe_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    model = LinearProbe(strength=2.0).fit(TRAIN.images, TRAIN.labels)
    theirs = LogisticRegression(C=2.0, max_iter=1000).fit(V * np.sqrt(12), TRAIN.labels)
    np.testing.assert_allclose(
        model.log_probabilities(TEST.images),
        theirs.predict_log_proba(NEW * np.sqrt(12)),
        rtol=1e-6,
        atol=1e-8,
    )
    two = TRAIN.labels < 2
    pair = LinearProbe().fit(TRAIN.images[two], TRAIN.labels[two])
    assert pair.log_probabilities(TEST.images).shape == (300, 2)


def test_class_gaussians_are_gaussians_in_pca_space() -> None:
    model = ClassGaussians(components=5).fit(TRAIN.images, TRAIN.labels)
    centre = V.mean(axis=0)
    basis = np.linalg.svd(V - centre, full_matrices=False)[2][:5].T
    x, new = (V - centre) @ basis, (NEW - centre) @ basis
    means = np.stack([x[TRAIN.labels == k].mean(axis=0) for k in range(5)])
    pooled = (x - means[TRAIN.labels]).T @ (x - means[TRAIN.labels]) / len(x)
    density = np.empty((300, 5))
    for k in range(5):
        own = np.cov(x[TRAIN.labels == k].T, bias=True)
        covariance = 0.3 * own + 0.7 * pooled + 1e-4 * np.trace(pooled) / 5 * np.eye(5)
        density[:, k] = multivariate_normal(means[k], covariance).logpdf(new)
    expected = density - np.logaddexp.reduce(density, axis=1)[:, None]
    np.testing.assert_allclose(model.log_probabilities(NEW), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        model.score(TEST.logits, TEST.images),
        expected[ROWS, CHOSEN] + np.log(mcm(TEST.logits)),
        rtol=1e-6,
        atol=1e-6,
    )


def test_likelihood_ratios_follow_their_formulas() -> None:
    right = TRAIN.correct
    model = LikelihoodRatio("knn", neighbours=7).fit(TRAIN.images, TRAIN.logits, TRAIN.labels)
    distance = np.square(NEW[:, None] - V[None]).sum(axis=2)
    expected = np.zeros(300)
    for sign, rows in ((1, right), (-1, ~right)):
        nearest = np.sort(distance[:, rows], axis=1)[:, :7]
        expected += sign * -np.log(nearest + 1e-6).mean(axis=1)
    np.testing.assert_allclose(model.ratio(TEST.images), expected, rtol=1e-7)

    mds = LikelihoodRatio("mds").fit(TRAIN.images, TRAIN.logits, TRAIN.labels)
    expected = np.zeros(300)
    for sign, rows in ((1, right), (-1, ~right)):
        v, y = V[rows], TRAIN.labels[rows]
        seen = np.unique(y)
        means = np.stack([v[y == k].mean(axis=0) for k in seen])
        inner = v - means[np.searchsorted(seen, y)]
        covariance = inner.T @ inner / len(v)
        covariance += 0.01 * np.trace(covariance) / 12 * np.eye(12)
        apart = NEW[:, None] - means[None]
        reach = np.einsum("nkd,de,nke->nk", apart, np.linalg.inv(covariance), apart)
        expected += sign * -reach.min(axis=1)
    np.testing.assert_allclose(mds.ratio(TEST.images), expected, rtol=1e-7)


def test_the_margin_joins_with_the_weight_of_least_log_loss() -> None:
    model = fitted(LikelihoodRatio("mds", margin=True))
    weights = model.tensors_["mixture"]
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    columns = np.column_stack([model.ratio(TEST.images), margin(TEST.logits)])
    standard = (columns - columns[:150].mean(axis=0)) / columns[:150].std(axis=0)
    np.testing.assert_allclose(model.score(TEST.logits, TEST.images), standard @ weights)
    with pytest.raises(InputError, match="needs a second labelled split"):
        LikelihoodRatio(margin=True).fit(TRAIN.images, TRAIN.logits, TRAIN.labels)


@pytest.mark.parametrize("model", [LinearProbe(), LinearProbe("lda"), ClassGaussians()], ids=repr)
def test_a_class_without_images_is_named(model: Any) -> None:
    with pytest.raises(InputError, match=r"class 5 has no labelled image \(so have 1 of 6 classes"):
        model.fit(TRAIN.images, TRAIN.labels, classes=6)
    with pytest.raises(InputError, match="images: have 3 columns where 12 are expected"):
        fitted(model).score(TEST.logits, TEST.images[:, :3])
    with pytest.raises(InputError, match="images: 7 rows for 300 images"):
        fitted(model).score(TEST.logits, TEST.images[:7])


def test_no_spread_and_no_contrast_are_refused() -> None:
    with pytest.raises(InputError, match="no class has two different images"):
        LinearProbe("lda").fit(np.eye(3), [0, 1, 2])
    logits = 9.0 * np.eye(5)[TRAIN.labels]
    for model in (LikelihoodRatio(), CorrectnessProbe()):
        with pytest.raises(InputError, match="no prediction is wrong"):
            model.fit(TRAIN.images, logits, TRAIN.labels)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LinearProbe("svm"), "kind is"),  # type: ignore[arg-type]
        (LinearProbe(shrinkage=0.0), "shrinkage is 0.0"),
        (LinearProbe(strength=-1), "strength is -1"),
        (ClassGaussians(components=0), "components is 0"),
        (ClassGaussians(own=1.5), "own is 1.5; give a number from 0 to 1"),
        (ClassGaussians(ridge=float("nan")), "ridge is nan"),
        (LikelihoodRatio("lof"), "density is"),  # type: ignore[arg-type]
        (LikelihoodRatio(neighbours=2.5), "neighbours is 2.5"),  # type: ignore[arg-type]
        (TrustVLM(shots=0), "shots is 0; give a whole number"),
        (TrustVLM(shots=2.5), "shots is 2.5"),  # type: ignore[arg-type]
        (TrustVLM(weight=-1.0), "weight is -1.0; give a number from 0 on"),
        (TrustVLM(weight=float("nan")), "weight is nan"),
        (TrustVLM(fine_tune_steps=-1), "fine_tune_steps is -1"),
        (ViLU(learning_rate=0), "learning_rate is 0"),
        (ViLU(learning_rate="fast"), "learning_rate is 'fast'"),  # type: ignore[arg-type]
        (ViLU(momentum=1.0), "momentum is 1.0; give a number from 0 to 1, without 1"),
        (ViLU(weight_decay=-1e-4), "weight_decay is -0.0001"),
        (ViLU(patience=0), "patience is 0"),
        (ViLU(freeze_steps=-1), "freeze_steps is -1"),
        (ViLU(widths=(8, 0)), r"widths\[1\] is 0"),
        (ViLU(widths=8), "widths is 8"),  # type: ignore[arg-type]
        (ViLU(epochs=1.5), "epochs is 1.5"),  # type: ignore[arg-type]
        (LVU(batch_size=True), "batch_size is True"),
        (ConfidNet(error_weight=0.0), "error_weight is 0.0"),
        (ConfidNet(validation=-0.1), "validation is -0.1"),
        (ConfidNet(seed=-1), "seed is -1"),
        (RelU(balance=-0.5), "balance is -0.5"),
        (RelU(temperature=0), "temperature is 0"),
        (BayesVLM(pseudo_data=0), "pseudo_data is 0"),
        (BayesVLM(image_prior_precision=-3.0), "image_prior_precision is -3.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_parameters_out_of_range_are_named_with_what_is_valid(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.check()


@pytest.mark.parametrize(
    "model",
    [*MADE, TemperatureScaling(), RelU(), ConfidNet(epochs=3), BayesVLM(), TrustVLM(), LVU(),
     ViLU(widths=(8, 4))],
    ids=repr,
)  # fmt: skip
def test_predictors_have_the_manners_of_scikit_learn(model: Any) -> None:
    copy = clone(model)
    assert copy is not model
    assert copy == model
    assert copy.get_params() == model.get_params()
    name, value = next(iter(model.get_params().items()), (None, None))
    if name is not None:
        assert getattr(copy.set_params(**{name: value}), name) == value
    with pytest.raises(InputError, match='has no option "nothing"'):
        copy.set_params(nothing=1)


def test_training_that_was_cut_short_says_so(caplog: pytest.LogCaptureFixture) -> None:
    quick: dict[str, Any] = {"widths": (8,), "device": "cpu", "batch_size": 64}
    seen: list[tuple[int, int]] = []
    model = ViLU(epochs=2, **quick).fit(
        TRAIN.images, TRAIN.texts, TRAIN.labels, progress=lambda *step: seen.append(step)
    )
    assert seen == [(1, 2), (2, 2)]
    (note,) = model.notes
    assert note.startswith("training ended at its last epoch (2; the best was")
    assert f"ViLU: {note}" in caplog.text
    caplog.clear()
    long = ViLU(epochs=60, patience=1, **quick).fit(TRAIN.images, TRAIN.texts, TRAIN.labels)
    assert long.facts_["epochs_run"] < 60
    assert long.notes == ()
    # Without a held-out part nothing is known, and the last epoch is what was asked for.
    asked = ViLU(epochs=2, validation=0, **quick).fit(TRAIN.images, TRAIN.texts, TRAIN.labels)
    assert asked.notes == ()
    assert not caplog.text


def test_bayesvlm_without_projections_says_that_it_is_not_the_published_method(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = BayesVLM().fit(V, TRAIN.texts[TRAIN.labels], logit_scale=20.0)
    assert "cannot be the published method" in caplog.text
    assert "cannot be the published method" in model.notes[0]
    caplog.clear()
    eye = np.eye(12)
    given = BayesVLM().fit(
        V, TRAIN.texts[TRAIN.labels], image_projection=eye, text_projection=eye, logit_scale=20.0
    )
    assert given.notes == ()
    assert not caplog.text


def test_projections_are_learned_where_they_are_asked_for() -> None:
    quick: dict[str, Any] = {"epochs": 1, "widths": (8,), "device": "cpu", "batch_size": 64}
    captions = TRAIN.texts[TRAIN.labels]
    learned = ViLU(projection="learned", **quick).fit_captions(TRAIN.images, captions)
    fixed = ViLU(**quick).fit(TRAIN.images, TRAIN.texts, TRAIN.labels)
    asked = ViLU(**quick).fit_captions(TRAIN.images, captions)
    projections = [
        [name for name in model.tensors_ if name.startswith("projections.")]
        for model in (learned, fixed, asked)
    ]
    assert [len(names) for names in projections] == [2, 0, 0]
    moved = learned.tensors_[projections[0][0]]
    assert (moved != np.eye(12)).any()
