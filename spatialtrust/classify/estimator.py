"""Every method behind one ``fit`` and one ``score``, with the manners of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from spatialtrust.classify.methods import Method, expect_known, fit, unfitted
from spatialtrust.classify.splits import Splits
from spatialtrust.errors import InputError, NotFittedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Bool, Float64
    from spatialtrust.classify.image_set import EmbeddedImages


class Estimator:
    """A method by name: ``fit(images)``, ``score(images)``, whatever the method learns from.

    ``sklearn.base.clone``, ``get_params`` and ``set_params`` work as there; parameters are the
    method's name, the seed and the options of its class. ``score`` gives a confidence for each
    image, higher = safer, not one number.

    >>> import numpy as np
    >>> from spatialtrust.classify import EmbeddedImages
    >>> rng = np.random.default_rng(0)
    >>> texts, labels = np.eye(3, 8), np.arange(60) % 3
    >>> noisy = texts[labels] + rng.normal(size=(60, 8)) / 3
    >>> noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    >>> images = EmbeddedImages(noisy, texts, labels, logit_scale=20.0)
    >>> Estimator("lda-probe", shrinkage=0.1).fit(images).score(images).shape
    (60,)
    """

    def __init__(self, method: str = "mcm", *, seed: int = 0, **options: Any) -> None:
        self.method, self.seed, self.options = method, seed, options

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Method, seed and the options that were given."""
        return {"method": self.method, "seed": self.seed, **self.options}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters; what was fitted before stays until `fit` is called again."""
        self.method = parameters.pop("method", self.method)
        self.seed = parameters.pop("seed", self.seed)
        self.options = {**self.options, **parameters}
        return self

    def fit(
        self, images: EmbeddedImages, y: Any = None, *, calibration: EmbeddedImages | None = None
    ) -> Self:
        """Learn from labelled images.

        Parameters
        ----------
        images: with their labels. y: must be None; labels travel with the images.
        calibration: other labelled images, for methods that learn from a calibration split
            (default: ``images``, except where a method needs both).

        Raises
        ------
        InputError: for an unknown method or option, or images that it cannot learn from.
        """
        if y is not None:
            raise InputError(
                "y: labels travel with the images, EmbeddedImages(images, texts, labels)"
            )
        expect_known([self.method])
        predictor = unfitted(self.method, self.seed, self.options)
        if calibration is None and getattr(predictor, "margin", False):
            raise InputError(f"{self.method} weighs two scores on other images; give calibration")
        other = images if calibration is None else calibration
        if (images.labels < 0).any() or (other.labels < 0).any():
            raise InputError("labels: some images have none (-1); fitting needs labelled images")
        splits = Splits.unchecked(images, other)
        self.method_: Method = fit(self.method, splits, seed=self.seed, **self.options)
        return self

    def score(self, images: EmbeddedImages) -> Float64:
        """Confidence (N,) in the predictions, higher = safer."""
        return self._fitted().score(images)

    def predict(self, images: EmbeddedImages) -> NDArray[Any]:
        """The predictions (N,) that the confidence speaks of."""
        return self._fitted().predict(images)

    def is_correct(self, images: EmbeddedImages) -> Bool:
        """Whether these predictions are right, (N,)."""
        return self._fitted().is_correct(images)

    def _fitted(self) -> Method:
        if not hasattr(self, "method_"):
            raise NotFittedError(f"{self.method} is not fitted yet; call fit(images)")
        return self.method_

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f'Estimator("{self.method}", seed={self.seed}{given})'
