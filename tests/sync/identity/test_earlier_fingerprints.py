"""What an earlier version wrote down as said is not said again, and what an object says is made JSON once."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from helpers.ledger import Stage, unpacked
from helpers.sync import DesiredObject
from helpers.sync.ownership import Life
from helpers.sync.plan import _first_sent as first_sent
from helpers.sync.plan import renewal
from tests.support import hosts, indicator, misp_event
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
