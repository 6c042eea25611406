"""Settings to stages: what ``spatialtrust graph`` and the single stages of a run do."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.backends.recorded import revision_of
from spatialtrust.decision.commit_gate import rule_from_dict
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.fusion.model import ANSWERS_UNUSED
from spatialtrust.io.images import find_images
from spatialtrust.io.names import cleaned_note, plain_name, was_unclean
from spatialtrust.relations import canonical
from spatialtrust.run.config import HELD, NO_ASKER
from spatialtrust.run.engine import run
from spatialtrust.run.folder import MANIFEST, RunFolder
from spatialtrust.run.inputs import (
    given_answers,
    given_claims,
    images_of,
    labels_asked_for,
    recorded_boxes,
)
from spatialtrust.run.losses import losses_of_run
from spatialtrust.run.models import Models
from spatialtrust.run.parts import Source
from spatialtrust.run.stages import (
    Ask,
    Decide,
    Detect,
    Fuse,
    Gather,
    Link,
    MakeClaims,
    ReadImages,
    TakeAnswers,
)
from spatialtrust.run.stages.base import opened_by
from spatialtrust.run.staleness import files_of, made_with, opened
from spatialtrust.run.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.run.config import RunConfig
    from spatialtrust.run.parts import Stage
    from spatialtrust.tables import Answers, Claims, Table

log: Final = logging.getLogger("spatialtrust")

_FILES: Final = (".json", ".jsonl", ".csv", ".parquet", ".graphml", ".dot", ".html", ".gz")

STAGES: Final = ("detect", "claims", "ask", "gather", "fuse", "decide", "link")


@dataclass(frozen=True)
class Job:
    """A run that is ready to go.

    Attributes
    ----------
    config: its settings.
    out: its run folder; None: stages made of it write nothing.
    models: what the settings name, opened once.
    source: the images and what goes with them.
    claims_hash: of the user's claims; None: pairs are enumerated.
    answers: what takes the answers that came with the claims; None: there are none, or an asker is
        set and asked instead.
    notes: what was noticed while preparing, one sentence each.
    not_used: recorded boxes that are left out before any image is looked at, by reason.
    """

    config: RunConfig
    out: Path | None
    models: Models
    source: Source = field(default_factory=Source)
    claims_hash: str | None = None
    answers: TakeAnswers | None = None
    notes: tuple[str, ...] = ()
    not_used: Mapping[str, int] = field(default_factory=dict)


def prepare(
    config: RunConfig,
    out: str | Path,
    images: Iterable[str | Path] | None = None,
    claims: Claims | None = None,
    *,
    answers: Answers | None = None,
    models: Models | None = None,
) -> Job:
    """List the images, and attach recorded boxes and the user's claims to them.

    Parameters
    ----------
    images: files and folders; None: the images that the run folder has.
    claims: the user's own; None: pairs of objects are enumerated.
    answers: what a VLM said of these claims; used where no asker is set.
    models: of these settings, where they are open already.

    Raises
    ------
    InputError: an input cannot be used as a whole.
    """
    notes: list[str] = []
    if Path(out).suffix.lower() in _FILES and not Path(out).is_dir():
        raise InputError(
            f"{out}: is called like a file; a run is a folder, such as {Path(out).stem}/"
        )
    if images is None:
        listing = images_of(Path(out))
    else:
        listing, passed_over = find_images(images)
        notes += passed_over
    notes += cleaned_note("objects", [phrase for phrase in config.objects if was_unclean(phrase)])
    config = replace(config, objects=tuple(plain_name(phrase) for phrase in config.objects))
    image_ids = listing["image_id"].to_pylist()
    side: dict[str, pa.Table] = {}
    digest = taken = None
    about = ""
    if claims is not None:
        side["given_claims"], unknown = given_claims(claims, image_ids)
        digest = _digest(claims)
        if answers is not None and len(answers) and config.asker == NO_ASKER:
            side["given_answers"] = given_answers(answers, side["given_claims"])
            models_named = pc.unique(answers.column("model")).to_pylist()
            taken = TakeAnswers(", ".join(models_named), _digest(answers))
        if unknown:
            about = f"{unknown} claims are on images that were not given and are left out"
    not_used: dict[str, int] = {}
    kept = models or Models(config)
    if kept.recorded is not None:
        side["recorded"], told, not_used = recorded_boxes(kept.recorded, image_ids)
        count, labels = labels_asked_for(
            side["recorded"], str(config.recorded_boxes), config.objects, side.get("given_claims")
        )
        not_used = {**not_used, **({"label_not_asked_for": count} if count else {})}
        notes += [*told, *labels]
    notes += [about] if about else []
    fresh = listing if images is not None else None
    source = Source(fresh, side, config.part_size)
    return Job(config, Path(out), kept, source, digest, taken, tuple(notes), not_used)


def _digest(table: Table) -> str:
    return hashlib.sha256(str(table.data.to_pylist()).encode()).hexdigest()


def stages_of(job: Job, names: Sequence[str]) -> list[Stage]:
    """The stages of some of the steps in ``STAGES``, in their order.

    Raises
    ------
    InputError: a step or a backend is not known, or no asker is set.
    GuaranteeError: a certified threshold would not hold for these claims, or not after repair.
    """
    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        raise InputError(f"stage {unknown[0]} is not known; valid: {', '.join(STAGES)}")
    steps = _Steps(job, names)
    return [stage for name in STAGES if name in names for stage in getattr(steps, name)()]


def asked_steps(config: RunConfig, names: Sequence[str] = STAGES) -> list[str]:
    """The steps without ``ask`` where no asker is set: the verifier proposes the edges."""
    return [name for name in names if name != "ask" or config.asker != NO_ASKER]


class _Steps:
    """The stages of each step; methods are named as in ``STAGES``."""

    def __init__(self, job: Job, names: Sequence[str]) -> None:
        self.job, self.config, self.models, self.names = job, job.config, job.models, names

    def detect(self) -> list[Stage]:
        config = self.config
        recorded = config.recorded_boxes
        if config.detector == HELD:
            revision = None
        else:
            revision = revision_of(recorded) if recorded else self.models.detector.revision
        stage = Detect(config.detector, revision, config.objects, config.options(), config.gpus)
        return [ReadImages(), opened_by(stage, lambda: self.models.detector)]

    def claims(self) -> list[Stage]:
        config = self.config
        pairs = tuple((a.strip(), b.strip()) for a, b in (p.split(":") for p in config.pairs))
        return [MakeClaims(config.relations, pairs, config.max_objects, self.job.claims_hash)]

    def ask(self) -> list[Stage]:
        config = self.config
        if self.job.answers is not None:
            return [self.job.answers]
        if config.asker == NO_ASKER:
            raise InputError(
                "no asker is set; give --asker, such as blip2:Salesforce/blip2-opt-2.7b "
                "(spatialtrust backends lists them)"
            )
        revision = self.models.asker.revision
        stage = Ask(config.asker, revision, config.signals, config.options(), config.gpus)
        return [opened_by(stage, lambda: self.models.asker)]

    def gather(self) -> list[Stage]:
        return [Gather()]

    def fuse(self) -> list[Stage]:
        model = self.models.trust
        if self.job.answers is not None and not model.uses_answers:
            log.warning("%s", ANSWERS_UNUSED)
        return [opened_by(Fuse(self.config.trust_model, model.sha256), lambda: model)]

    def decide(self) -> list[Stage]:
        return [Decide(self.rule)]

    def link(self) -> list[Stage]:
        config = self.config
        of_graphs = self.rule.repaired_at is not None
        if of_graphs and not config.repair:
            raise GuaranteeError(
                "the threshold is certified for repaired graphs, and others hold edges that it "
                "does not speak of; leave out --no-repair"
            )
        if self.rule.certified and config.repair and not of_graphs:
            raise GuaranteeError(
                "the threshold is certified for verdicts as they are, and repair would drop some "
                "of them; give --no-repair, or certify repaired graphs: spatialtrust label RUN "
                "--images 30, spatialtrust fit RUN"
            )
        files = (self.job.out, config.formats, config.overlays)
        return [Link(self.rule, *files, config.repair, config.all_edges)]

    @cached_property
    def rule(self) -> Rule:
        """What verdicts are decided by; a graph is linked by the same, decided now or earlier."""
        config, out = self.config, self.job.out
        if "decide" not in self.names and out is not None:
            return decided_by(out)
        if not config.certified:
            return DecisionRule.plain(config.min_confidence)
        model = self.models.trust
        pairs = _are_pairs(self.job)
        if config.precision:
            gate = model.pair_gate if pairs else model.gate
            used = tuple(canonical(name) for name in config.relations) if pairs else None
            return gate(precision=config.precision, delta=config.delta, relations=used)
        rule = model.pair_rule if pairs else model.rule
        return rule(accuracy=config.accuracy, delta=config.delta)


def execute(
    job: Job,
    names: Sequence[str] = STAGES,
    *,
    progress: Callable[[int], None] | None = None,
    remake: bool = False,
) -> dict[str, Any]:
    """Run some steps, all by default, and say what came out.

    Without an asker ``ask`` is passed over, and the verifier proposes the edges; but answers that
    came with the claims are taken along with these. Where graphs were linked before, ``decide``
    links them again; files of earlier verdicts are dropped and named, as a warning and under
    ``dropped``.

    Raises
    ------
    InputError: see :func:`spatialtrust.run.engine.run`; or the folder has answers and there is
        neither an asker nor a file of claims with answers.
    """
    if job.out is None:
        raise InputError("a run needs a folder; give one to prepare()")
    wanted = asked_steps(job.config, _linked_again(job, job.out, names))
    if job.answers is not None and "claims" in names:
        wanted.append("ask")
    whole = tuple(names) == STAGES
    if whole and "ask" not in wanted and any((job.out / "answers").glob("*.parquet")):
        raise InputError(
            f"{job.out}: has a VLM's answers and you ask for none; give its --asker, the --claims "
            "that they came with, or another --out; or run the later stages alone (gather fuse "
            "decide link)"
        )
    started = time.perf_counter()
    stages = stages_of(job, wanted)
    before = made_with(job.out, "scenes")
    run(
        stages,
        job.source,
        job.out,
        job.config.engine,
        facts={"settings": job.config.to_dict()},
        progress=progress,
        remake=remake,
    )
    seconds = time.perf_counter() - started
    if "ask" in wanted and (used := _usage(job)):
        said_usage = {"usage": used}
        with RunFolder(job.out) as folder:
            folder.record({}, **said_usage)
    else:
        said_usage = {}
    rules = [stage.rule for stage in stages if isinstance(stage, Decide | Link)][:1]
    said: dict[str, Any] = {"decided_by": str(rules[0])} if rules else {}
    after = made_with(job.out, "scenes")
    if "link" in wanted and "link" not in names and before != after:
        log.warning("rebuilt graphs/ and overlays/ from the new verdicts")
    left = files_of(after)
    if gone := [name for name in files_of(before) if name not in left]:
        later = "; run the later stages (gather fuse decide link; a certified threshold needs "
        later = "" if "link" in wanted else f"{later}link --no-repair)"
        names_gone = " and ".join(gone)
        log.warning("%s: dropped %s, which showed earlier verdicts%s", job.out, names_gone, later)
        said["dropped"] = gone
    lost = losses_of_run(job.out)
    found = summary(job.out, lost, job.not_used)
    if "detect" in names:
        for loss in lost:
            log.warning("%s", loss)
    return {"out": str(job.out), **found, **said, **said_usage, "seconds": round(seconds, 3)}


def _usage(job: Job) -> dict[str, Any] | None:
    """What asking a served model took: questions, tokens, cost; None where none was asked."""
    if job.config.asker == NO_ASKER:
        return None
    used: dict[str, Any] | None = getattr(job.models.asker, "usage", None)
    return used


def _linked_again(job: Job, out: Path, names: Sequence[str]) -> list[str]:
    """The steps, and ``link`` behind ``decide`` where what people open was made before."""
    refused = job.config.certified and job.config.repair and job.models.trust.repaired_at is None
    if "decide" not in names or "link" in names or not opened(out) or refused:
        return list(names)
    return [*names, "link"]


def decided_by(out: Path) -> Rule:
    """What a run's verdicts were decided by.

    Raises
    ------
    InputError: there are none.
    """
    with RunFolder(out) as folder:
        folder.require(["verdicts"])
        return rule_from_dict(folder.settings("verdicts")["made_with"])


def _are_pairs(job: Job) -> bool:
    """Whether a run's claims are enumerated: of this job, else as its folder says."""
    if job.claims_hash is not None:
        return False
    if job.out is None or not (job.out / MANIFEST).is_file():
        return True
    with RunFolder(job.out) as folder:
        made = folder.settings("claims")
    return made is None or made["made_with"]["given"] is None


def settings_of(out: str | Path) -> dict[str, Any]:
    """The settings that a run folder was last used with; empty for a new one."""
    if not (Path(out) / MANIFEST).is_file():
        return {}
    with RunFolder(out) as folder:
        return dict(folder.manifest.get("settings", {}))
