"""Which class of a fixed list a phrase means: plain synonyms and plurals, and nothing looser.

A phrase that says more than a class does ("red cup", "man") is not that class: a detector of cups
would report blue ones as red. It cannot be looked for, and that is said; what comes near is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# COCO's category ids, 1 to 90, have ten gaps: numbers that never became a class.
_COCO_91: Final = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,"
    "backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,fork,"
    "knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"
    "couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,"
    "microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
)
COCO_91: Final[tuple[str, ...]] = ("", *_COCO_91.split(","))
"""By category id, 0 to 90; empty where the number names no class."""
COCO: Final[tuple[str, ...]] = tuple(name for name in COCO_91 if name)
"""The 80 classes in the order in which detectors number them."""

_SYNONYMS: Final = """
person, human; people = person; bicycle, bike, pushbike; car, automobile, motorcar
motorcycle, motorbike; airplane, aeroplane, plane, aircraft; truck, lorry
traffic light, stoplight, traffic signal; fire hydrant, hydrant; backpack, rucksack
handbag, purse; tie, necktie; frisbee, flying disc; skis, ski; tennis racket, tennis racquet
wine glass, wineglass; hot dog, hotdog; donut, doughnut; couch, sofa, settee
potted plant, pottedplant, houseplant, house plant, plant in a pot
dining table, diningtable, table; tv, television, tvmonitor, tv monitor, television set
laptop, laptop computer, notebook computer; mouse, computer mouse
remote, remote control; keyboard, computer keyboard
cell phone, cellphone, mobile phone, mobile, phone, smartphone; microwave, microwave oven
refrigerator, fridge; hair drier, hair dryer, hairdryer; teddy bear, teddy
sports ball, ball; cow, cattle; boat, watercraft
"""
"""Groups of names for one thing, split by commas; groups by semicolons and lines."""

_NEAR: Final = """
mug teacup glass tumbler: cup; man woman boy girl child kid lady guy men women children: person
desk coffee table: dining table; flower plant: potted plant; armchair stool: chair; taxi van: car
monitor screen: tv; bag: handbag; puppy: dog; kitten: cat; jug: vase
"""
"""What a phrase is a kind of, or may be: for messages alone, never looked for in its place."""


def _groups() -> dict[str, str]:
    """Every name to the first of its group."""
    found: dict[str, str] = {}
    for group in re.split(r"[;\n]", _SYNONYMS):
        names = [name.strip() for name in re.split(r"[,=]", group) if name.strip()]
        first = found.get(names[-1], names[0]) if names else ""
        found |= dict.fromkeys(names, "person" if first == "people" else first)
    return found


def _near() -> dict[str, str]:
    pairs = [entry.split(":") for entry in re.split(r"[;\n]", _NEAR) if ":" in entry]
    return {word: name.strip() for words, name in pairs for word in words.split()}


_FIRST: Final = _groups()
_HINTS: Final = _near()
_ARTICLE: Final = re.compile(r"^(?:the|a|an) ")


def plain(phrase: str) -> str:
    """A phrase without case, article and doubled blanks, hyphens and underscores as blanks.

    >>> plain(" The  Potted-Plant ")
    'potted plant'
    """
    return _ARTICLE.sub("", " ".join(re.sub(r"[-_]", " ", phrase.lower()).split()))


class Vocabulary:
    """The classes of a detector, and the phrases that mean them.

    Parameters
    ----------
    classes: by number; an empty name is a number without a class.

    >>> known = Vocabulary(("person", "couch", "cup"))
    >>> known.lay(["sofa", "the cups", "red cup"])
    {'sofa': (1,), 'the cups': (2,), 'red cup': ()}
    >>> known.near("red cup"), known.near("kettle")
    ('cup', '')
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._numbers: dict[str, tuple[int, ...]] = {}
        for number, name in enumerate(self.classes):
            if name:
                key = _key(name)
                self._numbers[key] = (*self._numbers.get(key, ()), number)

    def lay(self, phrases: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Phrase to the numbers of the classes that it names; none where there is no such class."""
        return {phrase: self._of(phrase) for phrase in phrases}

    def near(self, phrase: str) -> str:
        """The class that a phrase without one is a kind of, for a message; empty if none is."""
        words = plain(phrase).split()
        for place in range(len(words)):
            tail = " ".join(words[place:])
            for name in (tail, _HINTS.get(tail, "")):
                if name and (numbers := self._of(name)):
                    return self.classes[numbers[0]]
        return ""

    def _of(self, phrase: str) -> tuple[int, ...]:
        name = plain(phrase)
        for form in (name, *_singular(name)):
            if found := self._numbers.get(_key(form)):
                return found
        return ()


def _key(name: str) -> str:
    written = plain(name)
    return _FIRST.get(written, written)


def _singular(name: str) -> list[str]:
    """What a plural may be the plural of.

    >>> _singular("knives"), _singular("buses"), _singular("glass")
    (['knif', 'knife', 'knive'], ['bus', 'buse'], [])
    """
    if name.endswith("ss") or not name.endswith("s"):
        return []
    forms = [name[:-3] + "y"] if name.endswith("ies") else []
    if name.endswith("ves"):
        forms += [name[:-3] + "f", name[:-3] + "fe"]
    elif name.endswith(("ses", "shes", "ches", "xes", "oes")):
        forms.append(name[:-2])
    return [*forms, name[:-1]]
