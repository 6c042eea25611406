"""A cache of embeddings on disk: memory-mapped, resumable, never mixing models.

::

    ROOT/
      NAME.parquet              the images: id, split, class or caption, digest of the bytes
      image-<address>/          one folder per model, revision and preprocessing
        manifest.json           what made these embeddings
        digests.bin             32 bytes per row: SHA-256 of the image's bytes
        embeddings.bin          float32 (rows, d), appended batch by batch
      text-<address>/           the same for texts; the digest is of the whole prompt

A row is found by the digest of its content, so the same image is embedded once whatever its name,
a changed file is embedded again, and two prompts cannot be taken for each other. A run that was
killed loses at most one batch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np

from spatialtrust.documents import read_object
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32
    from spatialtrust.backends.base import Embedder


FORMAT: Final = 1
DIGEST: Final = 32
MOST_COLUMNS: Final = 1 << 20
PIXELS: Final = "rgb uint8, upright, clear is white, deep is scaled"
"""What embedders are handed; part of the address, so that a change of it starts afresh."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what an embedding is, besides its content.

    >>> one, other = (Recipe("image", "clip:a", revision, 100.0, "rgb") for revision in "12")
    >>> one.address == other.address
    False
    """

    kind: Literal["image", "text"]
    model: str
    revision: str | None
    logit_scale: float
    preprocessing: str

    @classmethod
    def of(cls, embedder: Embedder, kind: Literal["image", "text"]) -> Self:
        """The recipe of a backend; what it adds to the pixels is pinned by its revision."""
        preprocessing = PIXELS if kind == "image" else "text as given"
        return cls(
            kind, embedder.reference, embedder.revision, float(embedder.logit_scale), preprocessing
        )

    @property
    def address(self) -> str:
        """Sixteen hex digits that no other recipe has."""
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Model and revision in one string."""
        return f"{self.model}@{self.revision}" if self.revision else self.model


class EmbeddingStore:
    """The rows of one recipe, held by one writer at a time.

    Raises
    ------
    FileError: the folder cannot be used, is in use, or holds something else.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with EmbeddingStore(root, Recipe("text", "toy", None, 100.0, "")) as store:
    ...         store.append([digest_of(b"a mug")], np.ones((1, 4), dtype=np.float32))
    ...     store.find([digest_of(b"a mug"), digest_of(b"a kettle")])
    array([ 0, -1])
    """

    def __init__(self, root: str | Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.path = Path(root) / f"{recipe.kind}-{recipe.address}"
        self._lock: int | None = None
        self._rows: dict[bytes, int] = {}
        self.dimension: int | None = None
        if (self.path / "manifest.json").exists():
            self._open()

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open a store by its folder."""
        store = cls(path.parent, _manifest(path)[0])
        if store.path != path:
            raise FileError(path, "was renamed: its address does not fit its manifest")
        return store

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._lock = os.open(self.path / ".lock", flags, 0o666)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise FileError(
                self.path, "is being written by another process", "wait until that has ended"
            ) from error
        except OSError as error:
            raise FileError(self.path, f"cannot be written ({error.strerror})") from error
        if (self.path / "manifest.json").exists():
            self._open()
            self._trim()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def find(self, digests: Iterable[bytes]) -> NDArray[np.int64]:
        """Row of each digest, -1 where it was not embedded yet."""
        return np.fromiter((self._rows.get(digest, -1) for digest in digests), dtype=np.int64)

    def append(self, digests: Sequence[bytes], embeddings: Float32) -> None:
        """Add rows; they survive whatever happens next.

        Embeddings reach the disk before their digests, and a row counts once both did.
        """
        if self._lock is None:
            raise InputError("open the store with `with` before appending to it")
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(digests):
            raise InputError(
                f"embeddings have shape {rows.shape} for {len(digests)} digests; give one row each"
            )
        if not np.isfinite(rows).all():
            raise InputError(f"{self.recipe.name} gave embeddings that are not finite")
        if self.dimension is None:
            self.dimension = rows.shape[1]
            manifest = {
                "format": FORMAT,
                "recipe": asdict(self.recipe),
                "dimension": self.dimension,
            }
            write_text(json.dumps(manifest, indent=2) + "\n", self.path / "manifest.json")
        elif rows.shape[1] != self.dimension:
            raise InputError(
                f"{self.recipe.name} gave {rows.shape[1]} columns where {self.dimension} are "
                f"cached: it changed without changing its revision; remove {self.path}"
            )
        for name, data in (("embeddings.bin", rows.tobytes()), ("digests.bin", b"".join(digests))):
            try:
                with (self.path / name).open("ab") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise FileError(
                    self.path / name,
                    f"cannot be written ({error.strerror})",
                    "make room and give the same command: what was embedded is kept",
                ) from error
        first = len(self._rows)
        self._rows.update({digest: first + place for place, digest in enumerate(digests)})

    @property
    def embeddings(self) -> Float32:
        """All rows (rows, d), memory-mapped, read only."""
        shape = (len(self._rows), self.dimension or 0)
        if not self._rows:
            return np.empty(shape, dtype=np.float32)
        return np.memmap(self.path / "embeddings.bin", dtype=np.float32, mode="r", shape=shape)

    def take(self, digests: Sequence[bytes]) -> Float32:
        """Rows in the order asked: a view of the map where they lie in a row, else a copy.

        Raises
        ------
        InputError: some were never embedded.
        """
        rows = self.find(digests)
        if (rows < 0).any():
            raise InputError(
                f"{int((rows < 0).sum())} of {len(rows)} {self.recipe.kind}s have no embedding by "
                f"{self.recipe.name}; embed them first (spatialtrust classify embed)"
            )
        if len(rows) and (np.diff(rows) == 1).all():
            return self.embeddings[rows[0] : rows[-1] + 1]
        return np.asarray(self.embeddings[rows])

    def _open(self) -> None:
        recipe, self.dimension = _manifest(self.path)
        if recipe != self.recipe:
            raise FileError(self.path, "holds embeddings of another model than its address says")
        digests = self._content("digests.bin")
        rows = min(len(digests) // DIGEST, self._size("embeddings.bin") // (4 * self.dimension))
        self._rows = {
            digests[start : start + DIGEST]: start // DIGEST
            for start in range(0, rows * DIGEST, DIGEST)
        }
        if len(self._rows) < rows:
            raise FileError(
                self.path / "digests.bin", "names an image twice", "remove its folder, and embed"
            )

    def _trim(self) -> None:
        """Drop what a killed run left of a row."""
        for name, width in (("digests.bin", DIGEST), ("embeddings.bin", 4 * (self.dimension or 0))):
            if self._size(name) > width * len(self._rows):
                os.truncate(self.path / name, width * len(self._rows))

    def _content(self, name: str) -> bytes:
        file = self.path / name
        return file.read_bytes() if file.exists() else b""

    def _size(self, name: str) -> int:
        file = self.path / name
        return file.stat().st_size if file.exists() else 0


def stores(root: str | Path, kind: Literal["image", "text"]) -> list[EmbeddingStore]:
    """All stores of a kind below a cache's root, in the order of their names."""
    folders = sorted(Path(root).glob(f"{kind}-*/manifest.json"))
    return [EmbeddingStore.at(file.parent) for file in folders]


def digest_of(content: bytes) -> bytes:
    """What a row is found by."""
    return hashlib.sha256(content).digest()


def embed_texts(
    root: str | Path, embedder: Embedder, texts: Sequence[str], *, batch_size: int = 256
) -> Float32:
    """Embeddings of texts (N, d), computed where they are not in the cache."""
    digests = [digest_of(text.encode()) for text in texts]
    with EmbeddingStore(root, Recipe.of(embedder, "text")) as store:
        text_of = dict(zip(digests, texts, strict=True))
        missing = [
            digest for digest, row in zip(text_of, store.find(text_of), strict=True) if row < 0
        ]
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            store.append(batch, embedder.embed_texts([text_of[digest] for digest in batch]))
    return store.take(digests)


def _manifest(path: Path) -> tuple[Recipe, int]:
    """What made the embeddings of a folder, and how long each is."""
    file = path / "manifest.json"
    try:
        manifest = read_object(file, 1 << 20)
        version, given = manifest["format"], manifest["recipe"]
        if version == FORMAT:
            recipe, dimension = Recipe(**given), manifest["dimension"]
            texts = (recipe.kind, recipe.model, recipe.preprocessing)
            if not all(isinstance(value, str) for value in texts):
                raise ValueError("its recipe holds a value of another type")
            if recipe.kind not in ("image", "text"):
                raise ValueError(f'its kind is "{recipe.kind:.40}"; valid: image, text')
            if not isinstance(dimension, int) or not 0 < dimension <= MOST_COLUMNS:
                raise ValueError(f"its dimension is {dimension!r:.40}")
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(file, f"cannot be read ({error})", "remove its folder") from error
    if version != FORMAT:
        raise FileError(file, f"has format {version}; this package reads {FORMAT}")
    return recipe, dimension
