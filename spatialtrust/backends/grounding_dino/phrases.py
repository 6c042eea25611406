"""Phrases to text prompts of GroundingDINO, and which tokens of a prompt each phrase owns.

GroundingDINO reads ``[CLS] red mug . kettle . [SEP]`` and keeps phrases apart by the ids of those
marks. Prompts are put together from the ids of each phrase, so a phrase's tokens are known exactly:
there is no searching for words in a sentence, and repeated words, plurals, hyphens and words that
fall into pieces need no special treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAD: Final = 0
START: Final = 101
END: Final = 102
STOP: Final = 1012
MARKS: Final = frozenset({PAD, START, END, STOP, 1029})
"""Ids that the model's code takes for boundaries: ``[PAD] [CLS] [SEP] . ?``."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text input.

    Attributes
    ----------
    tokens: ids, from ``[CLS]`` to ``[SEP]``.
    spans: phrase to its first token and the one after its last.
    """

    tokens: tuple[int, ...]
    spans: Mapping[str, tuple[int, int]]


def tokenize(
    phrases: Iterable[str], tokenizer: Any, limit: int
) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Token ids of each phrase, without marks; and why a phrase cannot be looked for.

    Parameters
    ----------
    phrases: any strings; case, accents and marks are the tokenizer's business.
    tokenizer: BERT's.
    limit: tokens that a prompt may have.

    Returns
    -------
    Ids of the phrases that can be looked for, and a status for each of the others:
    ``phrase_empty``, ``phrase_unknown`` (no word of it is in the vocabulary), ``phrase_too_long``.
    """
    distinct = list(dict.fromkeys(phrases))
    ids: dict[str, tuple[int, ...]] = {}
    refused: dict[str, str] = {}
    if not distinct:
        return ids, refused
    found = tokenizer(distinct, add_special_tokens=False)["input_ids"]
    for phrase, raw in zip(distinct, found, strict=True):
        tokens = tuple(token for token in raw if token not in MARKS)
        if not tokens:
            refused[phrase] = "phrase_empty"
        elif all(token == tokenizer.unk_token_id for token in tokens):
            refused[phrase] = "phrase_unknown"
        elif len(tokens) + 3 > limit:
            refused[phrase] = "phrase_too_long"
        else:
            ids[phrase] = tokens
    return ids, refused


def pack(ids: Mapping[str, tuple[int, ...]], limit: int) -> list[Prompt]:
    """As few prompts of at most ``limit`` tokens as hold all phrases (first fit, longest first).

    Phrases of the same tokens share a span. The order of ``ids`` does not matter.

    >>> prompts = pack({"mug": (2000,), "red mug": (2001, 2000)}, limit=256)
    >>> prompts[0].tokens
    (101, 2001, 2000, 1012, 2000, 1012, 102)
    >>> dict(prompts[0].spans)
    {'red mug': (1, 3), 'mug': (4, 5)}
    """
    owners: dict[tuple[int, ...], list[str]] = {}
    for phrase, tokens in ids.items():
        owners.setdefault(tokens, []).append(phrase)
    bins: list[list[tuple[int, ...]]] = []
    room: list[int] = []
    for tokens in sorted(owners, key=lambda tokens: (-len(tokens), tokens)):
        needed = len(tokens) + 1
        place = next((place for place, left in enumerate(room) if left >= needed), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(limit - 2)
        bins[place].append(tokens)
        room[place] -= needed
    return [_prompt(members, owners) for members in bins]


def _prompt(
    members: Sequence[tuple[int, ...]], owners: Mapping[tuple[int, ...], Sequence[str]]
) -> Prompt:
    tokens = [START]
    spans: dict[str, tuple[int, int]] = {}
    for member in members:
        span = (len(tokens), len(tokens) + len(member))
        spans |= dict.fromkeys(owners[member], span)
        tokens += [*member, STOP]
    return Prompt((*tokens, END), spans)
