"""A graph bag for other programs: rerun, Spark-DSG, ConceptGraphs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spatialtrust.bags.concept_graphs import to_concept_graphs
from spatialtrust.bags.opening import open_bag
from spatialtrust.bags.rerun_log import write_recording
from spatialtrust.bags.spark_dsg import to_spark_dsg
from spatialtrust.bags.writing import GRAPH
from spatialtrust.documents import loads
from spatialtrust.errors import InputError
from spatialtrust.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spatialtrust.bags.records import Record


def read_records(path: str | Path) -> Iterator[Record]:
    """Records of a graph bag, one a frame.

    Raises
    ------
    InputError: the bag has no channel of graphs.
    """
    bag = open_bag(path)
    bag.topic(GRAPH)
    for message in bag.messages([GRAPH]):
        yield loads(message.data)


def export(
    bag: str | Path,
    *,
    rrd: Path | None = None,
    spark_dsg: Path | None = None,
    concept_graphs: Path | None = None,
) -> dict[str, Any]:
    """Write what is wished for, from a graph bag; which files were written.

    Parameters
    ----------
    rrd: a rerun recording of all frames.
    spark_dsg, concept_graphs: the last frame's graph.

    Raises
    ------
    MissingDependencyError: ``rerun-sdk`` is not installed.
    InputError: the bag has no channel of graphs, or no frame.
    FileError: a file cannot be written.
    """
    found: dict[str, Any] = {}
    if rrd is not None:
        found["rrd"] = {"file": str(rrd), "frames": write_recording(open_bag(bag), rrd)}
    last: Record | None = None
    for record in read_records(bag) if spark_dsg or concept_graphs else ():
        last = record
    if (spark_dsg or concept_graphs) and last is None:
        raise InputError(f"{bag}: holds no graph to write")
    if spark_dsg is not None and last is not None:
        write_text(_text(to_spark_dsg(last)), spark_dsg)
        found["spark_dsg"] = str(spark_dsg)
    if concept_graphs is not None and last is not None:
        write_text(_text(to_concept_graphs(last)), concept_graphs)
        found["concept_graphs"] = str(concept_graphs)
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
