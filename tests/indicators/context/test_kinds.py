"""The table of kinds: what is read of it, and the order in which kinds leave."""

from dataclasses import fields
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers.context import NAMED_KINDS, Kind, KindFacts, in_order_of_leaving

HELPERS = Path(__file__).parents[3] / "helpers"


class Thing(NamedTuple):
    kind: Kind
    number: int


def test_relationships_leave_first_and_organisations_last_whatever_comes_first():
    for kinds in permutations(Kind):
        things = [Thing(kind, number) for number in (2, 1) for kind in kinds]
        leaving = in_order_of_leaving(things)
        assert {thing.kind for thing in leaving[:2]} == {Kind.RELATIONSHIP}
        assert {thing.kind for thing in leaving[-2:]} == {Kind.IDENTITY}
        of_a_turn = [thing for thing in things if thing.kind.facts.turn == Kind.INDICATOR.facts.turn]
        assert leaving[2:-2] == of_a_turn, "those of one turn stay as they came"


def test_people_name_organisations_actors_and_techniques_in_this_order():
    assert NAMED_KINDS == (Kind.IDENTITY, Kind.THREAT_ACTOR, Kind.ATTACK_PATTERN)


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_has_its_article(kind):
    assert kind.facts.article == ("an" if kind.facts.one[0] in "aeiou" else "a")


def test_each_column_is_read():
    sources = [path.read_text("utf-8") for path in HELPERS.rglob("*.py")]
    columns = [field.name for field in fields(KindFacts)]
    assert [name for name in columns if not any(f"facts.{name}" in source for source in sources)] == []
