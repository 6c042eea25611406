"""From a bag to a file that Foxglove opens: topics are found, graphs are made, and read back.

python pipelines/bag_to_graph.py BAG OUT.mcap [--objects "mug, kettle" --detector REF]

Uses the only camera and, where there is one, the only topic of detections. Needs no ROS.
"""

from __future__ import annotations

import argparse

from spatialtrust.cli.output import emit, plain_errors, say


def main() -> None:
    """Find the topics of a bag, make its graphs, and print what is believed at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag")
    parser.add_argument("out")
    parser.add_argument("--objects", help='phrases to look for: "mug, kettle"')
    parser.add_argument("--detector", default="", help="where the bag has no detections")
    given = parser.parse_args()

    from spatialtrust.jobs.bag_exports import read_records
    from spatialtrust.jobs.bags import BagSettings, graph_bag, info
    from spatialtrust.run.config import RunConfig

    with plain_errors():
        topics = {row["use"]: row["topic"] for row in info(given.bag)["topics"] if row["use"]}
        say(f"used: {topics}")
        boxes = None if given.detector else topics.get("detections")
        settings = BagSettings(image=topics.get("image"), detections=boxes)
        objects = () if given.objects is None else (given.objects,)
        config = RunConfig(detector=given.detector, objects=objects)
        found = graph_bag(given.bag, given.out, settings, config)
        *_, last = read_records(given.out)
        edges = [row for row in last["relations"] if row["edge"]]
        lines = [f"{row['subject']} {row['relation']} {row['object']}" for row in edges]
        emit({**found, "believed_at_the_end": lines})


if __name__ == "__main__":
    main()
