"""The base method, to be compared with: boosted trees on four signals (arXiv 2601.11644).

They predict whether the VLM's answer is right, from geometric alignment, separation, detection
quality and the VLM's confidence, and can only accept it or abstain. The paper names the signals;
their formulas, and the settings of the trees, are this package's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.documents import read_object
from spatialtrust.errors import FileError, InputError
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.calibration import Calibrator, Platt, from_dict
from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.model_file import write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.evidence.columns import Features

BASE_SIGNALS: Final = ("alignment", "separation", "detection_quality", "vlm_confidence")
"""The signals, relative to what is asserted: :func:`base_signals`."""

_FOLDS: Final = 5
_FOLDER: Final = Path(__file__).parent / "models" / "base_method"


def base_signals(features: Features, asserted: NDArray[np.int8]) -> NDArray[np.float32]:
    """The base method's four signals, (N, 4), relative to what is asserted.

    Alignment (negated for an asserted no, NaN without an axis), separation, detection quality, and
    the VLM's confidence in its own answer.

    Parameters
    ----------
    asserted: (N,) 1: yes, 0: no, -1: nothing, which makes alignment and confidence NaN.

    Source: arXiv 2601.11644; the formulas are this package's choice.
    """
    sign = np.array([-1, 1, np.nan], dtype=np.float32)[asserted]
    p_yes = features.column("p_yes")
    confidence = np.where(asserted == 1, p_yes, np.where(asserted == 0, 1 - p_yes, np.nan))
    return np.stack(
        [
            features.column("alignment") * sign,
            features.column("separation"),
            features.column("detection_quality"),
            confidence.astype(np.float32),
        ],
        axis=1,
    )


@dataclass(frozen=True)
class BaseMethod:
    """P(the VLM's answer is right) from four signals.

    Attributes
    ----------
    trees, calibrator: fitted on different images.
    """

    trees: Boosted
    calibrator: Calibrator

    @classmethod
    def fit(
        cls, features: Features, label: NDArray[Any], groups: NDArray[Any], *, seed: int = 0
    ) -> Self:
        """Fit on labelled claims that a VLM answered.

        Trees learn from all images; how many there are, and the calibrator, from what trees say of
        images that they have not seen.

        Parameters
        ----------
        features: (N,) claims; those without an answer are left aside.
        label: (N,) 1: true, 0: false.
        groups: (N,) image of each.

        Raises
        ------
        InputError: the VLM answered no claim.
        """
        answered = np.flatnonzero(features.answer >= 0)
        if not answered.size:
            raise InputError("no claim has a VLM's answer; the base method needs one of each")
        right = (features.answer == label).astype(np.int8)[answered]
        trees, logit = Boosted.fit(
            base_signals(features, features.answer).T[:, answered],
            np.zeros(answered.size, dtype=np.float32),
            right,
            deal(np.asarray(groups)[answered], _FOLDS, seed),
            features=BASE_SIGNALS,
            rising=(),
            seed=seed,
        )
        return cls(trees, Platt.fit(logit, right))

    def score(self, features: Features) -> NDArray[np.float64]:
        """(N,) P(the VLM's answer is right); NaN without an answer."""
        return self.calibrator.transform(self._logit(features))

    def importances(self) -> dict[str, float]:
        """Share of the trees' gain by signal, largest first."""
        return self.trees.gains()

    def save(self, path: str | Path) -> None:
        """Write one JSON file.

        Raises
        ------
        FileError: the path cannot be written.
        """
        write_json({"trees": self.trees.to_dict(), "calibrator": self.calibrator.to_dict()}, path)

    @classmethod
    def load(cls, name: str) -> Self:
        """The one that ships beside a trust model of the same name.

        Raises
        ------
        FileError: there is none.
        """
        path = _FOLDER / f"{name}.json"
        try:
            values = read_object(path)
        except OSError as error:
            raise FileError(path, f"cannot be read ({error.strerror})") from error
        return cls(Boosted.from_dict(values["trees"]), from_dict(values["calibrator"]))

    def _logit(self, features: Features) -> NDArray[np.float64]:
        columns = dict(zip(BASE_SIGNALS, base_signals(features, features.answer).T, strict=True))
        read = np.stack([columns[name] for name in self.trees.features])
        logit = self.trees.logit(read, np.zeros(len(features), dtype=np.float32))
        return np.where(features.answer >= 0, logit, np.nan).astype(np.float64)
