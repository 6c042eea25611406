"""Claims as text: sentences to subject, relation and object, and back.

All parsing is done on whole Arrow columns; a sentence that cannot be read is null, never a guess.
"""

from spatialtrust.language.claims import parse_claim, parse_claims
from spatialtrust.language.words import canonical_names, sentence

__all__ = ["canonical_names", "parse_claim", "parse_claims", "sentence"]
