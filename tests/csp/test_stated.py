"""Replies that state a confidence, and those that do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spatialtrust.csp.scales import SCALES, scale_named
from spatialtrust.csp.stated import STATUSES, parse_confidence
from spatialtrust.errors import InputError

READ = {
    "yes, 80%": 0.8,
    "Yes. 90": 0.9,
    "no, 0.9": 0.9,
    "yes,80%": 0.8,
    "yes, .8": 0.8,
    "0,9": 0.9,
    "1.0": 1.0,
    "100": 1.0,
    "0": 0.0,
    "0%": 0.0,
    "99.5%": 0.995,
    "+80%": 0.8,
    "Confidence: 0.9": 0.9,
    "confidence=92": 0.92,
    "**Confidence:** 75%": 0.75,
    '{"answer": "yes", "confidence": 0.85}': 0.85,
    '{"answer": "yes", "confidence": 85}': 0.85,
    "Yes; probability 0.75.": 0.75,
    "I am 95% sure.": 0.95,
    "ninety percent": 0.9,
    "9/10": 0.9,
    "8 out of 10": 0.8,
    "Certainty level: 7/10": 0.7,
    "１００%": 1.0,
    "very sure": 0.9,
    "Yes, very sure": 0.9,
    "fairly confident": 0.75,
    "not sure": 0.6,
    "I'm not very sure": 0.6,
    "unsure": 0.6,
    "certain": 1.0,
    "not certain": 0.6,
    "absolutely sure": 1.0,
    "a guess": 0.5,
    "Yes (confidence: high)": 0.9,
    "low confidence": 0.6,
    "grade B": 0.875,
    "yes, B": 0.875,
    "A": 1.0,
    0.9: 0.9,
    90: 0.9,
}
RANGES = {"70-80%": 0.75, "between 70 and 80 percent": 0.75, "0.7 to 0.8": 0.75, "80-90": 0.85}
NOT_READ = {
    "": "missing",
    "   ": "missing",
    "yes": "missing",
    "Yes, there are 2 mugs": "missing",
    "in 2019-2020": "missing",
    "The mugs are 3 to 4 cm apart": "missing",
    "Sure! The mug is left.": "missing",
    "nan": "missing",
    "I cannot say how confident I am.": "refused",
    "I can't be sure": "refused",
    "As an AI, I do not have confidence.": "refused",
    "Sorry.": "refused",
    "1": "ambiguous",
    "Confidence: 1": "ambiguous",
    "0.9%": "ambiguous",
    "yes, 80% or maybe 60%": "ambiguous",
    "80% sure that 20% of it is hidden": "ambiguous",
    "101": "out_of_range",
    "150%": "out_of_range",
    "-5%": "out_of_range",
    "12/10": "out_of_range",
    "99999999999999999999%": "out_of_range",
    None: "no_reply",
}


@pytest.mark.parametrize(("reply", "confidence"), READ.items())
def test_a_stated_confidence_is_read(reply, confidence):
    found = parse_confidence([reply])
    assert found.status[0] == "ok"
    assert found.confidence[0] == pytest.approx(confidence, abs=1e-6)


@pytest.mark.parametrize(("reply", "middle"), RANGES.items())
def test_a_range_is_its_middle_and_says_so(reply, middle):
    found = parse_confidence([reply])
    assert found.status[0] == "range"
    assert found.confidence[0] == pytest.approx(middle, abs=1e-6)


@pytest.mark.parametrize(("reply", "status"), NOT_READ.items())
def test_what_states_nothing_is_nan_with_a_status(reply, status):
    found = parse_confidence([reply])
    assert found.status[0] == status
    assert math.isnan(found.confidence[0])


def test_every_text_gets_a_status_and_never_an_error():
    generator = np.random.default_rng(0)
    alphabet = list("yesno0123456789 .,%-/+:;()ABCabc\n\t\"'{}[]~é−")
    texts = ["".join(generator.choice(alphabet, generator.integers(0, 25))) for _ in range(3000)]
    found = parse_confidence(texts)
    assert set(found.status) <= set(STATUSES)
    known = np.isfinite(found.confidence)
    assert (known == np.isin(found.status, ("ok", "range"))).all()
    assert ((found.confidence[known] >= 0) & (found.confidence[known] <= 1)).all()


def test_no_replies_no_confidences():
    assert len(parse_confidence([]).confidence) == 0


@pytest.mark.parametrize("name", SCALES)
def test_what_a_scale_says_is_read_as_what_it_means(name):
    scale = scale_named(name)
    found = parse_confidence(scale.replies("yes"))
    assert (found.status == "ok").all()
    assert found.confidence.tolist() == pytest.approx(scale.values, abs=1e-6)


def test_the_closest_word_of_a_scale_is_said():
    assert scale_named("grades").reply("no", 0.8) == " no, grade C"
    assert scale_named("percent").reply("yes", 0.2) == " yes, 50%"
    with pytest.raises(InputError, match='did you mean "percent"'):
        scale_named("percents")
