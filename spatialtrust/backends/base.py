"""What a backend must do: three protocols, tables in and tables out.

A backend is made from a reference string (``clip:openai/clip-vit-base-patch32``) by
``registry.py``. Making one is cheap; weights load at the first call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.tables import Answers, Claims, Detections, Grounding


@dataclass(frozen=True, slots=True)
class Options:
    """How a live model runs; recorded backends ignore it.

    Attributes
    ----------
    device: ``cpu``, ``cuda``, ``cuda:1`` ...; ``auto`` takes a GPU if there is one.
    dtype: ``float32``, ``tf32`` (float32 whose factors a GPU rounds to ten bits), ``bfloat16``,
        ``float16``; ``auto`` is float32, except that the language model of BLIP-2 is bfloat16 on a
        GPU.
    memory: bytes that the activations of one forward pass may take; batches are cut to fit. At
        the default a detector on a GPU may take half of what is free there.
    score_threshold: boxes that score below this are discarded.
    top_k: boxes that a detector keeps per phrase.
    """

    device: str = "auto"
    dtype: str = "auto"
    memory: int = 1 << 30
    score_threshold: float = 0.25
    top_k: int = 5

    def settings(self) -> dict[str, Any]:
        """What results depend on, for manifests; device and memory only change how they come about.

        >>> Options(memory=1).settings()
        {'dtype': 'auto', 'score_threshold': 0.25, 'top_k': 5}
        """
        return {
            "dtype": self.dtype,
            "score_threshold": self.score_threshold,
            "top_k": self.top_k,
        }


@runtime_checkable
class Backend(Protocol):
    """What all backends share.

    Attributes
    ----------
    reference: the string that made it, written into every row as ``model``.
    revision: pinned revision or content hash, written into the manifest; None where unknown.
    needs_pixels: False for recorded backends, whose images need not exist.
    """

    @property
    def reference(self) -> str:
        """The string that made it."""
        ...

    @property
    def revision(self) -> str | None:
        """Pinned revision or content hash; None where unknown."""
        ...

    @property
    def needs_pixels(self) -> bool:
        """False where images need not exist."""
        ...


@runtime_checkable
class Detector(Backend, Protocol):
    """Finds phrases in images."""

    def detect(
        self, images: Mapping[str, Pixels], phrases: Mapping[str, Sequence[str]]
    ) -> Detections:
        """Boxes for every phrase of every image.

        Parameters
        ----------
        images: image_id to uint8 (H, W, 3) RGB, upright; empty arrays where ``needs_pixels`` is
            False.
        phrases: image_id to the phrases to look for.

        Returns
        -------
        Detections in pixels; a phrase that is not there has one row with null corners and a status.
        """
        ...


@runtime_checkable
class Asker(Backend, Protocol):
    """Answers claims about images."""

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
        """One row per claim, view, form and prompt; rows that failed say why in ``status``.

        Parameters
        ----------
        images: image_id to uint8 (H, W, 3) RGB, upright.
        claims: (N,) rows.
        views: names that ``perturb.parse_view`` reads: plain, mirror, crop, noise-N.
        forms: names in ``prompts.FORMS``: claim, converse, opposite, swapped.
        prompts: names in ``prompts.PROMPTS``: five paraphrases, and ``statement``, which asks
            nothing: its rows say how well the claim's sentence fits the picture (log-likelihood,
            similarity, or match margin), without an answer.
        grounding: row i holds the boxes of claim i; crop and noise-N views need it.
        """
        ...


@runtime_checkable
class Embedder(Backend, Protocol):
    """Embeds images and texts into one space; rows have unit length."""

    @property
    def logit_scale(self) -> float:
        """Factor from cosine to logit."""
        ...

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Float32 (N, d), unit rows."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Float32 (N, d), unit rows."""
        ...
