"""Embedded images of one split: whatever made the arrays, checked once and named where wrong."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.checks import as_floats, expect_positive
from spatialtrust.numbers import as_array, as_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float32

OWN: Final = "own arrays"
"""Name of the model where nobody said which made the embeddings."""

UNIT_TOLERANCE: Final = 1e-3
"""How far from 1 a length may be: what half precision makes of a unit vector."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastLayers:
    """What BayesVLM needs: activations before a model's last projections, and these projections.

    image_activations: (N, width). text_activations: (K, width), of the class texts.
    image_projection, text_projection: W (d, width), so that an embedding is ``W phi`` at length 1.
    """

    image_activations: Float32
    text_activations: Float32
    image_projection: Float32
    text_projection: Float32

    def check(self, images: Float32, texts: Float32) -> None:
        """Refuse layers that do not give these embeddings.

        Raises
        ------
        InputError: naming the array and the first row that is another.
        """
        for side, embeddings in (("image", images), ("text", texts)):
            phi, weight = (
                as_floats(getattr(self, f"{side}_{part}"), f"{side}_{part}")
                for part in ("activations", "projection")
            )
            if phi.shape != (len(embeddings), weight.shape[1]):
                raise InputError(
                    f"{side}_activations: have shape {phi.shape} where {len(embeddings)} rows of "
                    f"{weight.shape[1]} (the projection's width) are expected"
                )
            found = phi @ weight.T
            if found.shape != embeddings.shape:
                raise InputError(
                    f"{side}_projection: makes {found.shape[1]} columns of embeddings that have "
                    f"{embeddings.shape[1]}"
                )
            lengths = np.linalg.norm(found, axis=1)
            cosine = np.einsum("ij,ij->i", found, embeddings) / np.maximum(lengths, 1e-30)
            if (cosine < 1 - UNIT_TOLERANCE).any():
                row = int(np.argmin(cosine))
                raise InputError(
                    f"{side}_projection: does not make the embeddings of its activations (row "
                    f"{row}: cosine {cosine[row]:.3f}, where it should be 1); give the last "
                    "projection of the model that made them"
                )


def _none() -> NDArray[np.object_]:
    return np.empty(0, dtype=object)


@dataclass(frozen=True)
class EmbeddedImages:
    """Images of one split with everything that classification methods ask for.

    Arrays alone are enough: ``EmbeddedImages(images, texts, labels)``. Whatever is given is
    checked, kept as float32, and scaled to unit length where it is not (which is logged): raw CLIP
    features would change every score without a word.

    Attributes
    ----------
    images: float32 (N, d); None where only logits are at hand. texts: float32 (K, d), one per
        class; None with logits. labels: (N,) class indices, -1 where not known; or names among
        ``class_names``.
    class_names: K names. image_ids, digests: (N,); equal digests are equal images.
    model: name of the model that made the embeddings. logit_scale: its s, 100 for CLIP.
    captions: float32 (N, d) or None.
    auxiliary: float32 (N, e) of a second image encoder, as it made them, or None.
    auxiliary_model: its name.
    given_logits: (N, K) computed elsewhere, scale included; they stand in for ``s v t^T``.
    last_layers: what BayesVLM needs, or None.

    Raises
    ------
    InputError: naming the array and row: lengths that differ, values that are not finite, labels
        that are no class.

    >>> images = EmbeddedImages([[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> images.is_correct
    array([ True,  True])
    """

    images: Float32
    texts: Float32
    labels: NDArray[np.int64]
    class_names: tuple[str, ...] = ()
    image_ids: NDArray[np.object_] = field(default_factory=_none)
    digests: NDArray[np.object_] = field(default_factory=_none)
    model: str = OWN
    logit_scale: float = 100.0
    captions: Float32 | None = None
    auxiliary: Float32 | None = None
    auxiliary_model: str | None = None
    given_logits: Float32 | None = None
    last_layers: LastLayers | None = None

    def __post_init__(self) -> None:
        expect_positive(self.logit_scale, "logit_scale")
        given = None if self.given_logits is None else _matrix(self.given_logits, "logits")
        images = None if self.images is None else unit_embeddings(self.images, "images")
        rows = len(images) if images is not None else 0 if given is None else len(given)
        images = np.empty((rows, 0), dtype=np.float32) if images is None else images
        if self.texts is not None:
            texts = unit_embeddings(self.texts, "texts")
        elif given is not None:
            texts = np.empty((given.shape[1], images.shape[1] * 0), dtype=np.float32)
        else:
            raise InputError("texts: missing; give one text embedding per class, or logits")
        if texts.size and images.size and texts.shape[1] != images.shape[1]:
            raise InputError(
                f"texts: have {texts.shape[1]} columns where images have {images.shape[1]}; embed "
                "both with one model"
            )
        if len(texts) == 1:
            raise InputError("texts: 1 class; a choice needs at least two")
        values: dict[str, Any] = {"images": images, "texts": texts, "given_logits": given}
        if given is not None and given.shape != (rows, len(texts)):
            raise InputError(
                f"logits: have shape {given.shape} for {rows} images and {len(texts)} classes"
            )
        if not images.size and given is None and rows:
            raise InputError("images: have no columns; give embeddings (N, d), or logits")
        names = tuple(self.class_names) or tuple(f"class {k}" for k in range(len(texts)))
        if len(names) != len(texts):
            raise InputError(
                f"class_names: {len(names)} of them for {len(texts)} texts; give one per class"
            )
        values["class_names"] = names
        values["labels"] = _labels(
            self.labels, rows, len(texts), names if self.class_names else None
        )
        for name, unit in (("captions", True), ("auxiliary", False)):
            array = getattr(self, name)
            if array is not None:
                array = (unit_embeddings if unit else _matrix)(array, name)
                _expect_length(array, name, rows)
                values[name] = array
        if not len(self.image_ids) and rows:
            values["image_ids"] = np.array([f"row {row}" for row in range(rows)], dtype=object)
        if not len(self.digests) and rows:
            values["digests"] = _digests(images if images.size else given)
        for name in ("image_ids", "digests"):
            _expect_length(values.get(name, getattr(self, name)), name, rows)
        if self.last_layers is not None:
            self.last_layers.check(images, texts)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of_logits(cls, logits: ArrayLike, labels: ArrayLike, **facts: Any) -> EmbeddedImages:
        """Where only logits (N, K) are at hand: for methods that need no embeddings.

        >>> EmbeddedImages.of_logits([[3.0, 0.0], [0.0, 1.0]], [0, 0]).is_correct
        array([ True, False])
        """
        nothing: Any = None
        given: Any = {"labels": labels, "given_logits": logits}
        return cls(nothing, nothing, **given, **facts)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def logits(self) -> Float32:
        """``s v t^T`` (N, K), or those that were given."""
        if self.given_logits is not None:
            return self.given_logits
        return np.asarray(self.logit_scale * (self.images @ self.texts.T), dtype=np.float32)

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Whether the zero-shot prediction is the label."""
        return np.asarray(self.logits.argmax(axis=1) == self.labels)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(N,) number of each image; equal images have one number, and are resampled together."""
        return np.unique(self.digests.astype("S64"), return_inverse=True)[1].astype(np.int64)

    def rows(self, rows: Any) -> EmbeddedImages:
        """Some of the images."""

        def some(array: Any) -> Any:
            return None if array is None else array[rows]

        layers = self.last_layers
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            image_ids=self.image_ids[rows],
            digests=self.digests[rows],
            captions=some(self.captions),
            auxiliary=some(self.auxiliary),
            given_logits=some(self.given_logits),
            last_layers=None
            if layers is None
            else replace(layers, image_activations=layers.image_activations[rows]),
        )


def _matrix(values: ArrayLike, name: str) -> Float32:
    """A finite float32 matrix; memory-mapped float32 stays on disk."""
    return np.asarray(as_floats(values, name), dtype=np.float32)


def unit_embeddings(values: ArrayLike, name: str) -> Float32:
    """Float32 rows of unit length; what was not is scaled, and logged under this name."""
    array = _matrix(values, name)
    length = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    if not array.shape[1]:
        return array
    if not length.all():
        raise InputError(
            f"{name}: row {int(np.argmin(length))} is all zeros, so it has no direction; embed the "
            "image or text again"
        )
    off = np.abs(length - 1) > UNIT_TOLERANCE
    if not off.any():
        return array
    row = int(off.argmax())
    _LOG.warning(
        "%s: %d of %d rows are not of unit length (row %d has %.3g); all were scaled to it, as "
        "cosines need",
        name, int(off.sum()), len(array), row, length[row],
    )  # fmt: skip
    return np.asarray(array / length[:, None], dtype=np.float32)


def _labels(
    values: ArrayLike, rows: int, classes: int, names: tuple[str, ...] | None
) -> NDArray[np.int64]:
    """Class indices, -1 where not known."""
    array = as_array(values, "labels")
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and array.size):
        array = _named(array, names, classes)
    array = as_numbers(array, "labels")
    if array.dtype.kind == "f" and array.ndim == 1:
        if np.isnan(array).any():
            raise InputError(
                f"labels: row {int(np.isnan(array).argmax())} has none; give a class index, or -1 "
                "where it is not known"
            )
        if not array.size or (array == np.round(array)).all():
            array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"labels: have dtype {array.dtype} and shape {array.shape}; give whole numbers (N,), "
            "one class index per image"
        )
    _expect_length(array, "labels", rows)
    outside = (array < -1) | (array >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"labels: row {row} is {array[row]}; there are {classes} classes (rows of texts, or "
            f"columns of logits), so valid labels are 0 to {classes - 1}, and -1 for unknown"
        )
    return array.astype(np.int64)


def _named(
    array: NDArray[Any], names: tuple[str, ...] | None, classes: int
) -> NDArray[np.int64] | NDArray[Any]:
    """Names of classes as their indices, where it is known which class has which name."""
    flat = array.ravel().tolist()
    texts = [item.decode() if isinstance(item, bytes) else item for item in flat]
    first = next((row for row, item in enumerate(texts) if isinstance(item, str)), None)
    if first is None:
        return array
    if names is None:
        raise InputError(
            f'labels: row {first} holds the text "{texts[first]}"; give class indices, 0 to '
            f"{classes - 1} in the order of the texts, or the class names in that order too"
        )
    number = {name: place for place, name in enumerate(names)}
    for row, item in enumerate(texts):
        if item not in number:
            raise InputError(f'labels: row {row} is "{item}", which is not among the class names')
    return np.array([number[item] for item in texts], dtype=np.int64).reshape(array.shape)


def _expect_length(array: Any, name: str, rows: int) -> None:
    if len(array) != rows:
        raise InputError(f"{name}: {len(array)} of them for {rows} images; give one per image")


def _digests(array: Any) -> NDArray[np.object_]:
    """A hash of each row, which stands for an image whose bytes are not at hand."""
    out = np.empty(len(array), dtype=object)
    for row, values in enumerate(np.ascontiguousarray(array)):
        out[row] = hashlib.blake2b(values.tobytes(), digest_size=32).digest()
    return out
