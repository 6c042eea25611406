"""Frame after frame: objects that keep their ids, and edges that do not flicker.

Each frame is judged as an image is (claims, evidence, fusion); objects are then followed
(:mod:`spatialtrust.tracking.identity`), and what is believed of each edge is filtered over time
(:mod:`spatialtrust.tracking.steadiness`). A threshold that was certified on single images promises
nothing of filtered beliefs, and is refused here.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.claims.enumeration import enumerate_claims
from spatialtrust.claims.grounding import chosen_ids
from spatialtrust.claims.objects import contested
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.io.claim_files import claims_from_rows
from spatialtrust.io.names import plain_name
from spatialtrust.io.rows import RawRows
from spatialtrust.jobs.frame_judging import Judged, grounding_of, judge
from spatialtrust.jobs.frames import DEFAULT_RATE, SteadyFrame, as_frame, boxes_of, pixels_of
from spatialtrust.jobs.recordings import Recording
from spatialtrust.jobs.steady_graphs import graph_of
from spatialtrust.run.config import NO_ASKER, NO_DETECTOR, RunConfig
from spatialtrust.run.models import Models
from spatialtrust.tables import Claims, Detections
from spatialtrust.tracking.identity import CONFIRM, KEEP, Tracker
from spatialtrust.tracking.steadiness import BAND, FADE, HALF_LIFE, EdgeFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.jobs.frames import Frame
    from spatialtrust.tables import Answers, Grounding
    from spatialtrust.tracking.identity import Tracks

log: Final = logging.getLogger("spatialtrust")

_GIVEN: Final = "given"


class Stream:
    """Frames in, steady graphs out; one call a frame, for loops and for callbacks of a node.

    Parameters
    ----------
    config: as for :class:`spatialtrust.SpatialTrust`; a detector is needed only for frames that
        bring no detections.
    models: opened elsewhere; None: opened here.
    confirm, keep: see :class:`spatialtrust.tracking.identity.Tracker`.
    half_life, fade, band: see :mod:`spatialtrust.tracking.steadiness`; a half-life of 0 looks at
        each frame alone.

    Raises
    ------
    GuaranteeError: the settings ask for a certified threshold.

    >>> from spatialtrust.jobs.frames import Frame
    >>> cups = [{"phrase": "cup", "x1": 10, "y1": 10, "x2": 30, "y2": 30, "score": 0.9},
    ...         {"phrase": "pan", "x1": 60, "y1": 12, "x2": 95, "y2": 30, "score": 0.9}]
    >>> stream = Stream(RunConfig(relations=("left of",)))
    >>> frame = stream.step(Frame(stamp=0.0, detections=cups, size=(128, 96)))
    >>> frame.graph.edges.select(["subject_id", "relation", "object_id"]).to_pylist()
    [{'subject_id': 'cup-1', 'relation': 'left of', 'object_id': 'pan-1'}]
    """

    def __init__(
        self,
        config: RunConfig | None = None,
        models: Models | None = None,
        *,
        confirm: int = CONFIRM,
        keep: float = KEEP,
        half_life: float = HALF_LIFE,
        fade: float = FADE,
        band: float = BAND,
    ) -> None:
        self.config = RunConfig() if config is None else config
        for name, value in (("keep", keep), ("half_life", half_life), ("fade", fade)):
            _check(value >= 0, name, value, "0 or more seconds")
        _check(band >= 0, "band", band, "0 or more log-odds")
        _check(confirm >= 1, "confirm", confirm, "1 or more frames")
        if self.config.certified:
            raise GuaranteeError(
                "a threshold certified on single images guarantees nothing about beliefs that are "
                "filtered over time; give min_confidence, which has no guarantee either"
            )
        self._models = Models(self.config) if models is None else models
        self.rule = DecisionRule.plain(self.config.min_confidence)
        self._tracker = Tracker(confirm=confirm, keep=keep)
        threshold = min(self.config.min_confidence, 0.99)
        self._edges = EdgeFilter(threshold, half_life, fade, band)
        self._index = 0
        self._stamp: float | None = None
        self._assumed = False

    def run(self, frames: Iterable[Any]) -> Iterator[SteadyFrame]:
        """Frames, images, files, or pairs of stamp and image, one after the other."""
        for given in frames:
            yield self.step(as_frame(given))

    def step(self, frame: Frame) -> SteadyFrame:
        """What is believed after the next frame.

        A frame whose stamp lies before the last one's begins everything anew.

        Raises
        ------
        InputError: the frame brings no detections and there is no detector, or nothing to look
            for; or its image is none.
        """
        stamp, jumped = self._time(frame)
        name = plain_name(frame.frame_id) or f"frame-{self._index:06d}"
        dropped: Counter[str] = Counter()
        pixels = pixels_of(frame)
        size = frame.size if pixels is None else (pixels.shape[1], pixels.shape[0])
        found = self._usable(self._look(frame, name, pixels, size), dropped)
        events = self._edges.drop(self._tracker.forget()) if jumped else []
        phrases = [str(phrase) for phrase in found.strings("phrase")]
        tracks = self._tracker.step(stamp, found.boxes(), phrases, found.numbers("score"), size)
        events += self._edges.drop(tracks.ended)
        seen = _seen(name, tracks)
        judged = self._judge(frame, name, seen, size, pixels, dropped)
        things = {str(thing) for thing in seen.strings("object_id")}
        keys, p_true = judged.told(self._edges.keys, things, self.config.relations)
        self._edges.observe(stamp, keys, p_true)
        graph, active = graph_of(name, size, tracks, judged, self._edges, self.rule, self.config)
        events += self._edges.settle(active)
        hidden = tuple(thing for thing, row in zip(tracks.ids, tracks.rows, strict=True) if row < 0)
        self._index, self._stamp = self._index + 1, stamp
        return SteadyFrame(
            name, self._index - 1, stamp, graph, hidden, tuple(events), tracks.ended,
            dict(dropped), jumped,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The whole memory, JSON-ready: a stream that restores it goes on as if never stopped."""
        return {
            "index": self._index,
            "stamp": self._stamp,
            "tracks": self._tracker.to_dict(),
            "edges": self._edges.to_dict(),
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Inverse of :meth:`to_dict`."""
        self._index, self._stamp = stored["index"], stored["stamp"]
        self._tracker.restore(stored["tracks"])
        self._edges.restore(stored["edges"])

    def _time(self, frame: Frame) -> tuple[float, bool]:
        """The frame's stamp, and whether the clock went back."""
        if frame.stamp is not None and np.isfinite(frame.stamp):
            stamp = float(frame.stamp)
            jumped = self._stamp is not None and stamp < self._stamp
            if jumped:
                log.warning(
                    "the clock went back from %.3f to %.3f s: tracking starts over",
                    self._stamp,
                    stamp,
                )
            return stamp, jumped
        if not self._assumed:
            log.warning("frames without stamps: assuming one every 1/%g s", DEFAULT_RATE)
            self._assumed = True
        return (0.0 if self._stamp is None else self._stamp + 1 / DEFAULT_RATE), False

    def _look(
        self,
        frame: Frame,
        name: str,
        pixels: NDArray[np.uint8] | None,
        size: tuple[int | None, int | None],
    ) -> Detections:
        """The boxes of a frame: those it brings, those recorded, or those a detector finds."""
        config = self.config
        if frame.detections is not None:
            return boxes_of(frame.detections, name)
        if not config.detector:
            raise InputError(f"{name} brings no detections, and {NO_DETECTOR}")
        if self._recording is not None:
            return self._recording.of(name, size)
        if not config.objects:
            raise InputError('no objects were given; name what to look for: objects=["mug", ...]')
        if pixels is None:
            raise InputError(f"{name} has no image for the detector to look at; give one")
        return self._models.detector.detect({name: pixels}, {name: config.objects})

    @cached_property
    def _recording(self) -> Recording | None:
        recorded = self._models.recorded
        return None if recorded is None else Recording(recorded, self.config.detector)

    def _usable(self, found: Detections, dropped: Counter[str]) -> Detections:
        """The boxes that can be things; what is left out is counted."""
        corners = found.boxes()
        whole = np.isfinite(corners).all(axis=1)
        with np.errstate(invalid="ignore"):
            real = whole & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        dropped["degenerate_box"] += int((whole & ~real).sum())
        if self.config.objects and len(found):
            asked = {plain_name(phrase).casefold() for phrase in self.config.objects}
            named = [str(phrase).casefold() in asked for phrase in found.strings("phrase")]
            wanted = np.array(named, dtype=np.bool_)
            dropped["not_asked_for"] += int((real & ~wanted).sum())
            real &= wanted
        kept = found.select(np.asarray(real))
        rivals = contested(kept)
        dropped["other_phrase_fits_better"] += int(rivals.sum())
        for reason in [reason for reason, count in dropped.items() if not count]:
            del dropped[reason]
        return kept.select(~rivals) if rivals.any() else kept

    def _judge(
        self,
        frame: Frame,
        name: str,
        seen: Detections,
        size: tuple[int | None, int | None],
        pixels: NDArray[np.uint8] | None,
        dropped: Counter[str],
    ) -> Judged:
        """What this frame alone says of each claim."""
        if frame.claims is not None:
            phrases = [str(phrase) for phrase in dict.fromkeys(seen.strings("phrase"))]
            claims, answers = _given(frame.claims, name, phrases, dropped)
            claims = claims.with_columns(chosen_ids(claims, seen))
        else:
            pairs = tuple(_pair(text) for text in self.config.pairs)
            made = enumerate_claims(
                seen,
                relations=self.config.relations,
                pairs=pairs or None,
                max_objects=self.config.max_objects,
            )
            claims, answers = made.claims, None
            if made.crowded.num_rows:
                over = made.crowded["found"].to_pylist()[0] - self.config.max_objects
                dropped["not_paired"] += over
        grounding = grounding_of(claims, seen, size)
        if answers is None and self.config.asker != NO_ASKER and len(claims):
            answers = self._ask(claims, grounding, name, pixels)
        return judge(self._models.trust, claims, grounding, answers)

    def _ask(
        self,
        claims: Claims,
        grounding: Grounding,
        name: str,
        pixels: NDArray[np.uint8] | None,
    ) -> Answers:
        from spatialtrust.backends.asking import ask_for

        asker = self._models.asker
        if pixels is None:
            if asker.needs_pixels:
                raise InputError(f"{name} has no image for the VLM to look at; give one")
            pixels = np.empty((1, 1, 0), dtype=np.uint8)
        return ask_for(self.config.signals, asker, {name: pixels}, claims, grounding)


def stream(
    frames: Iterable[Any], config: RunConfig, models: Models, options: Mapping[str, Any]
) -> Iterator[SteadyFrame]:
    """What :meth:`spatialtrust.SpatialTrust.stream` calls; refuses what is not valid at once."""
    return Stream(config, models, **options).run(frames)


def _check(holds: bool, name: str, value: float, valid: str) -> None:
    if not holds:
        raise InputError(f"{name} is {value}; valid: {valid}")


def _pair(text: str) -> tuple[str, str]:
    subject, _, other = text.partition(":")
    return subject, other


def _seen(name: str, tracks: Tracks) -> Detections:
    """The things that this frame shows, as detections under the ids that they keep."""
    shown = np.flatnonzero(tracks.rows >= 0)
    boxes = tracks.boxes[shown]
    return Detections.from_columns(
        {
            "image_id": [name] * len(shown),
            "object_id": [tracks.ids[place] for place in shown],
            "phrase": [tracks.phrases[place] for place in shown],
            **{side: boxes[:, column] for column, side in enumerate(("x1", "y1", "x2", "y2"))},
            "score": tracks.scores[shown],
            "status": ["ok"] * len(shown),
        }
    )


def _given(
    rows: Sequence[Mapping[str, Any]], name: str, phrases: Sequence[str], dropped: Counter[str]
) -> tuple[Claims, Answers | None]:
    """Claims that came with a frame, and what a VLM answered; unreadable ones are counted."""
    boxless = {"subject_box": None, "object_box": None, "image": name}
    if not rows:
        return Claims.empty(), None
    try:
        listed = RawRows.from_records([{**row, **boxless} for row in rows], name)
        file = claims_from_rows(listed, phrases=phrases)
    except (InputError, pa.ArrowException) as error:
        log.warning("claims of %s: %s", name, error)
        dropped["claim_unreadable"] += len(rows)
        return Claims.empty(), None
    unclear = sum(relation is None for relation in file.claims.strings("relation"))
    dropped["claim_unreadable"] += max(unclear, len({fault.row for fault in file.faults}))
    if not dropped["claim_unreadable"]:
        del dropped["claim_unreadable"]
    named = [name] * len(file.claims)
    return file.claims.with_columns({"image_id": named, "source": [_GIVEN] * len(named)}), (
        file.answers
    )
