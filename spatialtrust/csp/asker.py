"""A trained VLM as an asker: ``csp:FOLDER`` answers as before, and states how sure it is.

The signal ``stated`` costs one more question a claim, in the same pass over the picture; the signal
``noise`` costs one pass a level. Questions that ask for no confidence go to the backend that
answers them for a BLIP-2; any other VLM answers them by the probabilities of yes and no.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from spatialtrust.backends.asks import OK, Plan
from spatialtrust.backends.blip2 import Blip2 as Blip2Asker
from spatialtrust.backends.loading import locate
from spatialtrust.csp.loader import bundle_folder, open_vlm, read_notes
from spatialtrust.csp.reading import PICTURES, read_confidence
from spatialtrust.csp.scales import SCALES, scale_named
from spatialtrust.questions.prompts import CONFIDENCE, STATEMENT, question
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.csp.scales import Scale
    from spatialtrust.csp.vlm import Vlm
    from spatialtrust.questions.prompts import Triple
    from spatialtrust.tables import Claims, Grounding

NOT_SCORED: Final = "statement_not_scored"
"""Status of a statement put to a VLM that only answers questions here."""


class ConfidenceAsker:
    """An ``Asker`` that fills ``stated_confidence`` where the prompt ``confidence`` is put to it.

    Attributes
    ----------
    scale: how it states a confidence: what it was trained to, else ``percent``.
    """

    needs_pixels: bool = True
    states_confidence: ClassVar[bool] = True

    def __init__(self, folder: Path, reference: str, options: Options) -> None:
        self.reference = reference
        self._folder, self._options = folder, options
        notes = read_notes(folder)
        self.scale: Scale = scale_named(str(notes["scale"])) if notes else SCALES["percent"]

    @property
    def revision(self) -> str | None:
        """Of the files."""
        return self._vlm.revision

    @cached_property
    def _vlm(self) -> Vlm:
        vlm = open_vlm(str(self._folder), self._options)
        vlm.model.eval()
        return vlm

    @cached_property
    def _plain(self) -> Blip2Asker | None:
        """What answers without a confidence; None for other architectures, and for adapters."""
        if not (self._folder / "config.json").is_file() or not hasattr(self._vlm, "see"):
            return None
        checkpoint = locate(str(self._folder), self.reference, ("blip-2",))
        return Blip2Asker(checkpoint, self.reference, self._options)

    def ask(
        self,
        images: Mapping[str, Pixels],
        claims: Claims,
        *,
        views: Sequence[str] = ("plain",),
        forms: Sequence[str] = ("claim",),
        prompts: Sequence[str] = ("default",),
        grounding: Grounding | None = None,
    ) -> Answers:
        """See ``Asker.ask``.

        Raises
        ------
        InputError: a view, form or prompt is not known.
        BackendError: the model cannot be loaded.
        """
        others = [prompt for prompt in prompts if prompt != CONFIDENCE]
        mine = [prompt for prompt in prompts if prompt == CONFIDENCE]
        parts: list[Answers] = []
        if others and self._plain is not None:
            parts.append(
                self._plain.ask(
                    images, claims, views=views, forms=forms, prompts=others, grounding=grounding
                )
            )
        else:
            mine = [*others, *mine]
        if mine or not parts:
            plan = Plan.of(
                claims, images, self._spell, views=views, forms=forms, prompts=mine,
                grounding=grounding,
            )  # fmt: skip
            parts.append(self._read(plan))
        return Answers.concat(parts).sorted()

    def _spell(self, claim: Triple, prompt: str) -> str:
        asked = question(claim, "default" if prompt == CONFIDENCE else prompt)
        return self._vlm.prompt(asked, self.scale.instruction)

    def _read(self, plan: Plan) -> Answers:
        asks = len(plan.asks.texts)
        found = np.full((3, asks + 1), np.nan, dtype=np.float32)
        status = np.full(asks + 1, OK, dtype=object)
        for start in range(0, len(plan.asks.pictures), PICTURES):
            window = plan.asks.pictures[start : start + PICTURES]
            rows = [row for picture in window for row in picture.asks]
            owner = [place for place, picture in enumerate(window) for _ in picture.asks]
            pixels = [picture.pixels() for picture in window]
            texts = [str(plan.asks.texts[row]) for row in rows]
            try:
                read = read_confidence(self._vlm, pixels, owner, texts, self.scale)
            except (RuntimeError, ValueError) as error:  # of the model; the other pictures go on
                status[rows] = f"failed: {type(error).__name__}"
                continue
            p_yes = np.clip(read.p_yes.astype(np.float64), 1e-12, 1 - 1e-12)
            found[:, rows] = read.p_yes, np.log(p_yes / (1 - p_yes)), read.stated
        at = plan.ask
        statuses = np.where(at >= 0, status[at], plan.status)
        unscored = (plan.prompt == STATEMENT) & (statuses == OK)
        statuses[unscored] = NOT_SCORED
        p_yes_of, margin, stated = np.where(statuses == OK, found[:, at], np.nan).astype(np.float32)
        stated[plan.prompt != CONFIDENCE] = np.nan
        said = pa.array(np.where(p_yes_of >= 0.5, "yes", "no"), mask=np.isnan(p_yes_of))
        return Answers.from_columns(
            {
                "claim_id": plan.claim_id,
                "model": pa.repeat(self.reference, len(at)),
                "view": plan.view,
                "form": plan.form,
                "prompt_id": plan.prompt,
                "answer": said,
                "p_yes": p_yes_of,
                "margin": margin,
                "stated_confidence": stated,
                "status": statuses,
            }
        )


def open_backend(target: str, reference: str, options: Options) -> Any:
    """Find the files of a trained VLM; see ``backends/registry.py``."""
    return ConfidenceAsker(bundle_folder(target), reference, options)
