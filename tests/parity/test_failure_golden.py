"""Scores against numbers computed with the methods' own released code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from spatialtrust.failure import (
    BayesVLM,
    RelU,
    TemperatureScaling,
    TrustVLM,
    doctor,
    energy,
    entropy,
    max_cosine,
    max_logit,
    mcm,
)
from spatialtrust.failure.bayesvlm import Curvature, infonce_curvature, prior_precision
from spatialtrust.failure.heads import ViLUHead, ZeroShot
from spatialtrust.failure.training import (
    Plan,
    confidence_loss,
    error_weight,
    make_optimiser,
    make_schedule,
    step,
)

if TYPE_CHECKING:
    from pathlib import Path

SCORES = {"rtol": 1e-9, "atol": 1e-12}
Vectors = dict[str, Any]


def _load(folder: Path, name: str) -> Vectors:
    with np.load(folder / name, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def inputs(golden: Path) -> Vectors:
    return _load(golden, "g01_inputs.npz")


def test_scores_equal_the_released_vilu_code(golden: Path, inputs: Vectors) -> None:
    expected = _load(golden, "g02_vilu_repo_scores.npz")
    z = inputs["logits"]
    # That code keeps MCM, and the constant log K of its entropy, in float32.
    np.testing.assert_allclose(mcm(z), expected["score_mcm"], rtol=1e-7)
    np.testing.assert_allclose(
        entropy(z, variant="vilu"), expected["score_entropy_normalised_conf"], rtol=1e-7
    )
    np.testing.assert_allclose(doctor(z), expected["score_doctor_alpha_conf"], **SCORES)


def test_scores_equal_fd_shifts(golden: Path, inputs: Vectors) -> None:
    expected = _load(golden, "g05_confidence_functions.npz")
    z = inputs["logits"]
    np.testing.assert_allclose(mcm(z), expected["msp"], **SCORES)
    np.testing.assert_allclose(max_logit(z), expected["maxlogit"], **SCORES)
    np.testing.assert_allclose(energy(z), expected["energy_logsumexp"], **SCORES)
    np.testing.assert_allclose(-entropy(z), expected["entropy_unc_eps"], **SCORES)


def test_max_cosine_is_the_cosine_to_the_nearest_text(inputs: Vectors) -> None:
    cosine = (inputs["v"] @ inputs["t"].T).max(axis=1)
    np.testing.assert_allclose(
        max_cosine(inputs["logits"], float(inputs["logit_scale"])), cosine, **SCORES
    )


def test_temperature_equals_the_reference_search(golden: Path, inputs: Vectors) -> None:
    expected = _load(golden, "g05_confidence_functions.npz")
    scaling = TemperatureScaling().fit(inputs["logits_val"], inputs["val_labels"])
    assert scaling.temperature == pytest.approx(float(expected["ts_temperature_opt"]), rel=1e-6)
    np.testing.assert_allclose(scaling.score(inputs["logits"]), expected["ts_mcm_test"], rtol=1e-6)
    of_label = scaling.probabilities(inputs["logits_val"])[
        np.arange(len(inputs["val_labels"])), inputs["val_labels"]
    ]
    assert -np.log(of_label).mean() == pytest.approx(float(expected["ts_val_nll"]), rel=1e-9)


@pytest.mark.parametrize("balance", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_relu_equals_the_released_code(
    golden: Path, inputs: Vectors, balance: float, temperature: float
) -> None:
    expected = _load(golden, "g03_relu_repo.npz")
    model = RelU(balance, temperature).fit(inputs["logits_val"], inputs["val_labels"])
    key = f"l{balance}_T{temperature}"
    np.testing.assert_allclose(model.distance, expected[f"D_{key}"], **SCORES)
    np.testing.assert_allclose(
        -model.score(inputs["logits"]), expected[f"score_unc_{key}"], **SCORES
    )


def test_relu_without_positive_entries_is_gini(golden: Path, inputs: Vectors) -> None:
    expected = _load(golden, "g03_relu_repo.npz")
    model = RelU(balance=0.0).fit(inputs["logits_val"], inputs["val_labels"])
    # The reference makes this fallback in float32.
    np.testing.assert_allclose(model.distance, expected["D_lbd0_T1"], rtol=1e-7)
    np.testing.assert_allclose(
        -model.score(inputs["logits"]), expected["score_unc_lbd0_T1"], rtol=1e-7
    )
    odds = -doctor(inputs["logits"])
    np.testing.assert_allclose(odds / (1 + odds), expected["one_minus_gini_unc_T1"], **SCORES)


def test_doctor_and_entropy_equal_the_rel_u_code(golden: Path, inputs: Vectors) -> None:
    expected = _load(golden, "g03_relu_repo.npz")
    z = inputs["logits"]
    for temperature in (1.0, 1.5):
        key = f"doctor_alpha_unc_T{temperature:g}"
        np.testing.assert_allclose(
            -doctor(z, temperature=temperature), expected[key], rtol=1e-9, atol=1e-12
        )
    np.testing.assert_allclose(-entropy(z), expected["entropy_unc"], **SCORES)
    np.testing.assert_allclose(mcm(z), -expected["msp_unc"], **SCORES)


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_trustvlm_equals_the_released_code(golden: Path, inputs: Vectors, weight: float) -> None:
    expected = _load(golden, "g04_trustvlm_repo.npz")
    model = TrustVLM(weight=weight).fit(inputs["dino_train"], inputs["train_labels"])
    np.testing.assert_allclose(
        model.score(inputs["logits"], inputs["dino_test"]),
        expected[f"score_v1_w{weight}_T1.0"],
        **SCORES,
    )
    assert (model.predict(inputs["logits"], inputs["dino_test"]) == inputs["pred"]).all()


def test_trustvlm_equals_the_released_code_with_other_shots_and_encoder(
    golden: Path, inputs: Vectors
) -> None:
    expected = _load(golden, "g04_trustvlm_repo.npz")
    first_four = np.arange(192) % 16 < 4
    few = TrustVLM(shots=4).fit(
        inputs["dino_train"][first_four], inputs["train_labels"][first_four]
    )
    np.testing.assert_allclose(
        few.score(inputs["logits"], inputs["dino_test"]),
        expected["score_v1_w1.0_T1.0_shot4"],
        **SCORES,
    )
    own = TrustVLM().fit(inputs["clip_train"], inputs["train_labels"])
    np.testing.assert_allclose(
        own.score(inputs["logits"], inputs["v"]), expected["score_v1_clipfeat_w1.0_T1.0"], **SCORES
    )


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 0.01), (1.0, 0.1), (0.1, 0.1)])
def test_trustvlm_star_equals_the_released_code(
    golden: Path, inputs: Vectors, weight: float, temperature: float
) -> None:
    expected = _load(golden, "g04_trustvlm_repo.npz")
    model = TrustVLM("star", weight, temperature).fit(inputs["dino_train"], inputs["train_labels"])
    key = f"v2_w{weight}_T{temperature}"
    z, features = inputs["logits"], inputs["dino_test"]
    np.testing.assert_allclose(model.score(z, features), expected[f"score_{key}"], **SCORES)
    correct = model.predict(z, features) == inputs["labels"]
    np.testing.assert_array_equal(correct, expected[f"correct_{key}"].astype(bool))


@pytest.fixture(scope="module")
def bayes(golden: Path) -> tuple[Vectors, BayesVLM]:
    toy = _load(golden, "g09_bayesvlm.npz")
    model = BayesVLM(
        pseudo_data=float(toy["n_img"]),
        image_prior_precision=float(toy["lambda_img"]),
        text_prior_precision=float(toy["lambda_txt"]),
    ).fit_curvature(
        Curvature(toy["W_src"], toy["A_img"], toy["B_img"]),
        Curvature(toy["W_tgt"], toy["A_txt"], toy["B_txt"]),
        # The reference kept its scale as a float32 logarithm.
        logit_scale=float(np.exp(np.float64(np.float32(np.log(100.0))))),
        pairs=0,
    )
    return toy, model


def test_bayesvlm_equals_the_released_code(bayes: tuple[Vectors, BayesVLM]) -> None:
    toy, model = bayes
    np.testing.assert_allclose(
        model.tensors_["image_activation_covariance"], toy["Ainv_img"], **SCORES
    )
    np.testing.assert_allclose(
        model.tensors_["image_output_variance"], np.diag(toy["Binv_img"]), **SCORES
    )
    mean, variance = model.similarity(toy["act_src"], toy["act_tgt"])
    np.testing.assert_allclose(mean, toy["mean"], **SCORES)
    np.testing.assert_allclose(variance, toy["var"], **SCORES)
    np.testing.assert_allclose(
        model.probabilities(toy["act_src"], toy["act_tgt"]), toy["probit_probs"], **SCORES
    )
    np.testing.assert_allclose(
        model.score(toy["act_src"], toy["act_tgt"]), toy["conf_probit"], **SCORES
    )


def test_bayesvlm_curvature_equals_the_released_code(bayes: tuple[Vectors, BayesVLM]) -> None:
    toy, _ = bayes
    images, texts = toy["act_src"] @ toy["W_src"].T, toy["act_tgt"] @ toy["W_tgt"].T
    np.testing.assert_allclose(
        infonce_curvature(images[:8], texts, 100.0),
        toy["hess_infonce_first8_sum"],
        rtol=1e-9,
        atol=1e-11,
    )


def test_released_prior_precision_equals_the_released_optimiser(
    bayes: tuple[Vectors, BayesVLM],
) -> None:
    toy, _ = bayes
    side = Curvature(toy["W_src"], toy["A_img"], toy["B_img"])
    # The reference ran its thousand Adam steps in float32, which is worth five digits.
    assert prior_precision(side, 10.0, "released") == pytest.approx(
        float(toy["lambda_opt_1000steps"]), rel=1e-5
    )


PLAN = Plan("sgd", 0.01, 20, 50, 0.0, 0, 0, momentum=0.9, weight_decay=5e-4, warm_up=True)


class Toy:
    """The small ViLU head of the reference run, on the reference inputs, in float64."""

    def __init__(self, vectors: Vectors, inputs: Vectors) -> None:
        self.vectors = vectors
        self.head = ViLUHead(
            64,
            (32, 16, 8),
            attention="released",
            predicted=True,
            learned=True,
            freeze_steps=3,
            logit_scale=100.0,
        ).double()
        self.images, self.texts = torch.tensor(inputs["v"]), torch.tensor(inputs["t"])
        self.known = ZeroShot.of_classes(
            self.images, self.texts, torch.tensor(inputs["labels"]), 100.0, self.head, rows=64
        )
        self.give("init_")

    def give(self, prefix: str, **others: Any) -> None:
        """Weights under the reference's names."""
        names = {"in_proj_v": "projections.v", "in_proj_t": "projections.t"}
        state = {"steps": torch.tensor(int(self.vectors[f"{prefix}iteration_count"]))}
        for key, array in self.vectors.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.endswith(("weight", "bias")):
                for old, new in names.items():
                    name = name.replace(old, new)
                state[name] = torch.tensor(others.get(name, array))
        self.head.load_state_dict(state)

    def unfreeze(self) -> None:
        weights = {"projections.v.weight": self.vectors["Wv"]}
        self.give("init_", **weights, **{"projections.t.weight": self.vectors["Wt"]})
        self.head.steps.fill_(1000)


@pytest.fixture
def toy(golden: Path, inputs: Vectors) -> Toy:
    return Toy(_load(golden, "g08_vilu_model.npz"), inputs)


def test_vilu_with_identity_projections_equals_the_released_code(toy: Toy) -> None:
    with torch.no_grad():
        attended = toy.head.attend(toy.images, toy.texts)
        output = toy.head(toy.images, toy.texts, toy.known.chosen)
        shortcut = toy.head(toy.images, toy.texts, toy.known.chosen, toy.known.attended)
    np.testing.assert_allclose(attended, toy.vectors["xattn_frozen_identity"], **SCORES)
    np.testing.assert_allclose(toy.known.attended, attended, **SCORES)
    np.testing.assert_allclose(output, toy.vectors["out_frozen_identity"], **SCORES)
    np.testing.assert_allclose(shortcut, output, **SCORES)


def test_vilu_with_learned_projections_equals_the_released_code(toy: Toy) -> None:
    toy.unfreeze()
    with torch.no_grad():
        attended = toy.head.attend(toy.images, toy.texts)
        # Attended texts from before no longer hold, so the head must not use them.
        output = toy.head(toy.images, toy.texts, toy.known.chosen, toy.known.attended)
    np.testing.assert_allclose(attended, toy.vectors["xattn_unfrozen"], **SCORES)
    np.testing.assert_allclose(output, toy.vectors["out_unfrozen"], **SCORES)


@pytest.mark.parametrize(
    ("kind", "weighting", "key"),
    [
        ("bce", "none", "bce_static"),
        ("bce", "batch", "bce_adaptative"),
        ("mse", "none", "mse_tcp_sigmoid_static"),
        ("mse", "batch", "mse_tcp_sigmoid_adaptative"),
    ],
)
def test_vilu_losses_equal_the_released_code(toy: Toy, kind: Any, weighting: str, key: str) -> None:
    output = torch.tensor(toy.vectors["out_unfrozen"])
    correct = toy.known.correct
    weight = error_weight(correct) if weighting == "batch" else 1.0
    loss = confidence_loss(output, correct, toy.known.p_true, kind=kind, wrong_weight=weight)
    assert float(loss) == pytest.approx(float(toy.vectors[key]), rel=1e-6)
    # The reference takes the batch's accuracy in float32.
    assert float(error_weight(correct)) == pytest.approx(
        float(toy.vectors["adaptive_weight"]), rel=1e-6
    )


@pytest.mark.parametrize(("right", "key"), [(True, "allcorrect"), (False, "allwrong")])
def test_vilu_loss_of_a_uniform_batch_equals_the_released_code(
    toy: Toy, right: bool, key: str
) -> None:
    output = torch.tensor(toy.vectors["out_unfrozen"])
    correct = torch.full((400,), right)
    loss = confidence_loss(
        output, correct, toy.known.p_true, kind="bce", wrong_weight=error_weight(correct)
    )
    assert float(loss) == pytest.approx(float(toy.vectors[f"bce_adapt_{key}"]), rel=1e-6)


def test_vilu_on_captions_equals_the_released_code(toy: Toy) -> None:
    toy.unfreeze()
    images, captions = toy.images[:64], torch.tensor(toy.vectors["caption_t"])
    known = ZeroShot.of_captions(images, captions, 100.0)
    with torch.no_grad():
        output = toy.head(images, captions, known.chosen)
    np.testing.assert_allclose(output, toy.vectors["caption_out_unfrozen"], **SCORES)
    np.testing.assert_array_equal(known.correct, toy.vectors["caption_correct"].astype(bool))
    loss = confidence_loss(
        output, known.correct, known.p_true, kind="bce", wrong_weight=error_weight(known.correct)
    )
    assert float(loss) == pytest.approx(float(toy.vectors["caption_bce_adapt"]), rel=1e-6)


@pytest.mark.parametrize("shortcut", [False, True])
def test_vilu_training_equals_the_released_code(toy: Toy, shortcut: bool) -> None:
    """Eight steps over the thaw of the projections, with and without cached attended texts."""
    optimiser = make_optimiser(toy.head, PLAN)
    losses = []
    for start in range(0, 400, 50):
        rows = slice(start, start + 50)
        toy.head.count_step()
        attended = toy.known.attended[rows] if shortcut else None  # type: ignore[index]
        output = toy.head(toy.images[rows], toy.texts, toy.known.chosen[rows], attended)
        correct = toy.known.correct[rows]
        loss = confidence_loss(
            output, correct, toy.known.p_true[rows], kind="bce", wrong_weight=error_weight(correct)
        )
        losses.append(loss.item())
        step(toy.head, optimiser, loss)
    np.testing.assert_allclose(losses, toy.vectors["train_losses"], rtol=1e-6)
    trained = {name: tensor.clone() for name, tensor in toy.head.state_dict().items()}
    toy.give("trained_")
    for name, expected in toy.head.state_dict().items():
        np.testing.assert_allclose(trained[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)


def test_vilu_learning_rates_equal_the_released_code(toy: Toy) -> None:
    optimiser = make_optimiser(toy.head, PLAN)
    schedule = make_schedule(optimiser, PLAN)
    rates = []
    for _ in range(PLAN.epochs):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    np.testing.assert_allclose(rates, toy.vectors["lr_schedule_T20_base0.01"], rtol=1e-9)


@pytest.mark.parametrize("attention", ["none", "released"])
@pytest.mark.parametrize("predicted", [False, True])
def test_vilu_input_widths_equal_the_released_code(
    toy: Toy, attention: Any, predicted: bool
) -> None:
    head = ViLUHead(
        64,
        (8,),
        attention=attention,
        predicted=predicted,
        learned=False,
        freeze_steps=0,
        logit_scale=100.0,
    )
    key = f"indim_attn{int(attention != 'none')}_pred{int(predicted)}"
    assert head.mlp[0].in_features == int(toy.vectors[key])
