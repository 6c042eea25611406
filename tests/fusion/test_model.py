"""The trust model: who learns from which images, what answers weigh, what a file keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.errors import (
    FileError,
    GuaranteeError,
    InputError,
    NotFittedError,
    SchemaVersionError,
)
from spatialtrust.evaluation.crossvalidation import out_of_fold
from spatialtrust.evidence.columns import BOXES, FAMILIES, FULL, LIVE, POSED, THINGS, Features
from spatialtrust.evidence.gathering import Inputs
from spatialtrust.evidence.priors import attributes
from spatialtrust.fusion import fitting, model_file
from spatialtrust.fusion.answer_weights import AnswerWeights
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.explanation import contributions
from spatialtrust.fusion.fitting import BASIS
from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.model import TrustModel
from spatialtrust.fusion.multilevel_fit import Rows, fit_multilevel
from spatialtrust.io.claim_files import claims_from_rows
from spatialtrust.io.rows import RawRows
from spatialtrust.metrics import auroc, ece
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES
from spatialtrust.tables import Claims, Grounding

SHIPPED = TrustModel.load("vsr-boxes")
RELATIONS = ("left of", "right of", "above", "below", "in", "contains", "near", "on")
THINGS_KNOWN = attributes(["cup", "table", "dog", "car", "gizmo"]).T


def world(
    rows: int, seed: int = 0, *, per_image: int = 2, vlm: float | None = None
) -> tuple[Features, np.ndarray, np.ndarray]:
    """Random claims, labels that follow the shipped model's odds, and a VLM of some skill."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (2, rows, 2))
    extent = rng.uniform(0.08, 0.4, (2, rows, 2))
    boxes = np.concatenate([low, np.minimum(low + extent, 1)], axis=2)
    inputs = Inputs(
        Grounding.from_boxes(boxes[0], boxes[1], np.ones((rows, 2), dtype=np.float32)),
        np.array([NAMES.index(name) for name in rng.choice(RELATIONS, rows)], dtype=np.int16),
        THINGS_KNOWN,
        rng.integers(0, 5, rows).astype(np.int32),
        rng.integers(0, 5, rows).astype(np.int32),
    )
    features = inputs.features()
    truth = SHIPPED.predict(features).p_true
    label = (rng.random(rows) < truth).astype(np.int8)
    image = np.array([f"{place // per_image}.jpg" for place in range(rows)])
    if vlm is not None:
        right = rng.random(rows) < vlm
        sure = rng.uniform(0.6, 0.95, rows)
        features.column("p_yes")[:] = np.where(right == (label == 1), sure, 1 - sure)
        features.answer[:] = features.column("p_yes") > 0.5
    return features, label, image


def fit(rows: int, **options) -> TrustModel:
    vlm = options.pop("vlm", None)
    return TrustModel.fit(*world(rows, vlm=vlm), calibrated_on="made up", base=SHIPPED, **options)


def test_the_shipped_model_tells_directions() -> None:
    rows = [
        {"subject": "mug", "relation": relation, "object": "kettle",
         "subject_box": [0.3, 0.5, 0.2, 0.2], "object_box": [0.7, 0.5, 0.2, 0.2]}
        for relation in ("left of", "right of")
    ]  # fmt: skip
    file = claims_from_rows(RawRows.from_records(rows, "rows"))
    found = SHIPPED.score(Inputs.of(file.claims, file.grounding))
    assert found.p_true[0] > 0.9
    assert found.p_true[1] < 0.25
    assert not SHIPPED.for_pairs
    assert SHIPPED.asker is None
    assert not SHIPPED.uses_answers


def test_no_image_is_in_two_folds_and_folds_are_alike() -> None:
    groups = np.repeat(np.arange(500), np.random.default_rng(0).integers(1, 6, 500))
    fold = deal(groups, 5, seed=3)
    assert len({(group, number) for group, number in zip(groups, fold, strict=True)}) == 500
    images = [np.unique(groups[fold == number]).size for number in range(5)]
    assert images == [100] * 5


def test_few_rows_keep_the_trees_and_set_weight_and_calibrator() -> None:
    model = fit(400, vlm=0.9)
    assert model.layers.box_trees == SHIPPED.layers.box_trees
    assert model.layers.answer_trees is None
    assert model.layers.answer_weights is not None
    assert model.layers.answer_weights.weight > 0.3
    assert model.uses_answers
    assert model.for_pairs


def test_a_vlm_that_guesses_gets_next_to_no_weight_and_a_good_one_helps() -> None:
    features, label, _ = world(3000, seed=9, vlm=0.9)
    blind, skilled = fit(900, vlm=0.5), fit(900, vlm=0.9)
    assert blind.layers.answer_weights is not None
    assert blind.layers.answer_weights.weight < 0.3
    found = skilled.predict(features)
    assert auroc(found.p_true, label == 1) > auroc(found.p_boxes, label == 1) + 0.02


def test_a_thousand_rows_and_more_fit_trees_that_read_the_vlm() -> None:
    model = fit(1600, vlm=0.9)
    assert model.layers.answer_trees is not None
    assert "p_yes" in model.layers.answer_trees.features
    assert not set(model.layers.box_trees.features) & set(LIVE)
    assert not set(model.layers.box_trees.features) & set(THINGS), (
        "names only act through the regressions"
    )
    features, label, _ = world(3000, seed=9, vlm=0.9)
    found = model.predict(features)
    assert auroc(found.p_true, label == 1) > auroc(found.p_boxes, label == 1) + 0.02
    assert ece(found.p_true, label == 1) < 0.06
    assert "VLM" in model.importances()
    assert sum(model.importances().values()) == pytest.approx(1, abs=1e-5)


def test_without_answers_only_the_trees_on_boxes_are_fitted_anew() -> None:
    model = fit(1200)
    assert model.layers.answer_trees is None
    assert model.layers.answer_weights is None
    assert model.layers.box_trees != SHIPPED.layers.box_trees
    assert model.layers.regressions is SHIPPED.layers.regressions


def test_p_boxes_never_looks_at_the_vlm() -> None:
    for rows in (400, 1600):
        model = fit(rows, vlm=0.9)
        features = world(50, seed=4, vlm=0.9)[0]
        before = model.predict(features)
        features.column("p_yes")[:] = 1 - features.column("p_yes")
        after = model.predict(features)
        np.testing.assert_array_equal(before.p_boxes, after.p_boxes)
        assert (before.p_true != after.p_true).any()


def test_a_claim_without_boxes_has_the_vlm_alone_once_it_is_fitted() -> None:
    features = world(20, seed=4, vlm=0.9)[0]
    features.values[[FULL.index(name) for name in BOXES]] = np.nan
    assert np.isnan(SHIPPED.predict(features).p_true).all()
    for rows in (400, 1600):
        found = fit(rows, vlm=0.9).predict(features)
        assert np.isnan(found.p_boxes).all()
        order = np.argsort(features.column("p_yes"))
        assert (np.diff(found.p_true[order]) >= 0).all()
        assert found.p_true[order][-1] > 0.7


def test_an_answer_without_a_probability_counts_too_and_none_changes_nothing() -> None:
    model = fit(400, vlm=0.9)
    features = world(3, seed=4, vlm=0.9)[0]
    features.column("p_yes")[:] = np.nan
    features.answer[:] = (1, 0, -1)
    found = model.predict(features)
    assert found.p_true[0] > found.p_boxes[0]
    assert found.p_true[1] < found.p_boxes[1]
    assert found.p_true[2] == found.p_boxes[2]


def test_an_unfitted_answer_is_said_not_to_count() -> None:
    features = world(4, vlm=0.9)[0]
    features.answer[0] = -1
    reasons = SHIPPED.predict(features).reasons & bit("answer_not_used")
    assert (reasons > 0).tolist() == [False, True, True, True]
    assert not (fit(400, vlm=0.9).predict(features).reasons & bit("answer_not_used")).any()


@pytest.mark.parametrize(("base", "rows"), [(None, 600), (SHIPPED, 400), (SHIPPED, 1600)])
def test_a_row_that_certifies_was_scored_by_models_that_never_saw_it(base, rows) -> None:
    features, _, image = world(rows, per_image=1)
    noise = np.random.default_rng(1).integers(0, 2, rows).astype(np.int8)
    model = TrustModel.fit(features, noise, image, calibrated_on="noise", base=base)
    assert model.certifying is not None
    assert model.certifying.reserve > 0
    # Labels are noise: whoever saw them does better than chance, who did not does not.
    area = auroc(model.certifying.p_true, noise == 1)
    assert area < 0.5 + 2.6 * np.sqrt(1 / (3 * rows))
    assert auroc(model.predict(features).p_true, noise == 1) > area + 0.02


def test_all_random_rows_certify_a_model_as_it_is() -> None:
    features, label, image = world(400)
    model = SHIPPED.certified_on(features, label, image, calibrated_on="mine")
    assert model.layers is SHIPPED.layers
    assert model.certifying is not None
    assert model.certifying.label.size == 400
    rule = model.rule(accuracy=0.8, delta=0.1)
    assert rule.reserve == 0
    assert rule.sequences == 1
    assert not str(rule).startswith("approximately")
    assert str(fit(400).rule(accuracy=0.8, delta=0.1)).startswith("approximately")
    with pytest.raises(InputError, match=r"was fitted on 200 of these images"):
        fit(400).certified_on(features, label, image, calibrated_on="again")


def test_rows_drawn_to_fit_never_certify() -> None:
    features, label, image = world(600, vlm=0.8)
    half = np.isin(image, np.unique(image)[:150])
    purpose = np.where(half, "certify", "fit")
    model = TrustModel.fit(
        features, label, image, calibrated_on="mine", base=SHIPPED, purpose=purpose
    )
    assert model.certifying is not None
    assert sorted(model.certifying.label) == sorted(label[half])
    mixed = purpose.copy()
    mixed[0] = "fit" if mixed[0] == "certify" else "certify"
    with pytest.raises(InputError, match="share images"):
        TrustModel.fit(features, label, image, calibrated_on="x", base=SHIPPED, purpose=mixed)


@pytest.mark.parametrize("unit", ["claim", "image"])
def test_a_rule_is_plain_or_certified(unit) -> None:
    assert str(SHIPPED.rule(min_confidence=0.7)).startswith("plain confidence threshold 0.7")
    rule = SHIPPED.rule(accuracy=0.8, delta=0.1, unit=unit)
    assert rule.certified
    assert rule.unit == unit
    assert rule.calibrated_on == SHIPPED.calibrated_on
    assert rule.threshold is not None
    assert rule.bound is not None
    assert rule.bound <= 0.2 + 1e-9


def test_half_a_wish_is_refused() -> None:
    for wish in ({}, {"accuracy": 0.9}, {"delta": 0.1}):
        with pytest.raises(InputError, match="accuracy and delta"):
            SHIPPED.rule(**wish)
    bare = TrustModel("bare", "nothing", SHIPPED.layers)
    with pytest.raises(GuaranteeError, match="no rows to certify with"):
        bare.rule(accuracy=0.9, delta=0.1)
    with pytest.raises(NotFittedError, match="VLM"):
        bare.layers.answer_logit(world(2)[0], np.zeros(2, dtype=np.float32))


@pytest.mark.parametrize("rows", [400, 1600])
def test_a_file_keeps_everything(rows: int, tmp_path: Path) -> None:
    model = fit(rows, vlm=0.9)
    model.save(tmp_path / "m.json")
    back = TrustModel.load(tmp_path / "m.json")
    features = world(200, seed=5, vlm=0.9)[0]
    for ours, theirs in zip(model.predict(features), back.predict(features), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    assert back.images == model.images
    assert back.rule(accuracy=0.8, delta=0.1) == model.rule(accuracy=0.8, delta=0.1)
    back.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()
    assert TrustModel.load(tmp_path / "again.json").sha256 == back.sha256


def test_the_same_rows_and_seed_give_the_same_model() -> None:
    assert fit(1200, vlm=0.8, seed=3).layers.answer_trees == (
        fit(1200, vlm=0.8, seed=3).layers.answer_trees
    )


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (None, FileError, "cannot be read"),
        ("not json", FileError, "is not JSON"),
        ("[1]", FileError, "is not a trust model"),
        ('{"format": "other"}', FileError, "is not a trust model"),
        ({"version": 999}, SchemaVersionError, "999"),
        ({"vocabulary": "abc"}, FileError, "reads otherwise; fit it again"),
        ({"layers": {"regressions": {}}}, FileError, "is damaged"),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path, content, error, says) -> None:
    path = tmp_path / "m.json"
    if isinstance(content, dict):
        SHIPPED.save(path)
        path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(error, match=says) as raised:
        TrustModel.load(path)
    assert str(path) in str(raised.value)


def test_a_path_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        SHIPPED.save(tmp_path / "file" / "m.json")


def test_too_few_or_wrong_labels_are_refused() -> None:
    features, label, image = world(200)
    for given, says in (
        ((features, label[:-1], image), "199 labels"),
        ((features, np.full(200, 2), image), "0 and 1"),
        ((features, np.ones(200), image), "0 false claims"),
        (world(30), "about 200 rows"),
    ):
        with pytest.raises(InputError, match=says):
            TrustModel.fit(*given, calibrated_on="x", base=SHIPPED)


def test_seen_images_are_recognised_by_name() -> None:
    model = fit(400)
    claims = Claims.from_rows(
        {"claim_id": str(row), "image_id": name}
        for row, name in enumerate(["0.jpg", "1.jpg", "new.jpg", "other.jpg"])
    )
    assert model.seen_share(claims) == 0.5
    assert SHIPPED.seen_share(claims) == 0.0
    assert image_hashes(["0.jpg"])[0] in model.images
    assert SHIPPED.seen_share(Claims.empty()) == 0.0


def test_pieces_and_threads_change_nothing(monkeypatch) -> None:
    features = world(40_000)[0]
    whole = SHIPPED.layers.fuse(features, SHIPPED.layers.margin(features))
    for count in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        found = SHIPPED.predict(features)
        np.testing.assert_allclose(found.p_true, whole.p_true, atol=2e-6)
        np.testing.assert_array_equal(found.reasons, whole.reasons)
    assert SHIPPED.predict(features.select(slice(0))).p_true.shape == (0,)


def test_contributions_add_up_to_the_log_odds_and_are_said_in_words() -> None:
    for model in (SHIPPED, fit(1600, vlm=0.9)):
        features = world(30, vlm=0.9)[0]
        added = sum(contributions(model.layers, features).values())
        layers = model.layers
        trees = layers.box_logit if layers.answer_trees is None else layers.answer_logit
        logit = trees(features, layers.margin(features))
        np.testing.assert_allclose(added, logit, atol=2e-3)
        said = model.explain(features)
        assert all(text.startswith("P(true) ") for text in said)
    blind = features.select(slice(0, 1))
    blind.column("separation")[:] = np.nan
    assert SHIPPED.explain(blind) == [""]
    assert set(FAMILIES) == {*BOXES, *LIVE}


def test_regressions_in_the_primal_are_the_dual_and_left_out_rows_were_left_out() -> None:
    features, label, image = world(500)
    args = features.block(POSED), features.block(THINGS), features.relation
    rows = Rows(*args, image)
    fitted = fit_multilevel(rows, label, rows, features=POSED, attributes=THINGS, basis=BASIS)
    logit = fitted.model.logit(*args)
    assert auroc(1 / (1 + np.exp(-logit)), label == 1) > auroc(
        1 / (1 + np.exp(-fitted.left_out)), label == 1
    )
    # At the mode the gradient vanishes: residual = noise * dual, so errors average out per kind.
    assert abs(np.mean(label - 1 / (1 + np.exp(-logit)))) < 0.02
    terms = fitted.model.contributions(features)
    np.testing.assert_allclose(
        terms.sum(axis=0) + fitted.model.constant[features.relation], logit, atol=1e-3
    )


def test_claims_in_any_order_and_in_pieces_get_what_they_get_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, _, _ = world(1500, seed=3)
    features.relation[::17] = -1
    layers = SHIPPED.layers
    margin = layers.margin(features)
    order = np.argsort(features.relation, kind="stable")
    np.testing.assert_allclose(layers.margin(features.select(order)), margin[order], atol=2e-5)
    whole = SHIPPED.predict(features)
    for piece in (64, 1000):
        monkeypatch.setattr("spatialtrust.fusion.model._PIECE", piece)
        for threads in ("1", "2"):
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
            for column, parts in zip(whole, SHIPPED.predict(features), strict=True):
                np.testing.assert_allclose(parts, column, atol=1e-6)


def test_scoring_boxes_equals_judging_their_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = 700
    boxes = rng.uniform(0, 1, (2, rows, 4)).astype(np.float32)  # every other one is degenerate
    inputs = Inputs(
        Grounding.from_boxes(boxes[0], boxes[1], np.ones((rows, 2), dtype=np.float32)),
        rng.integers(-1, len(NAMES), rows).astype(np.int16),
        THINGS_KNOWN,
        rng.integers(0, 5, rows).astype(np.int32),
        rng.integers(0, 5, rows).astype(np.int32),
    )
    judged = SHIPPED.predict(inputs.features())
    assert 0.02 < np.isfinite(judged.p_boxes).mean() < 0.5
    for piece in (50, 10_000):  # memory is used again by the next piece
        monkeypatch.setattr("spatialtrust.fusion.model._PIECE", piece)
        scored = SHIPPED.score(inputs)
        for one, other in zip(scored, judged, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    empty = SHIPPED.predict(inputs.features(slice(0, 0)))
    assert [len(column) for column in empty] == [0, 0, 0]


def test_a_relation_never_seen_is_judged_like_its_kin() -> None:
    features, label, image = world(1500)
    known = features.relation != NAMES.index("at the left side of")
    some = features.select(known)
    rows = Rows(some.block(POSED), some.block(THINGS), some.relation, image[known])
    fitted = fit_multilevel(
        rows, label[known], rows, features=POSED, attributes=THINGS, basis=BASIS
    )
    left = features.select(features.relation == NAMES.index("left of"))
    unseen = np.full(len(left), NAMES.index("at the left side of"), dtype=np.int16)
    logit = fitted.model.logit(left.block(POSED), left.block(THINGS), unseen)
    assert np.corrcoef(logit, left.column("alignment"))[0, 1] > 0.5


def test_trees_leave_out_what_is_never_known_and_keep_monotone_promises() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(3, 2000)).astype(np.float32)
    columns[2] = np.nan
    zero = np.zeros(2000, dtype=np.float32)
    label = rng.random(2000) < 1 / (1 + np.exp(-columns[0] + 2 * (columns[0] > 1)))
    model, left_out = Boosted.fit(
        columns, zero, label, np.arange(2000) % 5,
        features=("alignment", "b", "never"), rising=("alignment",),
    )  # fmt: skip
    assert model.features == ("alignment", "b")
    assert 0.6 < auroc(left_out, label) < auroc(model.logit(columns[:2], zero), label)
    swept = np.stack([np.linspace(-3, 3, 100), np.zeros(100)]).astype(np.float32)
    assert (np.diff(model.logit(swept, np.zeros(100, dtype=np.float32))) >= -1e-6).all()


def test_weights_of_answers_are_never_negative() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 300)
    contrary = np.where(label == 1, -2.0, 2.0) + rng.normal(size=300)
    found = AnswerWeights.fit(rng.normal(size=300) + label, contrary, label)
    assert found is not None
    assert found.weight == pytest.approx(0, abs=1e-6)
    assert AnswerWeights.fit(rng.normal(size=300), np.full(300, np.nan), label) is None


def test_folds_hold_whole_images_and_every_row_is_scored_once() -> None:
    groups = np.repeat(np.arange(40), 3)
    calls: list[tuple[set[int], set[int]]] = []

    def score(fit_rows, rows):
        calls.append((set(groups[fit_rows]), set(groups[rows])))
        return rows.astype(np.float32)

    found = out_of_fold(score, groups, folds=4)
    np.testing.assert_array_equal(found, np.arange(120))
    assert all(not one & other for one, other in calls)
    assert len(calls) == 4


def test_regressions_learn_from_whole_images_up_to_a_limit(monkeypatch) -> None:
    given = []

    def spy(rows, label, judged, **options):
        given.append(rows.groups)
        return fit_multilevel(rows, label, judged, **options)

    monkeypatch.setattr(fitting, "fit_multilevel", spy)
    monkeypatch.setattr(fitting, "MOST_REGRESSED", 600)
    monkeypatch.setattr(fitting, "_CONTRADICTED", 0.0)
    features, label, image = world(1600, per_image=4)
    model = TrustModel.fit(features, label, image, calibrated_on="many")
    drawn, counts = np.unique(given[0], return_counts=True)
    assert 580 <= counts.sum() <= 600
    assert (counts == 4).all(), "whole images"
    assert len(drawn) < 0.75 * 400
    fresh, truth, _ = world(800, seed=9)
    assert auroc(model.predict(fresh).p_true, truth == 1) > 0.6


def test_a_shipped_model_is_read_once_and_a_file_every_time(tmp_path, monkeypatch) -> None:
    TrustModel.load().save(tmp_path / "own.json")
    reads: list[bytes] = []
    loads = model_file.loads
    monkeypatch.setattr(model_file, "loads", lambda text: reads.append(text) or loads(text))
    assert TrustModel.load().layers is TrustModel.load().layers
    assert not reads
    assert TrustModel.load(tmp_path / "own.json").layers is not TrustModel.load().layers
    (tmp_path / "own.json").write_text("{}")
    with pytest.raises(FileError, match="is not a trust model"):
        TrustModel.load(tmp_path / "own.json")
