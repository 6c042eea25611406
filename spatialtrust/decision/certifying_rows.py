"""The rows that a model may certify thresholds on, kept beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.decision.certification import Grid, certify_verdicts, rule_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from spatialtrust.decision.rule import DecisionRule, Kind, Unit

_UNITS: Final[tuple[Unit, ...]] = ("claim", "image")
_KINDS: Final[tuple[Kind, ...]] = ("accept", "accept+correct")
_HASH_LENGTH: Final = 10


def image_hashes(names: Iterable[str]) -> list[str]:
    """Short hashes of image names: enough to recognise an image, not to list them.

    >>> image_hashes(["a.jpg"])
    ['509b0d4641']
    """
    return [sha256(str(name).encode()).hexdigest()[:_HASH_LENGTH] for name in names]


@dataclass(frozen=True, eq=False)
class CertifyingRows:
    """Labelled rows, disjoint by image from all that was fitted on, and grids fixed before.

    Attributes
    ----------
    image: int32 (N,), rows of one number are of one image.
    asserted: int8 (N,), 1 yes, 0 no, -1 unparsed.
    p_true: float32 (N,), of the model as it is used.
    label: int8 (N,), 1 true, 0 false.
    grids: by unit and kind of rule, from the rows that fitted the calibrator.
    """

    image: NDArray[np.int32]
    asserted: NDArray[np.int8]
    p_true: NDArray[np.float32]
    label: NDArray[np.int8]
    grids: Mapping[Unit, Mapping[Kind, Grid]]

    @classmethod
    def of(
        cls,
        groups: NDArray[Any],
        asserted: NDArray[np.int8],
        p_true: NDArray[np.float32],
        label: NDArray[Any],
        grids: Mapping[Unit, Mapping[Kind, Grid]],
    ) -> Self:
        """From the columns of these rows."""
        image = np.unique(groups, return_inverse=True)[1].astype(np.int32)
        return cls(image, asserted, p_true, label.astype(np.int8), grids)

    def rule(self, accuracy: float, delta: float, unit: Unit, calibrated_on: str) -> DecisionRule:
        """The certified rule that covers most, see ``certification.certify_verdicts``."""
        return certify_verdicts(
            self.p_true,
            self.asserted,
            self.label,
            alpha=1 - accuracy,
            delta=delta,
            grids=self.grids[unit],
            calibrated_on=calibrated_on,
            unit=unit,
            groups=self.image,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "image": self.image.tolist(),
            "asserted": self.asserted.tolist(),
            "p_true": [float(f"{p:.9g}") for p in self.p_true],
            "label": self.label.tolist(),
            "grids": {
                unit: {kind: asdict(grid) for kind, grid in kinds.items()}
                for unit, kinds in self.grids.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        grids = {
            unit: {
                kind: Grid(**{name: tuple(steps) for name, steps in grid.items()})
                for kind, grid in kinds.items()
            }
            for unit, kinds in values["grids"].items()
        }
        return cls(
            np.array(values["image"], np.int32),
            np.array(values["asserted"], np.int8),
            np.array(values["p_true"], np.float32),
            np.array(values["label"], np.int8),
            grids,
        )


def fix_grids(
    groups: NDArray[Any],
    asserted: NDArray[np.int8],
    p_true: NDArray[np.float32],
    label: NDArray[Any],
) -> dict[Unit, dict[Kind, Grid]]:
    """Grids of thresholds for every unit and kind of rule, from rows that will not certify."""
    return {
        unit: {
            kind: Grid.fit(*rule_scores(p_true, asserted, label, kind), unit=unit, groups=groups)
            for kind in _KINDS
        }
        for unit in _UNITS
    }
