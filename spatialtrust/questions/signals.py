"""Which questions each signal needs: views, forms and wordings to ask for."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from spatialtrust.questions.prompts import CONFIDENCE, FORMS, PARAPHRASES, STATEMENT
from spatialtrust.questions.views import NOISE_LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping


class Asked(NamedTuple):
    """Arguments of ``Asker.ask``: every view in every form and prompt."""

    views: tuple[str, ...]
    forms: tuple[str, ...]
    prompts: tuple[str, ...]


ANSWER: Final = "answer"
"""The signal without which no other means anything."""

STATED: Final = "stated"
"""The confidence that the VLM states; for askers with ``states_confidence``."""

ASKED: Final[Mapping[str, Asked]] = MappingProxyType(
    {
        ANSWER: Asked(("plain",), ("claim",), PARAPHRASES[:1]),
        "paraphrases": Asked(("plain",), ("claim",), PARAPHRASES[1:]),
        "orbit": Asked(("plain", "mirror"), FORMS, (STATEMENT,)),
        "noise": Asked(
            tuple(f"noise-{level}" for level in NOISE_LEVELS), ("claim",), PARAPHRASES[:1]
        ),
        STATED: Asked(("plain",), ("claim",), (CONFIDENCE,)),
        "crop": Asked(("crop",), ("claim",), PARAPHRASES[:1]),
    }
)
"""Signal to what must be asked for it; no question is in two of them, so the tables concatenate."""
