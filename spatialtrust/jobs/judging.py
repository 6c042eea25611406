"""Result files of other tools, judged: what was right, and how far it could have been trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.defaults import TRUST_MODEL
from spatialtrust.errors import ColumnError
from spatialtrust.evaluation.selective import UNNAMED, measure, orbits
from spatialtrust.io.results_of_others import Results, read_results_of_others
from spatialtrust.io.results_of_others.rows import ABOUT
from spatialtrust.io.rows import read_rows
from spatialtrust.jobs.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_UNSURE: Final = "What'sUp"
"""A tool whose scores rank and are no probabilities."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judged result file.

    Attributes
    ----------
    table: a row for each of the file's, in its order, with ``status`` and, with boxes, ``trust``.
    report: the figures, JSON-ready.
    notes: what was inferred, a sentence each.
    """

    table: pa.Table
    report: dict[str, Any]
    notes: tuple[str, ...]


def judge(
    path: str | Path,
    *,
    boxes: str | Path | None = None,
    labels: str | Path | None = None,
    model: str | Path = TRUST_MODEL,
    resamples: int = 1000,
    seed: int = 0,
) -> Judgement:
    """Judge a result file of VLMEvalKit, lmms-eval, POPE or What'sUp.

    Parameters
    ----------
    path: the file, see :mod:`spatialtrust.io.results_of_others`.
    boxes: claims with boxes, as for ``verify``; ``claim_id`` is the question's id. Of a question
        with options a claim says in a column ``option`` which option it is (``A``).
    labels: POPE's file of questions, where the answers' file has no labels.
    model: trust model for the claims with boxes.
    resamples: of the bootstrap by cluster; 0: no intervals.
    seed: of the bootstrap.

    Raises
    ------
    FileError, ColumnError: a file cannot be used as a whole.
    """
    results = read_results_of_others(path, labels)
    counting = results.counting()
    rows = results.rows
    columns: dict[str, Any] = {
        "row": pa.array([row.number for row in rows], pa.int64()),
        **{
            name: pa.array([getattr(row, name) or None for row in rows], pa.string())
            for name in ("id", "sub_task", "image", "question", "reply", "predicted", "truth")
        },
        "is_correct": pa.array([row.is_correct for row in rows], pa.bool_()),
        "confidence": pa.array([row.confidence for row in rows], pa.float64()),
        **{
            name: pa.array([getattr(row, name) or None for row in rows], pa.string())
            for name in ("orbit", "cluster", "status")
        },
    }
    is_correct = np.array([bool(row.is_correct) for row in rows])
    statuses = results.counts()
    report: dict[str, Any] = {
        "tool": results.tool,
        "source": results.source,
        "rows": len(rows),
        "by_status": statuses,
        "about": {name: ABOUT[name] for name in statuses if name in ABOUT},
        "accuracy_of_all_rows": float(is_correct.sum() / len(rows)),
    }
    notes = [*results.notes]
    own = np.array([row.confidence for row in rows])
    how = {"resamples": resamples, "seed": seed}
    report["own"] = {
        "from": _origin(results, own),
        **_block(results, own, is_correct, counting, calibrated=results.tool != _UNSURE, **how),
    }
    orbit = np.array([row.orbit for row in rows], dtype=object)
    report["orbits"] = orbits(orbit[counting], is_correct[counting])
    if boxes is not None:
        trust, joined, told = _trust(results, boxes, model)
        columns["trust"] = pa.array(trust, pa.float64())
        notes += told
        report["join"] = joined
        report["trust"] = {
            "from": f"boxes of {joined['joined']} rows, model {model}",
            **_block(results, trust, is_correct, counting & np.isfinite(trust), **how),
        }
    return Judgement(pa.table(columns), report, tuple(notes))


def _origin(results: Results, confidence: NDArray[np.float64]) -> str:
    known = np.isfinite(confidence)
    if not known.any():
        return "the file has none: accuracy alone; --boxes gives trust"
    turned = sum(1 for row in results.rows if row.orbit)
    if results.tool == _UNSURE:
        return f"softmax of the scores, {int(known.sum())} rows"
    if turned:
        return f"agreement of {turned} variants of one question"
    return f"as it stands in the file, {int(known.sum())} rows"


def _block(
    results: Results,
    confidence: NDArray[np.float64],
    is_correct: NDArray[np.bool_],
    used: NDArray[np.bool_],
    **how: Any,
) -> dict[str, Any]:
    names = np.array([row.sub_task or UNNAMED for row in results.rows], dtype=object)[used]
    groups = np.unique([row.cluster for row in results.rows], return_inverse=True)[1][used]
    confidence, is_correct = confidence[used], is_correct[used]
    found = {"overall": measure(confidence, is_correct, groups, **how), "by_sub_task": {}}
    for name in sorted(set(names)):
        chosen = names == name
        found["by_sub_task"][str(name)] = measure(
            confidence[chosen], is_correct[chosen], groups[chosen], **how
        )
    return found


def _trust(
    results: Results, boxes: str | Path, model: str | Path
) -> tuple[NDArray[np.float64], dict[str, Any], list[str]]:
    """P(the answer is right) of each row that has boxes, and how the files fit together."""
    claims = read_rows(boxes)
    table = claims.table
    if "claim_id" not in table.column_names:
        raise ColumnError(
            boxes, "claim_id", "is missing", "give each claim the id of its question there"
        )
    repeated = {key for key, count in Counter(r.id for r in results.rows).items() if count > 1}
    asked = {row.id: place for place, row in enumerate(results.rows) if row.id not in repeated}
    ids = [None if key is None else str(key) for key in table["claim_id"].to_pylist()]
    options = table["option"].to_pylist() if "option" in table.column_names else [None] * len(ids)
    answers: dict[int, str] = {}
    place_of: dict[int, int] = {}
    lost: Counter[str] = Counter()
    taken: set[int] = set()
    for number, (key, option) in enumerate(zip(ids, options, strict=True)):
        place = asked.get(key or "")
        if place is None:
            lost["claims whose id is no question's, or several questions'"] += 1
            continue
        said = results.rows[place].predicted
        if option is not None and said is not None:
            said = "yes" if str(option).strip().upper() == said else None
            if said is None:
                continue  # the claim of an option that was not chosen
        if said not in ("yes", "no"):
            lost["claims of questions with options, without a column option"] += 1
        elif place in taken:
            lost["further claims of one question"] += 1
        else:
            taken.add(place)
            answers[number], place_of[number] = said, place
    trust = np.full(len(results.rows), np.nan)
    joined: dict[str, Any] = {
        "joined": len(answers),
        "rows_without_boxes": len(results.rows) - len(answers),
        "ids_that_occur_twice": len(repeated),
        "claims_left_out": dict(lost),
    }
    if not answers:
        raise ColumnError(
            boxes,
            "claim_id",
            "fits no question of the result file",
            f"ids there: {_few(asked)}; ids here: {_few(key for key in ids if key)}",
        )
    numbers = sorted(answers)
    kept = table.take(pa.array(numbers)).drop_columns(
        [name for name in ("answer", "p_yes", "label") if name in table.column_names]
    )
    kept = kept.append_column("answer", pa.array([answers[number] for number in numbers]))
    verified = verify(kept, model=model)
    p_true = np.asarray(verified.verdicts.numbers("p_true"), dtype=np.float64)
    said_yes = np.array([answers[number] == "yes" for number in numbers])
    places = np.array([place_of[number] for number in numbers])
    trust[places] = np.where(said_yes, p_true, 1.0 - p_true)
    return trust, joined, list(verified.notes)


def _few(names: Any) -> str:
    shown = list(names)[:3]
    return ", ".join(map(str, shown)) or "none"
