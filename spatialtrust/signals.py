"""From a VLM's answers to signals of trust: one number per claim and kind of doubt.

Each signal needs certain questions to be asked; ``ASKED`` says which. What was not asked is NaN.
All signals are about the claim being true, not about the answer being right, so they do not flip
when the answer does; the exceptions (consistency, sensitivity) are symmetric in yes and no.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.perturb import NOISE_LEVELS
from spatialtrust.prompts import FORMS, PARAPHRASES, STATEMENT
from spatialtrust.reasons import bit
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.tables import Answers, Claims

    Column = NDArray[np.float32]


class Asked(NamedTuple):
    """Arguments of ``Asker.ask``: every view in every form and prompt."""

    views: tuple[str, ...]
    forms: tuple[str, ...]
    prompts: tuple[str, ...]


ASKED: Final[Mapping[str, Asked]] = MappingProxyType(
    {
        "answer": Asked(("plain",), ("claim",), PARAPHRASES[:1]),
        "paraphrases": Asked(("plain",), ("claim",), PARAPHRASES[1:]),
        "orbit": Asked(("plain", "mirror"), FORMS, (STATEMENT,)),
        "noise": Asked(
            tuple(f"noise-{level}" for level in NOISE_LEVELS), ("claim",), PARAPHRASES[:1]
        ),
        "crop": Asked(("crop",), ("claim",), PARAPHRASES[:1]),
    }
)
"""Signal to what must be asked for it; no question is in two of them, so the tables concatenate."""

_BASE: Final = ("plain", "claim", PARAPHRASES[0])


@dataclass(frozen=True, slots=True)
class Signals:
    """What the answers say about each claim; float32 (N,), row i belongs to claim i.

    Attributes
    ----------
    asserted: 1 yes, 0 no; NaN without an answer, or with one that is unparsed.
    p_yes: probability of yes against no.
    margin: logit of yes minus logit of no.
    entropy: of the reply, nats.
    similarity: cosine of image and claim.
    stated_confidence: what the VLM says its confidence is.
    prompt_consistency: share of the other wordings answered like the first; unparsed disagrees.
        NaN if no other was asked, or the first has no answer.
    prompt_margin: mean margin over all wordings, towards the first answer.
    orbit: how much better claim and converse fit than opposite and swapped claim, over both views.
    orbit_plain, orbit_mirror: the same within one view; ``orbit`` is their mean.
    noise_flip: share of noise at which the answer first changes, 1 if at no level asked.
    noise_slope: change of the margin towards the answer per unit of noise, by least squares.
    crop_margin: margin when shown only the surroundings of the two boxes.
    reasons: uint32 bit mask, ``answer_missing`` or ``answer_unparsed``.
    """

    asserted: Column
    p_yes: Column
    margin: Column
    entropy: Column
    similarity: Column
    stated_confidence: Column
    prompt_consistency: Column
    prompt_margin: Column
    orbit: Column
    orbit_plain: Column
    orbit_mirror: Column
    noise_flip: Column
    noise_slope: Column
    crop_margin: Column
    reasons: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.reasons)


def signals(claims: Claims, answers: Answers, model: str | None = None) -> Signals:
    """The signals of every claim.

    Parameters
    ----------
    claims: (N,) rows.
    answers: any rows about them, in any order; rows about other claims are not looked at.
    model: whose answers; may be left out where there is only one.

    Raises
    ------
    InputError: the answers are of several models and none was named, or of others than the named.

    Source
    ------
    Prompt consistency: Khan & Fu 2024, as the text baseline of arXiv 2601.11644. Orbit: Xiong et
    al. 2026, with the opposite where the language's converse is another word (ours). Sensitivity:
    the regions and noise of CSP, arXiv 2504.14848, used as a signal (ours).

    >>> from spatialtrust.tables import Answers, Claims
    >>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": "mug",
    ...                             "relation": "left of", "object": "cup"}])
    >>> answers = Answers.from_rows([
    ...     {"claim_id": "0", "model": "m", "view": "plain", "form": "claim", "prompt_id": prompt,
    ...      "answer": answer, "p_yes": p, "margin": 0.0, "status": "ok"}
    ...     for prompt, answer, p in (("default", "yes", 0.9), ("true", "yes", 0.8),
    ...                               ("say", "no", 0.4))])
    >>> found = signals(claims, answers)
    >>> found.asserted.tolist(), found.prompt_consistency.tolist()
    ([1.0], [0.5])
    """
    cells = _Cells(claims, _of_model(answers, model))
    asserted = cells.get("asserted", *_BASE)
    missing = ~cells.has(*_BASE)
    unparsed = ~missing & np.isnan(asserted)
    consistency, prompt_margin = _paraphrases(cells, asserted)
    plain, mirrored = _orbit(cells, claims)
    flip, slope = _noise(cells, asserted)
    return Signals(
        asserted=asserted,
        p_yes=cells.get("p_yes", *_BASE),
        margin=cells.get("margin", *_BASE),
        entropy=cells.get("entropy", *_BASE),
        similarity=cells.get("similarity", *_BASE),
        stated_confidence=cells.get("stated_confidence", *_BASE),
        prompt_consistency=consistency,
        prompt_margin=prompt_margin,
        orbit=((plain + mirrored) / 2).astype(np.float32),
        orbit_plain=plain,
        orbit_mirror=mirrored,
        noise_flip=flip,
        noise_slope=slope,
        crop_margin=cells.get("margin", "crop", *_BASE[1:]),
        reasons=missing * np.uint32(bit("answer_missing"))
        | unparsed * np.uint32(bit("answer_unparsed")),
    )


def text_baseline(found: Signals) -> Column:
    """Score of the five-prompt text baseline: agreement with the first answer, ties by mean margin.

    Returns
    -------
    (N,) in [0, 1], higher is safer, not a probability; NaN where consistency is.
    """
    step = 1.0 / len(PARAPHRASES)
    with np.errstate(over="ignore"):
        tie = 1.0 / (1.0 + np.exp(-found.prompt_margin))
    score: Column = ((1 - step) * found.prompt_consistency + step * tie).astype(np.float32)
    return score


class _Cells:
    """Answers as columns: one per (view, form, prompt), aligned with the claims."""

    def __init__(self, claims: Claims, answers: Answers) -> None:
        self.rows = len(claims)
        usable = pc.fill_null(pc.equal(answers.column("status"), "ok"), True)
        place = pc.index_in(
            answers.column("claim_id"), value_set=claims.column("claim_id").combine_chunks()
        )
        keep = pc.and_(usable, pc.is_valid(place)).to_numpy()
        self._place = np.asarray(pc.fill_null(place, -1).to_numpy(), dtype=np.int64)[keep]
        kept = answers.select(keep)
        self._codes = {name: _codes(kept.column(name)) for name in ("view", "form", "prompt_id")}
        yes, no = (pc.equal(kept.column("answer"), word) for word in ("yes", "no"))
        said = pc.if_else(yes, 1.0, pc.if_else(no, 0.0, None))
        self._values = {
            "asserted": np.asarray(pc.cast(said, pa.float32()).to_numpy(), dtype=np.float32)
        }
        self._kept = kept

    def get(self, name: str, view: str, form: str, prompt: str) -> Column:
        """One column of the answers where this was asked, NaN elsewhere."""
        rows = self._asked(view, form, prompt)
        if name not in self._values:
            self._values[name] = self._kept.numbers(name)
        column = np.full(self.rows, np.nan, dtype=np.float32)
        column[self._place[rows]] = self._values[name][rows]
        return column

    def has(self, view: str, form: str, prompt: str) -> NDArray[np.bool_]:
        """Which claims have such an answer, parsed or not."""
        found = np.zeros(self.rows, dtype=bool)
        found[self._place[self._asked(view, form, prompt)]] = True
        return found

    def known(self, name: str) -> bool:
        """Whether any answer to a statement has this column."""
        code = self._codes["prompt_id"]
        stated = code[1] == code[0].get(STATEMENT, -1)
        if name not in self._values:
            self._values[name] = self._kept.numbers(name)
        return bool(np.isfinite(self._values[name][stated]).any())

    def _asked(self, view: str, form: str, prompt: str) -> NDArray[np.intp]:
        match = np.ones(len(self._place), dtype=bool)
        for name, wanted in (("view", view), ("form", form), ("prompt_id", prompt)):
            number, codes = self._codes[name]
            match &= codes == number.get(wanted, -1)
        return np.flatnonzero(match)


def _codes(column: pa.ChunkedArray) -> tuple[dict[str, int], NDArray[np.int64]]:
    names = pc.unique(column)
    codes = np.asarray(pc.index_in(column, value_set=names).to_numpy(), dtype=np.int64)
    return {name: place for place, name in enumerate(names.to_pylist())}, codes


def _of_model(answers: Answers, model: str | None) -> Answers:
    found = sorted(pc.unique(answers.column("model")).to_pylist())
    if model is None and len(found) <= 1:
        return answers
    if model not in found:
        given = f'model "{model}" has no answers' if model else "the answers are of several models"
        raise InputError(f"{given}; name one of: {', '.join(found)}")
    return answers.select(pc.equal(answers.column("model"), model).to_numpy())


def _paraphrases(cells: _Cells, asserted: Column) -> tuple[Column, Column]:
    agreed = np.zeros(cells.rows, dtype=np.float32)
    asked = np.zeros(cells.rows, dtype=np.float32)
    margins = [cells.get("margin", *_BASE)]
    for prompt in PARAPHRASES[1:]:
        cell = (*_BASE[:2], prompt)
        asked += cells.has(*cell)
        agreed += cells.get("asserted", *cell) == asserted
        margins.append(cells.get("margin", *cell))
    known = (asked > 0) & np.isfinite(asserted)
    consistency = np.where(known, agreed / np.maximum(asked, 1), np.nan)
    mean = _mean(np.stack(margins))
    towards = np.where(known, np.where(asserted == 1, mean, -mean), np.nan)
    return consistency.astype(np.float32), towards.astype(np.float32)


def _orbit(cells: _Cells, claims: Claims) -> tuple[Column, Column]:
    """Contrast of the claim's orbit in the plain and in the mirrored view.

    ``(L(A r B) + L(B r' A) - L(A -r B) - L(B r A)) / 2`` with r' the converse, -r the opposite;
    negated in the mirror for relations along image x, because there the opposite holds. L is the
    log-likelihood per token; the cosine or match margin for models without one (ours).
    """
    fit = next(
        (name for name in ("loglik_per_token", "similarity", "margin") if cells.known(name)), None
    )
    if fit is None:
        unknown = np.full(cells.rows, np.nan, dtype=np.float32)
        return unknown, unknown
    contrasts = []
    for view in ASKED["orbit"].views:
        said = {form: cells.get(fit, view, form, STATEMENT) for form in FORMS}
        true, false = said["claim"] + said["converse"], said["opposite"] + said["swapped"]
        contrasts.append((true - false) / 2)
    names, defined, flips = _orbit_relations()
    place = pc.fill_null(pc.index_in(claims.column("relation"), value_set=names), len(names))
    rows = np.asarray(place.to_numpy(), dtype=np.int64)
    exists = defined[rows]
    plain, mirrored = contrasts
    mirrored = np.where(flips[rows], -mirrored, mirrored)
    return (
        np.where(exists, plain, np.nan).astype(np.float32),
        np.where(exists, mirrored, np.nan).astype(np.float32),
    )


@lru_cache(maxsize=1)
def _orbit_relations() -> tuple[pa.Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Relation names, whether the orbit is defined, whether the mirror inverts; last: unknown."""
    relations = list(RELATIONS.values())
    defined = [not r.symmetric and r.converse is not None and r.opposite is not None
               for r in relations]  # fmt: skip
    flips = [relation.axis == "x" for relation in relations]
    return (
        pa.array([relation.name for relation in relations]),
        np.array([*defined, False]),
        np.array([*flips, False]),
    )


def _noise(cells: _Cells, asserted: Column) -> tuple[Column, Column]:
    """Where the answer flips as the regions are noised, and how fast its margin falls."""
    sign = np.where(asserted == 1, 1.0, -1.0)
    shares = np.array([0.0, *NOISE_LEVELS]) / 100
    margins = [sign * cells.get("margin", *_BASE)]
    flip = np.ones(cells.rows, dtype=np.float32)
    asked = np.zeros(cells.rows, dtype=bool)
    for level in reversed(NOISE_LEVELS):
        cell = (f"noise-{level}", *_BASE[1:])
        said, has = cells.get("asserted", *cell), cells.has(*cell)
        flip = np.where(has & (said != asserted), np.float32(level / 100), flip)
        asked |= has
        margins.insert(1, sign * cells.get("margin", *cell))
    known = asked & np.isfinite(asserted)
    slope = _slope(shares, np.stack(margins))
    return (
        np.where(known, flip, np.nan).astype(np.float32),
        np.where(known, slope, np.nan).astype(np.float32),
    )


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slope of y (K, N) over x (K,) where y is known; NaN with fewer than two."""
    known = np.isfinite(y)
    count = known.sum(axis=0)
    share = np.where(known, x[:, None], 0.0)
    centred = np.where(known, x[:, None] - share.sum(axis=0) / np.maximum(count, 1), 0.0)
    spread = (centred**2).sum(axis=0)
    moment = (centred * np.where(known, y, 0.0)).sum(axis=0)
    slope = np.full(y.shape[1], np.nan)
    np.divide(moment, spread, out=slope, where=(count > 1) & (spread > 0))
    return slope


def _mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
