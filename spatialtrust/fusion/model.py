"""The trust model: evidence to one calibrated probability that a claim is true.

What it computes: :mod:`spatialtrust.fusion.layers`; who learns from which images:
:mod:`spatialtrust.fusion.fitting`; what may certify: :mod:`spatialtrust.decision.certifying_rows`.

>>> from spatialtrust.evidence.gathering import gather
>>> from spatialtrust.tables import Claims, Grounding
>>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": "mug",
...                             "relation": "left of", "object": "kettle"}])
>>> boxes = Grounding.from_boxes([[0.1, 0.4, 0.2, 0.5]], [[0.5, 0.3, 0.7, 0.5]], [[1, 1]])
>>> bool(TrustModel.load("vsr-boxes").predict(gather(claims, boxes)).p_true[0] > 0.8)
True
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.arrays import Scratch
from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.defaults import TRUST_MODEL
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.evidence.columns import Features
from spatialtrust.fusion import model_file
from spatialtrust.fusion.card import model_card
from spatialtrust.fusion.explanation import by_family, explain
from spatialtrust.fusion.fitting import certify_only, fit
from spatialtrust.fusion.multilevel import reading_order
from spatialtrust.fusion.pairs import CALIBRATED
from spatialtrust.tables import Fused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    from spatialtrust.decision.certifying_rows import CertifyingRows
    from spatialtrust.decision.commit_gate import Gate
    from spatialtrust.decision.rule import Kind, Unit
    from spatialtrust.evidence.gathering import Inputs
    from spatialtrust.fusion.layers import Layers
    from spatialtrust.tables import Claims, Evidence

ANSWERS_UNUSED: Final = (
    "the VLM's answers carry no weight yet: this model has only seen boxes; fit it to your VLM "
    "with about 200 labelled rows (spatialtrust fit)"
)
"""What to say where a VLM was asked and the model does not use its answers."""

_PIECE: Final = 131_072
"""Claims of a piece: in shorter ones threads hand Python to each other more than they compute."""
_unused: Final[deque[Scratch]] = deque(maxlen=os.cpu_count())
"""Memory that earlier pieces used, whoever asked for them: fresh pages cost as much as a layer."""


@dataclass(frozen=True)
class TrustModel:
    """A fitted model; :meth:`load` one or :meth:`fit` your own.

    Attributes
    ----------
    name, calibrated_on: the name, and the data that its probabilities and guarantees apply to.
    layers: the fitted parts.
    certifying: rows to certify thresholds on; None: the model cannot give a guarantee.
    images: hashes of the images that any part was fitted on.
    asker: the VLM whose answers it was fitted with; None: none, or unknown.
    for_pairs: whether its certifying rows are like enumerated pairs of objects; statements that
        people wrote are not.
    pairs_as: name of the model as which enumerated pairs are read, see :attr:`reads_pairs`.
    sha256: hash of the file it was loaded from; empty for a newly fitted model.
    """

    name: str
    calibrated_on: str
    layers: Layers
    certifying: CertifyingRows | None = None
    images: frozenset[str] = frozenset()
    asker: str | None = None
    for_pairs: bool = True
    pairs_as: str = ""
    sha256: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return model_card(self)

    @property
    def reads_pairs(self) -> bool:
        """Whether enumerated pairs are read, and calibrated, as :mod:`.fusion.pairs` does.

        A model that was fitted on pairs means what it learnt.
        """
        return CALIBRATED in {self.name, self.pairs_as}

    @classmethod
    def load(cls, model: str | Path = TRUST_MODEL) -> Self:
        """Load a shipped model by name, or one from a file.

        Raises
        ------
        FileError: there is no such model or file, or it is not JSON.
        SchemaVersionError: it was written by an incompatible version.
        """
        return cls(**model_file.read(model))

    def save(self, path: str | Path) -> None:
        """Write the model as one JSON file.

        Raises
        ------
        FileError: the path cannot be written.
        """
        model_file.write({f.name: getattr(self, f.name) for f in fields(self)}, path)

    @property
    def repaired_at(self) -> float | None:
        """Plain threshold of the repaired graphs it was certified on; None: on single claims."""
        return None if self.certifying is None else self.certifying.repaired_at

    @property
    def uses_answers(self) -> bool:
        """Whether a VLM's answers change ``p_true``."""
        return self.layers.uses_answers

    def predict(self, evidence: Evidence | Features) -> Fused:
        """P(true) of each claim.

        Parameters
        ----------
        evidence: (N,) claims.
        """
        features = _features(evidence)
        return self._in_pieces(len(features), lambda piece, _: (piece, features.select(piece)))

    def score(self, inputs: Inputs) -> Fused:
        """The same from boxes and relations, without holding the evidence of all claims at once.

        Parameters
        ----------
        inputs: (N,) claims.
        """

        def in_order(piece: slice, scratch: Scratch) -> tuple[NDArray[np.int64], Features]:
            # Boxes are put in order before there are columns of them: the regressions take a
            # kind of relation at a time.
            rows = piece.start + reading_order(inputs.relation[piece])
            return rows, inputs.features(rows, scratch)

        return self._in_pieces(len(inputs), in_order)

    def _in_pieces(
        self,
        rows: int,
        take: Callable[[slice, Scratch], tuple[slice | NDArray[np.int64], Features]],
    ) -> Fused:
        """Pieces that stay in cache, on as many threads as ``OMP_NUM_THREADS`` allows.

        Parameters
        ----------
        rows: how many claims there are.
        take: the places of a piece's claims, in any order, and their evidence.
        """
        pieces = _pieces(rows)
        found = Fused(
            np.empty(rows, np.float32), np.empty(rows, np.float32), np.empty(rows, np.uint32)
        )

        def fuse(piece: slice) -> None:
            try:
                scratch = _unused.pop()
            except IndexError:
                scratch = Scratch()
            places, here = take(piece, scratch)
            margin = self.layers.margin(here, scratch)
            for column, values in zip(found, self.layers.fuse(here, margin), strict=True):
                column[places] = values
            _unused.append(scratch)

        # One thread a piece: products of small matrices are far slower on contended threads.
        with _blas().limit(limits=1, user_api="blas"):
            if len(pieces) == 1:
                fuse(pieces[0])
            else:
                with ThreadPoolExecutor(threads()) as pool:
                    list(pool.map(fuse, pieces))
        return found

    def rule(
        self,
        *,
        min_confidence: float | None = None,
        accuracy: float | None = None,
        delta: float | None = None,
        unit: Unit = "image",
        kind: Kind = "accept+correct",
    ) -> DecisionRule:
        """Make a rule: certified for ``accuracy``, otherwise with the plain ``min_confidence``.

        Parameters
        ----------
        min_confidence: plain threshold, no guarantee; ignored if ``accuracy`` is given.
        accuracy, delta: with probability 1 - ``delta`` at least ``accuracy`` of what is emitted is
            right, on data like ``calibrated_on``; both or neither.
        unit: ``image`` is valid however the claims of an image depend on each other; ``claim``
            needs independent claims.
        kind: what a certified rule may emit. ``accept+correct`` covers at least as much as
            ``accept``, unless the probabilities are far off.

        Raises
        ------
        GuaranteeError: the model has no rows to certify with.
        InputError: only one of accuracy and delta was given, or nothing.
        """
        if accuracy is None and delta is None and min_confidence is not None:
            return DecisionRule.plain(min_confidence)
        if accuracy is None or delta is None:
            raise InputError("give min_confidence, or accuracy and delta")
        return self._certifying().rule(accuracy, delta, unit, kind, self.calibrated_on)

    def gate(
        self,
        *,
        precision: float,
        delta: float,
        relations: Sequence[str] | None = None,
        unit: Unit = "image",
    ) -> Gate:
        """A threshold per relation, see :mod:`spatialtrust.decision.commit_gate`.

        Parameters
        ----------
        precision, delta: with probability 1 - ``delta``, of every relation that has a threshold at
            least ``precision`` of what is emitted is right, on data like ``calibrated_on``.
        relations: those that will be used; None: all in the rows. delta is split among them.
        unit: see :meth:`rule`.

        Raises
        ------
        GuaranteeError: the model holds no rows to certify with, or these do not say their relation.
        InputError: precision or delta outside (0, 1).
        """
        return self._certifying().gate(precision, delta, unit, self.calibrated_on, relations)

    def _certifying(self) -> CertifyingRows:
        if self.certifying is None:
            raise GuaranteeError(
                f'model "{self.name}" holds no rows to certify with; fit it on labelled rows of '
                "your own (spatialtrust fit), or give min_confidence, which guarantees nothing"
            )
        return self.certifying

    def pair_rule(self, *, accuracy: float, delta: float) -> DecisionRule:
        """:meth:`rule` for pairs that were enumerated of a scene.

        Raises
        ------
        GuaranteeError: the model's rows are not like such pairs, or it holds none.
        """
        self._require_pairs()
        return self.rule(accuracy=accuracy, delta=delta)

    def pair_gate(
        self, *, precision: float, delta: float, relations: Sequence[str] | None = None
    ) -> Gate:
        """:meth:`gate` for pairs that were enumerated of a scene.

        Raises
        ------
        GuaranteeError: the model's rows are not like such pairs, or see :meth:`gate`.
        """
        self._require_pairs()
        return self.gate(precision=precision, delta=delta, relations=relations)

    def _require_pairs(self) -> None:
        if not self.for_pairs:
            raise GuaranteeError(
                f'model "{self.name}" was certified on {self.calibrated_on}, and pairs enumerated '
                "of a scene are not like them; label some of your own (spatialtrust label RUN, "
                "spatialtrust fit), or give min_confidence, which guarantees nothing"
            )

    def seen_share(self, claims: Claims) -> float:
        """Share of claims on images that the model was fitted on; figures on them are in-sample."""
        if not len(claims) or not self.images:
            return 0.0
        owners = claims.column("image_id").combine_chunks().dictionary_encode()
        hashes = image_hashes(owners.dictionary.to_pylist())
        known = np.array([code in self.images for code in hashes])
        return float(known[owners.indices.to_numpy()].mean())

    def explain(self, evidence: Evidence | Features, fused: Fused | None = None) -> list[str]:
        """Explain each probability in words; empty where boxes are missing.

        Parameters
        ----------
        evidence: (N,) claims.
        fused: the result of :meth:`predict`, if you already have it.
        """
        features = _features(evidence)
        return explain(self.layers, features, self.predict(features) if fused is None else fused)

    def importances(self) -> dict[str, float]:
        """Share of the trees' gain by family of columns, see ``columns.FAMILIES``."""
        return by_family(self.layers.trees.gains())

    @classmethod
    def fit(
        cls,
        evidence: Evidence | Features,
        label: NDArray[Any],
        groups: NDArray[Any],
        *,
        calibrated_on: str,
        name: str | None = None,
        base: Self | None = None,
        purpose: NDArray[Any] | None = None,
        disturbed: Evidence | Features | None = None,
        asker: str | None = None,
        for_pairs: bool = True,
        seed: int = 0,
    ) -> Self:
        """Fit on labelled claims.

        Every row is used to fit, and every row that was drawn at random also certifies, scored by
        models that were fitted without its image (out of fold). Such a certificate is approximate,
        and a share of the allowed risk is held back. If rows state their ``purpose``, those to
        certify with are held out, and the certificate is exact.

        Without a base, regressions, trees and calibration are fitted. With a base, its regressions
        are kept. Below ``fitting.REFIT_ROWS`` rows its trees are kept too, and only the calibration
        and the weights of a VLM's answers are fitted, shrunk towards the base's. From there on the
        trees are refitted, with further ones that use the VLM's columns.

        Parameters
        ----------
        evidence: (N,) claims.
        label: (N,) 1: true, 0: false.
        groups: (N,) image of each.
        calibrated_on: description of the data that probabilities and guarantees apply to.
        name: of the model; None: ``calibrated_on``.
        base: model to start from; None: fit everything from scratch.
        purpose: (N,) ``certify`` or ``fit`` of rows that were drawn for one or the other; only
            random draws may certify. None: all rows were drawn at random.
        disturbed: (N,) the same claims with boxes as a detector might draw them
            (:mod:`spatialtrust.evidence.box_noise`); the regressions learn from some of them.
            None: boxes are as they will be in use. Ignored with a base.
        asker, for_pairs: see the class.
        seed: of folds and trees.

        Raises
        ------
        InputError: columns of different length, labels other than 0 and 1, or too few rows.
        """
        found = fit(
            _features(evidence),
            np.asarray(label),
            np.asarray(groups),
            base=None if base is None else base.layers,
            purpose=None if purpose is None else np.asarray(purpose),
            disturbed=None if disturbed is None else _features(disturbed),
            seed=seed,
        )
        return cls(
            name or calibrated_on,
            calibrated_on,
            found.layers,
            found.certifying,
            found.images if base is None else found.images | base.images,
            asker,
            for_pairs,
        )

    def certified_on(
        self,
        evidence: Evidence | Features,
        label: NDArray[Any],
        groups: NDArray[Any],
        *,
        calibrated_on: str,
        name: str | None = None,
        asker: str | None = None,
        for_pairs: bool = True,
        seed: int = 0,
    ) -> Self:
        """Certify the same layers on other rows: nothing is fitted, certificates are exact.

        All rows certify, so this makes the most of few labels. Probabilities do not change.

        Parameters
        ----------
        evidence, label, groups, calibrated_on, name, asker, for_pairs, seed: see :meth:`fit`; all
            rows drawn at random.

        Raises
        ------
        InputError: the model was fitted on images of these rows, or they are too few.
        """
        rows = certify_only(
            self.layers, _features(evidence), np.asarray(label), np.asarray(groups), seed
        )
        return self.certified_by(
            rows,
            calibrated_on=calibrated_on,
            images=np.unique(groups),
            name=name,
            asker=asker,
            for_pairs=for_pairs,
        )

    def certified_by(
        self,
        rows: CertifyingRows,
        *,
        calibrated_on: str,
        images: Iterable[str],
        name: str | None = None,
        asker: str | None = None,
        for_pairs: bool = True,
    ) -> Self:
        """The same layers with certifying rows that were made elsewhere.

        Parameters
        ----------
        rows: whose images nothing of the model has seen.
        images: names of these images.
        calibrated_on, name, asker, for_pairs: see :meth:`fit`.

        Raises
        ------
        InputError: the model was fitted on some of the images.
        """
        known = self.images.intersection(image_hashes(images))
        if known:
            raise InputError(
                f'"{self.name}" was fitted on {len(known)} of these images; a certificate needs '
                "images that it has not seen"
            )
        return replace(
            self,
            name=name or calibrated_on,
            calibrated_on=calibrated_on,
            certifying=rows,
            asker=asker,
            for_pairs=for_pairs,
            sha256="",
        )


def _pieces(rows: int) -> list[slice]:
    """Equal pieces, as many for every thread if they do not get short: none waits at the end.

    >>> _pieces(5)
    [slice(0, 5, None)]
    """
    count = -(-rows // _PIECE)
    even = -(-count // threads()) * threads()
    if 2 * rows >= even * _PIECE:
        count = even
    bounds = [rows * place // max(count, 1) for place in range(count + 1)]
    return [slice(*both) for both in pairwise(bounds)]


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def threads() -> int:
    """How many threads to use: ``OMP_NUM_THREADS`` where it is set, else one a core."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdecimal() and int(limit) else os.cpu_count() or 1


def _features(evidence: Evidence | Features) -> Features:
    return evidence if isinstance(evidence, Features) else Features.from_table(evidence)
