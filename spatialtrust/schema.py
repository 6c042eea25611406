"""Arrow schemas of every table that crosses a boundary: names, types, units, what null means.

Tables may carry further columns of the user's own; these are kept and come last.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

VERSION: Final = 1
"""Schema version written into every table's and artifact's metadata."""

REASONS: Final = pa.list_(pa.dictionary(pa.int8(), pa.string()))


def _field(name: str, kind: pa.DataType, about: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"about": about})


def _schema(name: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(
        fields, metadata={"spatialtrust.table": name, "spatialtrust.schema": str(VERSION)}
    )


IMAGES: Final = _schema(
    "images",
    _field("image_id", pa.string(), "POSIX path relative to the given root", required=True),
    _field("uri", pa.string(), "where the pixels are"),
    _field("width", pa.int32(), "pixels"),
    _field("height", pa.int32(), "pixels"),
    _field("sha256", pa.string(), "hash of the file's bytes"),
    _field("status", pa.string(), "ok, or why the image could not be read"),
)

CLAIMS: Final = _schema(
    "claims",
    _field("claim_id", pa.string(), "unique; default: zero-padded row number", required=True),
    _field("image_id", pa.string(), "the image the claim is about", required=True),
    _field("subject", pa.string(), "phrase"),
    _field("relation", pa.string(), "canonical name; null where unknown"),
    _field("object", pa.string(), "phrase"),
    _field("subject_id", pa.string(), "which detection, where known"),
    _field("object_id", pa.string(), "which detection, where known"),
    _field("text", pa.string(), "the claim as it was given"),
    _field("source", pa.string(), "enumerated, user, or the data set's name"),
    _field("label", pa.int8(), "1: a person calls it true, 0: false, null: not labelled"),
)

ANSWERS: Final = _schema(
    "answers",
    _field("claim_id", pa.string(), "the claim asked about", required=True),
    _field("model", pa.string(), "backend reference", required=True),
    _field("view", pa.string(), "plain, mirror, crop, noise-N", required=True),
    _field("form", pa.string(), "claim, converse, opposite, swapped", required=True),
    _field("prompt_id", pa.string(), "which wording of the question", required=True),
    _field("answer", pa.string(), "yes, no, unparsed"),
    _field("p_yes", pa.float32(), "probability of yes against no, [0,1]"),
    _field("margin", pa.float32(), "logit of yes minus logit of no"),
    _field("entropy", pa.float32(), "entropy of the reply's first token, nats"),
    _field("loglik_per_token", pa.float32(), "mean log-likelihood of the claim's tokens, nats"),
    _field("similarity", pa.float32(), "cosine of image and claim, [-1,1]"),
    _field("stated_confidence", pa.float32(), "what the VLM says its confidence is, [0,1]"),
    _field("status", pa.string(), "ok, or why there is no answer"),
)

DETECTIONS: Final = _schema(
    "detections",
    _field("image_id", pa.string(), "the image", required=True),
    _field("object_id", pa.string(), "unique within the image", required=True),
    _field("phrase", pa.string(), "what was looked for", required=True),
    _field("x1", pa.float32(), "left edge, pixels"),
    _field("y1", pa.float32(), "top edge, pixels, y down"),
    _field("x2", pa.float32(), "right edge, pixels"),
    _field("y2", pa.float32(), "bottom edge, pixels"),
    _field("score", pa.float32(), "detector score [0,1]; NaN for given boxes"),
    _field("rank", pa.int32(), "0: best box of its phrase in the image"),
    _field("model", pa.string(), "backend reference"),
    _field("status", pa.string(), "ok, or why there is no box"),
)

EVIDENCE: Final = _schema(
    "evidence",
    _field("claim_id", pa.string(), "the claim", required=True),
    _field("reasons", REASONS, "why features are NaN"),
)
"""The fixed columns; the feature columns (float32, NaN: unknown) follow, see ``evidence.py``."""

VERDICTS: Final = _schema(
    "verdicts",
    _field("claim_id", pa.string(), "the claim", required=True),
    _field("asserted", pa.string(), "yes or no: what would be emitted unchecked; null: unparsed"),
    _field("emitted", pa.string(), "yes or no: what goes out; null: abstained"),
    _field("p_true", pa.float32(), "calibrated P(a person calls the claim true)"),
    _field("p_boxes", pa.float32(), "the same from boxes alone"),
    _field("confidence", pa.float32(), "P(emitted is right); on abstain P(asserted is right)"),
    _field("decision", pa.string(), "accept, correct, abstain"),
    _field("reasons", REASONS, "codes, see reasons.py"),
    _field("meaning", pa.string(), "in space, in the picture; null: as written, or not told"),
)

SCORES: Final = _schema(
    "evidence",
    *EVIDENCE,
    _field("p_true", pa.float32(), "calibrated P(a person calls the claim true)"),
    _field("p_boxes", pa.float32(), "the same from boxes alone"),
    _field("meaning", pa.string(), "in space, in the picture; null: as written, or not told"),
)
"""What the evidence of a run's claims was fused to."""

SCENES: Final = _schema(
    "scenes",
    _field("image_id", pa.string(), "the image"),
    _field("status", pa.string(), "ok, or why there is no graph"),
    _field("objects", pa.int32(), "boxes of the image"),
    _field("unpaired", pa.int32(), "objects no claim is about"),
    _field("candidates", pa.int32(), "claims that could be edges"),
    _field("edges", pa.int32(), "edges shown"),
    _field("implied", pa.int32(), "edges believed and left out: others imply them"),
    _field("far", pa.int32(), "edges believed and left out: of things far apart"),
    _field("share_kept", pa.float64(), "edges believed, of the candidates"),
    _field("labelled", pa.int32(), "candidates with a label"),
    _field("precision", pa.float64(), "labelled edges that are true"),
    _field("recall", pa.float64(), "true candidates that are edges"),
    _field("graph", pa.string(), "node-link JSON, with the edges that were left out"),
)
"""One row per image of a run."""

TABLES: Final = {
    "images": IMAGES, "detections": DETECTIONS, "claims": CLAIMS, "answers": ANSWERS,
    "evidence": EVIDENCE, "scores": SCORES,
    "verdicts": pa.schema([*VERDICTS, *(field for field in CLAIMS if field.name != "claim_id")]),
    "scenes": SCENES,
}  # fmt: skip
"""Tables of a run folder, in the order in which a run makes them; further columns may follow."""
