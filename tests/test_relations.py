"""The vocabulary is closed under its own words."""

from __future__ import annotations

import pytest

from spatialtrust.errors import UnknownRelationError
from spatialtrust.relations import DIRECTIONAL, FAMILIES, NAMES, PHRASES, RELATIONS, canonical


def test_there_are_the_66_relations_of_vsr() -> None:
    assert len(NAMES) == 66
    assert {"through", "among", *DIRECTIONAL} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_converse_and_opposite_are_relations_and_agree_on_the_axis(name: str) -> None:
    relation = RELATIONS[name]
    assert relation.family in FAMILIES
    assert relation.converse is None or relation.converse in RELATIONS
    assert relation.opposite is None or relation.opposite in RELATIONS
    assert (relation.axis is None) == (relation.sign == 0)
    if relation.axis is not None and relation.converse is not None:
        turned = RELATIONS[relation.converse]
        assert (turned.axis, turned.sign) == (relation.axis, -relation.sign)
    if relation.symmetric:
        assert relation.converse == name


def test_no_wording_means_two_relations() -> None:
    wordings = [phrase for r in RELATIONS.values() for phrase in (r.name, *r.phrases)]
    assert len(wordings) == len(set(wordings)) == len(PHRASES)
    assert all(wording == wording.lower().strip() for wording in wordings)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_its_own_canonical_form(name: str) -> None:
    assert canonical(name.upper()) == name


def test_unknown_relation_names_the_closest_and_the_command() -> None:
    with pytest.raises(UnknownRelationError, match=r'did you mean "left of".*lists all 66'):
        canonical("leftof")
