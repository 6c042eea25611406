from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spatialtrust.decision.certification import Grid, certify, rule_scores
from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.defaults import DELTA, TARGETS
from spatialtrust.errors import (
    ColumnError,
    FileError,
    InputError,
    RowError,
    SchemaVersionError,
)
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph.formats import from_dict
from spatialtrust.io.parquet import read_table, write_table
from spatialtrust.jobs.labelling import write_labels
from spatialtrust.report import write_label_page, write_report
from spatialtrust.report.page import as_json
from spatialtrust.run.plan import execute, prepare
from tests.conftest import ROOT
from tests.helpers.browser import data_of
from tests.helpers.runs import copies, settings

ASSETS = ROOT / "spatialtrust" / "report" / "assets"


def graphs_of(run: Path) -> list[Any]:
    return [from_dict(json.loads(text)) for text in read_table(run / "scenes")["graph"].to_pylist()]


def data(run: Path, out: Path, **options: Any) -> dict[str, Any]:
    return data_of(write_report(run, out, **options).path)


def test_every_operating_point_counts_what_prune_keeps(labelled: Path, tmp_path: Path) -> None:
    points = data(labelled, tmp_path / "a.html")["figures"]["operating"]["points"]
    graphs = graphs_of(labelled)
    for point in points[::7]:
        pruned = [graph.prune(point["threshold"]).summary() for graph in graphs]
        kept = sum(found["edges"] + found["implied"] + found["far"] for found in pruned)
        tables = [g.prune(point["threshold"]).candidates for g in graphs]
        rows = pa.concat_tables(tables)
        yes = np.array([word == "yes" for word in rows["emitted"].to_pylist()])
        label = rows["label"].to_numpy()
        assert point["edges"] == kept == yes.sum()
        assert point["candidates"] == len(label)
        assert point["precision"] == pytest.approx((label[yes] == 1).mean())
        assert point["recall"] == pytest.approx(yes[label == 1].mean())
        corrected = [w == "correct" for w in rows["decision"].filter(pa.array(yes)).to_pylist()]
        assert point["corrected"] == sum(corrected)


def test_relations_add_up_to_the_whole(labelled: Path, tmp_path: Path) -> None:
    operating = data(labelled, tmp_path / "a.html")["figures"]["operating"]
    for place, point in enumerate(operating["points"]):
        rows = [counts[place] for counts in operating["relations"].values()]
        assert sum(row[0] for row in rows) == point["candidates"]
        assert sum(row[1] for row in rows) == point["edges"]


def test_bounds_are_those_of_certify_and_hold_all_at_once(labelled: Path, tmp_path: Path) -> None:
    found = data(labelled, tmp_path / "a.html")
    model = TrustModel.load("vsr-boxes")
    rows = model.certifying
    assert rows is not None
    points = found["figures"]["operating"]["points"]
    scores, right = rule_scores(rows.p_true, rows.asserted, rows.label == 1, "accept+correct")
    bounds = found["figures"]["bounds"]
    assert sum(point["bound"] is not None for point in points) == bounds
    for point in [point for point in points if point["bound"]][::11]:
        grid = Grid((point["threshold"],))
        rule = certify(scores, right, alpha=0.5, delta=DELTA / bounds, grid=grid,
                       calibrated_on="", unit="image", groups=rows.image)  # fmt: skip
        assert point["bound"]["n"] == rule.n
        assert point["bound"]["bound"] == pytest.approx(min(rule.bound / (1 - rows.reserve), 1))
    expected = [model.rule(accuracy=target, delta=DELTA) for target in TARGETS]
    thresholds = [rule.threshold for rule in expected if rule.threshold is not None]
    assert [target["threshold"] for target in found["promise"]["targets"]] == thresholds
    held = {np.float32(point["threshold"]) for point in points}
    assert {np.float32(threshold) for threshold in thresholds} <= held


def test_runs_that_are_certified_or_gated_say_so(labelled: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(labelled, tmp_path / "run"))
    boxes = Path(read_table(run / "images")["uri"].to_pylist()[0]).parents[1] / "boxes.json"
    for options, own in (({"accuracy": 0.9}, True), ({"precision": 0.9}, False)):
        config = settings(boxes, repair=False, **options)
        execute(prepare(config, run), ("decide", "link"))
        found = data(run, tmp_path / "a.html")["figures"]
        assert found["certified"]
        assert (found["own"] is not None) == own
        assert bool(found["gate"]) != own
        if own:
            assert found["operating"]["points"][found["at"]]["bound"] is None


def test_why_nothing_is_promised_is_said(finished: Path, tmp_path: Path) -> None:
    found = data(finished, tmp_path / "a.html")
    assert "pairs enumerated of a scene are not like them" in found["promise"]["why"]
    assert all(point["bound"] is None for point in found["figures"]["operating"]["points"])


def test_repaired_graphs_are_not_promised_what_claims_were_certified_for(
    labelled: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(labelled, tmp_path / "run"))
    photos = next(iter(read_table(run / "images")["uri"].to_pylist()))
    boxes = Path(photos).parents[1] / "boxes.json"
    execute(prepare(settings(boxes, repair=True), run), ("link",))
    assert "these graphs were repaired" in data(run, tmp_path / "a.html")["promise"]["why"]


def test_a_run_without_labels_says_what_the_model_expects(finished: Path, tmp_path: Path) -> None:
    found = data(finished, tmp_path / "a.html")
    assert found["evaluation"] is None
    assert found["figures"]["labelled"] == found["figures"]["curves"]["judged"] == 0
    assert found["figures"]["curves"]["expected"][0]
    assert all(point["precision"] is None for point in found["figures"]["operating"]["points"])


def test_labels_count_only_where_they_were_drawn_at_random(run: Path, tmp_path: Path) -> None:
    write_labels(run, rows=40)
    sheet = run / "labels.csv"
    lines = sheet.read_text().splitlines()
    drawn = sum(",certify," in line for line in lines)
    judged = [re.sub(r",,(certify|fit),", r",1,\1,", line) for line in lines]
    sheet.write_text("\n".join(judged) + "\n")
    written = write_report(run, tmp_path / "a.html")
    assert written.counts["labelled"] == drawn
    assert any("were not drawn at random" in note for note in written.notes)
    assert data_of(written.path)["evaluation"]["labelled"] == drawn


def test_the_page_is_ascii_and_holds_data_that_html_cannot_mistake(run: Path) -> None:
    page = write_report(run).path
    text = page.read_text(encoding="ascii")
    assert page == run / "report.html"
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert as_json("</script>&") == '"\\u003c/script\\u003e\\u0026"'
    with pytest.raises(InputError, match="not finite"):
        as_json(float("nan"))


def test_images_are_found_beside_the_page_or_in_it(run: Path, tmp_path: Path) -> None:
    beside = data(run, tmp_path / "deep" / "a.html")
    source = (tmp_path / "deep" / beside["images"]["src"][0]).resolve()
    assert source.is_file()
    page = write_report(run, tmp_path / "b.html", embed_images=True).path
    assert data_of(page)["images"]["src"] == [""] * 8
    assert page.read_text().count('id="data-image-') == 8


def test_images_that_are_gone_are_counted(tmp_path: Path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    execute(prepare(settings(boxes), tmp_path / "run", [images]))
    (images / "a" / "0000.jpg").unlink()
    for embed in (False, True):
        notes = write_report(tmp_path / "run", embed_images=embed).notes
        assert [note for note in notes if note.startswith("1 images are not where")]


def test_what_is_no_run_is_refused_and_left_as_it_is(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"no run folder.*runs in it: .*run"):
        write_report(finished.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no run folder"):
        write_report(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(FileError, match="is a file"):
        write_report(ROOT / "README.md")
    with pytest.raises(FileError, match=r"ending \.pdf"):
        write_report(finished, tmp_path / "a.pdf")


def change_manifest(run: Path, **changes: Any) -> None:
    file = run / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_runs_of_another_schema_or_without_graphs_are_refused_by_name(run: Path) -> None:
    change_manifest(run, schema=0)
    with pytest.raises(SchemaVersionError, match="schema"):
        write_report(run)
    change_manifest(run, schema=1)
    tables = json.loads((run / "manifest.json").read_text())["tables"]
    change_manifest(run, tables={name: tables[name] for name in tables if name != "scenes"})
    with pytest.raises(InputError, match="has no table scenes"):
        write_report(run)
    (run / "manifest.json").write_text("[]")
    with pytest.raises(FileError, match="is not a manifest"):
        write_report(run)


def test_an_empty_run_is_a_page(run: Path) -> None:
    for folder in ("images", "scenes", "verdicts", "claims", "scores"):
        for file in (run / folder).glob("*.parquet"):
            file.unlink()
    written = write_report(run)
    assert (written.counts["images"], written.counts["candidates"]) == (0, 0)


def test_graphs_of_an_older_kind_and_broken_ones_cost_themselves(run: Path) -> None:
    file = sorted((run / "scenes").glob("*.parquet"))[0]
    table = read_table(file)
    texts = table["graph"].to_pylist()
    older = json.loads(texts[0])
    for row in [*older["edges"], *older["graph"]["candidates"]]:
        for name in ("left_out", "meaning"):
            if row[name] is None:
                del row[name]
    place = table.schema.get_field_index("graph")
    changed = table.set_column(place, "graph", pa.array([json.dumps(older), '{"graph": {}}']))
    write_table(changed.drop_columns(["implied", "far"]), file)
    written = write_report(run)
    assert written.counts["images"] == 8
    assert [note for note in written.notes if note.startswith("1 graphs cannot be read")]


@pytest.mark.parametrize("things", [[], ["cup"], ["cup", "plate"]], ids=len)
def test_nothing_or_one_edge_is_a_page(tmp_path: Path, things: list[str]) -> None:
    images, _ = copies(tmp_path / "photos", 1)
    boxes = [
        {"category": name, "bbox_xywh": [40 + 150 * n, 60, 60, 60], "score": 0.9}
        for n, name in enumerate(things)
    ]
    listed = [{"file_name": "a/0000.jpg", "boxes": boxes}]
    given = images / "boxes.json"
    given.write_text(json.dumps(listed))
    run = tmp_path / "run"
    config = settings(given, relations=("left of",))
    execute(prepare(config, run, [images]))
    written = write_report(run)
    assert written.counts["candidates"] == (1 if len(things) == 2 else 0)


def test_tables_of_another_version_are_refused_by_file_and_column(run: Path) -> None:
    file = sorted((run / "images").glob("*.parquet"))[0]
    whole = read_table(file)
    write_table(whole.drop_columns(["uri"]), file)
    with pytest.raises(ColumnError, match=r"images.*uri"):
        write_report(run)
    write_table(whole, file)
    file.write_bytes(b"not parquet")
    with pytest.raises(FileError):
        write_report(run)
    write_table(whole, file)
    tables = json.loads((run / "manifest.json").read_text())["tables"]
    tables["scenes"]["made_with"] = {}
    change_manifest(run, tables=tables)
    with pytest.raises(FileError, match="does not say what decided the graphs"):
        write_report(run)
    assert not list(run.glob("*.html"))


def test_a_sheet_of_whole_images_is_marked_as_one(run: Path, tmp_path: Path) -> None:
    write_labels(run, images=3)
    found = data(run, tmp_path / "a.html")["sheet"]
    assert found["of_graphs"]
    assert set(found["random"]) == {row[0] for row in found["rows"]}


def test_a_broken_sheet_is_refused_with_its_row(run: Path) -> None:
    (run / "labels.csv").write_text("claim_id,label,purpose\nx,maybe,fit\n")
    with pytest.raises(RowError, match=r"labels\.csv:2.*maybe"):
        write_report(run)
    (run / "labels.csv").write_text("claim_id,label\nx,1\n")
    with pytest.raises(InputError, match="purpose"):
        write_report(run)
    (run / "labels.csv").write_text("claim_id,label,purpose\nx,1,fit\n")
    notes = write_report(run).notes
    assert [note for note in notes if "claims that the run lacks" in note]


def test_a_model_that_is_gone_is_said(run: Path) -> None:
    tables = json.loads((run / "manifest.json").read_text())["tables"]
    tables["scores"]["made_with"]["model"] = "gone.json"
    change_manifest(run, tables=tables)
    written = write_report(run)
    assert [note for note in written.notes if "gone.json" in note]
    assert "gone.json" in data_of(written.path)["promise"]["why"]


def test_images_that_the_model_has_seen_are_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = frozenset(image_hashes(["a/0000.jpg", "b/0001.jpg"]))
    model = replace(TrustModel.load("vsr-boxes"), images=known)
    monkeypatch.setattr("spatialtrust.report.writing.model_of", lambda folder: model)
    notes = write_report(finished, tmp_path / "a.html").notes
    assert [note for note in notes if note.startswith("2 images are among those that vsr-boxes")]


def test_the_page_of_a_sheet_holds_no_opinion_of_the_model(run: Path) -> None:
    write_labels(run, rows=10)
    page = write_label_page(run, run / "labels.csv")
    assert page == run / "labels.html"
    found = data_of(page)
    assert found["edges"] == {"count": 10}
    assert not {"figures", "promise", "evaluation", "importances", "reasons"} & set(found)


def _luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(theme: int) -> None:
    style = (ASSETS / "style.css").read_text()
    block = re.findall(r":root[^{]*\{(.*?)\}", style, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    pairs = [
        (word, behind)
        for word in ("ink", "quiet", "accent", "kept", "corrected", "left-out", "cut", "right",
                     "wrong")
        for behind in ("card", "page", "track")
    ]  # fmt: skip
    pairs += [
        ("on-accent", "accent"),
        ("on-accent", "right"),
        ("on-accent", "wrong"),
        ("ink", "warn"),
    ]
    for word, behind in pairs:
        high, low = sorted((_luminance(colours[word]), _luminance(colours[behind])), reverse=True)
        least = 3.0 if behind == "track" and word not in ("ink", "quiet") else 4.5
        assert (high + 0.05) / (low + 0.05) >= least, (word, behind)
