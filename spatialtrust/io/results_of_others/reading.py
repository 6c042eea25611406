"""Which tool wrote a result file, and its rows; what is of none is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import ColumnError, FileError, suggest
from spatialtrust.io.results_of_others.rows import Results, Row
from spatialtrust.io.results_of_others.sheets import read_json_rows, read_sheet
from spatialtrust.io.results_of_others.tools import labels_of, lmms_eval, pope, vlmevalkit, whatsup
from spatialtrust.io.separated import read_separated

if TYPE_CHECKING:
    from spatialtrust.io.separated import Table

KINDS: Final = (".xlsx", ".tsv", ".csv", ".json", ".jsonl")
_CODE: Final = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy", ".npz")
_OTHERS: Final = {
    ".eval": "a log of inspect_ai (export its samples: inspect log dump)",
    ".xls": "a spreadsheet of before 2007 (save it as .xlsx)",
    ".ods": "a spreadsheet of another kind (save it as .xlsx)",
    ".parquet": "a table (spatialtrust eval reads tables of verdicts, verify those of claims)",
}
FORMS: Final = (
    "known: VLMEvalKit (.xlsx, .tsv, .csv, .json with prediction), lmms-eval (*_samples_*.jsonl "
    "with doc_id and filtered_resps), POPE (JSON lines of question_id and text or answer), "
    "What'sUp (JSON with caption_options)"
)


def read_results_of_others(path: str | Path, labels: str | Path | None = None) -> Results:
    """Read a result file of another tool.

    Parameters
    ----------
    path: the file.
    labels: for POPE, the file of questions with ``question_id`` and ``label``.

    Raises
    ------
    FileError: the file is missing, empty, a pickle, or of a tool or version that is not known.
    ColumnError: a column that the tool writes is missing.
    MissingDependencyError: a spreadsheet, and the extra xlsx is not installed.
    """
    target = Path(path)
    table, notes = _table(target)
    if not table:
        raise FileError(target, "holds no rows", "give the file with one row a question")
    names = {name for _, row in table if isinstance(row, dict) for name in row}
    known = {} if labels is None else labels_of(_table(Path(labels))[0])
    if labels is not None and not known:
        raise ColumnError(labels, "label", "is missing", "give POPE's file of questions")
    tool, rows, told = _rows(target, table, names, known)
    return Results(tuple(rows), tool, str(target), (*notes, *told))


def _table(path: Path) -> tuple[Table, tuple[str, ...]]:
    if path.is_dir():
        raise FileError(path, "is a folder", "give one result file; each is judged by itself")
    kind = path.suffix.lower()
    if kind in _CODE:
        raise FileError(
            path,
            "is a pickle or an array file, which can run code when it is opened, and is not read",
            "give the .xlsx, .tsv, .json or .jsonl that the tool wrote beside it",
        )
    if not path.exists():
        raise FileError(path, "does not exist", FORMS)
    if kind in _OTHERS:
        raise FileError(path, f"is {_OTHERS[kind]}", FORMS)
    if kind not in KINDS:
        raise FileError(path, f'is of kind "{kind}"', f"valid: {', '.join(KINDS)}; {FORMS}")
    if kind == ".xlsx":
        return read_sheet(path)
    if kind in (".tsv", ".csv"):
        return read_separated(path, ("index", "prediction", "answer"))
    data, notes = read_json_rows(path)
    if isinstance(data, dict):
        raise _refusal(path, data)
    if not isinstance(data, list):
        raise FileError(path, "holds neither rows nor columns", FORMS)
    return data, notes


def _rows(
    path: Path, table: Table, names: set[str], labels: dict[str, dict[str, Any]]
) -> tuple[str, list[Row], tuple[str, ...]]:
    if "caption_options" in names:
        rows, notes = whatsup(table)
        return "What'sUp", rows, notes
    if "doc_id" in names:
        for name in ("filtered_resps", "target"):
            if name not in names:
                raise ColumnError(
                    path, name, "is missing", "samples of lmms-eval have it; run with --log_samples"
                )
        rows, notes = lmms_eval(table)
        return "lmms-eval", rows, notes
    if "prediction" in names and not {"question_id", "text"} <= names:
        if not names & {"answer", "hit", "score", "extracted", "is_correct"}:
            raise ColumnError(
                path,
                "answer",
                "is missing, and so is hit",
                f"without either nothing says what is right; columns found: {_listed(names)}",
            )
        return "VLMEvalKit", vlmevalkit(table), ()
    if "question_id" in names and names & {"text", "answer"}:
        if not labels and "label" not in names and "gt_answer" not in names:
            raise ColumnError(
                path,
                "label",
                "is missing",
                "give POPE's file of questions too: --labels coco_pope_adversarial.json",
            )
        if names <= {"question_id", "image", "text", "label"}:
            raise FileError(
                path,
                "is POPE's file of questions, without a model's replies",
                "give the file of answers, and this one as --labels",
            )
        return "POPE", pope(table, labels, path), ()
    if {"index", "question", "answer"} <= names or {"hit", "category"} <= names:
        hint = suggest("prediction", names)
        raise ColumnError(
            path,
            "prediction",
            "is missing",
            f"{hint}a result file of VLMEvalKit has it (this looks like its questions alone, or "
            f"another version's file); columns found: {_listed(names)}",
        )
    raise FileError(
        path, f"is of no tool or version that is known (columns: {_listed(names)})", FORMS
    )


def _refusal(path: Path, data: dict[str, Any]) -> FileError:
    """What a JSON object is that holds no rows."""
    if "results" in data and ("configs" in data or "versions" in data):
        problem = "is a summary of lmms-eval (results), without single samples"
        return FileError(path, problem, "run it with --log_samples and give *_samples_*.jsonl")
    if "logs" in data:
        problem = "is a log of lmms-eval before version 0.3 (args, logs), which is not read"
        return FileError(path, problem, "give *_samples_*.jsonl of a newer version")
    if "eval" in data and "samples" in data:
        return FileError(path, "is a log of inspect_ai, which is not read", FORMS)
    numbers = all(isinstance(value, int | float | str) for value in data.values())
    if numbers and data:
        problem = f"holds totals ({_listed(set(data))}), not rows"
        return FileError(path, problem, "give the file with one row a question")
    problem = f"is of no tool or version that is known (keys: {_listed(set(data))})"
    return FileError(path, problem, FORMS)


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "") or "none"
