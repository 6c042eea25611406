"""What the package promises by name is there, and nothing else is promised."""

from __future__ import annotations

import spatialtrust


def test_every_public_name_can_be_had_and_has_a_docstring() -> None:
    for name in spatialtrust.__all__:
        assert getattr(spatialtrust, name).__doc__, name
    assert set(spatialtrust.__all__) == set(spatialtrust._HOMES)
    assert set(spatialtrust.__all__) <= set(dir(spatialtrust))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(spatialtrust, "trust_everything")
