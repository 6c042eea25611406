"""``spatialtrust bag info | graph``: ROS bags and MCAP files, without ROS.

spatialtrust bag info drive.mcap
spatialtrust bag graph drive.mcap --image /camera/image_raw --detections /detections --out g.mcap
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, images_done, plain, say
from spatialtrust.defaults import MIN_CONFIDENCE
from spatialtrust.errors import InputError
from spatialtrust.tracking.identity import CONFIRM, KEEP
from spatialtrust.tracking.steadiness import HALF_LIFE

app = typer.Typer(
    help="ROS 1 and ROS 2 bags and MCAP files: what they hold (info), and the graph of every "
    "frame, for Foxglove, planners and ROS (graph). No ROS is needed.",
    no_args_is_help=True,
)

BagPath = Annotated[
    Path, typer.Argument(help="ROS 1 bag, MCAP file, .db3 file, or folder of a ROS 2 bag.")
]


@app.command()
def info(bag: BagPath) -> None:
    """List a bag's topics with types, counts and rates, and what each can be used for."""
    from spatialtrust.jobs.bags import info as look

    found = look(bag)
    for note in found["notes"]:
        say(f"warning: {note}")
    emit(found)


@app.command()
def graph(
    bag: BagPath,
    out: Annotated[Path, typer.Option(help="MCAP file to write.")],
    image: Annotated[str | None, typer.Option(help="Camera topic; default: the only one.")] = None,
    detections: Annotated[
        str | None, typer.Option(help="Topic of vision_msgs/Detection2DArray.")
    ] = None,
    depth: Annotated[
        str | None, typer.Option(help="Topic of depth images (REP 118), for positions.")
    ] = None,
    camera_info: Annotated[
        str | None, typer.Option(help="Topic of the camera's calibration.")
    ] = None,
    claims: Annotated[
        str | None, typer.Option(help="JSON topic with claims and a VLM's answers.")
    ] = None,
    class_names: Annotated[
        Path | None, typer.Option(help="Names of class ids: one per line, or number: name.")
    ] = None,
    objects: Annotated[str | None, typer.Option(help='Phrases: "mug, kettle".')] = None,
    relations: Annotated[str | None, typer.Option(help='Such as "left of, above, on".')] = None,
    detector: Annotated[
        str | None, typer.Option(help="Backend reference, if the bag has no detections.")
    ] = None,
    asker: Annotated[str | None, typer.Option(help="Backend reference of a VLM.")] = None,
    model: Annotated[str | None, typer.Option(help="Trust model.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help=f"Plain threshold; default {MIN_CONFIDENCE}.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th frame.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, help="Least time between used frames.")] = 0.0,
    start: Annotated[float | None, typer.Option(help="Seconds from the start of the bag.")] = None,
    end: Annotated[float | None, typer.Option(help="Seconds from the start of the bag.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference between matching stamps, in seconds.")
    ] = 0.02,
    depth_unit: Annotated[
        str | None, typer.Option(help="m or mm, if the camera does not follow REP 118.")
    ] = None,
    half_life: Annotated[
        float, typer.Option(min=0, help="Seconds until a frame's weight halves; 0: no filter.")
    ] = HALF_LIFE,
    keep: Annotated[float, typer.Option(min=0, help="Seconds to remember a hidden object.")] = KEEP,
    confirm: Annotated[
        int, typer.Option(min=1, help="Frames until an object is confirmed.")
    ] = CONFIRM,
    copy_images: Annotated[
        bool, typer.Option("--images/--no-images", help="Copy the images into the output.")
    ] = True,
    only_ros2: Annotated[
        bool,
        typer.Option("--only-ros2", help="Write only ROS 2 messages, for ros2 bag and rosbags."),
    ] = False,
    all_edges: Annotated[
        bool, typer.Option("--all-edges/--few-edges", help="Also show implied and far edges.")
    ] = False,
    rrd: Annotated[Path | None, typer.Option(help="Also write a rerun recording.")] = None,
    spark_dsg: Annotated[
        Path | None, typer.Option(help="Also write the last graph as Spark-DSG JSON.")
    ] = None,
    concept_graphs: Annotated[
        Path | None, typer.Option(help="Also write the last relations as ConceptGraphs JSON.")
    ] = None,
) -> None:
    r"""Build the graph of every camera frame of a bag, with persistent ids and steady edges.

    The output opens in Foxglove as it is: pictures, boxes and edges (whole lines: kept, dashed:
    not sure), and with depth a scene in space. A run that was stopped goes on when it is called
    again.

        spatialtrust bag graph drive.mcap --image /camera/image_raw \
            --detections /detections --out graphs.mcap
    """
    from spatialtrust.io.detections.class_names import read_names
    from spatialtrust.jobs.bag_exports import export
    from spatialtrust.jobs.bags import BagSettings, graph_bag
    from spatialtrust.run.config import RunConfig

    if only_ros2 and (rrd or spark_dsg or concept_graphs):
        raise InputError("--rrd, --spark-dsg and --concept-graphs need the JSON: no --only-ros2")
    names = {} if class_names is None else read_names(class_names)
    settings = BagSettings(
        image=image,
        detections=detections,
        depth=depth,
        camera_info=camera_info,
        claims=claims,
        class_names=names,
        every=every,
        seconds=seconds,
        start=start,
        end=end,
        tolerance=tolerance,
        depth_unit=depth_unit,
        copy_images=copy_images,
        only_ros2=only_ros2,
        steadiness={"half_life": half_life, "keep": keep, "confirm": confirm},
    )
    given = {
        "detector": detector,
        "asker": asker,
        "model": model,
        "min_confidence": min_confidence,
        "objects": None if objects is None else [objects],
        "relations": None if relations is None else _split(relations),
        "all_edges": all_edges or None,
    }
    config = RunConfig.from_dict({k: v for k, v in given.items() if v is not None}, "options")
    with images_done(None) as advance:
        found = graph_bag(bag, out, settings, config, progress=advance)
        found |= export(out, rrd=rrd, spark_dsg=spark_dsg, concept_graphs=concept_graphs)
    say(f"{found['used']} of {found['frames']} frames, {found['objects']} objects: {out}")
    emit(plain(found))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
