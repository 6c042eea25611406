"""Watch a stream of verdicts, and withdraw a certified guarantee if it no longer holds.

Two tests by betting (:mod:`spatialtrust.decision.betting`), both valid at any time:

- *alike*, without labels: are the stream's images exchangeable with the certification rows? The
  ranks of each image's scores among all before it are bet on, score by score, each at its share
  of the level (ranks of one score are fair bets given its own past, not given another's, so their
  wealth is not averaged). If it fails, the guarantee does not apply: it is for data like the
  certification rows.
- *risk*, with spot labels: is at most alpha of the output wrong? Errors are bet on. If it fails,
  the guarantee is broken.

A certified rule gives each test half of ``delta``: a guarantee that holds is withdrawn with
probability at most ``delta``, ever. A plain rule guarantees nothing and has no risk to test, so
the first test gets all of ``delta``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.decision.betting import (
    BINS,
    RANK_BETS,
    RISK_BETS,
    Wealth,
    bins,
    conformal_p,
    rank_factors,
    risk_factors,
)
from spatialtrust.decision.rule import (
    DecisionRule,
    answer_codes,
    asserted_right,
    confidences,
    decide,
)
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.numbers import as_array, as_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.decision.certifying_rows import CertifyingRows

SCORES: Final = ("p_true", "confidence", "surety")
"""What is ranked: P(true), P(asserted is right), and that of the favoured side."""

_VERSION: Final = 1
_DELTA: Final = 0.1
_FEWEST: Final = 20  # images of a batch that a plain warning may speak of
_FAR: Final = 3.29  # standard errors: one batch in a thousand by chance
_TOLD: Final = {
    "confidence": "mean confidence",
    "emitted": "share of claims that goes out",
    "yes": "share asserted yes",
    "unknown": "share of unknown claims",
}


@dataclass(frozen=True)
class Status:
    """The state of the guarantee after a batch.

    Attributes
    ----------
    withdrawn: whether the guarantee is withdrawn, which is final.
    grounds: why, one sentence each.
    warnings: how this batch differs from the certification rows beyond chance; no withdrawal.
    images: images of the stream that were ranked.
    labelled: units (images, or claims where the rule's unit is the claim) with a spot label.
    unused: rows of this batch that no test could use, by reason.
    alike, risk: log-wealth, wealth, most there was, and what a withdrawal takes; risk is None where
        the rule guarantees nothing.
    """

    withdrawn: bool
    grounds: tuple[str, ...]
    warnings: tuple[str, ...]
    images: int
    labelled: int
    unused: Mapping[str, int]
    alike: Mapping[str, Any]
    risk: Mapping[str, Any] | None


@dataclass(eq=False)
class Monitor:
    """Watches a stream of verdicts; :meth:`start` one.

    What it holds does not grow with the stream. The images of a stream must be new ones: an image
    that comes twice counts twice.

    >>> from spatialtrust.fusion.model import TrustModel
    >>> model = TrustModel.load("vsr-boxes")
    >>> rule = model.rule(accuracy=0.8, delta=0.1)
    >>> monitor = Monitor.start(model.certifying, rule)
    >>> rows = model.certifying
    >>> monitor.observe(rows.image, rows.p_true, rows.asserted, rows.label).withdrawn
    False
    >>> poor = np.full(300, 0.95)  # suddenly sure of everything, and wrong
    >>> status = monitor.observe(np.arange(300), poor, np.ones(300, int), np.zeros(300, int))
    >>> status.withdrawn, len(status.grounds)
    (True, 2)
    """

    rule: DecisionRule
    delta: float
    seed: int
    counts: NDArray[np.int64]
    usual: dict[str, tuple[float, float, int]]
    alike: tuple[Wealth, ...] = field(
        default_factory=lambda: tuple(Wealth.of(RANK_BETS) for _ in SCORES)
    )
    risk: Wealth = field(default_factory=lambda: Wealth.of(RISK_BETS))
    batches: int = 0

    @classmethod
    def start(
        cls,
        certifying: CertifyingRows | None,
        rule: DecisionRule,
        *,
        delta: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Before the first batch.

        Parameters
        ----------
        certifying: the model's, the rows that the rule was certified on.
        rule: by which claims go out.
        delta: probability with which a guarantee that holds may be withdrawn; None: the rule's, or
            0.1 where it is plain.
        seed: of the draws of one claim an image, and of ties.

        Raises
        ------
        GuaranteeError: there are no certifying rows with a known probability.
        InputError: delta is outside (0, 1).
        """
        if certifying is None:
            raise GuaranteeError(
                "the model holds no certification rows to compare with; fit it on labelled rows "
                "of your own (spatialtrust fit)"
            )
        chosen = delta if delta is not None else rule.delta if rule.delta is not None else _DELTA
        if not 0 < chosen < 1:
            raise InputError(f"delta is {chosen}; give a share between 0 and 1, such as 0.1")
        rows = _Rows.of(certifying.image, certifying.p_true, certifying.asserted, None)
        drawn = rows.draw(np.isfinite(rows.right), np.random.default_rng([seed, 0]))
        if not drawn.size:
            raise GuaranteeError(
                "no certification row has a known probability; fit the model again"
            )
        counts = np.stack([np.bincount(bins(s), minlength=BINS) for s in rows.scores(drawn)])
        return cls(rule, float(chosen), seed, counts, rows.means(rule))

    @property
    def level(self) -> float:
        """False alarm that each test is allowed."""
        return self.delta / 2 if self.rule.certified else self.delta

    @property
    def withdrawn(self) -> bool:
        """Whether the guarantee no longer stands."""
        return self._unlike_at is not None or self.risk.reached_at is not None

    @property
    def _unlike_at(self) -> int | None:
        reached = [w.reached_at for w in self.alike if w.reached_at is not None]
        return min(reached, default=None)

    def observe(
        self,
        image: ArrayLike,
        p_true: ArrayLike,
        asserted: ArrayLike,
        label: ArrayLike | None = None,
        *,
        seen: bool = False,
    ) -> Status:
        """Take the next batch of the stream in.

        A batch is one moment: the order of its rows does not matter. Give whole images. One claim
        an image is drawn for each test, since claims of an image depend on each other.

        Parameters
        ----------
        image: (N,) name or number of each claim's image.
        p_true: (N,) P(the claim is true), of the model as it is used; NaN: unknown.
        asserted: (N,) 1 yes, 0 no, -1 unparsed.
        label: (N,) spot labels: 1 true, 0 false, NaN: not looked at. Which claims of those that go
            out are labelled must be drawn at random, never chosen for looking odd.
        seen: the rows were observed before and only their labels are new.

        Raises
        ------
        InputError: columns that do not pair, or values other than these.
        """
        rows = _Rows.of(image, p_true, asserted, label)
        self.batches += 1
        generator = np.random.default_rng([self.seed, self.batches])
        known = np.isfinite(rows.right)
        warnings: tuple[str, ...] = ()
        if not seen:
            drawn = generator.permutation(rows.draw(known, generator))
            self._rank(rows, drawn, generator)
            warnings = self._compare(rows)
        unused = {} if seen else {"unknown": int((~known).sum())}
        if self.rule.certified:
            unused |= self._check(rows, generator)
        elif rows.label is not None:
            unused["label, but the rule guarantees nothing"] = int(np.isfinite(rows.label).sum())
        return self.status(warnings, {why: count for why, count in unused.items() if count})

    def status(
        self, warnings: tuple[str, ...] = (), unused: Mapping[str, int] | None = None
    ) -> Status:
        """What is known now."""
        grounds = []
        if self._unlike_at is not None:
            grounds.append(
                f"the stream is not like the certification rows (image {self._unlike_at}): "
                "what was certified on them does not apply to it"
            )
        if self.risk.reached_at is not None:
            grounds.append(
                f"more than {self.rule.alpha:.1%} of the output is wrong "
                f"(labelled {self.rule.unit} {self.risk.reached_at})"
            )
        return Status(
            self.withdrawn,
            tuple(grounds),
            warnings,
            self.alike[0].units,
            self.risk.units,
            unused or {},
            self._told(self.alike),
            self._told((self.risk,)) if self.rule.certified else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; a stream goes on from :meth:`from_dict` as if it had not stopped."""
        return {
            "version": _VERSION,
            "rule": self.rule.to_dict(),
            "delta": self.delta,
            "seed": self.seed,
            "batches": self.batches,
            "counts": self.counts.tolist(),
            "usual": {name: list(values) for name, values in self.usual.items()},
            "alike": [wealth.to_dict() for wealth in self.alike],
            "risk": self.risk.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InputError: another version wrote it, or it is damaged.
        """
        try:
            if values["version"] != _VERSION:
                raise InputError(
                    f"a monitor of version {values['version']!r}, this package reads {_VERSION}; "
                    "start a new one"
                )
            found = cls(
                DecisionRule.from_dict(values["rule"]),
                float(values["delta"]),
                int(values["seed"]),
                np.array(values["counts"], np.int64),
                {name: (m, v, int(n)) for name, (m, v, n) in values["usual"].items()},
                tuple(Wealth.from_dict(wealth) for wealth in values["alike"]),
                Wealth.from_dict(values["risk"]),
                int(values["batches"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a monitor ({error!r}); start a new one") from error
        sizes = [wealth.started.size for wealth in (*found.alike, found.risk)]
        expected = [RANK_BETS] * len(SCORES) + [RISK_BETS]
        if found.counts.shape != (len(SCORES), BINS) or sizes != expected:
            raise InputError("a monitor of another layout; start a new one")
        return found

    def _rank(self, rows: _Rows, drawn: NDArray[np.int64], generator: np.random.Generator) -> None:
        ties = generator.random(drawn.size)
        goal = -log(self.level / len(SCORES))
        for wealth, counts, score in zip(self.alike, self.counts, rows.scores(drawn), strict=True):
            wealth.play(rank_factors(conformal_p(counts, bins(score), ties)), goal)

    def _check(self, rows: _Rows, generator: np.random.Generator) -> dict[str, int]:
        """Bet on the errors of labelled claims that went out; what was left out, by reason."""
        if rows.label is None:
            return {}
        assert self.rule.alpha is not None
        labelled = np.isfinite(rows.label)
        emitted = decide(rows.p_true, rows.asserted, self.rule).emitted
        usable = labelled & (emitted >= 0)
        drawn = np.flatnonzero(usable)
        if self.rule.unit == "image":
            drawn = rows.draw(usable, generator)
        wrong = emitted[drawn] != rows.label[drawn]
        self.risk.play(
            risk_factors(generator.permutation(wrong), self.rule.alpha), -log(self.level)
        )
        return {
            "label of a claim that did not go out": int((labelled & ~usable).sum()),
            "label of an image that has another": int(usable.sum()) - drawn.size,
        }

    def _compare(self, rows: _Rows) -> tuple[str, ...]:
        """In words, what differs from the certification rows by more than chance."""
        found = []
        for name, (mean, variance, images) in rows.means(self.rule).items():
            usual, usual_variance, n = self.usual[name]
            if images < _FEWEST or not n:
                continue
            gap, total = mean - usual, n + images
            # Of both together, so that a share that never was 0 or 1 before is no division by 0.
            pooled = (n * usual_variance + images * variance) / total
            pooled += gap * gap * n * images / total**2
            if abs(gap) > _FAR * np.sqrt(pooled * (1 / n + 1 / images)):
                found.append(
                    f"{_TOLD[name]} is {mean:.3f} here ({images} images) and was {usual:.3f} on "
                    "the certification rows: more than chance"
                )
        return tuple(found)

    def _told(self, wealths: tuple[Wealth, ...]) -> dict[str, Any]:
        """Of the wealthiest test, in units of its share of the level."""
        share = log(len(wealths))
        now = max(wealth.log_wealth for wealth in wealths) - share
        reached = [w.reached_at for w in wealths if w.reached_at is not None]
        return {
            "log_wealth": now,
            "wealth": exp(min(now, 700.0)),
            "log_peak": max(wealth.log_peak for wealth in wealths) - share,
            "log_wealth_to_withdraw": -log(self.level),
            "withdrawn_at": min(reached, default=None),
        }


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows in an order of their own, whatever the order they were given in."""

    code: NDArray[np.int64]
    p_true: NDArray[np.float32]
    asserted: NDArray[np.int8]
    right: NDArray[np.float32]
    label: NDArray[np.float64] | None

    @classmethod
    def of(
        cls, image: ArrayLike, p_true: ArrayLike, asserted: ArrayLike, label: ArrayLike | None
    ) -> Self:
        true, answers = confidences(p_true), answer_codes(asserted)
        right = asserted_right(true, answers)
        groups = as_array(image, "image")
        labels = None if label is None else as_numbers(label, "label").astype(np.float64)
        for name, column in (("image", groups), ("label", labels)):
            if column is not None and column.shape != right.shape:
                raise InputError(f"{right.size} claims and {column.size} in {name}; give one a row")
        if labels is not None and not np.isin(labels[~np.isnan(labels)], (0, 1)).all():
            raise InputError("label holds other values; give 1 (true), 0 (false), or NaN")
        if groups.dtype.kind == "O":
            groups = groups.astype(str)
        code = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        order = np.lexsort((true if labels is None else labels, answers, true, code))
        return cls(
            code[order],
            true[order],
            answers[order],
            right[order],
            None if labels is None else labels[order],
        )

    def draw(self, usable: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
        """Positions of one usable row of each image that has one."""
        places = np.flatnonzero(usable)
        _, first, count = np.unique(self.code[places], return_index=True, return_counts=True)
        drawn: NDArray[np.int64] = places[
            first + (generator.random(count.size) * count).astype(int)
        ]
        return drawn

    def scores(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float32], ...]:
        """The columns of ``SCORES`` of some rows."""
        right = self.right[places]
        return self.p_true[places], right, np.maximum(right, 1 - right)

    def means(self, rule: DecisionRule) -> dict[str, tuple[float, float, int]]:
        """Mean and variance over images of an image's mean, and how many images there are."""
        known = np.isfinite(self.right)
        emitted = decide(self.p_true, self.asserted, rule).emitted >= 0
        columns = {
            "confidence": (self.right, known),
            "emitted": (emitted, known),
            "yes": (self.asserted == 1, self.asserted >= 0),
            "unknown": (~known, np.ones_like(known)),
        }
        found = {}
        for name, (values, usable) in columns.items():
            code = self.code[usable]
            rows = np.bincount(code)
            sums = np.bincount(code, weights=values[usable])
            mean = sums[rows > 0] / rows[rows > 0]
            some = mean.size > 0
            found[name] = (
                float(mean.mean()) if some else 0.0,
                float(mean.var()) if some else 0.0,
                int(mean.size),
            )
        return found
