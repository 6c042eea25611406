"""A page's numbers: looked up in the browser, made here by the functions that commands print with.

An operating point is a plain threshold on P(the edge is true): what is kept there is what
:meth:`spatialtrust.graph.SceneGraph.prune` keeps, before anything is left out as implied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import metrics
from spatialtrust.decision.commit_gate import Gate, decide_by
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.defaults import MIN_CONFIDENCE
from spatialtrust.evaluation.figures import MIN_ROWS, Estimator, evaluate
from spatialtrust.graph.candidates import numbers, summarise
from spatialtrust.tables import Verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.report.promises import Promises
    from spatialtrust.run.folder import RunFolder

STEPS: Final = tuple(round(0.5 + step / 100, 2) for step in range(50))
RESAMPLES: Final = 200
_POINTS: Final = 300
"""Points of a curve; more are not seen."""


def figures_of(
    candidates: pa.Table, rule: Rule, promises: Promises, counted: pa.Array
) -> dict[str, Any]:
    """Everything that depends on the threshold, and where the run itself stands.

    Parameters
    ----------
    candidates: what :meth:`Contents.candidates` returned.
    rule: what decided the run.
    promises: of the run's model.
    counted: (N,) label of each candidate that figures may use: 1, 0, null.
    """
    place = candidates.schema.get_field_index("label")
    rows = candidates.set_column(place, candidates.schema.field(place), counted)
    certified = [rule.threshold for rule in promises.rules if rule.threshold is not None]
    own = rule.threshold if isinstance(rule, DecisionRule) else None
    # What was found on certifying labels was not fixed before them: bounds are of the others.
    fixed = {*STEPS} if own is None or rule.certified else {*STEPS, own}
    thresholds = sorted({*fixed, *certified, *([] if own is None else [own])})
    operating = _operating(rows, rule, thresholds)
    bounds = dict(zip(sorted(fixed), promises.bounds(sorted(fixed)), strict=True))
    for point in operating["points"]:
        point["bound"] = bounds.get(point["threshold"])
    return {
        "operating": operating,
        "at": thresholds.index(own if own is not None else MIN_CONFIDENCE),
        "own": own,
        "certified": rule.certified,
        "bounds": len(fixed),
        "decided_by": str(rule),
        "gate": _entries(rule),
        "curves": _curves(rows),
        "labelled": int(len(counted) - counted.null_count),
    }


def _operating(rows: pa.Table, rule: Rule, thresholds: Sequence[float]) -> dict[str, Any]:
    """Counts at each threshold, of all relations and of each."""
    kind = rule.rule if isinstance(rule, DecisionRule) else "accept+correct"
    groups = {
        name: np.flatnonzero(pc.equal(rows["relation"], name).fill_null(False).to_numpy())
        for name in pc.unique(rows["relation"]).drop_null().to_pylist()
    }
    points, relations = [], {name: list[Any]() for name in groups}
    for threshold in thresholds:
        decided = _decided(rows, DecisionRule.plain(threshold, kind))
        points.append({"threshold": threshold, **_counts(decided), **_interval(decided)})
        for name, places in groups.items():
            relations[name].append(_brief(_counts(decided.take(pa.array(places)))))
    return {"points": points, "relations": relations}


def _decided(rows: pa.Table, rule: DecisionRule) -> pa.Table:
    """Candidates as a rule decides them; see :meth:`SceneGraph.by`."""
    usable = np.asarray(rows["usable"].to_numpy(), np.bool_)
    p_true = np.where(usable, numbers(rows, "p_true"), np.float32(np.nan))
    asserted = pc.fill_null(pc.index_in(rows["asserted"], value_set=pa.array(["no", "yes"])), -1)
    found, _ = decide_by(rule, p_true, np.asarray(asserted.to_numpy(), np.int8), rows["relation"])
    columns = found.to_arrow()
    return pa.table(
        {
            "emitted": columns["emitted"].cast(pa.string()),
            "decision": columns["decision"].cast(pa.string()),
            "left_out": pa.nulls(len(rows), pa.string()),
            "label": rows["label"],
            "image": rows["image"],
        }
    )


def _counts(decided: pa.Table) -> dict[str, Any]:
    """What :func:`summarise` counts, and how many of the kept were corrections."""
    counts = summarise(decided)
    yes = pc.equal(decided["emitted"], "yes")
    turned = pc.and_kleene(yes, pc.equal(decided["decision"], "correct"))
    told = ("candidates", "edges", "share_kept", "labelled", "precision", "recall")
    return {
        **{name: counts[name] for name in told},
        "corrected": int(pc.sum(turned.cast(pa.int64())).as_py() or 0),
        "denied": int(pc.sum(pc.equal(decided["emitted"], "no").cast(pa.int64())).as_py() or 0),
    }


def _brief(counts: Mapping[str, Any]) -> list[Any]:
    return [counts[name] for name in ("candidates", "edges", "labelled", "precision", "recall")]


def _interval(decided: pa.Table) -> dict[str, Any]:
    """The 95 % interval of precision, by image, of ``judged`` edges; None where they are few."""
    kept = pc.equal(decided["emitted"], "yes").fill_null(False)
    rows = decided.filter(pc.and_(kept, decided["label"].is_valid()))
    if rows.num_rows < MIN_ROWS:
        return {"judged": rows.num_rows, "low": None, "high": None}
    right = rows["label"].to_numpy() == 1
    estimate = Estimator(np.ones(right.size), right, rows["image"].to_numpy(), RESAMPLES, 0)
    found = estimate.accuracy()
    return {"judged": right.size, "low": _known(found["low"]), "high": _known(found["high"])}


def _entries(rule: Rule) -> dict[str, str]:
    """What a gate says of each relation; nothing of a single threshold."""
    if not isinstance(rule, Gate):
        return {}
    return {entry.relation: str(entry) for entry in rule.relations}


def _curves(rows: pa.Table) -> dict[str, Any]:
    """Risk against coverage of edges: measured where labels are known, else as the model says."""
    asserted = rows["asserted"].is_valid().to_numpy()
    usable = np.asarray(rows["usable"].to_numpy(), np.bool_) & asserted
    p_true = numbers(rows, "p_true").astype(np.float64)
    label = pc.fill_null(rows["label"], -1).to_numpy()
    known = usable & np.isfinite(p_true)
    surest = np.sort(p_true[known])[::-1]
    expected = np.cumsum(1 - surest) / np.arange(1, surest.size + 1)
    found: dict[str, Any] = {
        "expected": _thinned(np.arange(1, surest.size + 1) / max(surest.size, 1), expected),
        "known": int(known.sum()),
    }
    judged = known & (label >= 0)
    for name, column in (("edges", "p_true"), ("boxes", "p_boxes")):
        scores = numbers(rows, column).astype(np.float64)[judged]
        rank = np.isfinite(scores)
        curve = metrics.risk_coverage_curve(scores[rank], label[judged][rank] == 1)
        found[name] = _thinned(curve.coverage, curve.risk)
    boxes = [[], []] if found["edges"] == found["boxes"] else found["boxes"]
    return {**found, "boxes": boxes, "judged": int(judged.sum())}


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[float]]:
    """A curve of at most ``_POINTS`` points."""
    if x.size > _POINTS:
        places = np.unique(np.linspace(0, x.size - 1, _POINTS).astype(np.int64))
        x, y = x[places], y[places]
    return [x.round(5).tolist(), y.round(5).tolist()]


def evaluated(folder: RunFolder, labels: Mapping[str, int]) -> dict[str, Any] | None:
    """What ``spatialtrust eval`` says of a run's verdicts; None where none is labelled.

    Parameters
    ----------
    labels: ``claim_id`` to label; they count before the claims' own.
    """
    parts = []
    for part in folder.parts("verdicts"):
        table = folder.read("verdicts", part)
        given = pa.array([labels.get(key) for key in table["claim_id"].to_pylist()], pa.int8())
        own = table["label"] if "label" in table.column_names else pa.nulls(len(table), pa.int8())
        label = pc.coalesce(pa.chunked_array([given]), own.cast(pa.int8()))
        known = label.is_valid()
        bare = table.drop_columns([name for name in ("label",) if name in table.column_names])
        parts.append(bare.append_column("label", label).filter(known))
    if not any(part.num_rows for part in parts):
        return None
    rows = pa.concat_tables(parts, promote_options="permissive")
    found = evaluate(Verdicts.from_arrow(rows), resamples=RESAMPLES)
    told = ("accuracy", "auroc", "aurc", "ece")
    asserted = found["asserted"]
    return {
        "labelled": found["labelled"],
        "images": found["images"],
        "asserted": {name: _numbers(asserted[name]) for name in told if name in asserted},
        "reliability": [_numbers(row) for row in found["reliability"] if row["rows"]],
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _known(value) for name, value in values.items()}


def _known(value: Any) -> Any:
    """A number; None where it is not known."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def importances(model: TrustModel | str) -> dict[str, float]:
    """What the run's model looks at; nothing where it is not at hand."""
    if isinstance(model, str):
        return {}
    return {name: float(share) for name, share in model.importances().items()}
