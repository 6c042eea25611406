"""Claims about a scene, true and false, in the words that a VLM is asked in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spatialtrust.backends.tabletop.truth import RELATIONS, pair_truth
from spatialtrust.questions.prompts import PARAPHRASES, Triple

if TYPE_CHECKING:
    import numpy as np

    from spatialtrust.backends.tabletop.scene import Scene


class Said(NamedTuple):
    """A claim, whether it is true, and the wording to put it in."""

    claim: Triple
    label: bool
    prompt: str


def even_claims(
    generator: np.random.Generator, scene: Scene, most: int
) -> list[tuple[Triple, bool]]:
    """Distinct claims about objects that their phrase names alone, half of them true.

    Parameters
    ----------
    most: true claims, and as many false ones, of each relation; fewer where the scene has fewer.
    """
    pairs = _pairs(scene)
    found: list[tuple[Triple, bool]] = []
    for relation in RELATIONS:
        sides = [
            [pair for pair, truth in pairs.items() if truth[relation] is label]
            for label in (True, False)
        ]
        count = min(most, *map(len, sides))
        for label, side in zip((True, False), sides, strict=True):
            for place in generator.choice(len(side), count, replace=False) if count else ():
                a, b = side[place]
                claim = (scene.objects[a].phrase, relation, scene.objects[b].phrase)
                found.append((claim, label))
    return found


def draw_claims(generator: np.random.Generator, scene: Scene, count: int) -> list[Said]:
    """Labelled claims about objects that their phrase names alone; none where there are not two.

    Relation and label are drawn evenly, and drawn again where no pair of the scene fits: most
    scenes have no two objects that touch, so most claims of "on" and "touching" are false.
    """
    pairs = _pairs(scene)
    if not pairs:
        return []
    found: list[Said] = []
    while len(found) < count:
        relation = RELATIONS[generator.integers(len(RELATIONS))]
        wanted = bool(generator.integers(2))
        fitting = [pair for pair, truth in pairs.items() if truth[relation] is wanted]
        if fitting:
            a, b = fitting[generator.integers(len(fitting))]
            claim = (scene.objects[a].phrase, relation, scene.objects[b].phrase)
            half = generator.random() < 0.5
            prompt = PARAPHRASES[0] if half else PARAPHRASES[generator.integers(len(PARAPHRASES))]
            found.append(Said(claim, wanted, prompt))
    return found


def _pairs(scene: Scene) -> dict[tuple[int, int], dict[str, bool | None]]:
    """The truth about ordered pairs of objects that their phrase names alone."""
    named = [index for index in range(len(scene.objects)) if not scene.ambiguous(index)]
    return {(a, b): pair_truth(scene, a, b) for a in named for b in named if a != b}
