"""Fitting a trust model: who learns from which images.

Every labelled row teaches and, where it was drawn at random, certifies: what is learnt from a row
is what models say of it that have not seen its image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.decision.certifying_rows import CertifyingRows, image_hashes
from spatialtrust.errors import InputError
from spatialtrust.evidence.columns import BOXES, LIVE, POSED, THINGS, Features
from spatialtrust.evidence.from_boxes import contradict
from spatialtrust.fusion.answer_weights import LEAST_ROWS, AnswerWeights, vote
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.family_calibration import FamilyCalibration
from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.layers import Layers
from spatialtrust.fusion.multilevel import Basis
from spatialtrust.fusion.multilevel_fit import Rows, fit_multilevel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Float64, Int64
    from spatialtrust.fusion.multilevel import MultilevelLogistic


REFIT_ROWS: Final = 1000
"""Labelled rows from which trees are fitted anew; below, only weights and calibration are."""

BASIS: Final = Basis(
    bent=(
        "offset_x", "offset_y", "left_offset", "right_offset", "top_offset", "bottom_offset",
        "gap_x", "gap_y", "gap", "free_space", "depth_difference",
    ),
    faint=("first_border", "second_border", "inset", "eccentricity"),
)  # fmt: skip
"""How geometry enters the regressions; chosen by cross-validation on VSR statements."""

MOST_REGRESSED: Final = 8000
"""Rows that the regressions are fitted on, whole images drawn at random: they take rows^2 memory
and rows^3 time, and a smooth model has learnt what it can by then. The trees read all rows."""

RESERVE: Final = 0.1
RESERVE_ON_BASE: Final = 0.05
"""Share of the allowed risk that is kept back where the very rows that teach also certify; less on
a base, where they teach calibration and trees alone. Chosen on resplits, see docs/guarantees.md."""

_FOLDS: Final = 5
_CONTRADICTED: Final = 0.3
"""Share of the true left/right claims whose opposite is learnt as false. Labelled statements hardly
ever have their boxes far on the wrong side; without these the model would not know that side."""

_DISTURBED: Final = 0.5
"""Share of the rows that the regressions see with disturbed boxes, where these are given."""

_RISING: Final = ("alignment", "vlm_margin")


class _Data(NamedTuple):
    """Labelled rows, and the fold of each."""

    features: Features
    label: NDArray[np.int8]
    groups: NDArray[Any]
    asserted: NDArray[np.int8]
    fold: Int64

    def take(self, rows: Int64 | NDArray[np.bool_]) -> _Data:
        return _Data(
            self.features.select(rows),
            self.label[rows],
            self.groups[rows],
            self.asserted[rows],
            self.fold[rows],
        )


class Fitted(NamedTuple):
    """Fitted layers, the rows that may certify them, and hashes of all images that were used."""

    layers: Layers
    certifying: CertifyingRows | None
    images: frozenset[str]


def fit(
    features: Features,
    label: NDArray[Any],
    groups: NDArray[Any],
    *,
    base: Layers | None,
    purpose: NDArray[Any] | None,
    disturbed: Features | None,
    seed: int,
) -> Fitted:
    """See :meth:`spatialtrust.fusion.model.TrustModel.fit`."""
    data = _checked(features, label, groups, seed)
    certify = np.ones(len(label), dtype=np.bool_) if purpose is None else purpose == "certify"
    held_out = bool(certify.any() and not certify.all())
    if held_out and np.isin(data.groups[certify], data.groups[~certify]).any():
        raise InputError("rows to certify with and rows to fit with share images; deal them anew")
    teaching = ~certify if held_out else np.ones_like(certify)
    learning = data.take(teaching)
    _require_both("fit", learning.take(learning.features.seen))
    if disturbed is not None:
        disturbed = disturbed.select(teaching)
    learnt = _learnt(learning, base, disturbed, seed)
    layers = learnt.calibrated(learning)
    images = frozenset(image_hashes(np.unique(data.groups)))
    if not certify.any():
        return Fitted(layers, None, images)
    if held_out:
        rows = data.take(certify)
        _require_both("certify", rows)
        p_true = layers.fuse(rows.features, layers.margin(rows.features)).usable
        return Fitted(layers, _certifying(rows, p_true, reserve=0.0), images)
    reserve = RESERVE if base is None else RESERVE_ON_BASE
    return Fitted(layers, _certifying(learning, learnt.unseen(learning), reserve), images)


def certify_only(
    layers: Layers, features: Features, label: NDArray[Any], groups: NDArray[Any], seed: int
) -> CertifyingRows:
    """All rows certify the layers as they are; they have to have seen none of the images."""
    rows = _checked(features, label, groups, seed)
    _require_both("certify", rows)
    p_true = layers.fuse(features, layers.margin(features)).usable
    return _certifying(rows, p_true, reserve=0.0)


def _checked(features: Features, label: NDArray[Any], groups: NDArray[Any], seed: int) -> _Data:
    if not len(features) == len(label) == len(groups):
        raise InputError(
            f"{len(features)} claims, {len(label)} labels and {len(groups)} groups; give one of "
            "each per claim"
        )
    if not np.isin(label, (0, 1)).all():
        raise InputError("labels must be 0 and 1; leave out claims that nobody judged")
    asked = (features.answer >= 0).any()
    asserted = features.answer if asked else np.ones(len(features), dtype=np.int8)
    return _Data(features, label.astype(np.int8), groups, asserted, deal(groups, _FOLDS, seed))


def _require_both(part: str, rows: _Data) -> None:
    true = int(rows.label.sum())
    if min(true, len(rows.label) - true) < LEAST_ROWS // 2:
        raise InputError(
            f"the rows to {part} with hold {true} true and {len(rows.label) - true} false claims; "
            f"label at least {LEAST_ROWS // 2} of each (about 200 rows in all)"
        )


def _certifying(rows: _Data, p_true: Float32, reserve: float) -> CertifyingRows:
    return CertifyingRows.of(
        rows.groups, rows.asserted, p_true, rows.label, reserve, rows.features.relation
    )


@dataclass(frozen=True)
class _Learnt:
    """Layers without their calibration, and log-odds (N,) of rows by models without their images.

    Attributes
    ----------
    draft: regressions and trees; its calibration is where the new one starts from.
    boxes, heard: of ``box_logit`` and ``answer_logit``; None: there are no trees that hear.
    """

    draft: Layers
    boxes: Float64
    heard: Float64 | None

    def calibrated(self, rows: _Data, some: NDArray[np.bool_] | None = None) -> Layers:
        """Layers that are calibrated on some of the rows, or on all."""
        chosen = np.ones(len(self.boxes), dtype=np.bool_) if some is None else some
        features, label = rows.features.select(chosen), rows.label[chosen]
        boxes, near = self.boxes[chosen], self.draft.box_calibration
        seen = np.isfinite(boxes)
        calibration = FamilyCalibration.fit(boxes[seen], features.relation[seen], label[seen], near)
        weights = AnswerWeights.fit(
            calibration.logit(boxes, features.relation), vote(features), label
        )
        layers = replace(self.draft, box_calibration=calibration, answer_weights=weights)
        if self.heard is None:
            return layers
        heard = FamilyCalibration.fit(
            self.heard[chosen][seen], features.relation[seen], label[seen]
        )
        return replace(layers, answer_calibration=heard)

    def unseen(self, rows: _Data) -> Float32:
        """(N,) usable ``p_true`` of each row by models and calibrations without its image."""
        result = np.empty(len(self.boxes), dtype=np.float32)
        for number in range(_FOLDS):
            out = rows.fold == number
            heard = None if self.heard is None else self.heard[out]
            layers = self.calibrated(rows, ~out)
            fused = layers.calibrated(rows.features.select(out), self.boxes[out], heard)
            result[out] = fused.usable
        return result


def _learnt(rows: _Data, base: Layers | None, disturbed: Features | None, seed: int) -> _Learnt:
    """Regressions and trees of the rows, as far as there are enough to fit them."""
    if base is None:
        regressions, margin = _regressions(rows, disturbed, seed)
        near = FamilyCalibration()
    else:
        regressions, margin = base.regressions, base.margin(rows.features)
        near = base.box_calibration
        if len(rows.label) < REFIT_ROWS:
            draft = Layers(regressions, base.box_trees, near)
            return _Learnt(draft, draft.box_logit(rows.features, margin), None)
    box_trees, boxes = _trees(rows, margin, BOXES, seed)
    draft = Layers(regressions, box_trees, near)
    if np.isfinite(vote(rows.features)).mean() < 0.5:
        return _Learnt(draft, boxes, None)
    answer_trees, heard = _trees(rows, margin, (*BOXES, *LIVE), seed)
    return _Learnt(replace(draft, answer_trees=answer_trees), boxes, heard)


def _regressions(
    rows: _Data, disturbed: Features | None, seed: int
) -> tuple[MultilevelLogistic, Float32]:
    """Regressions, and the margin (N,) that each row gets from regressions without its image.

    They learn from the rows with boxes, up to ``MOST_REGRESSED``, and from opposites.
    """
    chosen = _some_images(np.flatnonzero(rows.features.seen), rows.groups, seed)
    clean = rows.take(chosen)
    taught = clean if disturbed is None else _partly(clean, disturbed.select(chosen), seed)
    opposites = _contradictions(clean, seed)
    learning = taught.features.with_rows(opposites.features)
    fitted = fit_multilevel(
        _as_rows(learning, np.concatenate([taught.groups, opposites.groups])),
        np.concatenate([taught.label, opposites.label]),
        _as_rows(clean.features, clean.groups),
        features=POSED,
        attributes=THINGS,
        basis=BASIS,
        seed=seed,
    )
    margin = fitted.model.margin(rows.features)
    margin[chosen] = fitted.left_out
    return fitted.model, margin


def _partly(clean: _Data, disturbed: Features, seed: int) -> _Data:
    """Some of the rows with the boxes that a detector might have drawn."""
    drawn = np.random.default_rng(seed).random(len(clean.label)) < _DISTURBED
    swap = drawn & disturbed.seen
    values = np.where(swap, disturbed.values, clean.features.values)
    return clean._replace(features=replace(clean.features, values=values))


def _as_rows(features: Features, groups: NDArray[Any]) -> Rows:
    return Rows(features.block(POSED), features.block(THINGS), features.relation, groups)


def _some_images(rows: Int64, groups: NDArray[Any], seed: int) -> Int64:
    """The rows of images drawn at random, up to ``MOST_REGRESSED`` of them; all if they fit."""
    if len(rows) <= MOST_REGRESSED:
        return rows
    code, counts = np.unique(groups[rows], return_inverse=True, return_counts=True)[1:]
    order = np.random.default_rng(seed).permutation(len(counts))
    kept = np.zeros(len(counts), dtype=np.bool_)
    kept[order[np.cumsum(counts[order]) <= MOST_REGRESSED]] = True
    return rows[kept[code]]


def _contradictions(rows: _Data, seed: int) -> _Data:
    """Opposites of some true claims along x."""
    sideways = rows.features.seen & (rows.features.column("relation_axis") == 1)
    drawn = np.random.default_rng(seed).random(len(rows.label)) < _CONTRADICTED
    chosen = rows.take(np.flatnonzero(sideways & (rows.label == 1) & drawn))
    return chosen._replace(features=contradict(chosen.features), label=1 - chosen.label)


def _trees(
    rows: _Data, margin: Float32, names: tuple[str, ...], seed: int
) -> tuple[Boosted, Float64]:
    """Trees on the rows that have boxes, and log-odds (N,) by trees without their images."""
    known = rows.features.seen & np.isfinite(margin)
    trees, logit = Boosted.fit(
        rows.features.select(known).block(names),
        margin[known],
        rows.label[known],
        rows.fold[known],
        features=names,
        rising=_RISING,
        seed=seed,
    )
    result = np.full(len(margin), np.nan)
    result[known] = logit
    return trees, result
