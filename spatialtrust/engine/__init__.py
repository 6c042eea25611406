"""Runs stages over images into a run folder, here or on a cluster; see :func:`run`."""

from spatialtrust.engine.local import ENGINES, run
from spatialtrust.engine.parts import IMAGES_PER_PART, Source, Stage

__all__ = ["ENGINES", "IMAGES_PER_PART", "Source", "Stage", "run"]
