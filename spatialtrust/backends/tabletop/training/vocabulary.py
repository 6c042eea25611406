"""Tokenizers small enough to ship, that still split words into pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES: Final = ("red", "green", "blue", "yellow", "purple", "cube", "ball", "cone", "mug")
"""Names that are one token; the others fall into pieces."""
SPLIT: Final = (("tur", "quo", "ise"), ("cyl", "inder"), ("pyr", "amid"))
"""Names that are several tokens: turquoise, cylinder, pyramid."""
_WORDS: Final = (
    *("the", "a", "an", "is", "it", "not", "in", "on", "of", "this", "that", "which", "picture"),
    *("photo", "scene", "would", "you", "say", "true", "correct", "and", "off", "left", "right"),
    *("above", "below", "front", "back", "behind", "ahead", "touching", "away", "from"),
    *("where", "detached"),
)
_BERT: Final = {
    "[PAD]": 0,
    "[UNK]": 100,
    "[CLS]": 101,
    "[SEP]": 102,
    "[MASK]": 103,
    ".": 1012,
    "?": 1029,
}
"""GroundingDINO's code tells phrases apart by these very ids of BERT's vocabulary."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def bert() -> Any:
    """Word pieces for GroundingDINO.

    >>> bert().tokenize("turquoise cylinder. red cube.")
    ['tur', '##quo', '##ise', 'cyl', '##inder', '.', 'red', 'cube', '.']
    """
    from transformers import BertTokenizer

    vocabulary = {f"[unused{place}]": place for place in range(max(_BERT.values()) + 1)}
    for token, place in _BERT.items():
        del vocabulary[f"[unused{place}]"]
        vocabulary[token] = place
    pieces = [
        f"##{piece}" if place else piece for name in SPLIT for place, piece in enumerate(name)
    ]
    letters = (*_LETTERS, *(f"##{letter}" for letter in _LETTERS), *",-'")
    for token in ("the", "a", *NAMES, *pieces, "##s", *letters):
        vocabulary.setdefault(token, len(vocabulary))
    return BertTokenizer(vocab=dict(sorted(vocabulary.items(), key=lambda item: item[1])))


def clip() -> Any:
    """Byte pairs that mark the end of a word, lower case, for CLIP.

    >>> clip().tokenize("Turquoise cube")
    ['turquo', 'ise</w>', 'cube</w>']
    """
    from transformers import CLIPTokenizer

    # Every merge of a word holds its end, so the merges of two words never compete.
    ends = [*_WORDS, *NAMES, *(name[-1] for name in SPLIT), ",", ".", "?"]
    merges: dict[tuple[str, str], None] = {}
    for word in ends:
        joined = f"{word[-1]}</w>"
        for letter in reversed(word[:-1]):
            merges[letter, joined] = None
            joined = letter + joined
    _join(merges, ["".join(name[:-1]) for name in SPLIT])
    letters = _alphabet()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    pairs: Any = list(merges)
    return CLIPTokenizer(vocab=_number(tokens), merges=pairs)


def opt() -> Any:
    """Byte pairs that mark the start of a word, for OPT; a text begins with ``</s>``.

    >>> opt().tokenize("Answer: yes")
    ['Answer', ':', 'Ġyes']
    """
    from transformers import GPT2Tokenizer

    # Every merge of a word holds its start, so the merges of two words never compete.
    inner = [*_WORDS, *NAMES, "yes", "no", *(name[0] for name in SPLIT)]
    inner += ["In", "Is", "Would", "Answer", *(word.capitalize() for word in _WORDS)]
    merges: dict[tuple[str, str], None] = {}
    _join(merges, [f"Ġ{word}" for word in inner])
    _join(
        merges,
        ["Question", "Answer", "The", "In", "It", *(part for name in SPLIT for part in name[1:])],
    )
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *_alphabet(), *map("".join, merges)]
    pairs: Any = list(merges)
    names = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    tokenizer: Any = GPT2Tokenizer(vocab=_number(tokens), merges=pairs, add_bos_token=True, **names)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    return tokenizer


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _join(merges: dict[tuple[str, str], None], words: Sequence[str]) -> None:
    """Adds the merges that spell words from their first letter on."""
    for word in words:
        joined = word[0]
        for letter in word[1:]:
            merges[joined, letter] = None
            joined += letter


def _number(tokens: Sequence[str]) -> dict[str, int]:
    return {token: place for place, token in enumerate(dict.fromkeys(tokens))}
