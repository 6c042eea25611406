"""``spatialtrust report``: a run folder as one page."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.decision.commit_gate import rule_from_dict
from spatialtrust.errors import FileError, InputError
from spatialtrust.graph.formats import parse
from spatialtrust.io.results import expect_ending
from spatialtrust.jobs.label_sheet import COLUMNS, EMPTY, Sheet, read_sheet
from spatialtrust.jobs.labelling import LABELS
from spatialtrust.report.contents import Contents
from spatialtrust.report.figures import evaluated, figures_of, importances
from spatialtrust.report.page import as_json, element, packed, write_page
from spatialtrust.report.pictures import address, embedded, problem_of
from spatialtrust.report.promises import model_of, promises_of
from spatialtrust.run.folder import MANIFEST, RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.graph import SceneGraph

ENDINGS: Final = (".html", ".htm")
PAGE: Final = "report.html"
BLOCK: Final = 16
"""Images that are unpacked together."""


@dataclass(frozen=True, slots=True)
class Written:
    """A page, and what its maker should know.

    Attributes
    ----------
    path: of the page.
    counts: of what it shows.
    notes: what it lacks and why, in sentences.
    """

    path: Path
    counts: dict[str, Any]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """For a program."""
        size = round(self.path.stat().st_size / 1e6, 2)
        return {"out": str(self.path), **self.counts, "megabytes": size, "notes": list(self.notes)}


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    *,
    embed_images: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Written:
    """Write a page of a run that has graphs.

    Parameters
    ----------
    run: folder of the run. Labels in its ``labels.csv`` are shown and counted.
    out: the page; None: ``report.html`` in the run.
    embed_images: put copies of the images into the page (JPEG, at most 1024 pixels a side); else
        they are loaded from where they are, by addresses relative to the page.
    progress: called with the number of images that are newly done.

    Raises
    ------
    FileError: this is no run folder, or the page cannot be written.
    InputError: the run has no graphs yet.
    SchemaVersionError: another version of the package made the run.
    RowError: a label of ``labels.csv`` is not valid.
    """
    folder_path = Path(run)
    require_run(folder_path)
    target = Path(out) if out is not None else folder_path / PAGE
    expect_ending(target, ENDINGS)
    with RunFolder(folder_path) as folder:
        folder.require(["images", "scenes"])
        sheet = read_sheet(folder_path / LABELS) if (folder_path / LABELS).exists() else EMPTY
        maker = _Maker(folder, target, sheet, embed_images)
        write_page(target, f"{folder_path.resolve().name} - spatialtrust", maker.data(progress))
    return Written(target, maker.counts, tuple(maker.notes))


def require_run(path: Path) -> None:
    """Refuse what is no run folder, naming runs within it.

    Raises
    ------
    FileError: it does not exist, or holds no manifest.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise FileError(path, what, "give the folder that spatialtrust graph --out wrote")
    if not (path / MANIFEST).is_file():
        within = sorted(str(found.parent) for found in path.glob(f"*/{MANIFEST}"))
        hint = f"runs in it: {', '.join(within)}" if within else (
            "give the folder that spatialtrust graph --out wrote"
        )  # fmt: skip
        raise FileError(path, f"is no run folder (it has no {MANIFEST})", hint)


class _Maker:
    """Makes the data of one page, part by part."""

    def __init__(self, folder: RunFolder, target: Path, sheet: Sheet, embed: bool) -> None:
        self._folder, self._target, self._sheet, self._embed = folder, target, sheet, embed
        self._labels = sheet.labels()
        self._contents = Contents(self._labels)
        self._problems: Counter[str] = Counter()
        self._repaired = True
        self.notes: list[str] = []
        self.counts: dict[str, Any] = {}

    def data(self, progress: Callable[[int], None] | None) -> Iterator[str]:
        """All elements: blocks and pictures as they are read, the head at the end."""
        block: list[Any] = []
        numbers = count()
        for image, graph in self._images():
            shown = self._contents.add(image, graph)
            if self._embed and image["uri"] is not None and (text := embedded(image["uri"])):
                yield element(f"data-image-{len(self._contents.images) - 1}", "text/plain", text)
            block.append(shown)
            if len(block) == BLOCK:
                yield element(f"data-block-{next(numbers)}", "text/plain", packed(block))
                block = []
            if progress is not None:
                progress(1)
        if block:
            yield element(f"data-block-{next(numbers)}", "text/plain", packed(block))
        yield element("data-head", "application/json", as_json(self._head()))

    def _images(self) -> Iterator[tuple[dict[str, Any], SceneGraph | None]]:
        """Each image's row for the page and its graph, in the order of the run."""
        for part in self._folder.parts("images"):
            texts: dict[str, tuple[str, str | None]] = {}
            if self._folder.has("scenes", part):
                names = ("image_id", "status", "graph")
                scenes = self._folder.read("scenes", part, names)
                columns = (scenes[name].to_pylist() for name in names)
                texts = {name: (status, text) for name, status, text in zip(*columns, strict=True)}
            else:
                self._problems["unlinked"] += 1
            listed = self._folder.read("images", part, ("image_id", "uri", "width", "height"))
            for row in listed.to_pylist():
                status, text = texts.get(row["image_id"], ("not linked yet", None))
                graph = None
                if text is not None:
                    try:
                        graph = parse(text, "json", row["image_id"])
                        self._repaired &= graph.repaired
                    except ValueError as error:
                        status = f"its graph cannot be read: {error}"
                        self._problems["unreadable"] += 1
                yield self._row(row, status), graph

    def _row(self, row: dict[str, Any], status: str) -> dict[str, Any]:
        uri, problem = row["uri"], problem_of(row["uri"])
        if problem and not (self._embed and problem != "gone"):
            self._problems[problem] += 1
        beside = "" if uri is None or self._embed else address(uri, self._target)
        return {
            "id": row["image_id"],
            "uri": uri if problem != "gone" else None,
            "src": beside,
            "w": row["width"],
            "h": row["height"],
            "status": "" if status == "ok" else status,
        }

    def _head(self) -> dict[str, Any]:
        """Everything that the page needs when it opens."""
        folder, contents = self._folder, self._contents
        candidates = contents.candidates()
        model = model_of(folder)
        promises = promises_of(folder, model, repaired=self._repaired)
        counted, drawn = self._counted(candidates)
        rule = _rule_of(folder)
        self._note(model)
        judged = int(pc.sum(pc.is_valid(counted).cast(pa.int64())).as_py() or 0)
        self.counts = {
            "images": len(contents.images),
            "candidates": candidates.num_rows,
            **contents.kinds(),
            "labelled": judged,
        }
        settings = folder.manifest.get("settings", {})
        return {
            "kind": "report",
            "title": folder.path.resolve().name,
            "key": _key(folder),
            "block": BLOCK,
            "embedded": self._embed,
            "notes": self.notes,
            "facts": {
                "package": folder.manifest["package"],
                "detector": settings.get("detector", ""),
                "asker": settings.get("asker", ""),
                "trust model": model if isinstance(model, str) else model.name,
                "fitted on": "" if isinstance(model, str) else model.calibrated_on,
                "decided by": str(rule),
            },
            "counts": self.counts,
            "figures": figures_of(candidates, rule, promises, counted),
            "promise": promises.to_dict(),
            "evaluation": evaluated(folder, {k: v for k, v in self._labels.items() if k in drawn}),
            "importances": importances(model),
            "sheet": {**self._sheet.to_dict(), "random": sorted(drawn)},
            "sheet_columns": list(COLUMNS),
            **contents.to_dict(),
        }

    def _counted(self, candidates: pa.Table) -> tuple[pa.Array, set[str]]:
        """Labels that figures may use: the claims' own, and those of rows drawn at random."""
        drawn = self._sheet.drawn_at_random()
        said = [
            self._labels.get(key) if key in drawn else (None if key in self._labels else own)
            for key, own in zip(
                candidates["claim_id"].to_pylist(), candidates["label"].to_pylist(), strict=True
            )
        ]
        chosen = len(self._labels.keys() - drawn)
        if chosen:
            self.notes.append(
                f"{chosen} judged claims were not drawn at random (purpose fit): they are shown, "
                "and count in no figure"
            )
        return pa.array(said, pa.int8()), drawn

    def _note(self, model: TrustModel | str) -> None:
        """Say what the page lacks."""
        told = {
            "gone": "images are not where the run saw them; their boxes are drawn without them",
            "not shown by browsers": "images are of kinds that browsers do not show (TIFF and "
            "others); --embed-images puts copies of them into the page",
            "unlinked": "parts of the run have no graphs yet; finish the run (spatialtrust link)",
            "unreadable": "graphs cannot be read; link the run again (spatialtrust link RUN)",
        }
        self.notes += [f"{self._problems[key]} {words}" for key, words in told.items()
                       if self._problems[key]]  # fmt: skip
        if isinstance(model, str):
            self.notes.append(model)
        else:
            seen = sum(code in model.images for code in image_hashes(
                image["id"] for image in self._contents.images
            ))  # fmt: skip
            if seen:
                self.notes.append(
                    f"{seen} images are among those that {model.name} was fitted on: what it says "
                    "of them, and figures on them, are too good"
                )
        missing = len(self._labels.keys() - self._claims())
        if missing:
            self.notes.append(f"{missing} labels of {LABELS} are of claims that the run lacks")

    def _claims(self) -> set[str]:
        """Ids of the claims that have a label; empty where no label is known."""
        if not self._labels:
            return set()
        found: set[str] = set()
        for part in self._folder.parts("claims"):
            found |= set(self._folder.read("claims", part)["claim_id"].to_pylist())
        return found


def _rule_of(folder: RunFolder) -> Rule:
    """What decided which edges the run's graphs have.

    Raises
    ------
    FileError: the manifest does not say.
    """
    try:
        return rule_from_dict(folder.settings("scenes")["made_with"]["rule"])
    except (KeyError, TypeError, InputError) as error:
        raise FileError(
            folder.path / MANIFEST,
            f"does not say what decided the graphs ({error})",
            "link the run again: spatialtrust link RUN",
        ) from error


def _key(folder: RunFolder) -> str:
    """What tells these edges from others where a browser keeps what was judged."""
    tables = folder.manifest["tables"]
    made = json.dumps([tables.get(name) for name in ("claims", "scenes")], sort_keys=True)
    text = f"{folder.path.resolve()}\n{made}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
