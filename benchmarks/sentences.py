"""How sentences of five kinds are read: right, refused, or wrong.

    python -m benchmarks.sentences [--show]

At least 300 sentences of each kind, filled into templates written after the collection they are
named for (none is copied from it), each with the reading a person would give it, or none: denied
claims, counts, several claims in one, and parts of the picture have none. `right` is a sentence
read as expected, expected refusals included; `refused` one that has a reading and was not given
it; `wrong` any other reading than the expected one. Any wrong one makes the run fail.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import NamedTuple

from spatialtrust.language import parse_claims, sentence
from spatialtrust.relations import NAMES

Claim = tuple[str, str, str]


class Said(NamedTuple):
    """A sentence, and the claim it makes, if it makes one."""

    text: str
    claim: Claim | None


_COLOURS = ("black", "blue", "yellow")
_SHAPES = ("square", "triangle", "circle", "item", "block")
_NLVR = (
    ("There is a {a} touching the {b}.", "touching"),
    ("There is a {a} on top of a {b}.", "on top of"),
    ("there is a {a} above a {b}", "above"),
    ("The {a} is directly under a {b}.", "under"),
    ("There is a box with a {a}.", "box with"),
    ("There is exactly one {a} not touching any edge", None),
    ("There is no {a} above a {b}.", None),
    ("None of the {a}s are touching the edge.", None),
    ("There are 2 {a}s touching the {b}.", None),
    ("There is a box with 2 {a}s and a {b}", None),
    ("There is a tower with a {a} over a {b}", None),
    ("There is a {a} as the base of a tower with at least two blocks.", None),
    ("Each grey box contains at least one {a} touching the edge", None),
    ("There is a {a} touching the wall with a {b} right on top of it.", None),
)
_ANIMALS = ("dog", "husky", "wine bottle", "antelope", "hot dog", "bookcase", "sea lion")
_PLACES = ("couch", "bench", "stone wall", "glass", "tennis racket", "rug")
_NLVR2 = (
    ("The {a} is lying on the {b}.", "on"),
    ("A {a} is sitting next to a {b}.", "next to"),
    ("There is a {a} standing in front of a {b}.", "in front of"),
    ("A {a} is partially behind the {b}.", "behind"),
    ("The left image contains exactly two {a}s.", None),
    ("In the left image, a {a} is on a {b}.", None),
    ("One image shows a {a} next to a {b}.", None),
    ("At least one {a} is on the {b}.", None),
    ("There are two {a}s on the {b}.", None),
    ("No {a} is touching the {b}.", None),
    ("The {a} in the right image isn\u2019t on a {b}.", None),
    ("A {a} is on a {b} and the other {a} is behind it.", None),
)
_HOUSEHOLD = ("mug", "bowl", "cap", "sunglasses", "remote", "candle", "phone", "book", "scissors")
_FURNITURE = ("table", "armchair", "chair", "bench", "plate", "flower", "knife", "tape")
_WHATSUP = (
    ("A {a} on a {b}", "on"),
    ("A {a} under a {b}", "under"),
    ("A {a} to the left of a {b}", "left of"),
    ("A {a} to the right of a {b}", "right of"),
    ("A {a} in front of a {b}", "in front of"),
    ("A {a} behind a {b}", "behind"),
    ("A photo of a {a} beside a {b}", "beside"),
    ("A {a} on the left", None),
    ("A {a} at the top of the image", None),
)
_ROBOT = (
    ("I think the {a} is slightly left of the {b}.", "left of"),
    ("In the image, the {a} is located to the right of the {b}.", "right of"),
    ("It looks like the {a}'s on the {b}.", "on"),
    ("Is there a {a} in front of the {b}?", "in front of"),
    ("Does the {a} touch the {b}?", "touching"),
    ("Yes, the {a} appears to be behind the {b}.", "behind"),
    ('Statement: "The {a} is right next to the {b}."', "next to"),
    ("The {a} can be seen directly above the {b}!", "above"),
    ("The {a} cannot be left of the {b}.", None),
    ("It is not true that the {a} is on the {b}.", None),
    ("The {a} is no longer on the {b}.", None),
    ("The {a} is to the left of and behind the {b}.", None),
    ("The {a} is on the right side of the picture.", None),
    ("The {a} is on the {b}. The arm is free.", None),
    ("Isn't the {a} behind the {b}?", None),
    ("The {a} that is on the {b} is red.", None),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show", action="store_true", help="print what was not read right")
    show = parser.parse_args().show
    wrong = sum(report(name, said, show=show) for name, said in collections().items())
    if wrong:
        raise SystemExit(f"{wrong} sentences were read as what they do not say")


def collections() -> dict[str, list[Said]]:
    """Sentences by the collection they are written after."""
    shapes = [" ".join(pair) for pair in product(_COLOURS, _SHAPES)]
    return {
        "NLVR": _filled(_NLVR, shapes[:6], shapes[5:]),
        "NLVR2": _filled(_NLVR2, _ANIMALS, _PLACES),
        "VSR": _vsr(),
        "What'sUp": _filled(_WHATSUP, _HOUSEHOLD, _FURNITURE),
        "robots": _filled(_ROBOT, _HOUSEHOLD, _FURNITURE),
    }


def report(name: str, said: list[Said], *, show: bool) -> int:
    """Print the shares of one collection; how many were read wrong."""
    counts = {"right": 0, "refused": 0, "wrong": 0}
    for (text, claim), row in zip(
        said, parse_claims([one.text for one in said]).to_pylist(), strict=True
    ):
        read = None if row is None else (row["subject"], row["relation"], row["object"])
        kind = "right" if read == claim else "refused" if read is None else "wrong"
        counts[kind] += 1
        if show and kind != "right":
            print(f"  {kind}: {text} -> {read}")
    shares = ", ".join(f"{kind} {count / len(said):.3f}" for kind, count in counts.items())
    makes_none = sum(one.claim is None for one in said)
    print(f"{name}: {len(said)} sentences, {makes_none} of them no plain claim: {shares}")
    return counts["wrong"]


def _filled(
    templates: tuple[tuple[str, str | None], ...],
    subjects: list[str] | tuple[str, ...],
    objects: list[str] | tuple[str, ...],
) -> list[Said]:
    said = []
    for (text, relation), a, b in product(templates, subjects, objects):
        claim = None if relation is None else (a, relation, b)
        if relation == "box with":
            claim = ("box", "with", a)
        said.append(Said(text.format(a=a, b=b), claim))
    return list(dict.fromkeys(said))


def _vsr() -> list[Said]:
    things = ("cat", "dining table", "potted plant", "hot dog", "person", "tv")
    return [
        Said(sentence(a, name, b), (a, name, b))
        for name, a, b in product(NAMES, things, things)
        if a != b
    ]


if __name__ == "__main__":
    main()
