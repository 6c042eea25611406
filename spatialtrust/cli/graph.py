"""``spatialtrust graph`` and the stages of a run: ``detect claims ask gather fuse decide link``.

spatialtrust graph photos/ --detections boxes.json --asker none --out run/
spatialtrust fuse run/ --model mine.json
spatialtrust decide run/ --min-confidence 0.9
spatialtrust link run/
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialtrust.cli.output import emit, for_people, images_done, say, say_faults
from spatialtrust.defaults import DELTA, MIN_CONFIDENCE, TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.io.claim_files import ClaimFile
    from spatialtrust.run.config import RunConfig
    from spatialtrust.run.models import Models
    from spatialtrust.run.plan import Job

Images = Annotated[
    list[Path] | None, typer.Argument(help="Image files, and folders (searched recursively).")
]
Run = Annotated[Path, typer.Argument(help="Run folder.")]
Out = Annotated[Path | None, typer.Option(help="Run folder: tables, graphs/ and overlays/.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; command-line options win.")
]
Detections = Annotated[
    Path | None, typer.Option(help="Recorded boxes; short for --detector recorded:FILE.")
]
Detector = Annotated[str | None, typer.Option(help="Backend reference of the detector.")]
Asker = Annotated[
    str | None, typer.Option(help="Backend reference of the VLM, or none: use boxes alone.")
]
Signals = Annotated[
    str | None,
    typer.Option(help="What to ask the VLM: answer; also paraphrases, orbit, noise, crop."),
]
Objects = Annotated[
    str | None,
    typer.Option(help='Phrases to look for: "mug, kettle, table", or "mug. kettle. table."'),
]
Vocabulary = Annotated[Path | None, typer.Option(help="File of phrases to look for, one per line.")]
ClaimsFile = Annotated[
    Path | None,
    typer.Option("--claims", help="Your own claims, as for verify, with or without answers."),
]
Relations = Annotated[str | None, typer.Option(help='Such as "left of, above, on".')]
Pairs = Annotated[str | None, typer.Option(help='Only these pairs: "mug:kettle, mug:table".')]
MaxObjects = Annotated[int | None, typer.Option(help="Most objects per image to pair.")]
Model = Annotated[
    str | None, typer.Option(help="Trust model: auto, a shipped one, or a file from fit.")
]
MinConfidence = Annotated[
    float | None,
    typer.Option(help=f"Plain threshold, 0.5 to 1; no guarantee. Default {MIN_CONFIDENCE}."),
]
Accuracy = Annotated[float | None, typer.Option(help="Use a certified threshold instead; see fit.")]
Precision = Annotated[
    float | None, typer.Option(help="Use a certified threshold per relation instead; see fit.")
]
Delta = Annotated[float | None, typer.Option(help="Probability that the guarantee fails.")]
Formats = Annotated[str | None, typer.Option(help="Graph files: json, graphml, dot, txt.")]
Overlays = Annotated[
    bool | None, typer.Option("--overlays/--no-overlays", help="Draw graphs on images.")
]
Repair = Annotated[
    bool | None, typer.Option("--repair/--no-repair", help="Remove edges that contradict others.")
]
AllEdges = Annotated[
    bool | None,
    typer.Option("--all-edges/--few-edges", help="Also show implied and far edges."),
]
Engine = Annotated[str | None, typer.Option(help="local, or ray.")]
PartSize = Annotated[
    int | None, typer.Option(help="Images per part; one part is in memory at a time.")
]
ScoreThreshold = Annotated[float | None, typer.Option(help="Discard boxes that score below this.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain", help="Explain every candidate: why it was kept or cut (RUN/why.csv)."
    ),
]
Remake = Annotated[
    bool, typer.Option("--remake", help="Redo detections and answers if settings differ.")
]


def graph(
    images: Images = None,
    out: Out = None,
    config: ConfigFile = None,
    detections: Detections = None,
    detector: Detector = None,
    asker: Asker = None,
    signals: Signals = None,
    objects: Objects = None,
    vocabulary: Vocabulary = None,
    claims: ClaimsFile = None,
    relations: Relations = None,
    pairs: Pairs = None,
    max_objects: MaxObjects = None,
    model: Model = None,
    min_confidence: MinConfidence = None,
    accuracy: Accuracy = None,
    precision: Precision = None,
    delta: Delta = None,
    formats: Formats = None,
    overlays: Overlays = None,
    repair: Repair = None,
    all_edges: AllEdges = None,
    engine: Engine = None,
    part_size: PartSize = None,
    device: Device = None,
    score_threshold: ScoreThreshold = None,
    explain: Explain = False,
    remake: Remake = False,
    write_config: Annotated[
        bool, typer.Option("--write-config", help="Print the settings as TOML and exit.")
    ] = False,
) -> None:
    """Build scene graphs from images: tables, and a graph and a picture per image, in one folder.

    Repeat the command to continue a run that was stopped. With --asker none, the verifier proposes
    edges from boxes alone, at a plain threshold. Left and right are the viewer's.

        spatialtrust graph photos/ --detections boxes.json --asker none --out run/

        spatialtrust graph --write-config > run.toml
    """
    settings = _settings(
        config,
        detector=_detector(detections, detector),
        asker=asker,
        signals=_listed(signals),
        objects=_phrases(objects, vocabulary),
        relations=_listed(relations),
        pairs=_listed(pairs),
        max_objects=max_objects,
        model=model,
        min_confidence=min_confidence,
        accuracy=accuracy,
        precision=precision,
        delta=delta,
        formats=_listed(formats),
        overlays=overlays,
        repair=repair,
        all_edges=all_edges,
        engine=engine,
        part_size=part_size,
        device=device,
        score_threshold=score_threshold,
    )
    if write_config:
        typer.echo(settings.to_toml(), nl=False)
        return
    if not images or out is None:
        raise typer.BadParameter("give images and --out; see spatialtrust graph --help")
    from spatialtrust.run.plan import STAGES

    _run(settings, out, STAGES, images=images, claims=claims, remake=remake, explain=explain)


def detect(
    images: Images = None,
    out: Out = None,
    config: ConfigFile = None,
    detections: Detections = None,
    detector: Detector = None,
    objects: Objects = None,
    vocabulary: Vocabulary = None,
    claims: ClaimsFile = None,
    engine: Engine = None,
    part_size: PartSize = None,
    device: Device = None,
    score_threshold: ScoreThreshold = None,
    remake: Remake = False,
) -> None:
    """Find objects in images; writes the tables images and detections of a run folder."""
    if not images or out is None:
        raise typer.BadParameter("give images and --out; see spatialtrust detect --help")
    settings = _settings(
        config,
        detector=_detector(detections, detector),
        objects=_phrases(objects, vocabulary),
        engine=engine,
        part_size=part_size,
        device=device,
        score_threshold=score_threshold,
    )
    _run(settings, out, ["detect"], images=images, claims=claims, remake=remake)


def make_claims(
    run: Run,
    config: ConfigFile = None,
    claims: ClaimsFile = None,
    relations: Relations = None,
    pairs: Pairs = None,
    max_objects: MaxObjects = None,
    engine: Engine = None,
    remake: Remake = False,
) -> None:
    """Choose the claims about each image: all pairs of its objects, or your own."""
    settings = _settings(
        config,
        run,
        relations=_listed(relations),
        pairs=_listed(pairs),
        max_objects=max_objects,
        engine=engine,
    )
    _run(settings, run, ["claims"], claims=claims, remake=remake)


def ask(
    run: Run,
    config: ConfigFile = None,
    asker: Asker = None,
    signals: Signals = None,
    engine: Engine = None,
    device: Device = None,
    remake: Remake = False,
) -> None:
    """Ask a VLM about every claim of a run."""
    settings = _settings(
        config,
        run,
        asker=asker,
        signals=_listed(signals),
        engine=engine,
        device=device,
    )
    _run(settings, run, ["ask"], remake=remake)


def gather(run: Run, config: ConfigFile = None, engine: Engine = None) -> None:
    """Gather the evidence of every claim from stored boxes and answers."""
    _run(_settings(config, run, engine=engine), run, ["gather"])


def fuse(run: Run, config: ConfigFile = None, model: Model = None, engine: Engine = None) -> None:
    """Turn evidence into P(the claim is true) with a trust model."""
    _run(_settings(config, run, model=model, engine=engine), run, ["fuse"])


def decide(
    run: Run,
    config: ConfigFile = None,
    model: Model = None,
    min_confidence: MinConfidence = None,
    accuracy: Accuracy = None,
    precision: Precision = None,
    delta: Delta = None,
    engine: Engine = None,
    explain: Explain = False,
) -> None:
    """Accept, correct or abstain at another threshold, without rerunning any model.

    Existing graphs and pictures are rebuilt.
    """
    settings = _settings(
        config,
        run,
        model=model,
        min_confidence=min_confidence,
        accuracy=accuracy,
        precision=precision,
        delta=delta,
        engine=engine,
    )
    _run(settings, run, ["decide"], explain=explain)


def link(
    run: Run,
    config: ConfigFile = None,
    formats: Formats = None,
    overlays: Overlays = None,
    repair: Repair = None,
    all_edges: AllEdges = None,
    engine: Engine = None,
    explain: Explain = False,
) -> None:
    """Build scene graphs and pictures from the verdicts."""
    settings = _settings(
        config,
        run,
        formats=_listed(formats),
        overlays=overlays,
        repair=repair,
        all_edges=all_edges,
        engine=engine,
    )
    _run(settings, run, ["link"], explain=explain)


def label(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; default: labels.csv in RUN.")
    ] = None,
    rows: Annotated[int, typer.Option(min=2, help="How many claims to judge.")] = 200,
    certify_only: Annotated[
        bool,
        typer.Option("--certify-only", help="Draw all at random, for `fit --certify-only`."),
    ] = False,
    whole_images: Annotated[
        int | None,
        typer.Option("--images", min=2, help="Instead, write all edges of this many images."),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="Accuracy to certify; default: report 0.8, 0.9 and 0.95."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Probability that the guarantee fails.")
    ] = None,
    seed: int = 0,
) -> None:
    """Write claims for a person to judge: half certify thresholds, half fit the model.

    Open the page beside the CSV and judge with the keys y and n; what it exports replaces the CSV.
    Or fill the column `label` with 1 (true) or 0, looking at the column `picture`. Then:

        spatialtrust fit RUN --out mine.json

    If you only need a certified threshold, pass `--certify-only` to both commands: every label
    certifies, and the model does not change.

    Before you judge, this prints the best that the labels can certify: how many images certify,
    which accuracy is possible with how many mistakes, and how many more images you need.

    `--images 30` writes all edges of 30 graphs instead; `fit` then certifies `--accuracy` and
    `--precision` for repaired graphs.
    """
    from spatialtrust.io.results import expect_ending
    from spatialtrust.jobs.labelling import write_labels
    from spatialtrust.report import write_label_page

    if out is not None:
        expect_ending(out, (".csv",))
    found = write_labels(
        run,
        out,
        rows,
        seed,
        certify_only=certify_only,
        images=whole_images,
        accuracies=TARGETS if accuracy is None else (accuracy,),
        delta=DELTA if delta is None else delta,
    )
    page = write_label_page(run, found["out"])
    say(f"judge with the keys y and n: open {page}; what it exports replaces {found['out']}")
    for note in found["notes"]:
        say(note)
    emit({**found, "page": str(page)})


def mount(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("graph", graph),
        ("detect", detect),
        ("claims", make_claims),
        ("ask", ask),
        ("gather", gather),
        ("fuse", fuse),
        ("decide", decide),
        ("link", link),
        ("label", label),
    ):
        app.command(name=name)(command)


def _run(
    settings: RunConfig,
    out: Path,
    names: Sequence[str],
    *,
    images: Sequence[Path] | None = None,
    claims: Path | None = None,
    remake: bool = False,
    explain: bool = False,
) -> None:
    """Prepare and run: progress, notes and warnings on stderr, the summary on stdout."""
    from spatialtrust.run.models import Models
    from spatialtrust.run.plan import execute, prepare

    models = Models(settings)
    given = None if claims is None else _claims(claims, settings, models)
    if given is None:
        job = prepare(settings, out, images, models=models)
    else:
        job = prepare(settings, out, images, given.claims, answers=given.answers, models=models)
    for note in job.notes:
        say(note)
    if "claims" in names and (said := _who_answers(job, given)):
        say(said)
    total = job.source.images.num_rows if job.source.images is not None else None
    with images_done(total) as advance:
        found = execute(job, names, progress=lambda count: advance(count, "images"), remake=remake)
    if explain:
        from spatialtrust.jobs.explaining import explain_run

        reasons = explain_run(out)
        found["why"] = reasons.for_people() if for_people() else reasons.summary()
    emit(found)


def _claims(path: Path, settings: RunConfig, models: Models) -> ClaimFile:
    """The user's claims and answers; rows that cannot be used are named on stderr."""
    from spatialtrust.io.claim_files import read_statements
    from spatialtrust.run.inputs import known_phrases

    found = read_statements(path, known_phrases(settings.objects, models.recorded))
    for note in found.notes:
        say(f"{path}: {note}")
    say_faults(found.faults)
    if found.unparsed is not None:
        say(found.unparsed)
    if found.answers is None or not len(found.answers):
        return replace(found, answers=None)
    model = [f"recorded:{path.name}"] * len(found.answers)
    return replace(found, answers=found.answers.with_columns({"model": model}))


def _who_answers(job: Job, given: ClaimFile | None) -> str | None:
    """Whose answers a run uses, where that is not plain from its settings."""
    from spatialtrust.run.config import NO_ASKER

    asker = job.config.asker
    if given is not None and given.answers is not None:
        count, model = len(given.answers), given.answers.strings("model")[0]
        if job.answers is not None:
            return f"{model}: the answers in the file ({count}) are used, as no asker is set"
        return f"{model}: the answers in the file ({count}) are not used: {asker} is asked"
    if asker == NO_ASKER:
        return "no asker is set and no answers were given: claims are judged by boxes alone"
    return None


def _settings(config: Path | None, run: Path | None = None, **options: Any) -> RunConfig:
    """Settings of the run so far, of the file, and of the command line; later ones win."""
    from spatialtrust.errors import InputError
    from spatialtrust.run.config import RunConfig, over
    from spatialtrust.run.plan import settings_of

    given = {name: value for name, value in options.items() if value is not None}
    earlier = {} if run is None else settings_of(run)
    if config is not None:
        settings = RunConfig.load(config, earlier, **given)
    else:
        settings = RunConfig.from_dict(over(earlier, given), "options")
    if "delta" in given and not settings.certified:
        raise InputError(
            "--delta is of a certified threshold and means nothing alone; give --accuracy too, or "
            "--precision"
        )
    return settings


def _detector(detections: Path | None, detector: str | None) -> str | None:
    if detections is None:
        return detector
    if detector is not None:
        raise typer.BadParameter("give --detections or --detector, not both")
    return f"recorded:{detections}"


def _phrases(objects: str | None, vocabulary: Path | None) -> list[str] | None:
    from spatialtrust.io.text import read_lines

    if vocabulary is None:
        return _listed(objects)
    return [*(_listed(objects) or ()), *read_lines(vocabulary)]


def _listed(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [part.strip() for part in text.split(",") if part.strip()]
