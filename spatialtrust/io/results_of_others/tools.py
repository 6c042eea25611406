"""How each tool lays out its rows: VLMEvalKit, lmms-eval, POPE, What'sUp."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.io.results_of_others.rows import (
    SUB_TASKS,
    UNREADABLE,
    Row,
    agree,
    as_flag,
    confidence_of,
    first,
    is_missing,
    options_of,
    settle,
    text_of,
)
from spatialtrust.language import parse_claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.io.separated import Table

IDS: Final = ("qid", "question_id", "id", "index", "idx", "doc_id")
_IMAGES: Final = ("image_path", "image", "image_id", "img_path", "image_name", "file_name")
_EXTRACTED: Final = ("pred_extracted", "extracted", "extracted_pred", "pred_parsed")
_VERDICTS: Final = ("hit", "is_correct", "correct", "score")
_ROUND: Final = 1_000_000
"""VLMEvalKit numbers the variants of question n as n + 1,000,000 k."""


def vlmevalkit(table: Table) -> list[Row]:
    """Rows of ``prediction`` with ``answer``, ``hit`` or ``score``."""
    rows = []
    numbers = [_number(row.get("index")) for _, row in table if isinstance(row, dict)]
    turned = any(number >= _ROUND for number in numbers)
    for number, data in table:
        row = _start(number, data)
        if isinstance(data, dict):
            extracted = first(data, _EXTRACTED)
            settle(row, data.get("prediction"), data.get("answer"), first(data, _VERDICTS),
                   extracted=extracted)  # fmt: skip
            row.confidence = confidence_of(data, row.predicted)
            if turned and not row.orbit and (index := _number(data.get("index"))) >= 0:
                row.orbit = row.cluster = str(index % _ROUND)
        rows.append(row)
    agree(rows)
    return rows


_FRAMEWORK: Final = frozenset(
    ("doc_id", "target", "filtered_resps", "resps", "doc", "doc_hash", "prompt_hash", "target_hash",
     "arguments", "input", "token_counts", "filter", "metrics", "uniform_logit", "index")
)  # fmt: skip


def lmms_eval(table: Table) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of ``doc_id``, ``target``, ``filtered_resps`` and metrics, dictionaries or numbers."""
    rows = []
    used: dict[str, int] = {}
    for number, data in table:
        row = _start(number, data)
        if isinstance(data, dict):
            name, entry = _metric(data)
            used[name] = used.get(name, 0) + 1
            given = data.get("doc")
            doc: dict[str, Any] = given if isinstance(given, dict) else {}
            about = {**doc, **entry}
            row.id = text_of(first({**data, **about}, IDS)) or row.id
            row.sub_task = text_of(first(about, SUB_TASKS))
            row.image = text_of(first(doc, _IMAGES))
            row.question = text_of(first(doc, ("question", "text", "prompt")))
            row.options = options_of(doc)
            _variants(row, first(about, ("qid", "id", "question_id", "index")))
            verdict = first(entry, ("is_correct", "correct", "score", "value"))
            truth = first(entry, ("gt_content", "ground_truth", "answer"))
            truth = data.get("target") if truth is None else truth
            said = _said(data.get("filtered_resps"))
            settle(row, said, truth, verdict, extracted=first(entry, ("pred_parsed",)))
            row.confidence = confidence_of({**data, **entry}, row.predicted)
        rows.append(row)
    agree(rows)
    named = ", ".join(f"{name or 'none'} ({count})" for name, count in used.items())
    return rows, (f"right or wrong is taken from the metric: {named}",)


def _metric(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The metric that says whether a sample is right, as a dictionary; none: empty."""
    names = [name for name in data if name not in _FRAMEWORK]
    for name in names:
        value = data[name]
        if isinstance(value, dict) and first(value, ("is_correct", "correct", "score")) is not None:
            return name, value
    likely = sorted(names, key=lambda name: "acc" not in name and "match" not in name)
    for name in likely:
        if as_flag(data[name]) is not None and not isinstance(data[name], str):
            return name, {"value": data[name]}
    for name in likely:
        if isinstance(data[name], float) and not math.isnan(data[name]):
            return name, {"value": data[name]}
    return "", {}


def _said(replies: Any) -> Any:
    """The reply among the filtered ones."""
    while isinstance(replies, list) and replies:
        replies = replies[0]
    return None if isinstance(replies, list) else replies


def pope(table: Table, labels: Mapping[str, Mapping[str, Any]], path: Path) -> list[Row]:
    """Rows of ``question_id`` and a reply; labels in the rows, or from the file of questions."""
    rows = []
    split = next((s for s in ("adversarial", "popular", "random") if s in path.name.lower()), "")
    for number, data in table:
        row = _start(number, data)
        if isinstance(data, dict):
            known = {**labels.get(row.id, {}), **data}
            asked = "prompt" in data or "question" in data or "answer" in data
            said = data.get("answer", data.get("text") if asked or row.id in labels else None)
            row.question = text_of(first(data, ("prompt", "question")) or
                                   labels.get(row.id, {}).get("text"))  # fmt: skip
            row.image = text_of(first(known, _IMAGES))
            row.cluster = row.image or row.id
            row.sub_task = text_of(first(known, ("category", *SUB_TASKS))) or split
            settle(row, said, first(known, ("label", "gt_answer", "ground_truth")), None)
            row.confidence = confidence_of(known, row.predicted)
        rows.append(row)
    return rows


def whatsup(table: Table) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of ``caption_options``, the first of them right, with ``scores`` or ``prediction``."""
    rows: list[Row] = []
    right: list[str | None] = []
    scored = 0
    for number, data in table:
        row = _start(number, data)
        captions = data.get("caption_options") if isinstance(data, dict) else None
        if not isinstance(captions, list) or not captions:
            row.status = UNREADABLE
            rows.append(row)
            right.append(None)
            continue
        assert isinstance(data, dict)
        row.options = {chr(65 + place): text_of(text) for place, text in enumerate(captions[:26])}
        row.image = text_of(first(data, _IMAGES))
        row.id = row.id if first(data, IDS) is not None else row.image or row.id
        right.append(text_of(captions[0]))
        scores = _scores(data.get("scores"), len(captions))
        if scores is not None:
            scored += 1
            best = np.flatnonzero(scores == scores.max())
            shifted = np.exp(scores - scores.max())
            row.reply = row.options[chr(65 + int(best[0]))]
            row.predicted, row.truth = chr(65 + int(best[0])), "A"
            # Captions that tie for the best are one guess among them, never a right answer.
            row.is_correct = bool(best[0] == 0 and len(best) == 1)
            row.confidence = float(shifted.max() / shifted.sum())
        else:
            said = first(data, ("prediction", "predicted", "pred", "answer"))
            if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < len(captions):
                said = chr(65 + said)
            settle(row, said, "A", first(data, ("hit", "is_correct", "correct")))
            row.confidence = confidence_of(data, row.predicted)
        rows.append(row)
    claims = parse_claims(right).to_pylist()
    for row, claim in zip(rows, claims, strict=True):
        row.cluster = row.cluster or row.image
        if claim is not None:
            row.sub_task = row.sub_task or str(claim["relation"])
            row.cluster = f"{claim['subject']} | {claim['object']}"
    notes: tuple[str, ...] = (
        "the first of the caption_options is the right one, as What'sUp has them",
    )
    if scored:
        notes += (f"{scored} rows have scores: their softmax ranks, and is no probability",)
    return rows, notes


def _scores(value: Any, options: int) -> np.ndarray[Any, Any] | None:
    """Scores of the captions; None where they are missing or not of one caption each."""
    try:
        scores = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return scores if len(scores) == options and np.isfinite(scores).all() else None


def _start(number: int, data: dict[str, Any] | str) -> Row:
    """A row with what all tools name alike."""
    if isinstance(data, str):
        return Row(number, f"row {number}", status=UNREADABLE)
    row = Row(number, text_of(first(data, IDS)) or f"row {number}")
    row.sub_task = text_of(first(data, SUB_TASKS))
    row.question = text_of(data.get("question"))
    row.image = text_of(first(data, _IMAGES))
    row.image = row.image if len(row.image) < 1000 else ""  # base 64 of the picture itself
    row.options = options_of(data)
    row.cluster = row.image or row.id
    _variants(row, data.get("qid"))
    return row


def _variants(row: Row, qid: Any) -> None:
    """Orbit and cluster of 3DSRBench's ``VIN6MS3J-flip-1``: turned options, mirrored picture."""
    found = re.fullmatch(r"([A-Z0-9]{8})(-flip)?(?:-(\d+))?", text_of(qid))
    if found:
        row.orbit = found.group(1) + (found.group(2) or "")
        row.cluster = found.group(1)


def _number(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return -1


def labels_of(table: Sequence[tuple[int, Any]]) -> dict[str, dict[str, Any]]:
    """Questions with their labels, by ``question_id``."""
    return {
        text_of(first(data, IDS)): data
        for _, data in table
        if isinstance(data, dict) and not is_missing(data.get("label"))
    }
