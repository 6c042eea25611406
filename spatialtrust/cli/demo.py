"""``spatialtrust demo``: the whole of it, live and offline, on scenes whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, images_done, say


def demo(
    out: Annotated[Path, typer.Option(help="Folder for scenes, graphs, pictures and figures.")] = (
        Path("out/demo/tabletop")
    ),
    scenes: Annotated[int, typer.Option(min=8, help="Rendered scenes to judge.")] = 96,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap by image; 0: none.")] = 500,
) -> None:
    """See it work, offline: live models on rendered scenes whose truth is known.

    Tiny models of the real architectures (GroundingDINO, BLIP-2, CLIP), run by the code that runs
    the large ones, build a scene graph of each picture. Then every way to trust the VLM is compared
    on the same claims, fusion is held against the VLM and the boxes alone on each relation, and a
    certified threshold against what comes of it. The world is small, one VLM knows something and
    the other nothing: it shows that the parts fit together, not how photographs do.
    """
    from spatialtrust.errors import MissingDependencyError
    from spatialtrust.evaluation.by_relation import render_relations
    from spatialtrust.evaluation.ways import render
    from spatialtrust.jobs.demo import ASKERS
    from spatialtrust.jobs.demo import demo as run
    from spatialtrust.plots import save_curves

    with images_done(scenes * len(ASKERS)) as advance:
        found = run(out, scenes=scenes, resamples=resamples, progress=lambda at, n: advance(n, at))
    try:
        save_curves({asker: found[asker]["curves"] for asker in found}, out / "curves.png")
    except MissingDependencyError as error:
        say(str(error))
    for asker, figures in found.items():
        certified = figures["certified"]
        came = "nothing" if certified["accuracy"] is None else f"{certified['accuracy']:.1%} right"
        say(f"\n== {asker}, on fresh rendered scenes (plumbing, not photographs)")
        say(render(figures))
        say(f"\n{render_relations(figures['by_relation'])}")
        say(
            f"certified: {certified['promise']}\n"
            f"           here: {came} of what went out, coverage {certified['coverage']:.1%}"
        )
    emit({asker: {k: v for k, v in f.items() if k != "curves"} for asker, f in found.items()})
