"""What is taken where nothing is said: one home, so that commands, settings and Python agree."""

from __future__ import annotations

from typing import Final

TRUST_MODEL: Final = "vsr-boxes"
"""The trust model for everyone's boxes; others that ship are for one asker each."""

MIN_CONFIDENCE: Final = 0.8
"""Plain threshold on P(what goes out is right); guarantees nothing."""

DELTA: Final = 0.1
"""Probability with which a certified threshold may break its guarantee."""

TARGETS: Final = (0.8, 0.9, 0.95)
"""Accuracies of which is said whether labels can certify them, before and after judging."""
