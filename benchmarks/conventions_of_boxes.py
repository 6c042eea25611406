"""Files whose boxes are written in every convention, undeclared: how are they read?

    python -m benchmarks.conventions_of_boxes [statements.jsonl.gz] [--rows 20 200]

The claims are the statements on place, depth and distance (families `FAMILIES`); those of the
shared data (SPATIALTRUST_SHARED_DATA) are 3,787. Their boxes are written with two corners, corner
and extent, centre and extent, y first, in pixels (of 640 x 480), fractions and thousandths (whole
numbers), in files of some rows each, at most 200 of a length. A file is read right; or otherwise,
but a note names the right reading; or it is refused; or misread in silence. `by_range_alone`, the
documented default on its own, was the rule before. A verdict is wrong that goes out on the other
side of 0.5 than the same claim's when its boxes are read as they were written.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.errors import FileError
from spatialtrust.evidence.gathering import Inputs
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.boxes import FORMATS, UNITS, WHOLE_IMAGE, BoxConvention, to_corners
from spatialtrust.io.claim_files import read_claims
from spatialtrust.io.conventions import by_range, choose_convention
from spatialtrust.relations import RELATIONS
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.tables import Claims

    Column = NDArray[np.float64]

FAMILIES = ("horizontal", "vertical", "depth", "distance", "proximity")
SIZE = (640.0, 480.0)
CONFIDENCE = 0.8
MOST_FILES = 200
UNTIDY = ", untidy: boxes not cut at the image, 2 % of them upside down"
OUTCOMES = ("right", "named", "refused", "silent")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("statements", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[5, 20, 200, 0])
    given = parser.parse_args()
    shared = os.environ.get("SPATIALTRUST_SHARED_DATA")
    if given.statements is None and shared:
        given.statements = Path(shared) / "vsr_boxes" / "statements.jsonl.gz"
    if given.statements is None or not given.statements.is_file():
        print("left out: it needs labelled statements, see CONTRIBUTING.md")
        return
    world = World.read(given.statements)
    for sized, untidy in ((True, False), (False, False), (True, True)):
        title = f"{len(world.claims)} claims, {'with' if sized else 'without'} width and height"
        print(f"\n{title}{UNTIDY if untidy else ''}")
        for size in given.rows:
            tabulate(world, size or len(world.claims), sized, untidy)


@dataclass
class World:
    """Claims, their boxes as corners in fractions, and what they come out as under a reading."""

    claims: Claims
    corners: tuple[Column, Column]
    model: TrustModel = field(default_factory=TrustModel.load)

    @classmethod
    def read(cls, path: Path) -> World:
        file = read_claims(path)
        rows = np.array([
            RELATIONS[name].family in FAMILIES for name in file.claims.strings("relation")
        ])  # fmt: skip
        grounding = file.grounding
        corners = [
            box[rows].astype(np.float64) for box in (grounding.subject_box, grounding.object_box)
        ]
        return cls(file.claims.select(rows), (corners[0], corners[1]))

    def p_true(self, numbers: list[Column], reading: BoxConvention, sized: bool) -> Column:
        rows = len(self.claims)
        size = np.full((rows, 2), WHOLE_IMAGE.get(reading.unit, np.nan))
        if reading.unit == "pixel" and sized:
            size[:] = SIZE
        (subject, why), (object_, reasons) = (to_corners(box, size, reading) for box in numbers)
        grounding = Grounding.from_boxes(subject, object_, size.astype(np.float32), why | reasons)
        inputs = Inputs.of(self.claims, grounding, None)
        return np.asarray(self.model.score(inputs).p_true, dtype=np.float64)


def written(corners: Column, form: str, unit: str) -> Column:
    """Corners in fractions, as a file of this convention holds them."""
    scaled = corners * (np.tile(SIZE, 2) if unit == "pixel" else WHOLE_IMAGE[unit])
    if unit == "thousandth":
        scaled = np.round(scaled)
    x1, y1, x2, y2 = scaled.T
    columns = {
        "xyxy": (x1, y1, x2, y2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        "yxyx": (y1, x1, y2, x2),
        "yyxx": (y1, y2, x1, x2),
    }
    return np.stack(columns[form], axis=1)


def spoilt(boxes: Column, generator: np.random.Generator) -> Column:
    """Corners grown by up to 4 % of the image without a cut, one in fifty upside down."""
    found = boxes + generator.uniform(0, 0.04, boxes.shape) * [-1, -1, 1, 1]
    turned = generator.random(len(boxes)) < 0.02
    found[turned] = found[turned][:, [2, 3, 0, 1]]
    return found


def tabulate(world: World, rows: int, sized: bool, untidy: bool) -> None:
    """One line per convention that the files were written in."""
    starts = range(0, len(world.claims) - rows + 1, rows)
    starts = starts[:: 1 + len(starts) // MOST_FILES]
    print(f"\nfiles of {rows} rows: {len(starts)}")
    print(f"{'written as':<20}" + "".join(f"{name:>9}" for name in OUTCOMES)
          + f"{'wrong before':>20}{'wrong after':>20}")  # fmt: skip
    generator = np.random.default_rng(0)
    corners = [spoilt(box, generator) if untidy else box for box in world.corners]
    for form, unit in product(FORMATS, UNITS):
        truth = BoxConvention(form, unit, assumed=True)
        numbers = [written(box, form, unit) for box in corners]

        @cache
        def judged(
            reading: BoxConvention, numbers: tuple[Column, ...] | list[Column] = numbers
        ) -> Column:
            return world.p_true(list(numbers), reading, sized)

        size = np.tile(SIZE if sized else (np.nan, np.nan), (rows, 1))
        outcomes = dict.fromkeys(OUTCOMES, 0)
        counts = np.zeros((2, 2), dtype=int)
        for start in starts:
            part = slice(start, start + rows)
            boxes = [box[part] for box in numbers]
            before = by_range_alone(boxes)
            counts[0] += _wrong(judged(before)[part], judged(truth)[part])
            try:
                choice = choose_convention(boxes, size)
            except FileError:
                outcomes["refused"] += 1
                continue
            counts[1] += _wrong(judged(choice.convention)[part], judged(truth)[part])
            if choice.convention == truth:
                outcomes["right"] += 1
            else:
                outcomes["named" if truth in choice.also else "silent"] += 1
        shares = "".join(f"{outcomes[name] / len(starts):>9.1%}" for name in OUTCOMES)
        wrong = "".join(f"{f'{bad} of {out}':>20}" for bad, out in counts)
        print(f"{f'{form} {unit}':<20}{shares}{wrong}")


def by_range_alone(boxes: list[Column]) -> BoxConvention:
    """The rule before: what the range of the numbers says, whether the boxes fit or not."""
    return by_range(np.concatenate(boxes))


def _wrong(found: Column, truth: Column) -> tuple[int, int]:
    """Verdicts on the other side than the truth's, and all that go out."""
    out = np.fmax(found, 1 - found) >= CONFIDENCE
    return int(np.count_nonzero(out & ((found >= 0.5) != (truth >= 0.5)))), int(out.sum())


if __name__ == "__main__":
    main()
