"""Limits on what a file may take, and how to raise them: ``SPATIALTRUST_MOST_PIXELS=400000000``.

Each has a value that real files stay below; ``docs/security.md`` lists them. An environment
variable raises one for files that are larger and meant.
"""

from __future__ import annotations

import os
from typing import Final, Literal, get_args

from spatialtrust.errors import InputError

Limit = Literal[
    "PIXELS", "BAG_PIXELS", "TEXT_BYTES", "UNPACKED_BYTES", "MEMBER_BYTES", "TABLE_BYTES",
    "SHEET_BYTES",
]  # fmt: skip
"""Pixels of an image, and of a picture in a bag; bytes of a text file, of what a ``.gz`` unpacks
to, of a photo in an archive, of a Parquet table in memory, of a spreadsheet unpacked."""

PREFIX: Final = "SPATIALTRUST_MOST_"


def allowed(name: Limit, usual: int) -> int:
    """The limit that the environment sets, else the usual one.

    Raises
    ------
    InputError: the environment sets it to what is no whole number above 0.

    >>> allowed("PIXELS", 48_000_000)
    48000000
    """
    given = os.environ.get(PREFIX + name, "").replace("_", "")
    if not given:
        return usual
    if not (given.isascii() and given.isdecimal() and len(given) < 19 and int(given)):
        raise InputError(f'{PREFIX}{name} is "{given:.40}"; give a whole number above 0')
    return int(given)


def hint(name: Limit) -> str:
    """What to do about a file that is beyond a limit and is wanted.

    >>> hint("PIXELS")
    'make it smaller, or set SPATIALTRUST_MOST_PIXELS if it is what you want'
    """
    return f"make it smaller, or set {PREFIX}{name} if it is what you want"


def check_environment() -> None:
    """Refuse variables that look like a limit and are none, or hold no number.

    Raises
    ------
    InputError: naming the variable, and those that are known.
    """
    known = {PREFIX + name for name in get_args(Limit)}
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known:
            raise InputError(f"{variable}: is no limit; valid: {', '.join(sorted(known))}")
    for name in get_args(Limit):
        allowed(name, 1)
