"""Settings to stages: what ``spatialtrust graph`` and the single stages of a run do."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from spatialtrust.backends.recorded import file_revision
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.fusion.model import ANSWERS_UNUSED, TrustModel
from spatialtrust.io.detections import read_detections
from spatialtrust.io.images import list_images
from spatialtrust.io.matching import match_names
from spatialtrust.run.config import NO_ASKER, SHIPPED_FOR
from spatialtrust.run.engine import run
from spatialtrust.run.folder import MANIFEST, RunFolder
from spatialtrust.run.parts import Source, Stage
from spatialtrust.run.stages import Ask, Decide, Detect, Fuse, Gather, Link, MakeClaims, ReadImages
from spatialtrust.tables import Claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spatialtrust.run.config import RunConfig

STAGES: Final = ("detect", "claims", "ask", "gather", "fuse", "decide", "link")
RECORDED: Final = "recorded:"

log: Final = logging.getLogger("spatialtrust")


@dataclass(frozen=True)
class Job:
    """A run that is ready to go.

    Attributes
    ----------
    config: its settings.
    out: its run folder.
    source: the images and what goes with them.
    claims_hash: of the user's claims; None: pairs are enumerated.
    notes: what was noticed while preparing, one sentence each.
    """

    config: RunConfig
    out: Path
    source: Source = field(default_factory=Source)
    claims_hash: str | None = None
    notes: tuple[str, ...] = ()


def prepare(
    config: RunConfig,
    out: str | Path,
    images: Iterable[str | Path] | None = None,
    claims: Claims | None = None,
) -> Job:
    """List the images and lay recorded boxes and the user's claims to them.

    Parameters
    ----------
    images: files and folders; None: the images that the run folder has.
    claims: the user's own; None: pairs of objects are enumerated.

    Raises
    ------
    InputError: an input cannot be used as a whole.
    """
    listing = list_images(images) if images is not None else _listed(Path(out))
    side: dict[str, pa.Table] = {}
    notes: list[str] = []
    if config.detector.startswith(RECORDED):
        side["recorded"], notes = _recorded(config.detector, listing["image_id"].to_pylist())
    digest = None
    if claims is not None:
        side["given_claims"], unknown = _given(claims, listing["image_id"].to_pylist())
        digest = hashlib.sha256(str(claims.data.to_pylist()).encode()).hexdigest()
        if unknown:
            notes.append(f"{unknown} claims are on images that were not given and are left out")
    fresh = listing if images is not None else None
    source = Source(fresh, side, config.part_size)
    return Job(config, Path(out), source, digest, tuple(notes))


def stages_of(job: Job, names: Sequence[str]) -> list[Stage]:
    """The stages of some of the steps in ``STAGES``, in their order."""
    config = job.config

    def rule() -> DecisionRule:
        """A graph is linked by what its verdicts were decided by, now or earlier."""
        if "decide" not in names:
            return decided_by(job.out)
        return rule_of(config, pairs=_are_pairs(job))

    makers: dict[str, Callable[[], list[Stage]]] = {
        "detect": lambda: [ReadImages(), _detect(config)],
        "claims": lambda: [
            MakeClaims(
                config.relations,
                tuple((a.strip(), b.strip()) for a, b in (p.split(":") for p in config.pairs)),
                config.max_objects,
                job.claims_hash,
            )
        ],
        "ask": lambda: [_ask(config)],
        "gather": lambda: [Gather()],
        "fuse": lambda: [_fuse(config)],
        "decide": lambda: [Decide(rule())],
        "link": lambda: [
            Link(
                _linked_by(rule(), config), job.out, config.formats, config.overlays, config.repair
            )
        ],
    }
    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        raise InputError(f"stage {unknown[0]} is not known; valid: {', '.join(STAGES)}")
    return [stage for name in STAGES if name in names for stage in makers[name]()]


def execute(
    job: Job,
    names: Sequence[str] = STAGES,
    *,
    progress: Callable[[int], None] | None = None,
    remake: bool = False,
) -> dict[str, Any]:
    """Run some steps, all by default, and say what came out.

    Without an asker ``ask`` is passed over: the verifier proposes the edges.

    Raises
    ------
    InputError: see :func:`spatialtrust.run.engine.run`; or the folder has answers and no
        asker is set.
    """
    wanted = [name for name in names if name != "ask" or job.config.asker != NO_ASKER]
    whole = tuple(names) == STAGES
    if whole and "ask" not in wanted and any((job.out / "answers").glob("*.parquet")):
        raise InputError(
            f"{job.out}: has a VLM's answers and you ask for none; give another --out, or run the "
            "later stages alone (gather fuse decide link)"
        )
    started = time.perf_counter()
    stages = stages_of(job, wanted)
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
    rules = [stage.rule for stage in stages if isinstance(stage, Decide | Link)][:1]
    said = {"decided_by": str(rules[0])} if rules else {}
    return {"out": str(job.out), **summary(job.out), **said, "seconds": round(seconds, 3)}


def rule_of(config: RunConfig, *, pairs: bool) -> DecisionRule:
    """The threshold that the settings ask for: plain, or certified on the model's rows.

    Parameters
    ----------
    pairs: whether what is judged was enumerated; else somebody made the claims.

    Raises
    ------
    GuaranteeError: the model's rows are not like enumerated pairs.
    """
    if config.accuracy == 0:
        return DecisionRule.plain(config.min_confidence)
    model = TrustModel.load(config.trust_model)
    rule = model.pair_rule if pairs else model.rule
    return rule(accuracy=config.accuracy, delta=config.delta)


def _are_pairs(job: Job) -> bool:
    """Whether a run's claims are enumerated: of this job, else as its folder says."""
    if job.claims_hash is not None:
        return False
    folder = RunFolder(job.out)
    if not (folder.path / MANIFEST).is_file():
        return True
    with folder:
        made = folder.settings("claims")
    return made is None or made["made_with"]["given"] is None


def _linked_by(rule: DecisionRule, config: RunConfig) -> DecisionRule:
    if rule.certified and config.repair:
        raise GuaranteeError(
            "the threshold is certified for verdicts as they are, and repair would drop some of "
            "them; give --no-repair"
        )
    return rule


def decided_by(out: Path) -> DecisionRule:
    """What a run's verdicts were decided by.

    Raises
    ------
    InputError: there are none.
    """
    with RunFolder(out) as folder:
        folder.require(["verdicts"])
        return DecisionRule.from_dict(folder.settings("verdicts")["made_with"])


def settings_of(out: str | Path) -> dict[str, Any]:
    """The settings that a run folder was last used with; empty for a new one."""
    if not (Path(out) / MANIFEST).is_file():
        return {}
    with RunFolder(out) as folder:
        return dict(folder.manifest.get("settings", {}))


def summary(out: str | Path) -> dict[str, Any]:
    """Counts of a run folder's tables, read part by part."""
    folder = RunFolder(out)
    rows = {
        name: sum(
            pq.read_metadata(file).num_rows for file in (folder.path / name).glob("*.parquet")
        )
        for name in ("images", "detections", "claims", "answers", "verdicts")
        if folder.parts(name)
    }
    found: dict[str, Any] = {"rows": rows}
    if folder.parts("scenes"):
        graphs = pa.concat_tables([folder.read("scenes", part) for part in folder.parts("scenes")])
        listed = graphs.drop_columns("graph").to_pylist()
        readable = [row for row in listed if row["candidates"] is not None]
        candidates = sum(row["candidates"] for row in readable)
        edges = sum(row["edges"] for row in readable)
        found |= {
            "graphs": len(readable),
            "objects": sum(row["objects"] for row in readable),
            "objects_unpaired": sum(row["unpaired"] for row in readable if row["objects"] > 1),
            "candidates": candidates,
            "edges": edges,
            "share_kept": edges / candidates if candidates else None,
            "not_ok": {row["image_id"]: row["status"] for row in listed if row["status"] != "ok"},
        }
    return found


def _detect(config: RunConfig) -> Detect:
    if config.detector.startswith(RECORDED):
        revision = _revision_of(Path(config.detector.removeprefix(RECORDED)))
    else:
        revision = open_detector(config.detector, config.options()).revision
    return Detect(config.detector, revision, config.objects, config.options(), config.gpus)


def _ask(config: RunConfig) -> Ask:
    if config.asker == NO_ASKER:
        raise InputError(
            "no asker is set; give --asker, such as blip2:Salesforce/blip2-opt-2.7b "
            "(spatialtrust backends lists them)"
        )
    options = config.options()
    return Ask(
        config.asker,
        open_asker(config.asker, options).revision,
        config.signals,
        options,
        config.gpus,
    )


def _fuse(config: RunConfig) -> Fuse:
    """The stage that fuses; says so where the model does not know the asker."""
    model = TrustModel.load(config.trust_model)
    known = config.asker == model.asker or SHIPPED_FOR.get(config.asker) == model.name
    live = config.asker != NO_ASKER and not config.asker.startswith(RECORDED)
    if config.asker != NO_ASKER and not model.uses_answers:
        log.warning("%s", ANSWERS_UNUSED)
    elif live and model.asker is not None and not known:
        log.warning(
            'model "%s" was fitted with answers of %s; with those of %s its probabilities are not '
            "calibrated (spatialtrust label, spatialtrust fit)",
            model.name,
            model.asker,
            config.asker,
        )
    return Fuse(config.trust_model, model.sha256)


def _revision_of(path: Path) -> str | None:
    """Hash of a file, or of all files of a folder with their names."""
    if not path.is_dir():
        return file_revision(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()} {file_revision(file)}\n".encode())
    return digest.hexdigest()


def _listed(out: Path) -> pa.Table:
    """The images that a run folder has; none in one that was not begun."""
    folder = RunFolder(out)
    tables = [
        folder.read("images", part).select(["image_id", "uri"]) for part in folder.parts("images")
    ]
    return pa.concat_tables(tables) if tables else pa.table({"image_id": pa.array([], pa.string())})


def _recorded(reference: str, image_ids: list[str]) -> tuple[pa.Table, list[str]]:
    """Recorded boxes with the image each belongs to, and what does not fit."""
    found = read_detections(reference.removeprefix(RECORDED))
    matching = match_names(found.names, image_ids)
    names = found.boxes["name"].to_pylist()
    owners = pa.array([matching.image_of.get(name) for name in names], pa.string())
    rows = found.boxes.append_column("image_id", owners)
    rows = rows.set_column(rows.schema.get_field_index("name"), "name", owners)
    bare = len(set(image_ids) - set(matching.image_of.values()))
    notes = [str(fault) for fault in found.faults[:_MOST]]
    if len(found.faults) > _MOST:
        notes.append(f"... and {len(found.faults) - _MOST} more boxes that cannot be used")
    for problem, listed in (
        ("name no image that was given, and are left out", matching.unknown),
        ("fit several images, or share one, and are left out", matching.ambiguous),
    ):
        if listed:
            shown = ", ".join(listed[:3]) + (" ..." if len(listed) > 3 else "")
            notes.append(f"{found.source}: {len(listed)} recorded names {problem}: {shown}")
    if bare:
        notes.append(f"{found.source}: has nothing on {bare} of {len(image_ids)} images")
    return rows.filter(owners.is_valid()), notes


def _given(claims: Claims, image_ids: list[str]) -> tuple[pa.Table, int]:
    """The user's claims under our image ids, and how many are on images that were not given."""
    names = claims.strings("image_id")
    image_of = match_names((str(name) for name in names), image_ids).image_of
    owners = pa.array([image_of.get(str(name)) for name in names], pa.string())
    known = owners.is_valid()
    placed = claims.with_columns({"image_id": owners}).data.filter(known)
    return placed, len(names) - placed.num_rows


_MOST: Final = 20
