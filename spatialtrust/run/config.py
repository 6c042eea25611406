"""Settings of a run: one frozen dataclass, and a TOML file in which every option is explained."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from spatialtrust.backends.base import Options
from spatialtrust.claims.enumeration import DEFAULT_RELATIONS, MAX_OBJECTS
from spatialtrust.claims.phrases import split_phrases
from spatialtrust.decision.rule import one_threshold
from spatialtrust.defaults import DELTA, MIN_CONFIDENCE, TRUST_MODEL
from spatialtrust.documents import MOST_TOML, loads_toml, read_text
from spatialtrust.errors import FileError, InputError, suggest
from spatialtrust.graph.formats import WRITTEN
from spatialtrust.questions.signals import ANSWER, ASKED
from spatialtrust.relations import canonical
from spatialtrust.run.engine import ENGINES
from spatialtrust.run.parts import IMAGES_PER_PART

if TYPE_CHECKING:
    from collections.abc import Mapping

log: Final = logging.getLogger("spatialtrust")

NO_ASKER: Final = "none"
NO_DETECTOR: Final = (
    "no detector is set, so nothing would find the objects; give --detections FILE (boxes recorded "
    "elsewhere), or --detector, such as photos (80 everyday things; extra photos), "
    "grounding-dino:IDEA-Research/grounding-dino-tiny (any phrase), or tabletop for the rendered "
    "scenes of data/tabletop (in Python and TOML: the setting detector; spatialtrust backends "
    "lists them)"
)
RECORDED: Final = "recorded:"
"""How a reference to recorded outputs begins."""
HELD: Final = "recorded:(given in Python)"
"""What boxes are called that were given in Python."""
AUTO: Final = "auto"

SHIPPED_FOR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tabletop": "tabletop-blip2",
        "tabletop:blip2": "tabletop-blip2",
        "tabletop:clip": "tabletop-clip",
    }
)
"""Asker to the trust model that ships for it."""


def _option(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run is made with; the fields' meaning stands beside them.

    >>> RunConfig(min_confidence=0.9).min_confidence
    0.9
    """

    detector: str = _option(
        "",
        "Detector: a backend reference, or recorded:FILE (see spatialtrust backends). "
        "Empty: none; --detector or --detections is then required.",
    )
    asker: str = _option(
        NO_ASKER,
        "VLM: a backend reference, recorded:FILE, or none: the verifier proposes edges from boxes.",
    )
    objects: tuple[str, ...] = _option(
        (),
        'Phrases to look for, such as ["mug", "kettle"] or ["mug. kettle."]. Empty: those of the '
        "claims, or all that are recorded.",
    )
    relations: tuple[str, ...] = _option(
        DEFAULT_RELATIONS,
        "Relations to claim for each pair; of a relation and its converse, name one.",
    )
    pairs: tuple[str, ...] = _option((), 'Only these pairs, as "subject:object". Empty: all pairs.')
    max_objects: int = _option(
        MAX_OBJECTS, "Most objects to pair in an image: the best scored, else the largest."
    )
    signals: tuple[str, ...] = _option(
        (ANSWER,), f"What to ask the VLM: {', '.join(ASKED)}; each adds questions."
    )
    model: str = _option(
        AUTO,
        "Trust model: name of a shipped one, or a file from fit. auto: the one for the asker, "
        f"else {TRUST_MODEL}.",
    )
    min_confidence: float = _option(MIN_CONFIDENCE, "Plain threshold; no guarantee.")
    accuracy: float = _option(
        0.0,
        "Certified threshold instead: guarantee this share of correct output. 0: plain. Cannot be "
        "combined with min_confidence.",
    )
    precision: float = _option(
        0.0,
        "Certified threshold per relation instead: guarantee this share of correct edges for each; "
        "a relation with too few labels keeps no edge. 0: off.",
    )
    delta: float = _option(DELTA, "Probability that the guarantee fails.")
    repair: bool = _option(True, "Of edges that contradict each other, remove the least supported.")
    all_edges: bool = _option(
        False, "Also show edges implied by others, and edges between objects far apart."
    )
    formats: tuple[str, ...] = _option(
        ("json", "graphml"), "Graph files: json, graphml, dot; txt is a planner's prompt."
    )
    overlays: bool = _option(True, "Draw each graph on its image.")
    engine: str = _option("local", "local, or ray for a cluster.")
    part_size: int = _option(IMAGES_PER_PART, "Images per part; one part is in memory at a time.")
    device: str = _option("auto", "cpu, cuda, cuda:1 ...; auto uses a GPU if there is one.")
    dtype: str = _option(
        "auto", "float32, tf32, bfloat16, float16; auto: see spatialtrust backends."
    )
    score_threshold: float = _option(
        Options().score_threshold, "Discard boxes that score below this."
    )
    top_k: int = _option(Options().top_k, "Most boxes per phrase that a detector keeps.")
    gpus: float = _option(0.0, "GPUs for each copy of a model under Ray.")

    def __post_init__(self) -> None:
        """Split the phrases, and check what can be checked before anything runs."""
        texts = (self.objects,) if isinstance(self.objects, str) else self.objects
        phrases, notes = split_phrases(texts)
        object.__setattr__(self, "objects", phrases)
        for note in notes:
            log.warning("objects: %s", note)
        for name in self.relations:
            canonical(name)
        self._check(self.max_objects >= 2, "max_objects", "2 or more")
        self._check(self.part_size >= 1, "part_size", "1 or more")
        self._check(0.5 <= self.min_confidence <= 1, "min_confidence", "0.5 to 1")
        certified = self.accuracy == 0 or 0.5 <= self.accuracy < 1
        self._check(certified, "accuracy", "0 (plain), or 0.5 up to but not 1")
        gated = self.precision == 0 or 0.5 <= self.precision < 1
        self._check(gated, "precision", "0 (none), or 0.5 up to but not 1")
        self._check(0 < self.delta < 1, "delta", "between 0 and 1")
        plain = self.min_confidence if self.min_confidence != MIN_CONFIDENCE else None
        one_threshold(plain, self.accuracy, self.precision)
        self._check(self.engine in ENGINES, "engine", ", ".join(ENGINES))
        self._check(set(self.formats) <= set(WRITTEN), "formats", ", ".join(WRITTEN))
        asked = ANSWER in self.signals and set(self.signals) <= set(ASKED)
        self._check(asked, "signals", f"{', '.join(ASKED)}; {ANSWER} is always one of them")
        self._check(all(pair.count(":") == 1 for pair in self.pairs), "pairs", '"subject:object"')

    def _check(self, holds: bool, name: str, valid: str) -> None:
        if not holds:
            raise InputError(f"{name} is {getattr(self, name)!r}; valid: {valid}")

    @classmethod
    def load(
        cls, path: str | Path, earlier: Mapping[str, Any] | None = None, **changes: Any
    ) -> Self:
        """Settings of a TOML file, over earlier ones and with changes on top.

        Raises
        ------
        FileError: the file is missing or not TOML.
        InputError: an option is not known, or has a value of another type; or two thresholds are
            wished for at once.
        """
        try:
            given = loads_toml(read_text(path, MOST_TOML))
        except FileError:
            raise
        except ValueError as error:
            raise FileError(path, f"cannot be read as TOML ({error})") from error
        return cls.from_dict(over(over(earlier or {}, given, str(path)), changes), str(path))

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "settings") -> Self:
        """Settings from plain values, checked against the fields' types."""
        if not isinstance(values, dict):
            raise InputError(f"{source}: is a {type(values).__name__}; give options by name")
        known = {option.name: option.default for option in fields(cls)}
        checked: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                hint = suggest(name, known)
                raise InputError(
                    f'{source}: option "{name}" is not known; {hint}valid: {", ".join(known)}'
                )
            prompt = name == "objects" and isinstance(value, str)
            listed = [value] if prompt else value
            checked[name] = _typed(listed, known[name], f"{source}: {name}")
        return cls(**checked)

    @property
    def certified(self) -> bool:
        """Whether a certified threshold decides, or one per relation."""
        return bool(self.accuracy or self.precision)

    @property
    def trust_model(self) -> str:
        """Name or file of the trust model.

        >>> RunConfig(asker="tabletop:clip").trust_model, RunConfig().trust_model
        ('tabletop-clip', 'vsr-boxes')
        """
        return self.model if self.model != AUTO else SHIPPED_FOR.get(self.asker, TRUST_MODEL)

    @property
    def recorded_boxes(self) -> Path | None:
        """File or folder of the recorded boxes, where a run uses such."""
        path = self.detector.removeprefix(RECORDED)
        return Path(path) if path != self.detector else None

    def options(self) -> Options:
        """How models run."""
        return Options(
            device=self.device,
            dtype=self.dtype,
            score_threshold=self.score_threshold,
            top_k=self.top_k,
        )

    def to_toml(self) -> str:
        """The settings as TOML, each option explained above it.

        >>> print(RunConfig().to_toml().splitlines()[1])
        detector = ""
        """
        lines = []
        for option in fields(self):
            value = getattr(self, option.name)
            value = list(value) if isinstance(value, tuple) else value
            # Strings, numbers, booleans and lists of strings are written alike in JSON and TOML.
            written = json.dumps(value, ensure_ascii=False)
            unused = "# " if option.name == "min_confidence" and self.certified else ""
            lines += [f"# {option.metadata['about']}", f"{unused}{option.name} = {written}", ""]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def over(
    earlier: Mapping[str, Any], given: Mapping[str, Any], source: str = "options"
) -> dict[str, Any]:
    """Settings over earlier ones: of the thresholds the one that was given last holds.

    Raises
    ------
    InputError: two thresholds are given at once.

    >>> over({"accuracy": 0.9, "repair": False}, {"min_confidence": 0.7})
    {'repair': False, 'min_confidence': 0.7}
    """
    wished = {name: given.get(name) for name in _THRESHOLDS}
    one_threshold(**wished, source=f"{source}: ")
    kept = dict(earlier)
    last = [name for name in _THRESHOLDS if given.get(name)]
    for name in _THRESHOLDS if last else ():
        if name not in last and (dropped := kept.pop(name, None)) and name != "min_confidence":
            log.warning("%s was given: the %s of %s set earlier is dropped", last[0], name, dropped)
    if kept.get("accuracy") or kept.get("precision"):
        kept.pop("min_confidence", None)
    return {**kept, **given}


_THRESHOLDS: Final = ("min_confidence", "accuracy", "precision")
"""Of which one can decide."""


_MOST: Final = 1 << 53
"""No setting is a larger number."""


def _typed(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise InputError(f'{where} is {value!r}; give a list of texts, such as ["a", "b"]')
        return tuple(value)
    wanted = (int, float) if isinstance(default, float) else type(default)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value!r}; give a finite number")
    if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool):
        raise InputError(f"{where} is {value!r}; give a {type(default).__name__}")
    if isinstance(value, int) and abs(value) > _MOST:
        raise InputError(
            f"{where} is a number of {len(str(value)[:1000])} digits; give a smaller one"
        )
    return float(value) if isinstance(default, float) else value
