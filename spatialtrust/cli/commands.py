"""The command line: results on stdout, messages on stderr, exit code 2 for bad input."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from spatialtrust import __version__
from spatialtrust.cli import backends as cli_backends
from spatialtrust.cli import bag as cli_bag
from spatialtrust.cli import classify as cli_classify
from spatialtrust.cli import csp as cli_csp
from spatialtrust.cli import demo as cli_demo
from spatialtrust.cli import graph as cli_graph
from spatialtrust.cli import judge as cli_judge
from spatialtrust.cli import monitor as cli_monitor
from spatialtrust.cli import report as cli_report
from spatialtrust.cli.output import Commands, emit, for_people, plain, plain_errors, say, say_faults
from spatialtrust.defaults import MIN_CONFIDENCE, TRUST_MODEL
from spatialtrust.documents import read_object
from spatialtrust.limits import check_environment

app = typer.Typer(
    name="spatialtrust",
    cls=Commands,
    help="When can a vision-language model's spatial claim be trusted?\n\n"
    "Check claims against boxes (verify), build scene graphs whose edges can be trusted (graph), "
    "fit the check to your own robot (label, fit), and measure it (eval). See it work: demo.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point."""
    with plain_errors():
        app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    json_wanted: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, for any command. Default if stdout is no terminal."
        ),
    ] = False,
) -> None:
    check_environment()


@app.command()
def doctor() -> None:
    """Check the installation, and list what is missing and what it is for."""
    from spatialtrust.jobs.doctor import examine, summary

    checks = examine()
    for check in checks:
        mark = {True: "ok     ", False: "BROKEN ", None: "absent "}[check.ok]
        remedy = f"  ->  {check.remedy}" if check.remedy else ""
        typer.echo(f"{mark}{check.name}: {check.found}{remedy}", err=True)
    result = summary(checks)
    emit(result)
    if not result["ok"]:
        raise typer.Exit(1)


ModelOption = Annotated[
    str, typer.Option("--model", help="Name of a shipped model, or a file from `fit`.")
]
BoxFormat = Annotated[
    str | None,
    typer.Option(
        help="xyxy, xywh, cxcywh, yxyx or yyxx (y0, y1, x0, x1). Default: the file's column "
        "`box_format`, otherwise inferred and logged."
    ),
]
BoxUnit = Annotated[
    str | None,
    typer.Option(
        help="pixel, fraction or thousandth (0 to 1000 along each axis). Default: the file's "
        "column `box_unit`, otherwise inferred and logged."
    ),
]


@app.command()
def verify(
    claims: Annotated[Path, typer.Argument(help="CLAIMS.jsonl, .csv or .parquet; .gz of text.")],
    out: Annotated[
        Path,
        typer.Option(
            help="File for the verdicts, one row per claim: .parquet, .csv, .jsonl (.gz)."
        ),
    ],
    model: ModelOption = TRUST_MODEL,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=1.0, help=f"Plain threshold; no guarantee. Default {MIN_CONFIDENCE}."
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0.5, max=1.0, help="Guarantee this share of correct output instead."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Probability that the guarantee fails.")
    ] = None,
    box_format: BoxFormat = None,
    box_unit: BoxUnit = None,
    explain: Annotated[bool, typer.Option(help="Also explain each verdict in words.")] = False,
) -> None:
    """Check claims against boxes: accept, correct or abstain, each with a probability.

    Each row is a claim: `caption` ("The mug is left of the kettle.") or `subject`, `relation` and
    `object`, and `subject_box` and `object_box` of four numbers. Optional: `claim_id`, `image`,
    `width`, `height`, the VLM's `answer` and `p_yes`, and a `label`. Other columns are kept. Rows
    that cannot be used abstain, with a reason.

        spatialtrust verify claims.jsonl --out verdicts.parquet

        spatialtrust verify claims.csv --out v.parquet --accuracy 0.9 --delta 0.1
    """
    from spatialtrust.files import write_text
    from spatialtrust.io.results import expect_ending, write_results
    from spatialtrust.jobs.verification import verify as run

    expect_ending(out)
    found = run(
        claims,
        model=model,
        min_confidence=min_confidence,
        accuracy=accuracy,
        delta=delta,
        box_format=box_format,
        box_unit=box_unit,
        explain=explain,
    )
    changed = write_results(found.verdicts.data, out)
    manifest = out.with_name(f"{out.name}.manifest.json")
    write_text(json.dumps(plain(found.manifest), indent=2, ensure_ascii=False) + "\n", manifest)
    for note in (*found.notes, *changed):
        say(note)
    say_faults(found.faults)
    emit({"out": out, **{name: found.manifest[name] for name in _VERIFY_SUMMARY}})
    if found.broken is not None:
        raise found.broken


_VERIFY_SUMMARY = (
    "claims", "emitted", "decisions", "reasons", "faults", "model", "calibrated_on",
    "in_sample_share", "rule",
)  # fmt: skip


@app.command(name="eval")
def evaluate(
    verdicts: Annotated[Path, typer.Argument(help="File from `verify`, with a column `label`.")],
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap by image; 0: none.")] = 1000,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw risk, coverage and calibration: .png, .svg or .pdf."),
    ] = None,
    seed: int = 0,
) -> None:
    """Evaluate verdicts whose labels are known.

    Prints AUROC, AURC, ECE, Brier score and the coverage at 60 to 95 % accuracy with its ceiling,
    for the asserted answers and for the verifier alone, with 95 % intervals by image; also per
    family of relations, and a reliability table. `--plot figures.png` draws them.
    """
    from spatialtrust.evaluation.figures import evaluate as run
    from spatialtrust.evaluation.figures import render
    from spatialtrust.evaluation.labelled import verdicts_of

    if plot is not None:
        from spatialtrust import plots
        from spatialtrust.io.results import expect_ending

        expect_ending(plot, plots.ENDINGS)
    table = verdicts_of(verdicts)
    found: dict[str, Any] = run(table, resamples=resamples, seed=seed)
    manifest = verdicts.with_name(f"{verdicts.name}.manifest.json")
    if manifest.is_file():
        origin = read_object(manifest)
        known = ("model", "calibrated_on", "in_sample_share")
        found = {**{name: origin.get(name) for name in known}, **found}
    if plot is not None:
        plots.save(plots.evaluation(table, seed=seed), plot)
        found = {**found, "plot": plot}
    told = render(found)
    if not for_people():
        say(told)
    emit(found, told)


@app.command()
def fit(
    claims: Annotated[
        Path, typer.Argument(help="Labelled claims (as for verify), or a run folder with labels.")
    ],
    out: Annotated[Path, typer.Option(help="The fitted model, one JSON file.")],
    base: Annotated[str, typer.Option(help="Trust model to start from.")] = TRUST_MODEL,
    name: Annotated[str | None, typer.Option(help="Name of the data; default: the file.")] = None,
    box_format: BoxFormat = None,
    box_unit: BoxUnit = None,
    certify_only: Annotated[
        bool,
        typer.Option(
            "--certify-only", help="Do not fit: certify the base model on all random rows, exactly."
        ),
    ] = False,
    seed: int = 0,
) -> None:
    """Fit the trust model to your VLM, your detector and your scenes.

    Needs about 200 rows with a `label` (1: true, 0: false), and your VLM's `answer` or `p_yes` if
    it should count. They set the weight of the answer and calibrate the result; from 1,000 rows on
    the trees are refitted. All rows also certify thresholds, each scored by a fit without its
    image, so draw them at random from what the robot will see. Such a certificate is approximate.
    `--certify-only` fits nothing, changes no probability, and gives an exact one.
    """
    from spatialtrust.io.results import expect_ending
    from spatialtrust.jobs.own_model import fit

    expect_ending(out, (".json",))
    model, report = fit(
        claims,
        base=base,
        name=name,
        box_format=box_format,
        box_unit=box_unit,
        certify_only=certify_only,
        seed=seed,
    )
    model.save(out)
    for note in report["notes"]:
        say(note)
    emit({"out": out, **report})


models = typer.Typer(
    help="List models, where their files are, and how to get them.",
    rich_markup_mode="markdown",
)


@models.callback(invoke_without_command=True)
def backends(
    context: typer.Context,
    relations: Annotated[
        bool, typer.Option("--relations", help="List the relations and their wordings instead.")
    ] = False,
) -> None:
    """List models, where their files are, and how to get them."""
    if context.invoked_subcommand is not None:
        return
    if relations:
        from spatialtrust.relations import RELATIONS

        emit({name: asdict(relation) for name, relation in RELATIONS.items()})
        return
    cli_backends.list_backends()


models.command(name="fetch")(cli_backends.fetch)
models.command(name="install")(cli_backends.install)
cli_graph.mount(app)
app.command(name="judge")(cli_judge.judge)
app.command(name="monitor")(cli_monitor.monitor)
app.command(name="report")(cli_report.report)
app.command(name="demo")(cli_demo.demo)
app.add_typer(models, name="backends")
app.add_typer(cli_bag.app, name="bag")
app.add_typer(cli_classify.app, name="classify")
app.add_typer(cli_csp.app, name="csp")
