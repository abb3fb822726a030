"""What an earlier version wrote down as said is not said again, and what an object says is made JSON once."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.indicators import ConversionRules
from helpers.ledger import Stage, unpacked
from helpers.settings.model import MsAuth, Settings
from helpers.sync import DesiredObject
from helpers.sync.events.prepared_slice import PreparedSlice
from helpers.sync.ownership import Life
from helpers.sync.plan import _first_sent as first_sent
from helpers.sync.plan import renewal
from tests.support import hosts, indicator, misp_attribute, misp_event
from tests.support.in_process import OneProcess

NOW = 1_790_000_100
DAY = 86_400


def as_2_0_0_wrote_it(body, valid_until, renew_at):
    """Return the fingerprint of an object whose expiry moves on."""
    said = {name: value for name, value in unpacked(body).items() if name not in ("modified", "id", "valid_until")}
    said["ends"] = [2 * (valid_until - renew_at), 0]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def test_what_2_0_0_sent_is_sent_again_only_where_it_changed(tmp_path):
    site = OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(5))])
    assert site.run().as_json()["accepted"] == 5
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE findings SET fingerprint = 'by another version'")
        connection.create_function("earlier", 3, as_2_0_0_wrote_it)
        connection.execute(
            "UPDATE contents SET fingerprint = (SELECT earlier(contents.body, s.valid_until, s.renew_at)"
            " FROM standings s WHERE s.content = contents.number) WHERE id LIKE 'indicator--%'"
        )
    site.misp.edit_attribute(misp_event(1)["uuid"], misp_event(1, hosts(5))["Attribute"][2]["uuid"], comment="another")
    site.misp.publish(misp_event(1)["uuid"])
    report = site.run(full=True).as_json()
    assert report["planned"] == {"new": 0, "changed": 1, "renewed": 0, "again": 0}
    assert report["accepted"] == 1
    assert site.azure.wrong == []


def test_what_is_renewed_has_the_bytes_of_what_is_sent_at_the_same_time():
    """Two destinations then share it in the ledger."""
    wanted = DesiredObject("key", indicator(1), UUID(int=1), "indicator--1", 30 * DAY)
    sent = first_sent(wanted, Life(1, "indicator--1"), NOW)
    accepted = replace(sent, stage=Stage.ACCEPTED, accepted_at=NOW, live=True, live_until=sent.valid_until)
    renewed = renewal(accepted, NOW + 20 * DAY, moves=True)
    assert renewed.body == first_sent(wanted, Life(1, "indicator--1"), NOW + 20 * DAY).body


@given(st.text(), st.text(), st.text(), st.text())
def test_an_object_is_sent_as_it_is_wanted(id_, modified, valid_until, name):
    wanted = {**indicator(1), "name": name}
    body = DesiredObject("key", wanted, UUID(int=1), "indicator--1", 0).body(id_, modified, valid_until)
    assert unpacked(body) == {**wanted, "id": id_, "modified": modified, "valid_until": valid_until}


# --- Attributes that name no actor -------------------------------------------------------------------

SOFACY = 'misp-galaxy:threat-actor="Sofacy"'
TAGS = [{"name": "tlp:amber"}, {"name": SOFACY}, {"name": "mine", "local": 1}]
FILE = {
    "uuid": "30000000-0000-4000-8000-000000000001",
    "name": "file",
    "meta-category": "file",
    "Attribute": [misp_attribute(9, ("sha256", "ab" * 32)), misp_attribute(10, ("filename", "a.exe"))],
}
EVENT = misp_event(
    1,
    [{"type": "ip-dst", "value": "192.0.2.1", "Tag": TAGS}, ("url", "http://example.com/a"), ("comment", "seen")],
    Tag=TAGS[1:],
    Object=[FILE],
)
# SHA-256 of what 2.1.0 made of that event: its attributes' fingerprints, and the indicators.
MADE_BY_2_1_0 = {
    "da390987baf66a4b958a4276ab1d667adad58643439a05987677deb5c62470a0": {},
    "97a7ec5eed0fc6c9f96ded260995f5e6c8f7740cfa9480e982a3fa047c5ab5e4": {"misp_flatten_attributes": False},
    "164c48291009e1f1c7212af43a1bc89819a7922a3ddedb80f154c3cca12c1d8e": {"ms_auth": MsAuth(graph_api=True)},
}


def made_of(event, actor_names, **settings):
    rules, at = ConversionRules.of(Settings(**settings)), datetime.fromtimestamp(NOW, UTC)
    part = PreparedSlice.of(event, rules, "by these settings", at, actor_names)
    indicators = [made for result in part.convert(part.prepared.items) for made in result.indicators]
    return part.fingerprints, indicators


@pytest.mark.parametrize("more", [{}, {"activity_group_labels": False}], ids=str)
@pytest.mark.parametrize("names", [{}, {'misp-galaxy:threat-actor="Turla"': "Turla"}, {SOFACY: ""}], ids=str)
@pytest.mark.parametrize(("recorded", "settings"), MADE_BY_2_1_0.items(), ids=["stix", "objects", "graph"])
def test_what_names_no_actor_has_the_fingerprint_and_the_bytes_that_2_1_0_gave_it(recorded, settings, names, more):
    fingerprints, indicators = made_of(EVENT, names, **settings, **more)
    made = json.dumps([sorted(fingerprints.items()), indicators], sort_keys=True)
    assert hashlib.sha256(made.encode()).hexdigest() == recorded


@pytest.mark.parametrize("settings", MADE_BY_2_1_0.values(), ids=["stix", "objects", "graph"])
def test_the_fingerprints_change_of_those_that_a_name_reaches(settings):
    own = {**EVENT, "Tag": []}
    before, named, renamed = (made_of(own, {SOFACY: name}, **settings)[0] for name in ("", "Sofacy", "APT28"))
    (address,) = (uuid for uuid in before if named[uuid] != before[uuid])
    assert address == EVENT["Attribute"][0]["uuid"]
    assert {uuid for uuid in before if renamed[uuid] != named[uuid]} == {address}
    of_event = made_of(EVENT, {SOFACY: "Sofacy"}, **settings)[0]
    assert all(of_event[uuid] != made_of(EVENT, {}, **settings)[0][uuid] for uuid in of_event)
