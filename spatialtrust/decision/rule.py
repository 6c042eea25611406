"""When to accept a claim, correct it or abstain, and what can be guaranteed about that.

A rule is one threshold. A plain one is what the user asked for and guarantees nothing; a certified
one was found on labelled rows (`spatialtrust.decision.certification`) so that, with probability at
least 1 - delta over the draw of those rows, at most a share alpha of what it emits is wrong **on
data like them**.

Confidences are compared as float32, the type verdicts are stored in, both here and where a rule is
certified: what is certified is what is used.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_array, as_number, as_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

Unit = Literal["claim", "image"]
Kind = Literal["accept", "accept+correct"]

ANSWERS: Final = ("no", "yes")
"""What the codes 0 and 1 of `asserted` and `emitted` mean; -1 is null."""
DECISIONS: Final = ("abstain", "accept", "correct")
"""What the codes 0, 1 and 2 of `decision` mean."""


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """A threshold on confidence and what is guaranteed about it.

    Attributes
    ----------
    rule
        ``accept``: emit what is asserted where P(asserted is right) >= threshold. Or
        ``accept+correct``: also emit the opposite where P(the opposite is right) >= threshold.
    threshold
        Smallest confidence to emit; None: no threshold meets the guarantee, so emit nothing.
    alpha, delta
        With probability at least ``1 - delta`` the risk is at most ``alpha``; None: a plain
        threshold, no guarantee.
    sequences
        Number of rules that were tried, among which ``delta`` was split evenly.
    n, errors, bound
        Units accepted on the certifying rows, those wrong, and the one-sided upper bound on the
        risk at confidence ``1 - delta / sequences``. Where no threshold exists: of the first that
        was tested, or of the loosest if every one accepted too few units to be tested.
    coverage
        Share of certifying claims emitted; 0 without a threshold.
    ceiling
        Most that accepting alone could cover at this accuracy; only corrections get past it.
    unit
        ``claim``: the risk of a claim, claims independent. ``image``: the expected share wrong of
        an image's emitted claims, over images with one; claims of an image may depend.
    calibrated_on
        Description of the data that the guarantee applies to.
    grid, started_at
        Thresholds fixed beforehand, and the first that was tested (None: none was).
    reserve
        Share of alpha that was kept back, because the model that is used has seen the images of the
        certifying rows (they were scored out of fold): the certificate is approximate. 0: exact.
    repaired_at
        The certificate is of edges of graphs that are decided at this plain threshold (accepting
        only), then repaired, and then thresholded. None: of claims, whatever graph they are in.
    """

    rule: Kind
    threshold: float | None
    alpha: float | None = None
    delta: float | None = None
    sequences: int = 1
    n: int | None = None
    errors: int | None = None
    bound: float | None = None
    coverage: float | None = None
    ceiling: float | None = None
    unit: Unit | None = None
    calibrated_on: str | None = None
    grid: tuple[float, ...] = field(default=(), repr=False)
    started_at: float | None = None
    reserve: float = 0.0
    repaired_at: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in ("accept", "accept+correct"):
            raise InputError(f'rule is "{self.rule}"; valid: "accept", "accept+correct"')
        if not self.certified and self.threshold is None:
            raise InputError("a plain rule needs a threshold; give a confidence such as 0.8")

    @classmethod
    def plain(cls, threshold: float, rule: Kind = "accept+correct") -> Self:
        """A confidence threshold without a guarantee.

        >>> print(DecisionRule.plain(0.8))
        plain confidence threshold 0.8 (accept+correct): no guarantee
        """
        threshold = as_number(threshold, "threshold", "a confidence such as 0.8")
        if np.isnan(threshold):
            raise InputError("threshold is NaN; give a confidence such as 0.8")
        return cls(rule=rule, threshold=threshold)

    @property
    def certified(self) -> bool:
        """True if the rule was produced by ``certify``, even if no threshold passed."""
        return self.alpha is not None

    def accepts(self, confidence: ArrayLike) -> NDArray[np.bool_]:
        """Mask of confidences that reach the threshold; False for NaN."""
        scores = confidences(confidence)
        if self.threshold is None:
            return np.zeros(scores.shape, dtype=np.bool_)
        accepted: NDArray[np.bool_] = scores >= np.float32(self.threshold)
        return accepted

    def __str__(self) -> str:
        if self.alpha is None or self.delta is None:
            return f"plain confidence threshold {self.threshold:g} ({self.rule}): no guarantee"
        close = "approximately, " if self.reserve else ""
        guarantee = (
            f"{close}at most {self.alpha:.1%} wrong per {self.unit}{of_graphs(self.repaired_at)} "
            f"with probability {1 - self.delta:.0%} on data like {self.calibrated_on} ({self.rule})"
        )
        seen = f"{self.errors} of {self.n} wrong, bound {self.bound:.3f}"
        if self.threshold is None:
            return f"no threshold guarantees {guarantee}: {seen}; everything abstains"
        return (
            f"{guarantee}: threshold {self.threshold:.4g}, {seen}, coverage {self.coverage:.1%} "
            f"(accepting alone: at most {self.ceiling:.1%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "grid": list(self.grid)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises
        ------
        InputError
            Fields that a rule does not have, or lacks.
        """
        try:
            return cls(**{**values, "grid": tuple(values.get("grid", ()))})
        except TypeError as wrong:
            raise InputError(f"not a decision rule: {wrong}") from wrong


def of_graphs(repaired_at: float | None) -> str:
    """What a certificate is about, for sentences; empty for single claims.

    >>> of_graphs(0.8)
    ', of the edges of graphs repaired at 0.8,'
    """
    return "" if repaired_at is None else f", of the edges of graphs repaired at {repaired_at:g},"


def one_threshold(
    min_confidence: object, accuracy: object, precision: object = None, source: str = ""
) -> None:
    """Refuse two kinds of threshold at once: only one can decide.

    Parameters
    ----------
    min_confidence, accuracy, precision: as they were given; None: not given. An accuracy or
        precision of 0: none.
    source: who gave them, for the message.

    Raises
    ------
    InputError: two are given.
    """
    given = []
    if min_confidence is not None:
        given.append("min_confidence (a plain threshold)")
    if accuracy:
        given.append("accuracy (a certified one)")
    if precision:
        given.append("precision (a certified one per relation)")
    if len(given) > 1:
        raise InputError(
            f"{source}{given[0]} and {given[1]} are both given, not both can decide: leave one out"
        )


class Decisions(NamedTuple):
    """Decisions as columns: int8 codes of `DECISIONS` and `ANSWERS`, float32 confidence."""

    decision: NDArray[np.int8]
    emitted: NDArray[np.int8]
    confidence: NDArray[np.float32]

    def to_arrow(self) -> dict[str, pa.Array]:
        """The columns as Arrow arrays, the codes as dictionaries over their words."""
        import pyarrow as pa

        return {
            "decision": pa.DictionaryArray.from_arrays(pa.array(self.decision), DECISIONS),
            "emitted": pa.DictionaryArray.from_arrays(
                pa.array(self.emitted, mask=self.emitted < 0), ANSWERS
            ),
            "confidence": pa.array(self.confidence),
        }


def decide(p_true: ArrayLike, asserted: ArrayLike, rule: DecisionRule) -> Decisions:
    """Accept, correct or abstain, row by row.

    P(asserted is right) >= threshold accepts; else, under ``accept+correct``, 1 - that >= threshold
    corrects (emits the opposite); else abstain.

    Parameters
    ----------
    p_true
        (rows,) P(the claim is true) in [0, 1]; NaN: unknown.
    asserted
        (rows,) 1 for yes, 0 for no, -1 for unparsed. Without a VLM's answer: all 1.
    rule
        A plain or certified rule.

    Returns
    -------
    Decisions
        ``confidence`` is P(emitted is right), on abstain P(asserted is right); NaN exactly where
        ``p_true`` is NaN or ``asserted`` is -1, and these rows abstain.

    Raises
    ------
    InputError
        Columns of different length, or values other than the above.

    >>> decide([0.9, 0.1, 0.6, 0.9], [1, 1, 1, -1], DecisionRule.plain(0.8))._asdict()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'decision': array([1, 2, 0, 0], dtype=int8), 'emitted': array([ 1,  0, -1, -1], dtype=int8),
     'confidence': array([0.9, 0.9, 0.6, nan], dtype=float32)}
    """
    answers = answer_codes(asserted)
    right = asserted_right(p_true, answers)
    accepted = rule.accepts(right)
    corrected = np.zeros_like(accepted)
    if rule.rule == "accept+correct":
        corrected = rule.accepts(1 - right) & ~accepted
    decision = accepted.astype(np.int8) + 2 * corrected.astype(np.int8)
    emitted = np.where(accepted, answers, np.int8(-1))
    np.subtract(1, answers, out=emitted, where=corrected)
    confidence = np.where(corrected, 1 - right, right)
    return Decisions(decision, emitted, confidence)


def asserted_right(p_true: ArrayLike, asserted: ArrayLike) -> NDArray[np.float32]:
    """(rows,) P(asserted is right): ``p_true`` for yes, ``1 - p_true`` for no, NaN where unknown.

    Raises
    ------
    InputError
        Columns of different length, or values other than `decide` takes.

    >>> asserted_right([0.75, 0.75, 0.75], [1, 0, -1])
    array([0.75, 0.25,  nan], dtype=float32)
    """
    true, answers = confidences(p_true), answer_codes(asserted)
    if true.shape != answers.shape:
        raise InputError(
            f"p_true has {true.size} rows and asserted {answers.size}; give one per claim"
        )
    outside = (true < 0) | (true > 1)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(f"p_true is {true[row]:g} at row {row}; give probabilities in [0, 1]")
    right = np.where(answers == 1, true, 1 - true)
    right[answers < 0] = np.nan
    return right


def confidences(values: ArrayLike) -> NDArray[np.float32]:
    """One column of confidences as they are compared: float32."""
    column = np.asarray(as_numbers(values, "confidence"), dtype=np.float32)
    if column.ndim != 1:
        raise InputError(f"confidence has shape {column.shape}; give one column")
    return column


def answer_codes(asserted: ArrayLike) -> NDArray[np.int8]:
    """Answers as int8 codes: 1 for yes, 0 for no, -1 for unparsed."""
    codes = as_array(asserted, "asserted")
    if codes.dtype.kind not in "biu":
        raise InputError(f"asserted is {codes.dtype}; give 1 for yes, 0 for no, -1 for unparsed")
    if codes.size and not (codes.min() >= -1 and codes.max() <= 1):
        raise InputError("asserted holds other codes; give 1 for yes, 0 for no, -1 for unparsed")
    return codes.astype(np.int8, copy=False)
