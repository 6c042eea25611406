"""LAVIS as an asker, in an environment and a process of its own.

LAVIS pins a transformers too old to live beside this package, so it is never imported here:
``spatialtrust backends install lavis`` makes its environment, ``worker.py`` runs there.

>>> from spatialtrust.backends.base import Options
>>> open_backend("blip2_opt/pretrain_opt1b", "lavis:blip2_opt/pretrain_opt1b", Options())
Traceback (most recent call last):
    ...
spatialtrust.errors.InputError: lavis:blip2_opt/pretrain_opt1b: blip2_opt has no type ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialtrust.backends.install import interpreter
from spatialtrust.backends.lavis.client import Lavis, parse_target

if TYPE_CHECKING:
    from spatialtrust.backends.base import Options


def open_backend(target: str, reference: str, options: Options) -> Lavis:
    """Check a reference and find the environment; nothing is started. See ``registry.py``.

    Raises
    ------
    InputError: the target is neither a known ``architecture/type`` nor a YAML file.
    BackendError: the environment has not been made.
    """
    model = parse_target(target, reference)
    return Lavis(model, reference, options, python=interpreter("lavis"))
