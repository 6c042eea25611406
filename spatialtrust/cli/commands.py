"""The command line: tables or JSON to stdout, talk to stderr, exit code 2 for bad input."""

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
from spatialtrust.cli.output import Commands, emit, for_people, plain, plain_errors, say, say_faults
from spatialtrust.defaults import MIN_CONFIDENCE, TRUST_MODEL
from spatialtrust.documents import read_object

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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
    json_wanted: Annotated[
        bool,
        typer.Option("--json", help="Of any command: print JSON, as where stdout is no terminal."),
    ] = False,
) -> None:
    pass


@app.command()
def doctor() -> None:
    """Check the installation and say what is missing for what."""
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
    str, typer.Option("--model", help="Shipped model's name, or the JSON that `fit` wrote.")
]
BoxFormat = Annotated[
    str | None,
    typer.Option(
        help="xyxy, xywh, cxcywh, yxyx or yyxx (y0, y1, x0, x1). Default: the file's column "
        "`box_format`, else told from the numbers, and logged."
    ),
]
BoxUnit = Annotated[
    str | None,
    typer.Option(
        help="pixel, fraction or thousandth (0 to 1000 along each axis). Default: the file's "
        "column `box_unit`, else told from the numbers, and logged."
    ),
]


@app.command()
def verify(
    claims: Annotated[Path, typer.Argument(help="CLAIMS.jsonl, .csv or .parquet; .gz of text.")],
    out: Annotated[
        Path,
        typer.Option(help="Verdicts go here, one row per claim: .parquet, .csv or .jsonl (.gz)."),
    ],
    model: ModelOption = TRUST_MODEL,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=1.0, help=f"Plain threshold; promises nothing. Default {MIN_CONFIDENCE}."
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0.5, max=1.0, help="Certified instead: so much of what goes out is right"),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="... but for this probability.")
    ] = None,
    box_format: BoxFormat = None,
    box_unit: BoxUnit = None,
    explain: Annotated[bool, typer.Option(help="Also say of each claim why, in words.")] = False,
) -> None:
    """How far can each claim be trusted, given the boxes?

    A claim is a row with `caption` ("The mug is left of the kettle.") or `subject`, `relation` and
    `object`; `subject_box` and `object_box` of four numbers; and, where you have them, `claim_id`,
    `image`, `width`, `height`, the VLM's `answer` and `p_yes`, and a `label`. Your columns are
    kept. Rows that cannot be used abstain, with a reason.

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
    verdicts: Annotated[Path, typer.Argument(help="What `verify` wrote, with a column `label`.")],
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap by image; 0: none.")] = 1000,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw it too: risk and coverage, calibration; .png, .svg or .pdf."),
    ] = None,
    seed: int = 0,
) -> None:
    """How good are verdicts whose labels are known?

    Prints AUROC, AURC, coverage at 60 to 95 % accuracy beside its ceiling and beside the verifier
    alone, ECE and Brier, each with a 95 % interval by image, by family of relations, and a
    reliability table. `--plot figures.png` draws it.
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
    base: Annotated[str, typer.Option(help="Model to start from.")] = TRUST_MODEL,
    name: Annotated[
        str | None, typer.Option(help="What the data is called; default: file.")
    ] = None,
    box_format: BoxFormat = None,
    box_unit: BoxUnit = None,
    certify_only: Annotated[
        bool,
        typer.Option(
            "--certify-only", help="Leave the base as it is; all random rows certify it, exactly."
        ),
    ] = False,
    seed: int = 0,
) -> None:
    """Fit the trust model to your VLM, your detector and your scenes.

    About 200 rows with a `label` (1: true, 0: false), and your VLM's `answer` or `p_yes` if it is
    to count, set how much the answer weighs and calibrate the result; from 1,000 rows on the trees
    are fitted anew. All rows certify thresholds too, each scored by a fit without its image, so
    draw them at random from what the robot will see. Such a certificate is approximate;
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
    help="Which models can be used, where their files are, and how to get them.",
    rich_markup_mode="markdown",
)


@models.callback(invoke_without_command=True)
def backends(
    context: typer.Context,
    relations: Annotated[
        bool, typer.Option("--relations", help="List the relations instead, with their wordings.")
    ] = False,
) -> None:
    """Which models can be used, where their files are, and how to get them."""
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
app.command(name="demo")(cli_demo.demo)
app.add_typer(models, name="backends")
app.add_typer(cli_bag.app, name="bag")
app.add_typer(cli_classify.app, name="classify")
app.add_typer(cli_csp.app, name="csp")
