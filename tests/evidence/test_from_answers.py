"""Signals from answers: their definitions, what is unknown, and that order never matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.errors import InputError
from spatialtrust.evidence.from_answers import COLUMNS, assertions, listen, text_baseline
from spatialtrust.questions.prompts import FORMS, PARAPHRASES
from spatialtrust.questions.signals import ASKED
from spatialtrust.reasons import bit
from spatialtrust.tables import Answers, Claims

RELATIONS = ("left of", "above", "near", "in", "between")


def make_claims(relations=RELATIONS):
    return Claims.from_rows(
        {"claim_id": str(row), "image_id": "a", "subject": "mug", "relation": relation,
         "object": "cup"}
        for row, relation in enumerate(relations)
    )  # fmt: skip


def answer(claim_id, view="plain", form="claim", prompt="default", margin=None, **more):
    said = {} if margin is None else {
        "margin": margin, "answer": "yes" if margin >= 0 else "no",
        "p_yes": 1 / (1 + np.exp(-margin)),
    }  # fmt: skip
    return {"claim_id": claim_id, "model": "m", "view": view, "form": form, "prompt_id": prompt,
            "status": "ok", **said, **more}  # fmt: skip


def of(rows, relations=RELATIONS):
    return listen(make_claims(relations), Answers.from_rows(rows))


def test_the_first_wording_is_the_answer():
    found = of([answer("0", margin=1.0, entropy=0.5), answer("1", margin=-2.0)])
    assert found.answer.tolist() == [1, 0, -1, -1, -1]
    assert found.columns["vlm_margin"][:2].tolist() == [1.0, -2.0]
    assert found.columns["vlm_entropy"][0] == 0.5
    assert np.isnan(found.columns["vlm_entropy"][1:]).all()


def test_what_was_not_asked_is_nan_and_says_why():
    found = of([answer("0", answer="unparsed"), answer("1", margin=1.0),
                answer("2", margin=1.0) | {"status": "image_unreadable"}])  # fmt: skip
    missing, unparsed = bit("answer_missing"), bit("answer_unparsed")
    partial = bit("signal_unavailable")
    assert found.reasons.tolist() == [unparsed | partial, partial, missing, missing, missing]
    assert found.answer.tolist() == [-1, 1, -1, -1, -1]
    for name in ("prompt_consistency", "orbit", "noise_flip", "noise_slope", "crop_margin"):
        assert np.isnan(found.columns[name]).all(), name


def test_any_wording_is_an_answer_where_the_default_was_not_asked():
    found = of([answer("0", prompt="mine", margin=2.0), answer("0", prompt="true", margin=-1.0),
                answer("1", prompt="mine", margin=2.0)])  # fmt: skip
    assert found.columns["vlm_margin"][:2].tolist() == [-1.0, 2.0], "known wordings come first"


def test_the_default_wording_is_the_answer_whatever_the_order_of_rows():
    rows = [answer("0", prompt=name, margin=1.0 if name == "default" else -1.0)
            for name in PARAPHRASES]  # fmt: skip
    table = Answers.from_rows(rows).sorted()
    assert table.strings("prompt_id")[0] == "correct"
    assert listen(make_claims(), table).answer[0] == 1
    np.testing.assert_array_equal(assertions(make_claims(), table), [1, -1, -1, -1, -1])


def test_consistency_is_the_share_of_wordings_that_agree_with_the_first():
    margins = dict(zip(PARAPHRASES, (1.0, 2.0, -1.0, 3.0), strict=False))
    rows = [answer("0", prompt=name, margin=value) for name, value in margins.items()]
    rows.append(answer("0", prompt=PARAPHRASES[4], answer="unparsed"))
    found = of(rows)
    assert found.columns["prompt_consistency"][0] == pytest.approx(0.6)
    assert found.columns["prompt_margin"][0] == pytest.approx(5 / 4)


def test_the_text_baseline_ranks_by_agreement_and_breaks_ties_by_margin():
    rows = []
    for claim, margins in enumerate([(1, 1, 1, 1, 1), (3, 3, 3, 3, 3), (9, 9, 9, 9, -0.1)]):
        rows += [
            answer(str(claim), prompt=name, margin=float(value))
            for name, value in zip(PARAPHRASES, margins, strict=True)
        ]
    score = text_baseline(of(rows))
    assert score[1] > score[0] > score[2]
    assert ((score[:3] >= 0) & (score[:3] <= 1)).all()


def orbit_rows(claim_id, table, column="loglik_per_token"):
    return [
        answer(claim_id, view=view, form=form, prompt="statement", **{column: value})
        for (view, form), value in table.items()
    ]


@given(st.lists(st.floats(-20, 0), min_size=8, max_size=8))
def test_the_orbit_is_the_difference_of_the_two_halves_of_its_definition(values):
    cells = dict(zip([(v, f) for v in ("plain", "mirror") for f in FORMS], values, strict=True))
    x = {form: cells["plain", form] for form in FORMS}
    t = {form: cells["mirror", form] for form in FORMS}
    rows = [row for claim in range(5) for row in orbit_rows(str(claim), cells)]
    found = of(rows)
    true, false = ("claim", "converse"), ("opposite", "swapped")
    plain = [x[form] for form in true], [x[form] for form in false]
    mirrored = [t[form] for form in true], [t[form] for form in false]
    horizontal = np.mean(plain[0] + mirrored[1]) - np.mean(plain[1] + mirrored[0])
    vertical = np.mean(plain[0] + mirrored[0]) - np.mean(plain[1] + mirrored[1])
    np.testing.assert_allclose(
        found.columns["orbit"][[0, 1, 3]], [horizontal, vertical, vertical], atol=1e-4
    )
    assert np.isnan(found.columns["orbit"][[2, 4]]).all(), "symmetric, or without a converse"


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_liking_for_words_or_views_cancels(word, view):
    """A model that looks at nothing: likelihood = word bias + view bias."""
    cells = {
        (v, form): (word if form in ("claim", "swapped") else 0) + (view if v == "mirror" else 0)
        for v in ("plain", "mirror")
        for form in FORMS
    }
    found = of(orbit_rows("0", cells))
    assert found.columns["orbit"][0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("column", ["similarity", "margin"])
def test_models_without_likelihood_have_an_orbit_of_what_they_have(column):
    cells = {(v, f): float(f in ("claim", "converse")) for v in ("plain", "mirror") for f in FORMS}
    found = of(orbit_rows("1", cells, column))
    assert found.columns["orbit"][1] == 1.0


def test_sensitivity_is_where_the_answer_flips_and_how_fast_the_margin_falls():
    levels = {10: 2.0, 20: 1.0, 40: -1.0, 60: -3.0}
    rows = [answer("0", margin=3.0)]
    rows += [answer("0", view=f"noise-{level}", margin=value) for level, value in levels.items()]
    rows += [answer("1", margin=-1.0)]
    rows += [answer("1", view=f"noise-{level}", margin=-1.0) for level in levels]
    found = of(rows)
    assert found.columns["noise_flip"][:2] == pytest.approx([0.4, 1.0])
    noise, lost = np.array([0.1, 0.2, 0.4, 0.6]), np.array([1.0, 2.0, 4.0, 6.0])
    slope = (noise * lost).sum() / (noise**2).sum()
    assert found.columns["noise_slope"][:2] == pytest.approx([slope, 0.0], abs=1e-5)


def test_look_again_is_the_margin_on_the_crop():
    found = of([answer("0", margin=1.0), answer("0", view="crop", margin=-0.5)])
    assert found.columns["crop_margin"][0] == -0.5


def test_rows_join_by_key_whatever_their_order():
    rows = [
        answer(str(claim), view=view, margin=float(claim - 2))
        for claim in range(5)
        for view in ("plain", "crop", "noise-10")
    ]
    rows.append(answer("elsewhere", margin=9.0))
    forward, backward = of(rows), of(rows[::-1])
    np.testing.assert_array_equal(forward.answer, backward.answer)
    for name in COLUMNS:
        np.testing.assert_array_equal(forward.columns[name], backward.columns[name])


def test_answers_of_several_models_need_a_name():
    rows = [answer("0", margin=1.0), answer("0", margin=-1.0) | {"model": "n"}]
    answers, claims = Answers.from_rows(rows), make_claims()
    with pytest.raises(InputError, match="name one of: m, n"):
        listen(claims, answers)
    assert listen(claims, answers, "n").answer[0] == 0
    with pytest.raises(InputError, match='"o" has no answers'):
        listen(claims, answers, "o")


def test_no_question_is_asked_for_two_signals():
    asked = [
        (view, form, prompt)
        for plan in ASKED.values()
        for view in plan.views
        for form in plan.forms
        for prompt in plan.prompts
    ]
    assert len(asked) == len(set(asked)) == 1 + 4 + 8 + 4 + 1 + 1


def test_no_claims_no_signals():
    assert len(listen(Claims.empty(), Answers.empty()).answer) == 0
