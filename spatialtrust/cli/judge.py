"""``spatialtrust judge FILE``: result files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, say
from spatialtrust.defaults import TRUST_MODEL


def judge(
    results: Annotated[
        Path, typer.Argument(help="Result file of VLMEvalKit, lmms-eval, POPE or What'sUp.")
    ],
    boxes: Annotated[
        Path | None,
        typer.Option(help="Claims with boxes, as for verify; claim_id is the question's id."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="POPE's questions, if the answers have no labels.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output, one row per row of the file: .parquet, .csv, .jsonl (.gz)."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Trust model for the claims with boxes.")
    ] = TRUST_MODEL,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap by cluster; 0: none.")] = 1000,
    seed: int = 0,
) -> None:
    """Report which answers of a result file were right, and which to trust.

    Accuracy and selective-prediction figures of all rows and of each relation or sub-task, with
    intervals that draw whole images, or whole questions where they come in variants. Every row of
    the file is counted, with the reason where it does not count.

        spatialtrust judge Qwen2.5-VL_3DSRBench.xlsx

        spatialtrust judge samples_embspatial.jsonl --boxes boxes.jsonl --out judged.csv
    """
    from spatialtrust.evaluation.selective import render
    from spatialtrust.io.results import expect_ending, write_results
    from spatialtrust.jobs.judging import judge as run

    if out is not None:
        expect_ending(out)
    found = run(results, boxes=boxes, labels=labels, model=model, resamples=resamples, seed=seed)
    changed = () if out is None else write_results(found.table, out)
    for note in (*found.notes, *changed):
        say(note)
    say(render(found.report))
    emit({**({} if out is None else {"out": out}), **found.report})
