"""The models of a run, each opened once and handed down to whatever needs it."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Final

from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.errors import InputError
from spatialtrust.fusion.model import ANSWERS_UNUSED, TrustModel
from spatialtrust.io.detections import read_detections
from spatialtrust.run.config import NO_ASKER, NO_DETECTOR, RECORDED, SHIPPED_FOR

if TYPE_CHECKING:
    from spatialtrust.backends.base import Asker, Detector
    from spatialtrust.io.detections import Recorded
    from spatialtrust.run.config import RunConfig


log: Final = logging.getLogger("spatialtrust")


class Models:
    """What settings name: opened at first use, and then kept.

    Opening a live backend finds its files; its weights load at the first batch.

    Parameters
    ----------
    config: the settings.

    Raises
    ------
    InputError: a reference is not known, or no detector is set (at first use, as are those below).
    BackendError: a backend's files are not here.
    FileError: the trust model cannot be read.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config

    def with_boxes(self, config: RunConfig, boxes: Recorded) -> Models:
        """The same models, with recorded boxes that are at hand already instead of a detector.

        Parameters
        ----------
        config: these settings, with the detector that stands for the boxes.
        """
        opened = Models(config)
        opened.__dict__["recorded"] = boxes
        opened.__dict__["trust"] = self.trust
        if config.asker != NO_ASKER:
            opened.__dict__["asker"] = self.asker
        return opened

    @cached_property
    def trust(self) -> TrustModel:
        """The trust model; says so where it does not know the asker."""
        config = self._config
        model = TrustModel.load(config.trust_model)
        known = config.asker == model.asker or SHIPPED_FOR.get(config.asker) == model.name
        live = config.asker != NO_ASKER and not config.asker.startswith(RECORDED)
        if config.asker != NO_ASKER and not model.uses_answers:
            log.warning("%s", ANSWERS_UNUSED)
        elif live and model.asker is not None and not known:
            log.warning(
                'model "%s" was fitted with answers of %s; with those of %s its probabilities are '
                "not calibrated (spatialtrust label, spatialtrust fit)",
                model.name,
                model.asker,
                config.asker,
            )
        return model

    @cached_property
    def recorded(self) -> Recorded | None:
        """Recorded boxes, read; None where a detector finds the objects."""
        path = self._config.recorded_boxes
        return None if path is None else read_detections(path)

    @cached_property
    def detector(self) -> Detector:
        """Who finds the objects."""
        if not self._config.detector:
            raise InputError(NO_DETECTOR)
        return open_detector(self._config.detector, self._config.options())

    @cached_property
    def asker(self) -> Asker:
        """Which VLM answers."""
        return open_asker(self._config.asker, self._config.options())
