"""The page for people with a VLM of their own: its blocks run, in order, against a local server."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shlex
import shutil

from PIL import Image

from spatialtrust.cli.commands import app
from tests.conftest import ROOT
from tests.helpers import result_files
from tests.helpers.replay_server import Act, chat, question_of, replaying

PAGE = ROOT / "docs" / "vlms.md"
SERVER = "http://localhost:8000/v1"
_BLOCK = re.compile(r"```(bash|python)\n(.*?)```|(<!-- a person fills .*? -->)", re.DOTALL)


def unsure(request, number):
    """Yes or no, more or less sure, by the question's text."""
    digest = hashlib.sha256(question_of(request).encode()).digest()
    p = 0.1 + 0.8 * digest[0] / 255
    top = {"Yes": p, "No": 0.98 - p}
    first = max(top, key=top.__getitem__)
    return Act(chat(first, dict(sorted(top.items(), key=lambda item: -item[1]))))


def take_photos(folder):
    """The sample pictures, lighter and darker too: enough claims to fit with."""
    source = ROOT / "data" / "still_lifes"
    shutil.copytree(source, folder)
    boxes = json.loads((source / "boxes.json").read_text())
    for entry in list(boxes):
        image = Image.open(source / entry["file_name"])
        for light in (0.6, 0.8):
            name = f"{light}-{entry['file_name']}"
            image.point(lambda value, light=light: int(value * light)).save(folder / name)
            boxes.append({**entry, "file_name": name})
    (folder / "boxes.json").write_text(json.dumps(boxes))


def judge_by_hand(path):
    """What a person would do, as far as boxes tell; the rest is made up."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        # Pairs are claimed in the direction that the boxes show.
        row["label"] = str(int(row["relation"] in ("left of", "above") and number % 20 > 0))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_the_page_runs_from_a_server_to_a_coverage_curve(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "home"))
    take_photos(tmp_path / "photos")
    result_files.tsv(tmp_path / "Qwen2.5-VL_3DSRBench.tsv", result_files.circular())
    blocks = [found.groups() for found in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert [kind for kind, _, _ in blocks].count("bash") == 4
    namespace: dict = {}
    with replaying(unsure) as server:
        for kind, text, by_hand in blocks:
            if by_hand:
                judge_by_hand(tmp_path / "run" / "labels.csv")
            elif kind == "python":
                exec(compile(text, str(PAGE), "exec"), namespace)
            else:
                for line in text.replace("\\\n", " ").replace(SERVER, server.url).splitlines():
                    program, *arguments = shlex.split(line)
                    assert program == "spatialtrust"
                    app(arguments, standalone_mode=False)
        asked = len(server.requests)
        assert asked == len(set(map(str, server.requests)))
    assert 0 < len(namespace["safe"].edges) <= len(namespace["graph"].edges)
    assert (tmp_path / "run" / "coverage.png").stat().st_size > 10_000
    assert (tmp_path / "judged.csv").exists()
    assert f'"asked": {asked}' in capsys.readouterr().out
    assert f'"asked": {asked}' in (tmp_path / "run" / "manifest.json").read_text()
