"""A part of the destinations: each is in one of them, for good, and they are about as large as each other."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.process import WHOLE, Part
from helpers.settings import load

ids = st.uuids().map(str)


def parts(of):
    return [Part(number, of) for number in range(1, of + 1)]


def made_up(count, seed=7):
    """So many workspace ids, the same ones each time."""
    chance = random.Random(seed)
    return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]


def sizes(workspaces, of):
    return Counter(part for workspace in workspaces for part in parts(of) if part.has(workspace, "MISP"))


@given(workspace=ids, sourcesystem=st.text(min_size=1), of=st.integers(1, 50))
def test_a_destination_is_in_one_part_of_however_many(workspace, sourcesystem, of):
    assert sum(part.has(workspace, sourcesystem) for part in parts(of)) == 1
    assert WHOLE.has(workspace, sourcesystem)


def test_where_it_is_never_changes():
    """Another number here would move every destination of a site in an upgrade."""
    where = [
        next(part.number for part in parts(4) if part.has(f"33333333-3333-4333-8333-{number:012d}", source))
        for number in range(6)
        for source in ("MISP", "MISP of the group")
    ]
    assert where == [2, 1, 3, 1, 1, 2, 3, 3, 4, 3, 4, 3]


@pytest.mark.parametrize("of", [2, 4, 7, 20])
def test_of_many_destinations_each_part_has_about_as_many(of):
    """What is left to chance is as large as the root of the share: three times that is rare, five times is a fault."""
    share = 10_000 / of
    found = sizes(made_up(10_000), of)
    assert len(found) == of
    assert all(abs(size - share) < 5 * share**0.5 for size in found.values())


@pytest.mark.parametrize(("text", "part"), [("1/1", WHOLE), ("1/4", Part(1, 4)), ("4/4", Part(4, 4))])
def test_what_is_typed_is_what_is_shown(text, part):
    assert Part.read(text) == part
    assert str(part) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0/3", "0/3 is no part: write one from 1/3 to 3/3"),
        ("5/4", "5/4 is no part: write one from 1/4 to 4/4"),
        *((text, f"{text} is no part: write which one of how many, such as 1/4") for text in ("1/0", "0/0", "a/b")),
        *((text, f"{text} is no part: write which") for text in ("", "3", "1/", "/4", "-1/4", "1 / 4", "1/4/2", "١/٤")),
    ],
)
def test_nonsense_is_answered_with_what_to_write(text, words):
    with pytest.raises(ValueError, match=rf"^{words}"):
        Part.read(text)


# -- of a site's destinations ---------------------------------------------------------------------------


def settings_of(tmp_path, workspaces, **more):
    """Settings with a destination in each workspace."""
    identity = {"tenantId": "contoso.example.org", "id": str(uuid.UUID(int=1)), "secret": "s3cret"}
    tenants = [{**identity, "name": f"site{n}", "workspaceId": id_, **more} for n, id_ in enumerate(workspaces)]
    (tmp_path / "config.py").write_text("misp_domain = 'https://misp.example.org'\n")
    return load(tmp_path / "config.py", {"mispkey": "k" * 40, "tenants": json.dumps(tenants)}).settings


def names(settings, part=WHOLE):
    return [destination.name for destination in settings.destinations(part=part)]


def test_all_parts_together_are_all_destinations(tmp_path):
    settings = settings_of(tmp_path, made_up(20))
    assert sorted(name for part in parts(3) for name in names(settings, part)) == sorted(names(settings))
    assert all(names(settings, part) for part in parts(3))


def test_a_new_destination_moves_no_other(tmp_path):
    before, after = (settings_of(tmp_path, made_up(count)) for count in (19, 20))
    moved = [set(names(after, part)) ^ set(names(before, part)) for part in parts(3)]
    assert sorted(moved, key=len) == [set(), set(), {"site19"}]


def test_neither_its_name_nor_the_letters_of_its_id_move_it(tmp_path):
    workspaces = made_up(20)
    shouted = [workspace.upper() for workspace in workspaces]
    for part in parts(4):
        assert names(settings_of(tmp_path, shouted), part) == names(settings_of(tmp_path, workspaces), part)


def test_two_source_systems_of_a_workspace_are_two_destinations(tmp_path):
    workspaces = made_up(40)
    first, second = (settings_of(tmp_path, workspaces, sourcesystem=source) for source in ("MISP", "MISP of the group"))
    assert names(first, Part(1, 2)) != names(second, Part(1, 2))
