"""A threshold per relation: commit an edge only where the labels of its relation support it.

One threshold for all relations guarantees an average: `left of`, which boxes determine well, makes
up for `on`. A gate has a threshold for each, found on the rows of that relation alone. It lists the
relations with too few labels for a guarantee, and commits none of their edges.

The guarantee: with probability at least 1 - delta over the draw of the certifying rows, **all** of
these hold at once: of what is committed of a relation, at most a share 1 - `precision` is wrong per
image, for data like these rows. delta is split evenly among the relations with enough images to
pass a test without any error; counting images uses no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.decision.certification import Grid, certify, least_units
from spatialtrust.decision.rule import (
    DecisionRule,
    Decisions,
    answer_codes,
    asserted_right,
    confidences,
    decide,
    of_graphs,
)
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.evidence.columns import relation_places
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.decision.rule import Unit

LEAST_CONFIDENCE: Final = 0.5
"""An edge that is less likely true than not is never committed, whatever was labelled."""

_STEPS: Final = 100
_KIND: Final = "commit gate"


@dataclass(frozen=True, kw_only=True)
class RelationGate:
    """What the labels of one relation support.

    Attributes
    ----------
    relation: canonical name.
    threshold: least P(true) that is committed; None: nothing is.
    images: of the certifying rows, those with a claim of this relation that could be committed.
    needed: so many images pass a test if no claim is wrong; below, nothing was tested.
    n, errors, bound: images with a committed claim, wrong ones of the claims drawn from each, and
        the upper bound on the share wrong; where no threshold passed, of the first that was tested.
    coverage: share of the relation's rows that the threshold commits.
    """

    relation: str
    threshold: float | None
    images: int
    needed: int
    n: int = 0
    errors: int = 0
    bound: float = 1.0
    coverage: float = 0.0

    @property
    def tested(self) -> bool:
        """Whether there were enough labels to test anything."""
        return self.n >= self.needed

    def __str__(self) -> str:
        if not self.tested:
            return (
                f"{self.relation}: too few labels ({self.images} images of at least {self.needed})"
            )
        seen = f"{self.errors} of {self.n} wrong, bound {self.bound:.3f}"
        if self.threshold is None:
            return f"{self.relation}: no threshold holds ({seen})"
        return f"{self.relation}: threshold {self.threshold:.4g}, {seen}"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Thresholds per relation; a yes that reaches its relation's is committed, the rest abstains.

    Attributes
    ----------
    precision, delta: what is guaranteed of every relation with a threshold, see the module.
    relations: one entry each. A relation that is not listed commits nothing.
    unit, calibrated_on, reserve, repaired_at: see :class:`~spatialtrust.decision.rule.DecisionRule`
    """

    precision: float
    delta: float
    relations: tuple[RelationGate, ...]
    calibrated_on: str
    unit: Unit = "image"
    reserve: float = 0.0
    repaired_at: float | None = None

    @property
    def certified(self) -> bool:
        """Always: a gate is made of guarantees, even if none could be given."""
        return True

    def thresholds(self) -> NDArray[np.float32]:
        """(relations + 1,) by place in ``relations.NAMES``, the last of unknown ones; inf: none."""
        found = np.full(len(NAMES) + 1, np.inf, dtype=np.float32)
        for entry in self.relations:
            if entry.threshold is not None and entry.relation in NAMES:
                found[NAMES.index(entry.relation)] = entry.threshold
        return found

    def decide(
        self, p_true: ArrayLike, asserted: ArrayLike, relation: NDArray[np.integer[Any]]
    ) -> Decisions:
        """Commit or abstain, row by row.

        A yes is accepted, a no is corrected to yes, where ``p_true`` reaches the threshold of the
        claim's relation; on repaired graphs a no is never corrected. A no is not committed.

        Parameters
        ----------
        p_true, asserted: (N,) as :func:`spatialtrust.decision.rule.decide` takes them.
        relation: (N,) places in ``relations.NAMES``, -1: unknown.
        """
        answers = answer_codes(asserted)
        right = asserted_right(p_true, answers)
        true = confidences(p_true)
        committed = (true >= self.thresholds()[relation]) & (answers >= 0)
        if self.repaired_at is not None:
            committed &= answers == 1
        decision = np.where(committed, np.where(answers == 1, 1, 2), 0).astype(np.int8)
        emitted = np.where(committed, 1, -1).astype(np.int8)
        return Decisions(decision, emitted, np.where(committed, true, right))

    def __str__(self) -> str:
        close = "approximately, " if self.reserve else ""
        guaranteed = [str(entry) for entry in self.relations if entry.threshold is not None]
        none = [str(entry) for entry in self.relations if entry.threshold is None]
        return (
            f"{close}at least {self.precision:.1%} of each relation's edges right per {self.unit}"
            f"{of_graphs(self.repaired_at)} with probability {1 - self.delta:.0%} on data like "
            f"{self.calibrated_on}: {'; '.join(guaranteed) or 'of no relation'}"
            + (f". Nothing is guaranteed and nothing kept of: {'; '.join(none)}" if none else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        entries = [asdict(entry) for entry in self.relations]
        return {
            "rule": _KIND,
            "threshold": None,
            "alpha": 1 - self.precision,
            **asdict(self),
            "relations": entries,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises
        ------
        InputError: fields that a gate does not have, or lacks.
        """
        own = {k: v for k, v in values.items() if k not in ("rule", "threshold", "alpha")}
        try:
            entries = tuple(RelationGate(**entry) for entry in own.pop("relations"))
            return cls(**own, relations=entries)
        except (KeyError, TypeError) as wrong:
            raise InputError(f"not a commit gate: {wrong!r}") from wrong


Rule = DecisionRule | Gate
"""What decides: one threshold for all relations, or one for each."""


def rule_from_dict(values: Mapping[str, Any]) -> Rule:
    """The rule or gate that ``to_dict`` wrote.

    >>> rule_from_dict(DecisionRule.plain(0.8).to_dict()) == DecisionRule.plain(0.8)
    True
    """
    if isinstance(values, Mapping) and values.get("rule") == _KIND:
        return Gate.from_dict(values)
    return DecisionRule.from_dict(values)


def decide_by(
    rule: Rule, p_true: ArrayLike, asserted: ArrayLike, relation: pa.ChunkedArray
) -> tuple[Decisions, NDArray[np.uint32]]:
    """Decisions by either kind of rule, and the reason of each row that abstains by it.

    Parameters
    ----------
    p_true, asserted: (N,) see :meth:`Gate.decide`.
    relation: (N,) canonical names; not looked at where one threshold is for all.

    Returns
    -------
    Decisions, and (N,) masks of reasons: ``no_threshold`` or ``below_threshold`` where a claim
    abstains although its probability is known.
    """
    if isinstance(rule, Gate):
        places = relation_places(relation)
        found = rule.decide(p_true, asserted, places)
        none = np.isinf(rule.thresholds()[places])
    else:
        found = decide(p_true, asserted, rule)
        none = np.full(found.decision.shape, rule.threshold is None)
    why = np.where(none, np.uint32(bit("no_threshold")), np.uint32(bit("below_threshold")))
    abstained = (found.decision == 0) & np.isfinite(found.confidence)
    return found, np.where(abstained, why, 0).astype(np.uint32)


def certify_gate(
    p_true: ArrayLike,
    label: ArrayLike,
    relation: NDArray[np.integer[Any]],
    groups: NDArray[Any],
    *,
    precision: float,
    delta: float,
    calibrated_on: str,
    relations: Sequence[str] | None = None,
    unit: Unit = "image",
    reserve: float = 0.0,
    repaired_at: float | None = None,
) -> Gate:
    """A gate, found relation by relation with :func:`spatialtrust.decision.certification.certify`.

    Parameters
    ----------
    p_true: (N,) of rows drawn at random, NaN: never committed.
    label: (N,) 1 true, 0 false.
    relation: (N,) places in ``relations.NAMES``.
    groups: (N,) image of each row.
    precision, delta, unit, reserve, repaired_at: see :class:`Gate`.
    relations: canonical names that will be used; None: all that the rows hold. The fewer, the
        less delta is split.

    Raises
    ------
    InputError: precision or delta outside (0, 1).
    GuaranteeError: no rows.

    >>> import numpy as np
    >>> image = np.arange(60)
    >>> print(certify_gate(np.full(60, 0.99), np.ones(60), np.zeros(60, int), image, delta=0.1,
    ...                    precision=0.95, calibrated_on="this example", relations=["left of"])
    ...       .relations[0])
    left of: threshold 0.99, 0 of 60 wrong, bound 0.038
    """
    for name, value in (("precision", precision), ("delta", delta)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}; give a share between 0 and 1, such as 0.1")
    scores = confidences(p_true)
    if not scores.size:
        raise GuaranteeError("no labelled rows to certify on; label some of your own")
    scores = np.where(scores >= LEAST_CONFIDENCE, scores, np.nan).astype(np.float32)
    right = np.asarray(label) == 1
    places = np.asarray(relation)
    units = np.arange(scores.size) if unit == "claim" else np.asarray(groups)
    held = [NAMES[place] for place in np.unique(places[places >= 0])]
    names = tuple(dict.fromkeys(held if relations is None else relations))
    rows = {name: places == NAMES.index(name) for name in names}
    images = {name: _units(units[rows[name] & np.isfinite(scores)]) for name in names}
    alpha = 1 - precision
    tested = _tested(images, alpha * (1 - reserve), delta)
    entries = []
    for name in names:
        among = len(tested) + (name not in tested)
        needed = least_units(alpha * (1 - reserve), delta / among)
        if name not in tested:
            entries.append(
                RelationGate(relation=name, threshold=None, images=images[name], needed=needed)
            )
            continue
        here = rows[name]
        found = certify(
            scores[here],
            right[here],
            alpha=alpha,
            delta=delta / len(tested),
            grid=Grid.predicted(scores[here], unit=unit, groups=groups[here], steps=_STEPS),
            calibrated_on=calibrated_on,
            unit=unit,
            groups=groups[here],
            reserve=reserve,
        )
        entries.append(
            RelationGate(
                relation=name,
                threshold=found.threshold,
                images=images[name],
                needed=needed,
                n=found.n or 0,
                errors=found.errors or 0,
                bound=1.0 if found.bound is None else found.bound,
                coverage=found.coverage or 0.0,
            )
        )
    return Gate(
        precision=precision,
        delta=delta,
        relations=tuple(entries),
        calibrated_on=calibrated_on,
        unit=unit,
        reserve=reserve,
        repaired_at=repaired_at,
    )


def _units(groups: NDArray[Any]) -> int:
    return int(np.unique(groups).size)


def _tested(images: Mapping[str, int], alpha: float, delta: float) -> frozenset[str]:
    """The most relations that can all be tested if they share delta evenly; fullest first."""
    order = sorted(images, key=lambda name: (-images[name], name))
    counts = [
        count
        for count, name in enumerate(order, 1)
        if images[name] >= least_units(alpha, delta / count)
    ]
    return frozenset(order[: max(counts, default=0)])
