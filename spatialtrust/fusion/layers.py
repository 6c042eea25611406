"""The fitted layers of a trust model: evidence in, ``p_true`` and ``p_boxes`` out.

Each is fitted on what those below say of images that they have not seen: a regression per relation
(:mod:`spatialtrust.fusion.multilevel`), boosted trees on top of it, a calibration by family. A
VLM's answers come in by two weights, or, with a thousand labelled rows and more, as columns of
trees of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.errors import NotFittedError
from spatialtrust.fusion.answer_weights import vote
from spatialtrust.fusion.calibration import sigmoid
from spatialtrust.reasons import bit
from spatialtrust.tables import Fused

if TYPE_CHECKING:
    from spatialtrust.arrays import Float32, Float64, Scratch
    from spatialtrust.evidence.columns import Features
    from spatialtrust.fusion.answer_weights import AnswerWeights
    from spatialtrust.fusion.boosting import Boosted
    from spatialtrust.fusion.family_calibration import FamilyCalibration
    from spatialtrust.fusion.multilevel import MultilevelLogistic


@dataclass(frozen=True)
class Layers:
    """What is fitted, from the bottom up.

    Attributes
    ----------
    regressions, box_trees, box_calibration: a regression per relation, trees on it, calibration of
        both.
    answer_weights: how much a VLM's answers count beside the boxes; None: they do not.
    answer_trees, answer_calibration: trees that read a VLM's columns too; None: there are none.
    """

    regressions: MultilevelLogistic
    box_trees: Boosted
    box_calibration: FamilyCalibration
    answer_weights: AnswerWeights | None = None
    answer_trees: Boosted | None = None
    answer_calibration: FamilyCalibration | None = None

    @property
    def uses_answers(self) -> bool:
        """Whether a VLM's answers change ``p_true``."""
        return self.answer_weights is not None or self.answer_trees is not None

    @property
    def trees(self) -> Boosted:
        """Those that say most: with a VLM's columns where there are such."""
        return self.answer_trees or self.box_trees

    def fuse(self, features: Features, margin: Float32) -> Fused:
        """``p_true`` and ``p_boxes`` of claims (N,) from the regressions' :meth:`margin`."""
        heard = None if self.answer_trees is None else self.answer_logit(features, margin)
        fused = self.calibrated(features, self.box_logit(features, margin), heard)
        reasons = fused.reasons | np.isnan(margin) * np.uint32(bit("relation_unknown"))
        if not self.uses_answers:
            reasons = reasons | (features.answer >= 0) * np.uint32(bit("answer_not_used"))
        return fused._replace(reasons=reasons)

    def calibrated(self, features: Features, boxes: Float64, heard: Float64 | None) -> Fused:
        """The same from the log-odds of the trees.

        Parameters
        ----------
        features: (N,) claims.
        boxes: (N,) see :meth:`box_logit`.
        heard: (N,) see :meth:`answer_logit`; None: there are no such trees.
        """
        logit = self.box_calibration.logit(boxes, features.relation)
        p_boxes = p_true = sigmoid(logit)
        if self.answer_weights is not None:
            p_true = self.answer_weights.apply(logit, vote(features), p_boxes)
        if heard is not None and self.answer_calibration is not None:
            told = self.answer_calibration.transform(heard, features.relation)
            p_true = np.where(np.isfinite(told), told, p_true)
        return Fused(p_true.astype(np.float32), p_boxes.astype(np.float32), features.reasons)

    def margin(self, features: Features, scratch: Scratch | None = None) -> Float32:
        """(N,) log-odds by the relation's own regression; NaN for one that was not fitted.

        Where the relation is not in the vocabulary it is a number of no meaning.
        """
        return self.regressions.margin(features, scratch)

    def box_logit(self, features: Features, margin: Float32) -> Float64:
        """(N,) log-odds from boxes, before calibration; NaN where a box or relation is unknown."""
        return _logit(self.box_trees, features, margin)

    def answer_logit(self, features: Features, margin: Float32) -> Float64:
        """The same from the trees that read a VLM's columns.

        Raises
        ------
        NotFittedError: there are none.
        """
        if self.answer_trees is None:
            raise NotFittedError("the model has no trees that read a VLM's columns")
        return _logit(self.answer_trees, features, margin)


def _logit(trees: Boosted, features: Features, margin: Float32) -> Float64:
    logit = trees.logit([features.column(name) for name in trees.features], margin)
    return np.where(features.seen & np.isfinite(margin), logit, np.nan).astype(np.float64)
