"""``spatialtrust report RUN``: a run as one page to look at and to judge on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, images_done, say


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run with graphs.")],
    out: Annotated[
        Path | None, typer.Option(help="The page, .html; default: report.html in RUN.")
    ] = None,
    embed_images: Annotated[
        bool,
        typer.Option(
            "--embed-images",
            help="Put copies of the images into the page (JPEG, at most 1024 pixels a side), "
            "so that it can be sent on its own.",
        ),
    ] = False,
) -> None:
    """Write a run as one HTML page: choose a threshold, look at images, judge edges.

    The page needs no network and no server. It shows risk against coverage with a threshold to
    drag, calibration, a table of relations, and each image with its boxes, its graph and a
    sentence for every edge. Images are loaded from where they are, so keep the page where it was
    written, or give `--embed-images`.

    Judge edges with the keys y and n, export them as labels.csv into RUN, then:

        spatialtrust report run/ --out report.html

        spatialtrust fit run/ --out mine.json
    """
    from spatialtrust.report.writing import write_report

    with images_done(None) as advance:
        found = write_report(
            run, out, embed_images=embed_images, progress=lambda count: advance(count, "images")
        )
    for note in found.notes:
        say(note)
    emit(found.summary())
