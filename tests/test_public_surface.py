"""What the package promises by name is there, and nothing else is promised."""

from __future__ import annotations

import spatialtrust


def test_every_public_name_can_be_had_and_has_a_docstring() -> None:
    for name in spatialtrust.__all__:
        assert getattr(spatialtrust, name).__doc__, name
    assert set(spatialtrust.__all__) == {*spatialtrust._HOMES, *spatialtrust._MODULES}


def test_dir_shows_what_is_public_and_only_that() -> None:
    import spatialtrust.jobs.verification  # a room that was loaded is still not public

    assert set(dir(spatialtrust)) == {*spatialtrust.__all__, "__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(spatialtrust, "trust_everything")
