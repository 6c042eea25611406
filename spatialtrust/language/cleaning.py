"""Sentences without what says nothing about the claim: quotes, preambles, closing marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE: Final = (
    "image|picture|photo|photograph|pic|scene|frame|view|shot|snapshot|screenshot|figure|render"
)

_CHARACTERS: Final = (
    ("[\u2018\u2019\u02bc\u00b4\u2032\uff07\u201b`]", "'"),
    ("[\u200b\u200c\u200d\u2060\ufeff\u00ad]", ""),
    ('["\u201c\u201d\u201e\u00ab\u00bb*]', ""),
    ("[\u2010\u2011]", "-"),
    (r"[\s\x{a0}\x{3000}\x{2000}-\x{200a}\x{202f}]+", " "),
)
_MARKS: Final = r"^[ '(\[]+|[ .?!')\]:;,]+$"
_THAT: Final = "(?:that )?"
_PREAMBLES: Final = (
    r"[-\x{2022}] +|(?:\(?(?:\d{1,3}|[a-h])[.)]) +",
    r"(?:caption|statement|claim|sentence|description|question|hypothesis|premise|text|fact|q|s|"
    r"true or false|true/false|yes or no|(?:is|are) (?:this|the following) "
    r"(?:statement |claim |caption |sentence )?(?:correct|true|right)) *[:?] *",
    r"(?:yes|yeah|sure|okay|ok|well|indeed|clearly|obviously|certainly|definitely|apparently|"
    r"evidently|currently|here|overall|in fact|of course), ",
    rf"(?:in|on|within|from) (?:the|this|that) (?:given |shown |above )?(?:{IMAGE})"
    r"(?: above| below| shown)?,? ",
    r"as (?:we|you|one) can (?:clearly )?see(?: (?:in|from) (?:the|this) image)?,? ",
    rf"(?:i|we) (?:can )?(?:clearly |really |do |also )?(?:think|believe|see|guess|say|suppose|"
    rf"notice|observe|would say|am sure|am confident|feel|know) {_THAT}",
    rf"i'm (?:pretty |quite |fairly |very )?(?:sure|confident|certain) {_THAT}",
    rf"(?:it|this) (?:looks like|looks as if|seems like|seems|appears|is true|is correct|"
    rf"is clear|is obvious|is the case|is certain) {_THAT}",
    rf"(?:is it|would you say|do you think|do you agree|is it the case) "
    rf"(?:true |correct |right |the case )?{_THAT}",
    r"(?:can|do|could) you (?:also )?see (?:that )?",
    rf"(?:the|this|that|a|an) (?:{IMAGE}) (?:clearly )?(?:shows|depicts|displays|features) {_THAT}",
    rf"(?:a|an|the|this) (?:{IMAGE}) (?:in which|where) ",
    r"(?:there|here) (?:is|are|was|were) |there's |here's ",
    r"(?:is|are|was|were) there ",
    r"this is |that is ",
)
_PREAMBLE: Final = rf"(?i)^(?:{'|'.join(_PREAMBLES)})+"
_PICTURE_OF: Final = rf"(?i)^(?:(?:a|an|the) )?(?:[a-z]+ )?(?:{IMAGE}) (?:of|showing|depicting) "
_VERB: Final = r"(?i) (?:is|are|was|were|sits|stands|lies|rests|contains|touches|holds) "
_WHERE: Final = rf"(?i),? (?:as seen |as shown |seen |shown )?in (?:the|this) (?:{IMAGE})$"


def clean_sentences(texts: pa.Array) -> pa.Array:
    """Sentences (N,) without quotes, hedges, preambles and closing marks; null stays null.

    >>> import pyarrow as pa
    >>> clean_sentences(pa.array(["I think that the  mug is on the table.",
    ...                           "Caption: A photo of a dog"])).to_pylist()
    ['the mug is on the table', 'a dog']
    """
    for pattern, replacement in _CHARACTERS:
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=replacement)
    # A quoted sentence may begin with a preamble of its own.
    for pattern in (_MARKS, _PREAMBLE, _MARKS, _PREAMBLE):
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement="")
    texts = pc.replace_substring_regex(texts, pattern=_WHERE, replacement="")
    # "A picture of a dog is on the wall" is about the picture.
    caption = pc.invert(pc.match_substring_regex(texts, pattern=_VERB))
    inside = pc.replace_substring_regex(texts, pattern=_PICTURE_OF, replacement="")
    return pc.if_else(caption, inside, texts)
