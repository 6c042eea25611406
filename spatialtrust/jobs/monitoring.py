"""Files of verdicts, watched in time order: does the guarantee they were made under still hold?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.decision.monitoring import Monitor
from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.documents import read_object
from spatialtrust.errors import ColumnError, FileError, GuaranteeError, InputError
from spatialtrust.files import write_text
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.results import read_results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_FORMAT: Final = "spatialtrust.monitor"
_NEEDED: Final = ("claim_id", "image_id", "asserted", "emitted", "p_true", "p_boxes")
_VERIFY: Final = "give what `spatialtrust verify` wrote, with its manifest beside it"


@dataclass(frozen=True, eq=False)
class _Batch:
    """A file of verdicts; ``rows`` says which, whatever else was added to it."""

    path: str
    rows: str
    rule: DecisionRule
    image: NDArray[Any]
    p_true: NDArray[np.float32]
    asserted: NDArray[np.int8]
    label: NDArray[np.float64] | None


def monitor(
    model: str | Path | TrustModel,
    verdicts: Sequence[str | Path],
    *,
    state: str | Path,
    delta: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Take files of verdicts into the monitor that a state file holds; it is begun where none is.

    A file is one batch and one moment. Labels that come later are taken in by giving the file
    again with its column ``label`` filled. Either all files are taken in, or none.

    Parameters
    ----------
    model: that made the verdicts: a shipped model's name, a path, or the model itself.
    verdicts: files that ``verify`` wrote, in time order, each with its manifest beside it.
    state: JSON; written anew when all is taken in.
    delta, seed: see :meth:`Monitor.start`; of a monitor that goes on, they are its own.

    Returns
    -------
    The status after the last file (:class:`spatialtrust.decision.monitoring.Status`), with
    ``files`` (what each brought) and ``notes`` (sentences for people).

    Raises
    ------
    FileError, ColumnError: a file cannot be read, has no manifest, another model made it, another
        rule decided it, or it was taken in before.
    GuaranteeError: the model holds no certification rows.
    InputError: ``delta`` is not the one of the monitor that goes on.
    """
    fitted = model if isinstance(model, TrustModel) else TrustModel.load(model)
    if fitted.certifying is None:
        raise GuaranteeError(
            f'model "{fitted.name}" holds no certification rows to compare with; fit it on '
            "labelled rows of your own (spatialtrust fit)"
        )
    if not verdicts:
        raise InputError("no verdicts are given; " + _VERIFY)
    batches = [_read(Path(path), fitted) for path in verdicts]
    stored = _stored(Path(state), fitted)
    if stored is None:
        watch = Monitor.start(fitted.certifying, batches[0].rule, delta=delta, seed=seed)
        taken: dict[str, bool] = {}
    else:
        watch, taken = stored
        if delta is not None and delta != watch.delta:
            raise InputError(
                f"delta is {delta:g}, and the monitor in {state} was begun with {watch.delta:g}; "
                "leave it out, or begin another state"
            )
    again = _known(batches, watch.rule, taken, str(state))
    files, notes = [], []
    for batch, seen in zip(batches, again, strict=True):
        status = watch.observe(batch.image, batch.p_true, batch.asserted, batch.label, seen=seen)
        taken[batch.rows] = batch.label is not None
        files.append(
            {
                "file": batch.path,
                "claims": batch.p_true.size,
                "labels_only": seen,
                "warnings": status.warnings,
                "unused": status.unused,
                "withdrawn": status.withdrawn,
            }
        )
        if batch.label is None and watch.rule.certified:
            notes.append(f"{batch.path}: no labels, so only its likeness was tested")
        if seen:
            notes.append(f"{batch.path}: was taken in before; only its labels are new")
    if not watch.rule.certified:
        notes.append(f"{watch.rule}: nothing is guaranteed, so only the likeness is tested")
    content = {
        "format": _FORMAT,
        "model": fitted.name,
        "model_sha256": fitted.sha256,
        "taken": taken,
        "monitor": watch.to_dict(),
    }
    write_text(json.dumps(content, separators=(",", ":")) + "\n", state)
    return {
        **asdict(watch.status()),
        "rule": watch.rule.to_dict(),
        "delta": watch.delta,
        "files": files,
        "notes": tuple(notes),
    }


def _read(path: Path, model: TrustModel) -> _Batch:
    table = read_results(path)
    for name in _NEEDED:
        if name not in table.column_names:
            raise ColumnError(path, name, "is missing", _VERIFY)
    manifest = _manifest(path)
    if manifest.get("model_sha256") != model.sha256:
        raise FileError(
            path,
            f'was made by another model ("{manifest.get("model")}", '
            f'{str(manifest.get("model_sha256"))[:10]}) than "{model.name}" '
            f"({model.sha256[:10] or 'not saved'})",
            "give that model",
        )
    rule = DecisionRule.from_dict(manifest["rule"])
    p_true = _numbers(table["p_true"], path, "p_true")
    # What has no boxes never goes out, whatever is known of it.
    p_true[np.isnan(_numbers(table["p_boxes"], path, "p_boxes"))] = np.nan
    asserted = _answers(table["asserted"], path, "asserted")
    batch = _Batch(
        str(path),
        _fingerprint(table),
        rule,
        pc.fill_null(table["image_id"].cast(pa.string()), "").to_numpy(),
        p_true.astype(np.float32),
        asserted,
        _labels(table, path),
    )
    emitted = decide(batch.p_true, asserted, rule).emitted
    if (emitted != _answers(table["emitted"], path, "emitted")).any():
        raise FileError(
            path,
            "holds other verdicts than the rule of its manifest gives",
            "run `spatialtrust verify` again",
        )
    return batch


def _manifest(path: Path) -> dict[str, Any]:
    beside = path.with_name(f"{path.name}.manifest.json")
    if not beside.is_file():
        raise FileError(path, f"has no manifest beside it ({beside.name})", _VERIFY)
    found = read_object(beside)
    if not isinstance(found.get("rule"), dict):
        raise FileError(beside, "names no rule", _VERIFY)
    return found


def _stored(path: Path, model: TrustModel) -> tuple[Monitor, dict[str, bool]] | None:
    if not path.exists():
        return None
    try:
        values = read_object(path)
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({error})", "begin another state") from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise FileError(path, "is not the state of a monitor", "begin another state")
    if values.get("model_sha256") != model.sha256:
        raise FileError(
            path,
            f'watches another model ("{values.get("model")}") than "{model.name}"',
            "give that model, or begin another state",
        )
    try:
        return Monitor.from_dict(values["monitor"]), dict(values["taken"])
    except (InputError, KeyError, TypeError) as error:
        raise FileError(path, f"is damaged ({error})", "begin another state") from error


def _known(
    batches: Sequence[_Batch], rule: DecisionRule, taken: Mapping[str, bool], state: str
) -> list[bool]:
    """Whether each batch was seen without labels before; refuses what cannot be taken in."""
    known, again = dict(taken), []
    for batch in batches:
        if batch.rule != rule:
            raise FileError(
                batch.path,
                f"was decided by another rule ({batch.rule}) than is watched ({rule})",
                "watch it in a state of its own (--state)",
            )
        labelled = known.get(batch.rows)
        if labelled is not None and (labelled or batch.label is None):
            raise FileError(
                batch.path,
                f"holds verdicts that were taken in before (into {state}, or given twice)",
                "leave it out; rows count once, and their labels once",
            )
        again.append(labelled is not None)
        known[batch.rows] = batch.label is not None
    return again


def _fingerprint(table: pa.Table) -> str:
    hashed = sha256()
    for name in ("claim_id", "image_id", "p_true"):
        column = table[name]
        if name == "p_true":
            column = pa.chunked_array([column.cast(pa.float32())])
            hashed.update(np.nan_to_num(column.to_numpy(), nan=-1.0).tobytes())
        else:
            text = pc.fill_null(column.cast(pa.string()), "").to_pylist()
            hashed.update("\n".join(text).encode(errors="replace"))
    return hashed.hexdigest()[:16]


def _numbers(column: pa.ChunkedArray, path: Path, name: str) -> NDArray[np.float64]:
    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise ColumnError(path, name, f"holds no numbers ({error})", _VERIFY) from error
    return values.copy()


def _answers(column: pa.ChunkedArray, path: Path, name: str) -> NDArray[np.int8]:
    text = column.cast(pa.string())
    codes = pc.index_in(text, value_set=pa.array(["no", "yes"]))
    strange = pc.and_(pc.is_valid(text), pc.and_(pc.is_null(codes), pc.not_equal(text, "")))
    if pc.any(strange).as_py():
        raise ColumnError(path, name, "holds other answers than yes and no", _VERIFY)
    found: NDArray[np.int8] = pc.fill_null(codes, -1).to_numpy().astype(np.int8)
    return found


def _labels(table: pa.Table, path: Path) -> NDArray[np.float64] | None:
    """Spot labels; None where no row has one."""
    if "label" not in table.column_names:
        return None
    column = table["label"]
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    remedy = "give 1 (true), 0 (false), or nothing"
    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise ColumnError(path, "label", f"holds no labels ({error})", remedy) from error
    known = ~np.isnan(values)
    if not np.isin(values[known], (0, 1)).all():
        raise ColumnError(path, "label", "holds other values", remedy)
    return values if known.any() else None
