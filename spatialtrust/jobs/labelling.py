"""Your own labels: which claims of a run to judge, and what was judged.

Half of the rows are drawn at random from all claims, and only these may certify a threshold; half
are those the model is least sure of, and only these may fit it. The two halves share no image.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.decision.certification import least_units, most_errors, upper_bound
from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.defaults import DELTA, TARGETS, TRUST_MODEL
from spatialtrust.errors import FileError, InputError, RowError
from spatialtrust.files import write_text
from spatialtrust.fusion.answer_weights import LEAST_ROWS
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph.files import picture_name
from spatialtrust.graph.formats import parse
from spatialtrust.jobs.label_sheet import COLUMNS, OF_GRAPH, read_sheet
from spatialtrust.language import sentence
from spatialtrust.reasons import bit, encode
from spatialtrust.run.folder import RunFolder
from spatialtrust.tables import Answers, Claims, Detections, Evidence, Images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.graph import SceneGraph

log: Final = logging.getLogger("spatialtrust")

ROWS: Final = 200
LABELS: Final = "labels.csv"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Claims of a run that a person judged, with what the run knows of them.

    Attributes
    ----------
    claims: with ``label``.
    evidence: of the same claims, in the same order.
    answers: a VLM's, where one was asked.
    purpose: (N,) ``certify``, ``fit`` or ``graph``.
    """

    claims: Claims
    evidence: Evidence
    answers: Answers | None
    purpose: tuple[str, ...]


def choose(
    claims: Claims,
    p_true: NDArray[np.float32],
    rows: int = ROWS,
    seed: int = 0,
    *,
    certify_only: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to certify with and rows to fit with, disjoint by image.

    Parameters
    ----------
    claims: all claims that will be judged later.
    p_true: (N,) of each; NaN: it cannot be judged by boxes, and is never chosen to fit.
    rows: how many together.
    certify_only: all of them are drawn at random, from all images.

    Returns
    -------
    Positions. The first are drawn uniformly from the claims of a random half of the images, so each
    claim has the same chance. The second are those nearest even odds in the other half, one of each
    image before a second of any.

    Raises
    ------
    InputError: there are fewer than two images with claims.
    """
    images = np.asarray(
        pc.index_in(claims.column("image_id"), pc.unique(claims.column("image_id")))
    )
    count = int(images.max(initial=-1)) + 1
    if certify_only:
        everything = np.random.default_rng(seed).permutation(len(images))
        return np.sort(everything[:rows]), everything[:0]
    if count < 2:
        raise InputError(
            f"the run has claims on {count} image; labels that certify and labels that fit must "
            "not share one, so give two or more images"
        )
    generator = np.random.default_rng(seed)
    half = np.zeros(count, dtype=np.bool_)
    half[generator.permutation(count)[: -(-count // 2)]] = True
    certifying = np.flatnonzero(half[images])
    certify = generator.permutation(certifying)[: rows // 2]
    unsure = np.abs(p_true.astype(np.float64) - 0.5)
    fitting = np.flatnonzero(~half[images] & np.isfinite(unsure))
    order = fitting[np.lexsort((fitting, unsure[fitting], images[fitting]))]
    turn = np.arange(len(order)) - np.searchsorted(images[order], images[order])
    fit = order[np.lexsort((order, unsure[order], turn))][: rows - len(certify)]
    return np.sort(certify), np.sort(fit)


def write_labels(
    run: str | Path,
    out: str | Path | None = None,
    rows: int = ROWS,
    seed: int = 0,
    *,
    certify_only: bool = False,
    images: int | None = None,
    accuracies: Sequence[float] = TARGETS,
    delta: float = DELTA,
) -> dict[str, Any]:
    """Write a CSV of claims to judge, and a picture of each; and say what they can promise.

    What the model thinks of a claim is not in it, so that it cannot sway who judges.

    Parameters
    ----------
    run: folder of a run with scores.
    out: the CSV; None: ``labels.csv`` in the run. One that exists is not overwritten.
    certify_only: see :func:`choose`.
    images: judge whole images instead: every edge of the repaired graphs of so many, drawn at
        random among those that have edges.
    accuracies, delta: guarantees of which is said whether these labels can support them.

    Returns
    -------
    ``out``; ``certify`` and ``fit``, the rows of each purpose; and what :func:`prospects` says.

    Raises
    ------
    FileError: another CSV stands there already, or one with labels; or it cannot be written.
    InputError: the run has no scores yet, or an accuracy or delta is no share.
    """
    for name, value in [*(("accuracy", share) for share in accuracies), ("delta", delta)]:
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}; give a share between 0 and 1, such as 0.9")
    with RunFolder(run) as folder:
        folder.require(["images", "detections", "claims", "scores"])
        target = Path(out) if out is not None else folder.path / LABELS
        claims = Claims.from_arrow(folder.whole("claims")).sorted()
        if images is not None:
            certify, fit = _whole(folder, claims, images, seed), np.zeros(0, dtype=np.int64)
            held, can_certify = images, certify
        else:
            scores = Evidence.from_arrow(folder.whole("scores")).sorted()
            if scores.column("claim_id") != claims.column("claim_id"):
                raise InputError(f"{folder.path}: its scores are not those of its claims; "
                                 f"run: spatialtrust fuse {folder.path}")  # fmt: skip
            fresh = np.flatnonzero(~_seen(folder, claims))
            if not fresh.size:
                raise InputError(
                    f"{folder.path}: the trust model was fitted on every image of the run, so no "
                    "label of them certifies; run it on other images"
                )
            held = _image_count(claims, fresh)
            p_true = scores.numbers("p_true")[fresh]
            certify, fit = (
                fresh[places]
                for places in choose(
                    claims.take(fresh), p_true, rows, seed, certify_only=certify_only
                )
            )
            can_certify = certify[_judged_by_boxes(scores)[certify]]
        chosen = np.concatenate([certify, fit])
        random = "certify" if images is None else OF_GRAPH
        purposes = [random] * len(certify) + ["fit"] * len(fit)
        told = prospects(_image_count(claims, can_certify), accuracies, delta)
        if images is None:
            seen = _image_count(claims, np.arange(len(claims))) - held
            told["notes"] += [
                *([f"{seen} images are left out: the trust model was fitted on them"] * bool(seen)),
                f"fit also needs at least {LEAST_ROWS // 2} rows judged true and as many judged "
                "false among those that certify",
            ]
        if certify_only and told["certifying_images"] < held:
            told["notes"].append(
                f"{held - told['certifying_images']} images have no row among those drawn (crowded "
                "images have most); more --rows bring in more of them"
            )
        if len(fit):
            told["notes"].append(
                f"half of the images only fit; --certify-only lets all {held} images certify"
            )
        asked = claims.take(chosen)
        _check_target(target, asked.strings("claim_id"))
        listed = _listed(folder, asked, purposes)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    write_text(text.getvalue(), target)
    counts = {"out": str(target), "certify": len(certify), "fit": len(fit)}
    return {**counts, "images_to_judge": held, **told}


def prospects(images: int, accuracies: Sequence[float], delta: float) -> dict[str, Any]:
    """What labels on so many images can certify at best, before anyone judges them.

    At best: every image has an answer that is confident enough to be accepted. A certificate counts
    images, not rows: of each one accepted claim is drawn (:func:`spatialtrust.decision.
    certification.certify`).

    Parameters
    ----------
    images: that certify.
    accuracies, delta: the guarantees to ask about.

    Returns
    -------
    ``certifying_images``; ``best_accuracy``, certified if none of them is wrong; ``guarantees``,
    for each accuracy ``mistakes`` (images that may be wrong; None: out of reach), ``images_needed``
    without a mistake, and ``more_images``; ``notes``, the same in sentences.

    >>> found = prospects(24, [0.9, 0.95], 0.1)
    >>> [(g["accuracy"], g["mistakes"], g["more_images"]) for g in found["guarantees"]]
    [(0.9, 0, 0), (0.95, None, 21)]
    """
    best = 1 - float(upper_bound(0, images, delta)) if images else 0.0
    guarantees, said = [], []
    for accuracy in accuracies:
        most = int(most_errors(images, 1 - accuracy, delta)) if images else -1
        needed = least_units(1 - accuracy, delta)
        guarantees.append(
            {
                "accuracy": accuracy,
                "delta": delta,
                "mistakes": most if most >= 0 else None,
                "images_needed": needed,
                "more_images": max(needed - images, 0),
            }
        )
        if most >= 0:
            said.append(f"{accuracy:.0%} with at most {most} of {images} images wrong")
        else:
            said.append(f"{accuracy:.0%} is out of reach: it needs {needed - images} more images")
    notes = [
        f"{images} images certify; at best (no mistake, every image covered) they certify "
        f"{best:.1%} accuracy at delta {delta:g}",
        f"at delta {delta:g}: {'; '.join(said)}",
    ]
    return {
        "certifying_images": images,
        "best_accuracy": round(best, 4),
        "guarantees": guarantees,
        "notes": notes,
    }


def _seen(folder: RunFolder, claims: Claims) -> NDArray[np.bool_]:
    """(N,) claims on images that the models were fitted on which ``fit`` may start from."""
    scores = folder.settings("scores")
    fused = str(scores["made_with"]["model"]) if scores else TRUST_MODEL
    known: set[str] = set()
    for name in {TRUST_MODEL, fused}:
        try:
            known |= TrustModel.load(name).images
        except FileError as error:
            log.warning("%s; whether it was fitted on these images is not known", error)
    owners = claims.column("image_id").combine_chunks().dictionary_encode()
    seen = np.array([code in known for code in image_hashes(owners.dictionary.to_pylist())], bool)
    return np.asarray(seen[owners.indices.to_numpy()], dtype=np.bool_)


def _judged_by_boxes(scores: Evidence) -> NDArray[np.bool_]:
    """(N,) claims of which a fitted model can say how likely they are: their boxes are known.

    What only a reading keeps from a probability a fitted model judges, see
    :mod:`spatialtrust.evidence.readings`.
    """
    unread = np.uint32(bit("picture_only") | bit("needs_depth"))
    masks = encode(scores.column("reasons"))
    return np.asarray(np.isfinite(scores.numbers("p_true")) | ((masks & unread) > 0))


def _image_count(claims: Claims, rows: NDArray[np.int64]) -> int:
    return int(pc.count_distinct(claims.take(rows).column("image_id")).as_py())


def repaired_graphs(folder: RunFolder) -> tuple[float, list[SceneGraph]]:
    """The repaired graphs of a run's images, and the plain threshold they were repaired at.

    Raises
    ------
    InputError: the run has no graphs, or they were not decided by a plain threshold.
    """
    folder.require(["scenes"])
    texts = folder.whole("scenes")["graph"].drop_null().to_pylist()
    graphs = [parse(text, "json", str(folder.path / "scenes")) for text in texts]
    rules = {graph.rule.threshold for graph in graphs if isinstance(graph.rule, DecisionRule)}
    threshold = next(iter(rules), None)
    if threshold is None or any(graph.rule.certified for graph in graphs):
        raise InputError(
            f"{folder.path}: graphs that certify are decided by a plain threshold first; run: "
            f"spatialtrust decide {folder.path} --min-confidence 0.8, and link"
        )
    return threshold, [graph.repair_at(threshold) for graph in graphs]


def _whole(folder: RunFolder, claims: Claims, images: int, seed: int) -> NDArray[np.int64]:
    """The claims behind all edges of so many images, drawn at random."""
    graphs = [graph for graph in repaired_graphs(folder)[1] if graph.kept.any()]
    if len(graphs) < images:
        raise InputError(f"{folder.path}: {len(graphs)} images have edges; ask for at most so many")
    drawn = np.random.default_rng(seed).permutation(len(graphs))[:images]
    keys = [key for place in drawn for key in graphs[place].edges["claim_id"].to_pylist()]
    places = pc.index_in(claims.column("claim_id"), value_set=pa.array(keys, pa.string()))
    return np.flatnonzero(places.is_valid().to_numpy())


def read_labels(run: str | Path, labels: str | Path | None = None) -> Labelled:
    """The labels of a run's claims, with the evidence that the run has of them.

    Parameters
    ----------
    run: run folder.
    labels: the CSV; None: ``labels.csv`` in the run. Rows without a label are passed over.

    Raises
    ------
    FileError: there is no such file, or no row of it has a label.
    ColumnError: a column is missing.
    RowError: a label or purpose is not valid, or the run has no such claim.
    """
    with RunFolder(run) as folder:
        folder.require(["claims", "evidence"])
        source = Path(labels) if labels is not None else folder.path / LABELS
        judged = _judged(source)
        keys = pa.array([row[0] for row in judged], pa.string())
        claims = folder.whole("claims")
        places = pc.index_in(keys, value_set=claims["claim_id"].combine_chunks())
        if places.null_count:
            row = int(pc.index(pc.is_null(places), True).as_py())
            raise RowError(source, judged[row][3], "claim_id", f'"{judged[row][0]}" is not a claim '
                           f"of {folder.path}")  # fmt: skip
        found = Claims.from_arrow(claims.take(places))
        found = found.with_columns({"label": pa.array([row[1] for row in judged], pa.int8())})
        evidence = folder.whole("evidence")
        rows = pc.index_in(keys, value_set=evidence["claim_id"].combine_chunks())
        answers = folder.whole("answers") if folder.parts("answers") else None
        if answers is not None:
            answers = answers.filter(pc.is_in(answers["claim_id"], value_set=keys))
    return Labelled(
        found,
        Evidence.from_arrow(evidence.take(rows)),
        None if answers is None else Answers.from_arrow(answers),
        tuple(row[2] for row in judged),
    )


def _judged(source: Path) -> list[tuple[str, int, str, int]]:
    """(claim_id, label, purpose, line) of each row with a label."""
    sheet = read_sheet(source)
    labels = sheet.labels()
    keyed = zip(sheet.column("claim_id"), sheet.column("purpose"), sheet.lines, strict=True)
    rows = [(key, labels[key], purpose, line) for key, purpose, line in keyed if key in labels]
    if not rows:
        raise FileError(source, "has no label yet", "fill the column label with 1 and 0")
    return rows


def _check_target(target: Path, claim_ids: list[str | None]) -> None:
    """Refuse to write over a sheet, but for the same one that nobody has judged on yet."""
    if not target.exists():
        return
    try:
        held = read_sheet(target)
        same = held.column("claim_id") == claim_ids and not held.labels()
    except InputError:
        same = False
    if not same:
        raise FileError(target, "exists, and may hold labels", "give another --out, or move it")


def _listed(folder: RunFolder, claims: Claims, purposes: list[str]) -> list[dict[str, Any]]:
    """The rows of the CSV, their pictures drawn."""
    from spatialtrust.claims.grounding import ground

    detections = Detections.from_arrow(folder.whole("detections"))
    images = Images.from_arrow(folder.whole("images"))
    grounding = ground(claims, detections, images)
    uris = dict(zip(images.strings("image_id"), images.strings("uri"), strict=True))
    listed = []
    for number, row in enumerate(claims.data.to_pylist()):
        boxes = (grounding.subject_box[number], grounding.object_box[number])
        caption = row["text"]
        if caption is None and None not in (row["subject"], row["relation"], row["object"]):
            caption = sentence(row["subject"], row["relation"], row["object"])
        width, height = grounding.image_size[number]
        name = f"labels/{picture_name(row['claim_id'])}"
        drawn = _picture(uris.get(row["image_id"]), boxes, row, folder.path / name)
        listed.append(
            {
                "claim_id": row["claim_id"],
                "image": row["image_id"],
                "caption": caption,
                "label": "",
                "purpose": purposes[number],
                "subject": row["subject"],
                "relation": row["relation"],
                "object": row["object"],
                "subject_box": _box(boxes[0]),
                "object_box": _box(boxes[1]),
                "width": "" if np.isnan(width) else int(width),
                "height": "" if np.isnan(height) else int(height),
                "picture": name if drawn else "",
            }
        )
    return listed


def _picture(uri: str | None, boxes: tuple[Any, Any], claim: dict[str, Any], target: Path) -> bool:
    """The image with the claim's two objects and an arrow; False where that cannot be drawn."""
    from spatialtrust.files import write_bytes
    from spatialtrust.graph.drawing import draw_claim, encode
    from spatialtrust.io.images import read_image

    if uri is None or np.isnan(np.concatenate(boxes)).any():
        return False
    try:
        pixels = read_image(uri)
    except FileError:
        return False
    said = (str(claim["subject"]), str(claim["relation"]), str(claim["object"]))
    write_bytes(encode(draw_claim(pixels, boxes, said)), target)
    return True


def _box(box: NDArray[np.float32]) -> str:
    return "" if np.isnan(box).any() else json.dumps([round(float(value), 2) for value in box])
