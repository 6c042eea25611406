"""What a VLM's answers say beyond yes and no: margins, consistency, orbits, sensitivity to noise.

One row per claim from a table with one row per claim, view, form and prompt. Each signal needs
certain questions to be asked; ``ASKED`` says which. What was not asked is NaN.

Sources: prompt consistency: Khan and Fu 2024, the text baseline of arXiv 2601.11644. Relation
orbit: Xiong et al. 2026; where the language's converse is not the opposite word, the opposite
stands in (this package's choice). Sensitivity to noise on the two objects: the perturbation of CSP
(arXiv 2504.14848), used here as a signal. Look again: BCEA 2026.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.questions.prompts import CONFIDENCE, FORMS, PARAPHRASES, STATEMENT
from spatialtrust.questions.signals import ASKED
from spatialtrust.questions.views import NOISE_LEVELS
from spatialtrust.reasons import bit
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32
    from spatialtrust.tables import Answers, Claims


COLUMNS: Final = (
    "p_yes",
    "vlm_margin",
    "vlm_entropy",
    "stated_confidence",
    "prompt_consistency",
    "crop_margin",
    "orbit",
    "orbit_plain",
    "orbit_mirror",
    "noise_slope",
    "noise_flip",
)
"""P(yes); logit of yes minus no; entropy of the reply, nats; confidence the VLM states; share of
wordings answered like the first (an unparsed one is not); margin on a crop around the two boxes;
how much better claim and converse fit than their opposites, and its parts by view; margin lost per
full noise; share of noise at which the answer first changes (1: at none of those asked)."""


_UNPARSED: Final = -1
_NOT_ASKED: Final = -2


class Heard(NamedTuple):
    """Signals of (N,) claims.

    Attributes
    ----------
    columns: float32 (N,) by name: ``COLUMNS``, ``similarity`` (cosine of image and claim) and
        ``prompt_margin`` (mean margin over all wordings, towards the first answer).
    answer: int8 (N,), 1 yes, 0 no, -1 neither.
    reasons: uint32 (N,) bit mask.
    """

    columns: dict[str, Float32]
    answer: NDArray[np.int8]
    reasons: NDArray[np.uint32]


def listen(claims: Claims, answers: Answers, model: str | None = None) -> Heard:
    """The signals of each claim.

    Parameters
    ----------
    claims: (N,) rows.
    answers: any rows, in any order; those of other claims, and those that failed, are left aside.
    model: whose answers; may be left out where there is only one.

    Raises
    ------
    InputError: the answers are of several models and none was named, or of others than the named.

    >>> from spatialtrust.tables import Answers, Claims
    >>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a"}])
    >>> said = Answers.from_rows([{"claim_id": "0", "model": "m", "view": "plain", "form": "claim",
    ...                            "prompt_id": p, "answer": a, "p_yes": 0.75}
    ...                           for p, a in (("default", "yes"), ("true", "no"))])
    >>> heard = listen(claims, said)
    >>> [float(heard.columns[name][0]) for name in ("p_yes", "prompt_consistency")]
    [0.75, 0.5]
    """
    rows = _Rows(claims, _of_model(answers, model))
    first = rows.first()
    word = rows.said(first)
    columns = {
        name: np.append(rows.numbers(source), np.float32(np.nan))[first]
        for name, source in (
            ("p_yes", "p_yes"),
            ("vlm_margin", "margin"),
            ("vlm_entropy", "entropy"),
            ("similarity", "similarity"),
            ("stated_confidence", "stated_confidence"),
        )
    }
    columns["stated_confidence"] = rows.stated(columns["stated_confidence"])
    columns |= _wordings(rows, word)
    columns["crop_margin"] = rows.mean(rows.numbers("margin"), rows.asked(view="crop"))
    columns |= _orbits(rows, claims)
    columns |= _noise(rows, word, columns["vlm_margin"])
    unheard = np.isnan(np.stack([columns[name] for name in COLUMNS])).any(axis=0)
    reasons = (
        (word == _NOT_ASKED) * np.uint32(bit("answer_missing"))
        | (word == _UNPARSED) * np.uint32(bit("answer_unparsed"))
        | (unheard & (word != _NOT_ASKED)) * np.uint32(bit("signal_unavailable"))
    )
    return Heard(columns, np.maximum(word, -1).astype(np.int8), reasons)


def assertions(claims: Claims, answers: Answers | None) -> NDArray[np.int8]:
    """What would go out unchecked, int8 (N,): 1 yes, 0 no, -1 where unparsed or missing.

    Parameters
    ----------
    answers: what a VLM said; None: nothing was asked, and every claim is asserted as it stands.

    Raises
    ------
    InputError: the answers are of several models.

    >>> from spatialtrust.tables import Claims
    >>> assertions(Claims.from_rows([{"claim_id": "0", "image_id": "a"}]), None).tolist()
    [1]
    """
    if answers is None:
        return np.ones(len(claims), dtype=np.int8)
    rows = _Rows(claims, _of_model(answers, None))
    return np.maximum(rows.said(rows.first()), -1).astype(np.int8)


def text_baseline(heard: Heard) -> Float32:
    """Score of the five-prompt text baseline: agreement with the first answer, ties by mean margin.

    Returns
    -------
    (N,) in [0, 1], higher is safer, not a probability; NaN where consistency is.
    """
    step = 1.0 / len(PARAPHRASES)
    with np.errstate(over="ignore"):
        tie = 1.0 / (1.0 + np.exp(-heard.columns["prompt_margin"].astype(np.float64)))
    tie = np.nan_to_num(tie, nan=0.5)  # a VLM whose margins are not known has its ties left
    score = (1 - step) * heard.columns["prompt_consistency"] + step * tie
    return np.asarray(score, dtype=np.float32)


class _Rows:
    """Answers that were given to these claims, as arrays of rows."""

    def __init__(self, claims: Claims, answers: Answers) -> None:
        self.claims = len(claims)
        ids = claims.column("claim_id").combine_chunks()
        place = pc.index_in(answers.column("claim_id"), value_set=ids)
        answered = pc.fill_null(pc.equal(answers.column("status"), "ok"), True)
        kept = pc.and_(answered, pc.is_valid(place)).to_numpy()
        self._answers = answers.select(kept)
        self.claim = np.asarray(pc.fill_null(place, -1).to_numpy(), dtype=np.int64)[kept]
        self._codes = {
            name: _codes(self._answers.column(name)) for name in ("view", "form", "prompt_id")
        }
        word = pc.index_in(self._answers.column("answer"), value_set=pa.array(["no", "yes"]))
        self.word = np.asarray(pc.fill_null(word, _UNPARSED).to_numpy(), dtype=np.int64)
        self._numbers: dict[str, Float32] = {}

    def numbers(self, name: str) -> Float32:
        """One numeric column of the rows."""
        if name not in self._numbers:
            self._numbers[name] = self._answers.numbers(name)
        return self._numbers[name]

    def asked(self, *, view: str, form: str = "claim", stated: bool = False) -> NDArray[np.bool_]:
        """Rows that show this view and ask this form, in any wording, or state it."""
        wording = self._is("prompt_id", STATEMENT)
        if not stated:
            wording = ~(wording | self._is("prompt_id", CONFIDENCE))
        return self._is("view", view) & self._is("form", form) & wording

    def stated(self, first: Float32) -> Float32:
        """The confidence stated with the first answer, else where it was asked for."""
        rows = self._is("view", "plain") & self._is("form", "claim")
        asked = self.mean(
            self.numbers("stated_confidence"), rows & self._is("prompt_id", CONFIDENCE)
        )
        return np.where(np.isfinite(first), first, asked)

    def first(self) -> NDArray[np.int64]:
        """Place of each claim's answer in the first of its wordings, -1 without one."""
        names, codes = self._codes["prompt_id"]
        order = {name: rank for rank, name in enumerate(PARAPHRASES)}
        rank = np.array([order.get(name, len(order)) for name in names], dtype=np.int64)
        rows = np.flatnonzero(self.asked(view="plain"))
        rows = rows[np.argsort(rank[codes[rows]], kind="stable")]
        found = np.full(self.claims, -1)
        found[self.claim[rows[::-1]]] = rows[::-1]
        return found

    def said(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """The answers in these places: 1 yes, 0 no, or why there is none."""
        words: NDArray[np.int64] = np.append(self.word, _NOT_ASKED)[first]
        return words

    def mean(self, values: Float32, rows: NDArray[np.bool_]) -> Float32:
        """Mean of what is known in each claim's rows, NaN where nothing is."""
        known = np.flatnonzero(rows & np.isfinite(values))
        count = np.bincount(self.claim[known], minlength=self.claims)
        total = np.bincount(self.claim[known], values[known], minlength=self.claims)
        mean = np.full(self.claims, np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        return mean.astype(np.float32)

    def _is(self, name: str, value: str) -> NDArray[np.bool_]:
        names, codes = self._codes[name]
        place = names.index(value) if value in names else -1
        found: NDArray[np.bool_] = codes == place
        return found


def _codes(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    names = pc.unique(column)
    codes = pc.index_in(column, value_set=names)
    return names.to_pylist(), np.asarray(codes.to_numpy(), dtype=np.int64)


def _of_model(answers: Answers, model: str | None) -> Answers:
    found = sorted(pc.unique(answers.column("model")).to_pylist())
    if model is None and len(found) <= 1:
        return answers
    if model not in found:
        given = f'model "{model}" has no answers' if model else "the answers are of several models"
        raise InputError(f"{given}; name one of: {', '.join(found)}")
    return answers.select(pc.equal(answers.column("model"), model).to_numpy())


def _wordings(rows: _Rows, word: NDArray[np.int64]) -> dict[str, Float32]:
    """Agreement of all wordings with the first, and their mean margin; NaN with fewer than two."""
    asked = rows.asked(view="plain")
    several = np.bincount(rows.claim[asked], minlength=rows.claims) > 1
    known = several & (word >= 0)
    agrees = (rows.word == word[rows.claim]).astype(np.float32)
    margin = rows.mean(rows.numbers("margin"), asked)
    return {
        "prompt_consistency": np.where(known, rows.mean(agrees, asked), np.float32(np.nan)),
        "prompt_margin": np.where(known, np.where(word == 1, margin, -margin), np.float32(np.nan)),
    }


def _orbits(rows: _Rows, claims: Claims) -> dict[str, Float32]:
    """Contrast of supporting and opposing statements, within each view and over both.

    ``(L(A r B) + L(B r' A) - L(A -r B) - L(B r A)) / 2`` with r' the converse and -r the opposite;
    negated in the mirror for relations along image x, because there the opposite holds. L: mean
    log-likelihood per token; for models without one the cosine, or the match margin.
    """
    defined, inverts = _orbit_relations(claims)
    stated = np.logical_or.reduce([rows.asked(view="plain", form=f, stated=True) for f in FORMS])
    fits = ("loglik_per_token", "similarity", "margin")
    fit = next((name for name in fits if np.isfinite(rows.numbers(name)[stated]).any()), fits[0])
    contrast = {}
    for view in ASKED["orbit"].views:
        said = {
            form: rows.mean(rows.numbers(fit), rows.asked(view=view, form=form, stated=True))
            for form in FORMS
        }
        gain = said["claim"] + said["converse"] - said["opposite"] - said["swapped"]
        contrast[view] = np.where(defined, gain / np.float32(2), np.float32(np.nan))
    mirror = np.where(inverts, -contrast["mirror"], contrast["mirror"])
    return {
        "orbit": (contrast["plain"] + mirror) / np.float32(2),
        "orbit_plain": contrast["plain"],
        "orbit_mirror": mirror,
    }


def _orbit_relations(claims: Claims) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether claims have an orbit, and whether the mirror turns them into their opposites."""
    names, defined, inverts = _relation_facts()
    place = pc.fill_null(pc.index_in(claims.column("relation"), value_set=names), len(names))
    known = np.asarray(place.to_numpy(), dtype=np.int64)
    return defined[known], inverts[known]


@lru_cache(maxsize=1)
def _relation_facts() -> tuple[pa.Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each relation, and last of an unknown one."""
    table = list(RELATIONS.values())
    defined = [not r.symmetric and r.converse is not None and r.opposite is not None for r in table]
    inverts = [relation.axis == "x" for relation in table]
    return (
        pa.array([relation.name for relation in table]),
        np.array([*defined, False]),
        np.array([*inverts, False]),
    )


def _noise(rows: _Rows, word: NDArray[np.int64], plain: Float32) -> dict[str, Float32]:
    """How fast the margin towards the answer falls with noise, and where the answer changes."""
    shares = np.array(NOISE_LEVELS, dtype=np.float32)[:, None] / np.float32(100)
    towards = np.where(word == 1, np.float32(1), np.float32(-1))
    margins, changed = [], []
    for level in NOISE_LEVELS:
        asked = rows.asked(view=f"noise-{level}")
        margins.append(rows.mean(rows.numbers("margin"), asked))
        differs = (rows.word != word[rows.claim]).astype(np.float32)
        changed.append(rows.mean(differs, asked))
    lost = towards * (plain - np.stack(margins))
    weight = np.where(np.isfinite(lost), shares, np.float32(0))
    squares = (weight**2).sum(axis=0)
    slope = np.full(rows.claims, np.nan, dtype=np.float32)
    np.divide(np.nansum(weight * lost, axis=0), squares, out=slope, where=squares > 0)
    flips = np.stack(changed)
    flip = np.where(flips > 0, shares, np.float32(1)).min(axis=0)
    known = np.isfinite(flips).any(axis=0) & (word >= 0)
    unknown = np.float32(np.nan)
    return {
        "noise_slope": np.where(known, slope, unknown),
        "noise_flip": np.where(known, flip, unknown),
    }
