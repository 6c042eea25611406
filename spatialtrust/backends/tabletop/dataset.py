"""Folders of pictures with the truth about every pair of objects beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.truth import scene_truth
from spatialtrust.backends.tabletop.world import sample_scene
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spatialtrust.backends.tabletop.scene import Difficulty, Scene

TRUTH: Final = "truth.jsonl"


def write_dataset(
    folder: str | Path,
    n: int,
    seed: int = 0,
    difficulty: Difficulty = "clean",
    size: int = 128,
    *,
    twins: bool = False,
) -> Path:
    """Write ``n`` pictures and the truth about them; the same arguments write the same bytes.

    Parameters
    ----------
    folder: made if it is not there; files of the same names are replaced.
    n: number of scenes; they have the seeds ``seed`` to ``seed + n - 1``.
    difficulty: of all of them.
    size, twins: see ``sample_scene``.

    Returns
    -------
    ``truth.jsonl`` in that folder. A row is a claim about an ordered pair: ``image`` (file name),
    ``subject``, ``relation``, ``object``, ``subject_box`` and ``object_box`` (``x1, y1, x2, y2`` of
    what is visible, pixels), ``width``, ``height``, ``label`` (1, 0, or null for a near tie),
    ``ambiguous`` (its phrases name more than one object) and ``difficulty``. ``spatialtrust
    verify`` and ``eval`` read it.

    Raises
    ------
    InputError: ``n`` is not positive.
    FileError: the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     truth = write_dataset(folder, 2, seed=3)
    ...     print(sorted(path.name for path in truth.parent.iterdir()))
    ['clean-00000003.png', 'clean-00000004.png', 'truth.jsonl']
    """
    if n < 1:
        raise InputError(f"n is {n}; give the number of scenes, at least 1")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            replacing(folder / TRUTH) as unfinished,
            unfinished.open("w", encoding="utf-8") as file,
        ):
            for place in range(seed, seed + n):
                scene = sample_scene(place, difficulty, size, twins=twins)
                name = f"{difficulty}-{place:08d}.png"
                write_picture(scene, folder / name)
                for row in claim_rows(scene, name):
                    file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise FileError(folder, f"cannot be written ({error})", "give another folder") from error
    return folder / TRUTH


def claim_rows(scene: Scene, image: str) -> Iterator[dict[str, Any]]:
    """The rows of ``truth.jsonl`` about one scene."""
    for subject, relation, object_, truth in scene_truth(scene):
        first, second = scene.objects[subject], scene.objects[object_]
        yield {
            "image": image,
            "subject": first.phrase,
            "relation": relation,
            "object": second.phrase,
            "subject_box": list(first.box),
            "object_box": list(second.box),
            "width": scene.size,
            "height": scene.size,
            "label": None if truth is None else int(truth),
            "ambiguous": scene.ambiguous(subject) or scene.ambiguous(object_),
            "difficulty": scene.difficulty,
        }


def write_picture(scene: Scene, path: Path) -> None:
    """A PNG of a scene.

    Raises
    ------
    OSError: it was not written.
    """
    import cv2

    if not cv2.imwrite(str(path), render(scene)[..., ::-1]):
        raise OSError(f"{path.name} was not written")
