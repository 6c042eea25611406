"""From questions to what a VLM learns from: perturbed pictures, replies, and pairs of replies.

A data folder holds ``examples/part-*.parquet`` (:data:`SCHEMA`), ``pictures/`` and
``manifest.json``. Parts are written one by one and are whole or not there, so a build that was
stopped goes on; a picture is named after what it shows, so questions that share it share the file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from spatialtrust import __version__
from spatialtrust.csp.perturbation import KINDS, LADDER, perturb
from spatialtrust.csp.scales import scale_named
from spatialtrust.csp.targets import check_target, confidence_at, distant_levels
from spatialtrust.documents import loads, read_object
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import replacing, write_text
from spatialtrust.io.images import read_image
from spatialtrust.io.parquet import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spatialtrust.arrays import Pixels
    from spatialtrust.csp.questions import Questions

SCHEMA: Final = pa.schema(
    [
        ("example_id", pa.string()),
        ("image", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("group", pa.string()),
        ("level", pa.int8()),
        ("picture", pa.string()),
        ("clean", pa.string()),
        ("confidence", pa.float32()),
        ("reply", pa.string()),
        ("rejected", pa.string()),
        ("clean_reply", pa.string()),
    ]
)
"""``picture`` shows the objects at ``level``, ``clean`` as they were (paths in the folder);
``reply`` states ``confidence``; ``rejected`` one that is too high or too low, null where the scale
has no other word for it; ``clean_reply`` is right for the clean picture."""

MANIFEST: Final = "manifest.json"
PART: Final = 64
"""Questions of a part."""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """How examples are made.

    Attributes
    ----------
    kind: of perturbation.
    scale: how a confidence is said.
    target: what a level stands for, see ``targets``.
    draws: levels of each question, 0 always among them; all eleven with 11.
    seed: of noise, levels and rejected replies.
    """

    kind: str = "noise"
    scale: str = "percent"
    target: str = "linear"
    draws: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is not valid."""
        if self.kind not in KINDS:
            raise InputError(f'kind "{self.kind}" is not known; valid: {", ".join(KINDS)}')
        scale_named(self.scale)
        check_target(self.target)
        if not 2 <= self.draws <= len(LADDER):
            raise InputError(f"draws is {self.draws}; give 2 to {len(LADDER)} levels a question")


def build(
    questions: Questions,
    out: Path,
    config: BuildConfig,
    *,
    measured: Mapping[str, Mapping[int, float]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a data folder, or what is missing of it.

    Parameters
    ----------
    measured: what ``targets.measure`` found, for the targets that need it.
    progress: called with questions seen and newly done.

    Returns
    -------
    The manifest: settings, hash of the questions, and counts.

    Raises
    ------
    InputError: the folder was built from other questions or settings, or a target lacks figures.
    FileError: the folder cannot be written.
    """
    if config.target != "linear" and not measured:
        raise InputError(
            f'target "{config.target}" needs to know how often the model is right at each level; '
            "give the checkpoint that is to be trained (csp build --checkpoint)"
        )
    if config.scale != "percent-open" and not questions.yes_or_no:
        raise InputError(
            f'scale "{config.scale}" is for yes-or-no questions, and some answers here are others; '
            "give percent-open, or keep the yes-or-no questions"
        )
    settings = {
        **asdict(config),
        "version": __version__,
        "questions": hashlib.sha256(
            json.dumps(questions.table.drop_columns("uri").to_pydict()).encode()
        ).hexdigest(),
        "measured": {name: dict(table) for name, table in (measured or {}).items()},
    }
    settings = json.loads(json.dumps(settings))
    _claim(out, settings)
    total = len(questions)
    seen = done = 0
    for start in range(0, total, PART):
        part = out / "examples" / f"part-{start // PART:06d}.parquet"
        rows = questions.table.slice(start, PART)
        seen += rows.num_rows
        if not part.is_file():
            examples = _examples(rows, out, config, measured or {}, questions.yes_or_no)
            write_table(examples, part)
            done += rows.num_rows
        if progress is not None:
            progress(seen, done)
    manifest = {"settings": settings, **_counts(out, total), "dropped": questions.dropped}
    write_text(json.dumps(manifest, indent=2) + "\n", out / MANIFEST)
    return {**manifest, "new_questions": done}


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Begin the folder, or check that it was begun with the same settings."""
    path = out / MANIFEST
    if path.is_file():
        before = read_manifest(out)["settings"]
        changed = sorted(name for name in settings if before.get(name) != settings[name])
        if changed:
            raise InputError(
                f"{out}: was built with other {', '.join(changed)}; give another --out, or the "
                "same questions and settings to go on"
            )
        return
    write_text(json.dumps({"settings": settings}, indent=2) + "\n", path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a data folder was built with.

    Raises
    ------
    FileError: it is no such folder.
    """
    path = folder / MANIFEST
    try:
        found = read_object(path)
        return {**found, "settings": dict(found["settings"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(
            path, f"is not what csp build writes ({error!r})", "give a folder that it wrote"
        ) from error


def read_examples(folder: Path) -> pa.Table:
    """The examples of a data folder.

    Raises
    ------
    FileError: it holds none.
    """
    found = read_table(folder / "examples").cast(SCHEMA)
    if not found.num_rows:
        raise FileError(folder, "holds no example", "build it from other questions")
    return found


def _counts(out: Path, questions: int) -> dict[str, Any]:
    examples = read_examples(out)
    return {
        "questions": questions,
        "examples": examples.num_rows,
        "pairs": examples.num_rows - examples["rejected"].null_count,
        "pairs_left_out": {"equal_replies": examples["rejected"].null_count},
        "pictures": len(examples["picture"].unique()),
        "groups": {
            entry["values"]: entry["counts"]
            for entry in examples["group"].value_counts().to_pylist()
        },
    }


def _examples(
    rows: pa.Table,
    out: Path,
    config: BuildConfig,
    measured: Mapping[str, Mapping[int, float]],
    yes_or_no: bool,
) -> pa.Table:
    scale = scale_named(config.scale)
    found = []
    image: _Image | None = None
    for row in rows.to_pylist():
        if image is None or image.uri != row["uri"]:
            pixels = read_image(row["uri"])
            image = _Image(row["uri"], pixels, hashlib.blake2b(pixels.tobytes()).digest())
        regions = loads(row["regions"])
        generator = np.random.default_rng(_number(row["question_id"], config.seed))

        def stated(level: int, group: str = row["group"]) -> float:
            return confidence_at(level, group, config.target, measured, yes_or_no=yes_or_no)

        clean = _keep(out, image, regions, 0, config)
        clean_reply = scale.reply(row["answer"], stated(0))
        for level in draw_levels(row["image"], row["regions"], config):
            reply = scale.reply(row["answer"], stated(level))
            worse = [scale.reply(row["answer"], stated(far)) for far in distant_levels(level)]
            worse = [text for text in worse if text != reply]
            found.append(
                {
                    "example_id": f"{row['question_id']}@{level:03d}",
                    "image": row["image"],
                    "question": row["question"],
                    "answer": row["answer"],
                    "group": row["group"],
                    "level": level,
                    "picture": _keep(out, image, regions, level, config),
                    "clean": clean,
                    "confidence": stated(level),
                    "reply": reply,
                    "rejected": worse[generator.integers(len(worse))] if worse else None,
                    "clean_reply": clean_reply,
                }
            )
    return pa.Table.from_pylist(found, SCHEMA)


def draw_levels(image: str, regions: str, config: BuildConfig) -> list[int]:
    """Levels of one set of objects, 0 among them; the same for all questions about it."""
    generator = np.random.default_rng(_number(f"{image}|{regions}", config.seed))
    others = generator.choice(LADDER[1:], config.draws - 1, replace=False)
    return [0, *sorted(others.tolist())]


class _Image(NamedTuple):
    uri: str
    pixels: Pixels
    digest: bytes


def _keep(out: Path, image: _Image, regions: list[Any], level: int, config: BuildConfig) -> str:
    """Write a perturbed picture unless it is there already; its path in the folder."""
    shown = f"{config.kind}|{level}|{config.seed}|{json.dumps(regions)}" if level else "clean"
    key = hashlib.blake2b(image.digest + shown.encode(), digest_size=12).hexdigest()
    name = f"pictures/{key[:2]}/{key}.png"
    if not (out / name).is_file():
        made = perturb(image.pixels, regions, level, kind=config.kind, seed=config.seed)
        write_png(made, out / name)
    return name


def write_png(picture: Pixels, path: Path) -> None:
    """Write a picture, whole or not at all where the process is killed.

    It is not flushed to the disk, which would take longer than everything else together.

    Raises
    ------
    FileError: the folder cannot be written.
    """
    import cv2

    done, content = cv2.imencode(".png", picture[..., ::-1])
    if not done:
        raise FileError(path, "cannot be encoded as PNG")
    with replacing(path, flush=False) as unfinished:
        unfinished.write_bytes(content.tobytes())


def _number(text: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}|{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest)


def reasons_in_words(dropped: Mapping[str, int]) -> str:
    """What was left out, for people.

    >>> reasons_in_words({"not_labelled": 2, "region_outside": 1})
    'left out: 2 not labelled, 1 region outside'
    """
    listed = ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in Counter(dropped).most_common())
    return f"left out: {listed}" if listed else "nothing was left out"
