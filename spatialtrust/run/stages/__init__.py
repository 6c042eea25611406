"""The stages of a run: small, picklable callables from batch to batch.

A stage says what it reads and which table it writes; what it is made with goes into the manifest.
Models load at the first batch, in whichever process that is. The same objects run one after the
other here, on a cluster under Ray, and one at a time from the command line.
"""

from spatialtrust.run.stages.given import TakeAnswers
from spatialtrust.run.stages.judging import Decide, Fuse, Gather
from spatialtrust.run.stages.linking import Link
from spatialtrust.run.stages.looking import Ask, Detect, MakeClaims, ReadImages

__all__ = [
    "Ask",
    "Decide",
    "Detect",
    "Fuse",
    "Gather",
    "Link",
    "MakeClaims",
    "ReadImages",
    "TakeAnswers",
]
