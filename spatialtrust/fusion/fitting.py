"""Fitting a trust model: who learns from which images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.decision.certifying_rows import CertifyingRows, fix_grids, image_hashes
from spatialtrust.errors import InputError
from spatialtrust.evidence.columns import BOXES, LIVE, POSED, THINGS, Features
from spatialtrust.evidence.from_boxes import contradict
from spatialtrust.fusion.answer_weights import LEAST_ROWS, AnswerWeights, vote
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.calibration import Platt
from spatialtrust.fusion.layers import Layers
from spatialtrust.fusion.multilevel import Basis
from spatialtrust.fusion.multilevel_fit import fit_multilevel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Int64
    from spatialtrust.fusion.multilevel import MultilevelLogistic


REFIT_ROWS: Final = 1000
"""Labelled rows from which trees are fitted anew; below, only weights and calibrator are."""

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

_CONTRADICTED: Final = 0.3
"""Share of the true left/right claims whose opposite is learnt as false. Labelled statements hardly
ever have their boxes far on the wrong side; without these the model would not know that side."""

_RISING: Final = ("alignment", "vlm_margin")
_IDENTITY: Final = Platt(1.0, 0.0)


class Parts(NamedTuple):
    """Rows of each part; ``booster`` and ``stopping`` are empty where the base's trees are kept."""

    booster: Int64
    stopping: Int64
    calibrator: Int64
    certification: Int64


class Shares(NamedTuple):
    """How images are dealt to the four parts of a fit.

    Attributes
    ----------
    booster, stopping, calibrator, certification: shares of the images; they need not add up to 1.
    """

    booster: float = 0.5
    stopping: float = 0.1
    calibrator: float = 0.15
    certification: float = 0.25

    def deal(self, groups: NDArray[Any], seed: int) -> Parts:
        """Rows of each part; the rows of one image stay together."""
        code = np.unique(groups, return_inverse=True)[1]
        images = int(code.max(initial=-1)) + 1
        ends = np.cumsum(self) / sum(self) * images
        rank = np.random.default_rng(seed).permutation(images)
        part = np.searchsorted(ends, rank, side="right")[code]
        return Parts(*(np.flatnonzero(part == number) for number in range(4)))


SHIPPED_SHARES: Final = Shares(0.6, 0.15, 0.15, 0.1)
"""Of the model that ships: used as it is more often than certified on, so most of it learns."""


class _Data(NamedTuple):
    """Labelled rows; ``margin`` is their log-odds by regressions that were fitted without them."""

    features: Features
    label: NDArray[np.int8]
    groups: NDArray[Any]
    asserted: NDArray[np.int8]
    margin: Float32

    def take(self, rows: Int64) -> _Data:
        return _Data(
            self.features.select(rows),
            self.label[rows],
            self.groups[rows],
            self.asserted[rows],
            self.margin[rows],
        )

    def followed_by(self, others: _Data) -> _Data:
        return _Data(
            self.features.with_rows(others.features),
            np.concatenate([self.label, others.label]),
            np.concatenate([self.groups, others.groups]),
            np.concatenate([self.asserted, others.asserted]),
            np.concatenate([self.margin, others.margin]),
        )


class Fitted(NamedTuple):
    """Fitted layers, the rows that may certify them, and hashes of all images that were used."""

    layers: Layers
    certifying: CertifyingRows
    images: frozenset[str]


def fit(
    features: Features,
    label: NDArray[Any],
    groups: NDArray[Any],
    *,
    base: Layers | None,
    purpose: NDArray[Any] | None,
    shares: Shares | None,
    seed: int,
) -> Fitted:
    """See :meth:`spatialtrust.fusion.model.TrustModel.fit`."""
    data = _checked(features, label, groups)
    refit = base is None or len(features) >= REFIT_ROWS
    parts = _deal(data.groups, refit, purpose, shares or Shares(), seed)
    for part, rows in (("calibrate", parts.calibrator), ("certify", parts.certification)):
        _require_both(part, data.take(rows))
    if base is None:
        regressions, data, opposites = _regressions(data, parts, seed)
    else:
        regressions = base.regressions
        data = data._replace(margin=regressions.margin(features))
    learning, stopping, calibrating, certifying = (data.take(rows) for rows in parts)
    if base is None:
        learning = learning.followed_by(opposites)
    if base is None or refit:
        box_trees, answer_trees = _trees(learning, stopping, seed)
    else:
        box_trees, answer_trees = base.box_trees, None
    draft = Layers(regressions, box_trees, _IDENTITY, answer_trees=answer_trees)
    layers = _calibrated(draft, calibrating)
    images = frozenset(image_hashes(np.unique(data.groups)))
    return Fitted(layers, _certifying_rows(layers, calibrating, certifying), images)


def _checked(features: Features, label: NDArray[Any], groups: NDArray[Any]) -> _Data:
    if not len(features) == len(label) == len(groups):
        raise InputError(
            f"{len(features)} claims, {len(label)} labels and {len(groups)} groups; give one of "
            "each per claim"
        )
    if not np.isin(label, (0, 1)).all():
        raise InputError("labels must be 0 and 1; leave out claims that nobody judged")
    asked = (features.answer >= 0).any()
    asserted = features.answer if asked else np.ones(len(features), dtype=np.int8)
    unknown = np.full(len(features), np.nan, dtype=np.float32)
    return _Data(features, label.astype(np.int8), groups, asserted, unknown)


def _deal(
    groups: NDArray[Any], refit: bool, purpose: NDArray[Any] | None, shares: Shares, seed: int
) -> Parts:
    if not refit:
        shares = Shares(0.0, 0.0, 0.5, 0.5)
    if purpose is None:
        return shares.deal(groups, seed)
    certify = np.asarray(purpose) == "certify"
    if np.isin(groups[certify], groups[~certify]).any():
        raise InputError("rows to certify with and rows to fit with share images; deal them anew")
    fitting = np.flatnonzero(~certify)
    dealt = shares._replace(certification=0.0).deal(groups[fitting], seed)
    return Parts(
        fitting[dealt.booster],
        fitting[dealt.stopping],
        fitting[dealt.calibrator],
        np.flatnonzero(certify),
    )


def _require_both(part: str, rows: _Data) -> None:
    true = int(rows.label.sum())
    if min(true, len(rows.label) - true) < LEAST_ROWS // 2:
        raise InputError(
            f"the rows to {part} with hold {true} true and {len(rows.label) - true} false claims; "
            f"label at least {LEAST_ROWS // 2} of each (about 200 rows in all)"
        )


def _regressions(data: _Data, parts: Parts, seed: int) -> tuple[MultilevelLogistic, _Data, _Data]:
    """Regressions on rows that will not certify; the rows with margins; opposites to learn.

    All such rows, up to ``MOST_REGRESSED``. Whatever was regressed on gets the margin of
    regressions without it.
    """
    fitting = np.concatenate([parts.booster, parts.stopping, parts.calibrator])
    fitting = _some_images(fitting[data.features.seen[fitting]], data.groups, seed)
    opposites = _contradictions(data.take(parts.booster), seed)
    rows = data.take(fitting).followed_by(opposites)
    fitted = fit_multilevel(
        rows.features.block(POSED),
        rows.features.block(THINGS),
        rows.features.relation,
        rows.label,
        rows.groups,
        features=POSED,
        attributes=THINGS,
        basis=BASIS,
        seed=seed,
    )
    margin = fitted.model.margin(data.features)
    margin[fitting] = fitted.left_out[: len(fitting)]
    opposites = opposites._replace(margin=fitted.left_out[len(fitting) :])
    return fitted.model, data._replace(margin=margin), opposites


def _some_images(rows: Int64, groups: NDArray[Any], seed: int) -> Int64:
    """The rows of images drawn at random, up to ``MOST_REGRESSED`` of them; all if they fit."""
    if len(rows) <= MOST_REGRESSED:
        return rows
    code, counts = np.unique(groups[rows], return_inverse=True, return_counts=True)[1:]
    order = np.random.default_rng(seed).permutation(len(counts))
    kept = np.zeros(len(counts), dtype=np.bool_)
    kept[order[np.cumsum(counts[order]) <= MOST_REGRESSED]] = True
    return rows[kept[code]]


def _contradictions(learning: _Data, seed: int) -> _Data:
    """Opposites of some true claims along x."""
    features = learning.features
    sideways = features.seen & (features.column("relation_axis") == 1)
    drawn = np.random.default_rng(seed).random(len(learning.label)) < _CONTRADICTED
    rows = learning.take(np.flatnonzero(sideways & (learning.label == 1) & drawn))
    return rows._replace(features=contradict(rows.features), label=1 - rows.label)


def _trees(learning: _Data, stopping: _Data, seed: int) -> tuple[Boosted, Boosted | None]:
    """Trees on boxes, and on boxes and a VLM where one was asked."""
    learning, stopping = (
        rows.take(np.flatnonzero(rows.features.seen & np.isfinite(rows.margin)))
        for rows in (learning, stopping)
    )

    def boosted(names: tuple[str, ...]) -> Boosted:
        return Boosted.fit(
            learning.features.block(names),
            learning.margin,
            learning.label,
            (stopping.features.block(names), stopping.margin, stopping.label),
            features=names,
            rising=_RISING,
            seed=seed,
        )

    heard = np.isfinite(vote(learning.features)).mean() >= 0.5
    return boosted(BOXES), boosted((*BOXES, *LIVE)) if heard else None


def _calibrated(draft: Layers, rows: _Data) -> Layers:
    boxes = draft.box_logit(rows.features, rows.margin)
    seen = np.isfinite(boxes)
    _require_both("calibrate", rows.take(np.flatnonzero(seen)))
    layers = replace(draft, box_calibrator=Platt.fit(boxes[seen], rows.label[seen]))
    calibrated = layers.box_calibrator.slope * boxes + layers.box_calibrator.intercept
    weights = AnswerWeights.fit(calibrated, vote(rows.features), rows.label)
    if draft.answer_trees is None:
        return replace(layers, answer_weights=weights)
    heard = draft.answer_logit(rows.features, rows.margin)
    calibrator = Platt.fit(heard[seen], rows.label[seen])
    return replace(layers, answer_weights=weights, answer_calibrator=calibrator)


def _certifying_rows(layers: Layers, calibrating: _Data, certifying: _Data) -> CertifyingRows:
    grids = fix_grids(
        calibrating.groups,
        calibrating.asserted,
        layers.fuse(calibrating.features, calibrating.margin).usable,
        calibrating.label,
    )
    return CertifyingRows.of(
        certifying.groups,
        certifying.asserted,
        layers.fuse(certifying.features, certifying.margin).usable,
        certifying.label,
        grids,
    )
