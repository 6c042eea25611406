"""The page in a real browser: dragged, filtered, opened, judged, and attacked by names."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spatialtrust.jobs.label_sheet import COLUMNS
from spatialtrust.jobs.labelling import read_labels, write_labels
from spatialtrust.jobs.own_model import fit
from spatialtrust.report import write_label_page, write_report
from spatialtrust.run.plan import execute, prepare
from tests.helpers.browser import (
    complaints,
    data_of,
    keys,
    open_page,
    opened,
    until,
    why_not,
)
from tests.helpers.runs import copies, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"needs a browser: {why_not()}")


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[Any]:
    with opened(downloads) as driver:
        yield driver


@pytest.fixture(scope="module")
def page(finished: Path) -> Path:
    return write_report(finished, finished.parent / "page.html").path


@pytest.fixture(autouse=True)
def _nothing_kept(browser: Any, page: Path) -> Iterator[None]:
    yield
    browser.execute_script("try { localStorage.clear(); } catch {}")


def text(browser: Any, selector: str) -> str:
    return str(browser.execute_script(f"return document.querySelector('{selector}').textContent"))


def count(browser: Any, selector: str) -> int:
    return int(browser.execute_script(f"return document.querySelectorAll('{selector}').length"))


def rows_in(browser: Any) -> int:
    return count(browser, "#edge-list li[data-edge]")


def exported(browser: Any, downloads: Path) -> Path:
    file = downloads / "labels.csv"
    file.unlink(missing_ok=True)
    browser.find_element("id", "export").click()
    until(lambda: file.exists() and file.stat().st_size)
    return file


def judge_next(browser: Any, key: str) -> None:
    """Judge the edge that is chosen, as soon as one is that has no label."""
    script = (
        "const [right, wrong] = ['judge-right', 'judge-wrong'].map((id) => "
        "document.getElementById(id)); return !right.disabled && "
        "[right, wrong].every((button) => button.getAttribute('aria-pressed') === 'false')"
    )
    until(lambda: browser.execute_script(script))
    keys(browser, key)


def test_it_opens_without_a_complaint_and_asks_nobody(browser: Any, page: Path) -> None:
    open_page(browser, page)
    assert complaints(browser) == []
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert [name for name in asked if not name.startswith(("file:", "data:"))] == []


def test_dragging_moves_the_threshold_and_every_number_with_it(browser: Any, page: Path) -> None:
    from selenium.webdriver import ActionChains

    open_page(browser, page)
    points = data_of(page)["figures"]["operating"]["points"]
    before = text(browser, "#operating-figures")
    handle = browser.find_element("id", "handle")
    ActionChains(browser).click_and_hold(handle).move_by_offset(-160, 0).release().perform()
    at = float(text(browser, "#threshold-value"))
    assert at > 0.8
    point = next(point for point in points if abs(point["threshold"] - at) < 1e-4)
    assert f"{point['edges']:,}" in text(browser, "#operating-figures")
    assert text(browser, "#operating-figures") != before
    assert f"at={point['threshold']}" in browser.current_url
    browser.execute_script(
        "const s = document.getElementById('threshold'); s.value = 0;"
        "s.dispatchEvent(new Event('input'))"
    )
    assert text(browser, "#threshold-value") == "0.5"
    assert f"{points[0]['edges']:,}" in text(browser, "#operating-figures")


def test_the_page_promises_what_was_certified(browser: Any, labelled: Path) -> None:
    page = write_report(labelled, labelled.parent / "page.html").path
    open_page(browser, page)
    assert "per image" in text(browser, "#promise")
    assert "VSR" in text(browser, "#promise")
    assert count(browser, "#reliability circle") > 0
    target = data_of(page)["promise"]["targets"][0]
    browser.find_element("css selector", "#marks .target").click()
    assert target["rule"] in text(browser, "#promise .certified")


def test_filters_choose_edges_and_stand_in_the_address(browser: Any, page: Path) -> None:
    open_page(browser, page, "#view=images")
    until(lambda: rows_in(browser))
    whole = rows_in(browser)
    open_page(browser, page, "#view=images&relation=left+of&kinds=kept,cut&low=0.5")
    until(lambda: rows_in(browser))
    assert 0 < rows_in(browser) < whole
    named = browser.execute_script(
        "return [...document.querySelectorAll('#edge-list strong')].map((e) => e.textContent)"
    )
    assert all(" left of " in words for words in named)
    assert browser.execute_script("return document.getElementById('filter-low').value") == "0.5"
    browser.find_element("id", "filter-clear").click()
    until(lambda: rows_in(browser) == whole)
    assert "relation" not in browser.current_url
    field = browser.find_element("id", "filter-search")
    field.send_keys("0003")
    until(lambda: "on 1 images" in text(browser, "#filter-count"))
    assert count(browser, "#list-rows button") == 1


def test_what_the_model_thinks_can_be_hidden(browser: Any, page: Path) -> None:
    open_page(browser, page, "#view=images")
    until(lambda: rows_in(browser))
    seen = "return document.getElementById('images').innerText"
    assert "P(true) 0" in browser.execute_script(seen).replace("P(true) 1", "P(true) 0")
    keys(browser, "jv")
    told = browser.execute_script(seen).replace("P(true) from", "")
    assert not [word for word in ("P(true)", "P 0.", "P 1.", "asked for") if word in told]
    assert not browser.find_element("id", "diagram").is_displayed()
    assert "hide=1" in browser.current_url


def test_a_link_leads_to_an_edge(browser: Any, page: Path) -> None:
    open_page(browser, page, "#view=images")
    until(lambda: rows_in(browser))
    keys(browser, "lljj")
    until(lambda: "edge=" in browser.current_url)
    address = browser.current_url.split("#")[1]
    asked = text(browser, "#question")
    open_page(browser, page, f"#{address}")
    until(lambda: text(browser, "#question") == asked)
    assert count(browser, "#picture rect.a") == count(browser, "#picture rect.b") == 1
    assert [tag[:2] for tag in (text(browser, ".tag.a"), text(browser, ".tag.b"))] == ["A ", "B "]
    open_page(browser, page, "#view=images&image=no+such&edge=none&relation=%3Cimg%3E&low=x")
    until(lambda: rows_in(browser))
    assert complaints(browser) == []


@pytest.mark.slow
def test_fifty_edges_are_judged_by_keys_exported_and_taken_by_fit(
    browser: Any, run: Path, downloads: Path
) -> None:
    page = write_report(run).path
    open_page(browser, page, "#view=images")
    until(lambda: rows_in(browser))
    keys(browser, "j")
    for turn in range(50):
        judge_next(browser, "yn"[turn % 2])
    until(lambda: text(browser, "#judged-count") == "50 judged here")
    file = exported(browser, downloads)
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 50
    assert {row["purpose"] for row in rows} == {"fit"}
    model, report = fit(file)
    assert report["rows"] == 50
    assert model.certifying is None
    (run / "labels.csv").write_bytes(file.read_bytes())
    assert fit(run).report["rows"] == 50
    again = write_report(run, embed_images=True)
    assert data_of(again.path)["sheet"]["rows"][0][3] in ("0", "1")


@pytest.mark.slow
def test_rows_that_were_drawn_at_random_keep_their_purpose(
    browser: Any, run: Path, downloads: Path
) -> None:
    write_labels(run, rows=20)
    purposes = {row["claim_id"]: row["purpose"] for row in _rows(run / "labels.csv")}
    page = write_report(run).path
    open_page(browser, page, "#view=images")
    until(lambda: rows_in(browser))
    keys(browser, "j")
    for _ in range(rows_in(browser) + 5):
        judge_next(browser, "y")
    rows = _rows(exported(browser, downloads))
    judged = [row for row in rows if row["label"] == "1"]
    assert len(rows) > 20
    assert {row["claim_id"]: row["purpose"] for row in rows[:20]} == purposes
    assert {row["purpose"] for row in rows[20:]} == {"fit"}
    assert any(row["claim_id"] in purposes for row in judged)


def test_the_page_of_a_sheet_is_judged_and_gives_the_sheet_back(
    browser: Any, run: Path, downloads: Path
) -> None:
    write_labels(run, rows=12)
    before = _rows(run / "labels.csv")
    open_page(browser, write_label_page(run, run / "labels.csv"))
    until(lambda: rows_in(browser))
    assert "P 0." not in text(browser, "#images")
    for turn in range(12):
        judge_next(browser, "yn"[turn % 2])
    until(lambda: text(browser, "#judged-count") == "12 of 12 judged")
    open_page(browser, run / "labels.html")
    assert text(browser, "#judged-count") == "12 of 12 judged"
    file = exported(browser, downloads)
    after = _rows(file)
    assert [row | {"label": ""} for row in after] == before
    assert sorted(row["label"] for row in after) == ["0"] * 6 + ["1"] * 6
    assert len(read_labels(run, file).purpose) == 12
    assert complaints(browser) == []


def test_names_from_data_are_text_and_nothing_else(browser: Any, tmp_path: Path) -> None:
    hostile = ["<img src=x onerror=\"document.title='owned'\">",
               "</script><script>document.title='owned'</script>", "&lt;b&gt; 'quoted' \"cup\"",
               "javascript:document.title='owned'"]  # fmt: skip
    images, _ = copies(tmp_path / "<img src=x onerror=alert(1)>", 1)
    name = "<svg onload=document.title='owned'>.jpg"
    (images / "a" / "0000.jpg").rename(images / name)
    boxes = [
        {"category": words, "bbox_xywh": [30 + 130 * n, 60 + 40 * n, 90, 90], "score": 0.9}
        for n, words in enumerate(hostile)
    ]
    given = images / "boxes.json"
    listed = [{"file_name": name, "boxes": boxes}]
    given.write_text(json.dumps(listed))
    execute(prepare(settings(given), tmp_path / "run", [images]))
    page = write_report(tmp_path / "run").path
    for address in ("", "#view=images", "#view=images&relation=<img src=x onerror=alert(1)>"):
        open_page(browser, page, address)
    until(lambda: rows_in(browser))
    keys(browser, "jy")
    assert browser.title != "owned"
    assert hostile[0] in text(browser, "#edge-list")
    assert count(browser, "#edge-list img, #diagram img, #edge-list script, svg[onload]") == 0
    assert complaints(browser) == []
    assert browser.execute_script("return document.querySelector('#picture img').naturalWidth") > 0


def test_images_that_are_gone_leave_their_boxes(browser: Any, tmp_path: Path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    execute(prepare(settings(boxes), tmp_path / "run", [images]))
    page = write_report(tmp_path / "run").path
    for file in images.rglob("*.jpg"):
        file.unlink()
    open_page(browser, page, "#view=images")
    until(lambda: count(browser, "#picture .gone"))
    assert "cannot be shown" in text(browser, "#picture .gone")
    assert count(browser, "#picture rect") > 1


def test_five_thousand_boxes_are_drawn(browser: Any, tmp_path: Path) -> None:
    images, _ = copies(tmp_path / "photos", 1)
    boxes = [
        {"category": "cup", "bbox_xywh": [n % 100 * 6.0, n // 100 * 8.0, 5, 7], "score": 0.9}
        for n in range(5000)
    ]
    given = images / "boxes.json"
    listed = [{"file_name": "a/0000.jpg", "boxes": boxes}]
    given.write_text(json.dumps(listed))
    run = tmp_path / "run"
    execute(prepare(settings(given, max_objects=6, formats=()), run, [images]))
    open_page(browser, write_report(run).path, "#view=images")
    until(lambda: rows_in(browser))
    assert count(browser, "#picture rect") == 5000
    keys(browser, "jj")
    assert count(browser, "#picture rect.a") == 1


def test_a_run_without_edges_opens(browser: Any, run: Path) -> None:
    for folder in ("images", "scenes", "verdicts", "claims", "scores"):
        for file in (run / folder).glob("*.parquet"):
            file.unlink()
    page = write_report(run).path
    open_page(browser, page)
    assert "no candidate edges" in text(browser, "#curve")
    keys(browser, "2jyln?")
    assert complaints(browser) == []


@pytest.mark.parametrize("view", ["overview", "images"])
def test_everything_that_can_be_used_has_a_name(browser: Any, page: Path, view: str) -> None:
    open_page(browser, page, f"#view={view}")
    if view == "images":
        until(lambda: rows_in(browser))
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = {"button", "link", "slider", "checkbox", "combobox", "textbox", "searchbox",
            "spinbutton", "image", "table"}  # fmt: skip
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and node.get("role", {}).get("value") in used
    ]
    assert len(nodes) > 5
    assert [role for role, name in nodes if not name.strip() and role != "table"] == []


def test_the_colours_follow_the_reader_and_can_be_switched(browser: Any, page: Path) -> None:
    open_page(browser, page)
    theme = "return document.documentElement.dataset.theme"
    first = browser.execute_script(theme)
    browser.find_element("id", "theme").click()
    assert {first, browser.execute_script(theme)} == {"light", "dark"}


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))
