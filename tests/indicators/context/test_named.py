"""Which clusters the tags of an attribute and of its event name."""

from pathlib import Path

import pytest

from helpers.commands.convert import events_in
from helpers.context import Kind, kind_named_by, named_by
from helpers.indicators import Tag, Tags, read_tags

EVENTS = Path(__file__).parents[3].parent / "shared" / "misp-events"
FILES = sorted(path for path in EVENTS.glob("*.json") if path.name != "cut-short.json")

ACTOR, OTHER = 'misp-galaxy:threat-actor="Some Actor"', 'misp-galaxy:mitre-intrusion-set="Some Group - G0001"'
TECHNIQUE = 'misp-galaxy:mitre-attack-pattern="Phishing - T1566"'


def tags(*names, local=False):
    return Tags(Tag(name, local) for name in names)


def named(attribute, event, *, ignore_localtags=False):
    return named_by(attribute, event, ignore_localtags=ignore_localtags)


def test_for_each_kind_the_attributes_own_tags_come_first():
    found = named(tags(OTHER), tags(ACTOR, TECHNIQUE))
    assert found == {Kind.THREAT_ACTOR: (OTHER,), Kind.ATTACK_PATTERN: (TECHNIQUE,)}
    assert named(tags("tlp:red"), tags(ACTOR)) == {Kind.THREAT_ACTOR: (ACTOR,)}


def test_several_of_one_kind_are_in_an_order_of_their_own():
    assert (
        named(tags(ACTOR, OTHER, ACTOR), ()) == named([*tags(OTHER, ACTOR)], ()) == {Kind.THREAT_ACTOR: (OTHER, ACTOR)}
    )


def test_local_tags_count_unless_the_site_ignores_them():
    assert named(tags(ACTOR, local=True), tags(OTHER)) == {Kind.THREAT_ACTOR: (ACTOR,)}
    assert named(tags(ACTOR, local=True), tags(OTHER), ignore_localtags=True) == {Kind.THREAT_ACTOR: (OTHER,)}


def test_the_same_tags_are_asked_both_ways():
    local = tags(ACTOR, local=True)
    assert named(local, ()) and not named(local, (), ignore_localtags=True) and named(local, ())


@pytest.mark.parametrize(
    "name",
    [
        'misp-galaxy:mitre-malware="X"',
        'misp-galaxy:threat-actor=""',
        "misp-galaxy:threat-actor",
        'x:threat-actor="X"',
        "x",
    ],
)
def test_other_tags_name_none(name):
    assert kind_named_by(Tag(name)) is None


@pytest.mark.skipif(not FILES, reason="the published events are not beside this repository")
def test_the_tags_of_published_events():
    found: dict[Kind, set[str]] = {}
    for path in FILES:
        for event in events_in(path):
            for kind, names in named((), read_tags(event.get("Tag"))).items():
                found.setdefault(kind, set()).update(names)
    galaxies = {kind: {name.partition("=")[0] for name in names} for kind, names in found.items()}
    assert galaxies == {
        Kind.THREAT_ACTOR: {"misp-galaxy:threat-actor", "misp-galaxy:eset-threat-actor"},
        Kind.ATTACK_PATTERN: {
            "misp-galaxy:mitre-attack-pattern",
            "misp-galaxy:mitre-enterprise-attack-attack-pattern",
        },
    }
