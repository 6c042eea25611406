"""The main job on rendered scenes with known truth, and every way to trust it side by side.

What ``spatialtrust demo`` does, and what the trust models of the tabletop's askers are fitted
through: pictures are written, claims about them are drawn, half of them true, and the stages of
``spatialtrust graph`` run with live models. Figures are about a small rendered world and tiny
models: they show that the parts fit together, not how photographs do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.tabletop import DIFFICULTIES, PHRASES, sample_scene
from spatialtrust.backends.tabletop.claims import even_claims
from spatialtrust.backends.tabletop.dataset import write_picture
from spatialtrust.backends.tabletop.furnished import furnished_scene
from spatialtrust.backends.tabletop.labels import ENUMERATED, label_claims
from spatialtrust.decision.rule import decide
from spatialtrust.defaults import DELTA
from spatialtrust.errors import FileError
from spatialtrust.evaluation.by_relation import by_relation
from spatialtrust.evaluation.ways import Exam, compare, ways
from spatialtrust.files import write_text
from spatialtrust.fusion.base_method import BaseMethod
from spatialtrust.fusion.model import TrustModel
from spatialtrust.run.config import SHIPPED_FOR, RunConfig
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import STAGES, execute, prepare
from spatialtrust.tables import Answers, Claims, Detections, Evidence, Fused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from spatialtrust.backends.tabletop import Scene

ASKERS: Final = ("tabletop:blip2", "tabletop:clip")
SIGNALS: Final = ("answer", "paraphrases")
"""Asked of every claim; the text baseline needs the paraphrases."""

FIRST_SEED: Final = 700_000
"""Of the scenes that are judged: nothing was trained on, fitted to or chosen by them."""

CLAIMS: Final = 2
"""True and as many false ones of each relation, at most, of a scene."""

_CLAIMS_STREAM: Final = 11
ACCURACY: Final = 0.95


def demo(
    out: Path,
    *,
    scenes: int,
    resamples: int,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Any]:
    """Scene graphs of fresh scenes by both askers, and how far each way to trust them goes.

    Parameters
    ----------
    out: gets ``scenes/``, a run folder per asker and ``demo.json``; what is there of the same
        scenes is kept.
    scenes: how many, of all difficulties in turn.
    resamples: of the bootstrap by image.
    progress: called with the asker and the number of images that are done.

    Returns
    -------
    Per asker the figures of :func:`spatialtrust.evaluation.ways.compare`, ``by_relation`` those of
    :func:`spatialtrust.evaluation.by_relation.by_relation`, and ``certified``: what a threshold
    promised, and what came of it on these scenes.
    """
    drawn = draw_scenes(scenes, FIRST_SEED)
    write_pictures(drawn, out / "scenes")
    found: dict[str, Any] = {}
    for asker in ASKERS:
        exam = examine(asker, drawn, out, STAGES, progress)
        model = TrustModel.load(SHIPPED_FOR[asker])
        fused = model.predict(exam.features)
        base = BaseMethod.load(model.name).score(exam.features)
        compared = ways(exam, fused.p_true, fused.p_boxes, base)
        found[asker] = {
            **compare(exam, compared, resamples=resamples),
            "by_relation": by_relation(exam, compared, resamples=resamples),
            "certified": _certified(model, exam, fused),
            "curves": {name: way.curve(exam.label) for name, way in compared.items()},
        }
    write_text(json.dumps(found, indent=1) + "\n", out / "demo.json")
    return found


def draw_scenes(count: int, first_seed: int) -> dict[str, Scene]:
    """``image_id`` to scene, difficulties in turn.

    >>> list(draw_scenes(2, 0))
    ['clean-00000000.png', 'occluded-00000001.png']
    """
    kinds = [DIFFICULTIES[place % len(DIFFICULTIES)] for place in range(count)]
    return {
        f"{kind}-{seed:08d}.png": sample_scene(seed, kind)
        for seed, kind in enumerate(kinds, first_seed)
    }


def mixed_scenes(count: int, first_seed: int) -> dict[str, Scene]:
    """The same, half of them furnished with things that contain and support.

    >>> list(mixed_scenes(2, 0))
    ['clean-00000000.png', 'furnished-0']
    """
    half = count // 2
    furnished = range(first_seed, first_seed + count - half)
    return draw_scenes(half, first_seed) | {
        f"furnished-{seed}": furnished_scene(seed) for seed in furnished
    }


def claims_about(scenes: Mapping[str, Scene]) -> Claims:
    """Labelled claims, as many true as false of every relation; the same for the same scenes.

    >>> float(claims_about(draw_scenes(3, 0)).numbers("label").mean())
    0.5
    """
    rows: list[dict[str, Any]] = []
    for image_id, scene in scenes.items():
        generator = np.random.default_rng((scene.seed, _CLAIMS_STREAM))
        for (subject, relation, other), label in even_claims(generator, scene, CLAIMS):
            rows.append(
                {
                    "claim_id": f"{image_id}#{len(rows):06d}",
                    "image_id": image_id,
                    "subject": subject,
                    "relation": relation,
                    "object": other,
                    "source": "tabletop",
                    "label": int(label),
                }
            )
    return Claims.from_rows(rows)


def write_pictures(scenes: Mapping[str, Scene], folder: Path) -> None:
    """A PNG of every scene.

    Raises
    ------
    FileError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image_id, scene in scenes.items():
            write_picture(scene, folder / image_id)
    except OSError as error:
        raise FileError(folder, f"cannot be written ({error})", "give another folder") from error


def examine(
    asker: str,
    scenes: Mapping[str, Scene],
    out: Path,
    stages: Sequence[str],
    progress: Callable[[str, int], None] | None = None,
    *,
    vocabulary: bool = False,
) -> Exam:
    """Some stages of a run on the pictures in ``out/scenes``, and the claims it judged.

    Parameters
    ----------
    stages: names of ``jobs.STAGES``, ``gather`` among them.
    vocabulary: look for every phrase of the world and claim things of all pairs that are found,
        also where nothing is; else :func:`claims_about` the scenes are made.
    """
    config = RunConfig(
        detector="tabletop:grounding-dino",
        asker=asker,
        objects=PHRASES if vocabulary else (),
        relations=ENUMERATED,
        signals=SIGNALS,
        formats=("json",),
        device="cpu",
    )
    folder = out / asker.replace(":", "-")
    pictures = [out / "scenes" / name for name in scenes]
    job = prepare(config, folder, pictures, None if vocabulary else claims_about(scenes))
    report = None if progress is None else lambda count: progress(asker, count)
    execute(job, stages, progress=report, remake=True)
    return exam_of(folder, scenes if vocabulary else None)


def exam_of(folder: Path, scenes: Mapping[str, Scene] | None = None) -> Exam:
    """The labelled and answered claims of a run folder; labelled from the scenes where given."""
    with RunFolder(folder) as run:
        claims = Claims.from_arrow(run.whole("claims"))
        if scenes is not None:
            claims = label_claims(claims, Detections.from_arrow(run.whole("detections")), scenes)
        return Exam.of(
            claims,
            Evidence.from_arrow(run.whole("evidence")),
            Answers.from_arrow(run.whole("answers")),
        )


def _certified(model: TrustModel, exam: Exam, fused: Fused) -> dict[str, Any]:
    """What a certified threshold emits here, and how much of it is right."""
    rule = model.rule(accuracy=ACCURACY, delta=DELTA)
    emitted = decide(fused.usable, exam.features.answer, rule).emitted
    out = emitted >= 0
    right = (emitted == exam.label)[out]
    return {
        "promise": str(rule),
        "coverage": float(out.mean()),
        "accuracy": float(right.mean()) if out.any() else None,
    }
