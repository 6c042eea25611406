"""What is promised at a threshold, from the rows that certify a run's trust model; or why nothing.

A reader who drags a threshold until the numbers please chooses among all that are shown. So the
bound beside each is at ``delta`` divided by their number: it holds whichever is chosen. The
certified threshold of an accuracy that was set beforehand needs no such share, and is shown too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.decision.certification import Grid, certify, rule_scores
from spatialtrust.defaults import DELTA, TARGETS
from spatialtrust.errors import GuaranteeError, SpatialTrustError
from spatialtrust.fusion.model import TrustModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.decision.certifying_rows import CertifyingRows
    from spatialtrust.decision.rule import DecisionRule
    from spatialtrust.run.folder import RunFolder

NOT_TESTED: Final = 0.5
"""``certify`` wants an alpha to find a threshold for; the bound itself does not depend on it."""


@dataclass(frozen=True, slots=True)
class Promises:
    """What a run's model can promise of the run's edges.

    Attributes
    ----------
    rows: that certify; None: nothing is promised.
    why: why not; empty where something is.
    rules: of ``TARGETS``, those for which a threshold exists.
    said: what is known of each target, threshold or not.
    calibrated_on: data for which promises hold.
    """

    rows: CertifyingRows | None = None
    why: str = ""
    rules: tuple[DecisionRule, ...] = ()
    said: tuple[str, ...] = ()
    calibrated_on: str = ""

    def bounds(self, thresholds: Sequence[float]) -> list[dict[str, Any] | None]:
        """Of each threshold ``n``, ``errors`` and ``bound``: the share wrong is at most that.

        The thresholds have to be fixed before any certifying label is seen.

        With probability 1 - ``DELTA`` all of these bounds hold at once. None: nothing is promised,
        or the certifying rows are graphs that were repaired at a stricter threshold.
        """
        rows = self.rows
        if rows is None:
            return [None] * len(thresholds)
        kind = "accept+correct" if rows.repaired_at is None else "accept"
        scores, right = rule_scores(rows.p_true, rows.asserted, rows.label == 1, kind)  # type: ignore[arg-type]
        found: list[dict[str, Any] | None] = []
        for threshold in thresholds:
            if rows.repaired_at is not None and threshold < rows.repaired_at:
                found.append(None)
                continue
            rule = certify(
                scores,
                right,
                alpha=NOT_TESTED,
                delta=DELTA / len(thresholds),
                grid=Grid((threshold,)),
                calibrated_on=self.calibrated_on,
                unit="image",
                groups=rows.image,
                reserve=rows.reserve,
            )
            # What is tested against alpha * (1 - reserve) bounds the risk by so much more.
            bound = min((rule.bound or 0.0) / (1 - rows.reserve), 1.0)
            found.append({"n": rule.n, "errors": rule.errors, "bound": bound})
        return found

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        return {
            "why": self.why,
            "delta": DELTA,
            "calibrated_on": self.calibrated_on,
            "approximate": self.rows is not None and self.rows.reserve > 0,
            "targets": [
                {
                    "accuracy": 1 - (rule.alpha or 0.0),
                    "threshold": rule.threshold,
                    "rule": str(rule),
                }
                for rule in self.rules
            ],
            "said": list(self.said),
        }


def promises_of(folder: RunFolder, model: TrustModel | str, *, repaired: bool) -> Promises:
    """What can be promised of a run's edges.

    Parameters
    ----------
    model: the run's, or why it is not known.
    repaired: whether the graphs had contradicting edges dropped.
    """
    if isinstance(model, str):
        return Promises(why=model)
    made = folder.settings("claims")
    pairs = made is None or made["made_with"].get("given") is None
    rules = []
    try:
        for target in TARGETS:
            if pairs:
                rules.append(model.pair_rule(accuracy=target, delta=DELTA))
            else:
                rules.append(model.rule(accuracy=target, delta=DELTA))
    except GuaranteeError as error:
        return Promises(why=str(error))
    of_graphs = model.repaired_at is not None
    if repaired and not of_graphs:
        return Promises(
            why=f'model "{model.name}" was certified on single claims, and these graphs were '
            "repaired, which drops some; link the run with --no-repair, or certify repaired graphs "
            "(spatialtrust label RUN --images 30, spatialtrust fit RUN)"
        )
    if of_graphs and not repaired:
        return Promises(
            why=f'model "{model.name}" was certified on repaired graphs, and these were linked '
            "with --no-repair; link them again without it"
        )
    exist = tuple(rule for rule in rules if rule.threshold is not None)
    said = tuple(str(rule) for rule in rules)
    return Promises(model.certifying, "", exist, said, model.calibrated_on)


def model_of(folder: RunFolder) -> TrustModel | str:
    """The trust model that a run was scored by; or, in words, why it is not at hand."""
    scores = folder.settings("scores")
    if scores is None:
        return "the run has no scores, so its trust model is not known"
    made = scores["made_with"]
    name = made.get("model", "")
    try:
        model = TrustModel.load(name)
    except SpatialTrustError as error:
        return f'the trust model "{name}" cannot be loaded: {error}'
    if made.get("sha256") not in (None, model.sha256):
        return (
            f'the trust model "{name}" has changed since the run was scored; run '
            "spatialtrust fuse, decide and link again"
        )
    return model
