"""Embedded data sets: which images there are, what they show, and their embeddings by any model."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.classify.embedding_store import (
    EmbeddingStore,
    Recipe,
    digest_of,
    embed_texts,
    stores,
)
from spatialtrust.classify.image_set import EmbeddedImages
from spatialtrust.documents import loads
from spatialtrust.errors import FileError, InputError
from spatialtrust.io.images import decode
from spatialtrust.io.parquet import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.backends.base import Embedder
    from spatialtrust.classify.labelled_images import LabelledImage


TEMPLATE: Final = "a photo of a {}."
SCHEMA: Final = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("class_name", pa.string()),
        ("caption", pa.string()),
        ("digest", pa.binary(32)),
        ("status", pa.string()),
    ]
)
_HELD: Final = 1 << 28
"""Bytes of decoded images that are held until they are embedded."""
_FACTS: Final = b"spatialtrust.embedded"


def embed_images(
    root: str | Path,
    embedder: Embedder,
    source: Iterable[LabelledImage],
    *,
    name: str = "images",
    classes: Sequence[str] | None = None,
    template: str = TEMPLATE,
    images_only: bool = False,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> pa.Table:
    """Embed images, their class prompts and captions; what is cached already is not embedded again.

    Parameters
    ----------
    root: the cache's folder. name: of the data set, as several share a cache.
    classes: names in the order of their indices; by default those met, sorted.
    template: prompt with ``{}`` for the class name; underscores in names become spaces.
    images_only: for a second image encoder, which has no texts.
    progress: called with images seen and images embedded anew.

    Returns
    -------
    the data set's table, written to ``ROOT/NAME.parquet``; an image that cannot be read keeps its
    row, says why in ``status`` and has no digest.

    Raises
    ------
    InputError: for a class that is not among ``classes`` or a template without ``{}``.
    """
    if template.count("{}") != 1:
        raise InputError(f'template "{template}" must hold {{}} once, for the class name')
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f'name "{name}" is no plain file name; use letters, digits, "-" and "_"')
    columns: dict[str, list[Any]] = {field: [] for field in SCHEMA.names}
    with EmbeddingStore(root, Recipe.of(embedder, "image")) as store:
        pending: dict[bytes, NDArray[np.uint8]] = {}

        def flush() -> None:
            if pending:
                store.append(list(pending), embedder.embed_images(list(pending.values())))
                pending.clear()

        before = len(store)
        for seen, item in enumerate(source, start=1):
            digest, status = None, "ok"
            try:
                content = item.read()
                digest = digest_of(content)
                if digest not in pending and store.find([digest])[0] < 0:
                    pending[digest] = decode(content, item.image_id)
            except (OSError, ValueError) as error:
                told = str(error).removeprefix(f"{item.image_id}: ")
                digest, status = None, f"unreadable: {told}"
            row = (item.image_id, item.split, item.class_name, item.caption, digest, status)
            for field, value in zip(columns, row, strict=True):
                columns[field].append(value)
            if len(pending) >= batch_size or sum(p.nbytes for p in pending.values()) > _HELD:
                flush()
            if progress is not None:
                progress(seen, len(store) - before + len(pending))
        flush()
    table = pa.table(columns, schema=SCHEMA)
    found = sorted({value for value in columns["class_name"] if value is not None})
    if classes is not None and (unknown := sorted(set(found) - set(classes))):
        raise InputError(
            f'class "{unknown[0]}" of the images is not among the {len(classes)} classes given; '
            "add it, or correct the images' classes"
        )
    facts = {"classes": list(classes or found), "template": template}
    if not images_only:
        captions = [caption for caption in columns["caption"] if caption is not None]
        embed_texts(root, embedder, prompts(facts) + captions)
    table = table.replace_schema_metadata({_FACTS: json.dumps(facts).encode()})
    write_table(table, Path(root) / f"{name}.parquet")
    return table


def load_embedded(
    root: str | Path,
    *,
    name: str = "images",
    model: str | None = None,
    auxiliary: str | None = None,
) -> dict[str, EmbeddedImages]:
    """A data set's splits, memory-mapped where their rows lie together.

    Parameters
    ----------
    model: the embedder's reference; needed where the cache holds several models.
    auxiliary: reference of a second image encoder.

    Returns
    -------
    split name to images; unreadable images are left out.

    Raises
    ------
    InputError: the model has not embedded these images.
    """
    path = Path(root) / f"{name}.parquet"
    if not path.exists():
        raise FileError(path, "does not exist", "make it with spatialtrust classify embed")
    table = read_table(path)
    facts = loads((table.schema.metadata or {}).get(_FACTS, b"null"))
    if facts is None:
        raise FileError(path, "was not written by spatialtrust classify embed")
    table = table.filter(pc.equal(table["status"], "ok"))
    images = _store(root, "image", model)
    texts = _store(root, "text", images.recipe.name)
    second = _store(root, "image", auxiliary) if auxiliary else None
    class_texts = texts.take([digest_of(prompt.encode()) for prompt in prompts(facts)])
    number = {label: place for place, label in enumerate(facts["classes"])}
    splits = {}
    for split in pc.unique(table["split"]).to_pylist():
        part = table.filter(pc.equal(table["split"], split))
        digests = part["digest"].to_pylist()
        captions = part["caption"].to_pylist()
        splits[split or "all"] = EmbeddedImages(
            images=images.take(digests),
            texts=class_texts,
            labels=np.array(
                [number.get(label, -1) for label in part["class_name"].to_pylist()], dtype=np.int64
            ),
            class_names=tuple(facts["classes"]),
            image_ids=part["image_id"].to_numpy(zero_copy_only=False),
            digests=np.array(digests, dtype=object),
            model=images.recipe.name,
            logit_scale=images.recipe.logit_scale,
            captions=None
            if None in captions
            else texts.take([digest_of(caption.encode()) for caption in captions]),
            auxiliary=None if second is None else second.take(digests),
            auxiliary_model=None if second is None else second.recipe.name,
        )
    warn_of_duplicates(splits)
    return splits


def prompts(facts: dict[str, Any]) -> list[str]:
    """The texts that stand for a data set's classes."""
    return [facts["template"].format(name.replace("_", " ")) for name in facts["classes"]]


def warn_of_duplicates(splits: dict[str, EmbeddedImages]) -> int:
    """Warn of images that are in several splits, which makes every method look better.

    Returns
    -------
    how many different images that are.
    """
    where: Counter[bytes] = Counter()
    for part in splits.values():
        where.update(set(part.digests))
    shared = sum(count > 1 for count in where.values())
    if shared:
        warnings.warn(
            f"{shared} images are in more than one of the splits {', '.join(splits)}; results on "
            "them are too good: remove the duplicates",
            stacklevel=2,
        )
    return shared


def _store(root: str | Path, kind: Any, model: str | None) -> EmbeddingStore:
    known = stores(root, kind)
    fitting = [store for store in known if model in (None, store.recipe.model, store.recipe.name)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(store.recipe.name for store in known) or "none"
    if not fitting:
        raise InputError(
            f"{root}: holds no {kind} embeddings of {model or 'any model'}; models here: {names}"
        )
    raise InputError(f"{root}: holds embeddings of several models ({names}); name one of them")
