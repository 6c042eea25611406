"""``spatialtrust monitor``: does the guarantee still hold on what comes in?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, say

WITHDRAWN = 3
"""Exit code of a guarantee that no longer stands."""


def monitor(
    model: Annotated[
        str, typer.Argument(help="Trust model of the verdicts: a shipped name, or its file.")
    ],
    verdicts: Annotated[
        list[Path],
        typer.Argument(help="Files from `verify` in time order, each next to its manifest."),
    ],
    state: Annotated[
        Path, typer.Option(help="State file: created if missing, continued otherwise.")
    ],
    delta: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Probability of ever withdrawing a guarantee that holds. Default: the rule's; "
            "0.1 without a guarantee.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw of one claim per image.")] = 0,
) -> None:
    """Watch verdicts, and withdraw the guarantee if it no longer holds.

    The rule stands in the verdicts' manifests. Two tests, valid however often you look: are the
    images like those that the rule was certified on (no labels needed), and, where some claims
    that went out carry a `label` (1: true, 0: false; pick them at random), is too much of it
    wrong? Each may be wrong with half of delta. What merely looks odd is said on stderr and
    withdraws nothing.

    A file is one batch. Pass each file once, in time order. Pass it again after filling in labels;
    only the labels are then counted. Exit code 0: the guarantee stands; **3: it is withdrawn**, for
    good (certify again, with a new state file); 2: bad input; 1: the model has no guarantee.

        spatialtrust verify monday.jsonl --out monday.parquet --accuracy 0.8 --delta 0.1

        spatialtrust monitor vsr-boxes monday.parquet --state monitor.json
    """
    from spatialtrust.jobs.monitoring import monitor as run

    found = run(model, verdicts, state=state, delta=delta, seed=seed)
    for note in found["notes"]:
        say(note)
    for file in found["files"]:
        for warning in file["warnings"]:
            say(f"warning: {file['file']}: {warning}")
    for ground in found["grounds"]:
        say(f"the guarantee is withdrawn: {ground}")
    emit({"state": state, **found})
    if found["withdrawn"]:
        raise typer.Exit(WITHDRAWN)
