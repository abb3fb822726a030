"""What MISP's answers may take, in time and size: smaller parts are asked for, or it ends with a sentence."""

from __future__ import annotations

import io
import json
import math
from itertools import chain, repeat

import pytest

from helpers.commands.check import Preflight
from helpers.commands.collect import collect
from helpers.commands.share import share
from helpers.errors import MispTooMuch, TimeUp
from helpers.http import MIB, Limits, PinnedHttpAdapter
from helpers.misp import MispClient, MispConnection, limits_of
from helpers.stories import ShareOptions
from tests.support import FakeTime, Said, misp_event
from tests.support.story_site import StorySite, story
from tests.support.tls_site import TlsSite, sandbox
from tests.support.wire_server import WireServer

LARGER = "the answer is larger than 1 MiB (misp_answer_mib allows no more"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box:
        yield TlsSite(box, time, tmp_path)


@pytest.fixture
def endless():
    """A MISP whose answers have no end."""
    with WireServer(lambda asked: chain([OK], repeat(b" " * 65536))) as server:
        yield server


def large_event(number, kib):
    """An event of about so many KiB, in attributes of about one."""
    attributes = [{"type": "domain", "value": f"e{number}h{n}.example.org", "comment": "x" * 800} for n in range(kib)]
    return misp_event(number, attributes)


def searches(site):
    return [body for _, path, body in site.misp.requests if path == "/events/restSearch" and "eventid" in (body or {})]


# --- size --------------------------------------------------------------------------------------------


def test_a_page_that_is_too_large_is_read_in_smaller_ones(site):
    site.misp.load([large_event(number, 300) for number in range(1, 7)])
    report = site.run(MISP_ANSWER_MIB="1")
    assert (report.exit_code, report.events, report.unread) == (0, 6, [])
    whole = [body for body in searches(site) if len(body["eventid"]) == 6]
    assert len(whole) == 1, "the same question has the same answer: it is asked once"


def test_an_event_that_is_too_large_is_read_by_pages_of_its_attributes(site):
    site.misp.load([large_event(1, 1500)])
    report = site.run(MISP_ANSWER_MIB="1")
    assert (report.exit_code, report.indicators) == (0, 1500)


def test_an_attribute_that_is_too_large_costs_only_its_event(site):
    site.misp.load([misp_event(1, [{"type": "domain", "value": "a.example.org", "comment": "x" * 2 * MIB}])])
    site.misp.load([large_event(2, 10)])
    report = site.run(MISP_ANSWER_MIB="1")
    (unread,) = report.unread
    assert report.exit_code == 3 and report.indicators == 10
    assert misp_event(1)["uuid"] in unread and LARGER in unread
    assert site.run(MISP_ANSWER_MIB="8").exit_code == 0


def test_a_listing_that_is_too_large_ends_the_run(site):
    site.misp.load([misp_event(number, info="x" * 60_000) for number in range(1, 30)])
    report = site.run(MISP_ANSWER_MIB="1")
    assert (report.exit_code, report.events) == (3, 0)
    assert LARGER in report.misp_error and "misp_event_filters" in report.misp_error


def test_a_login_without_an_end_ends_in_a_run_and_in_check(site, endless):
    report = site.run(MISP_DOMAIN=endless.url, MISP_ANSWER_MIB="1")
    assert report.exit_code == 3 and LARGER in report.misp_error
    assert len(endless.asked) == 1
    lines = Said()
    assert Preflight(site.settings(MISP_DOMAIN=endless.url, MISP_ANSWER_MIB="1"), lines.say).run() == 3
    assert [line for line in lines if line.startswith("FAIL MISP login") and LARGER in line]


@pytest.mark.parametrize("command", ["share", "collect"])
def test_stories_end_too(tmp_path, endless, command):
    settings = StorySite(tmp_path).settings(URL=endless.url).model_copy(update={"misp_answer_mib": 1})
    file = tmp_path / "stories.json"
    file.write_text(json.dumps(story()))
    with pytest.raises(MispTooMuch, match="misp_answer_mib") as caught:
        if command == "share":
            share(settings, [file], print, ShareOptions(), sleep=FakeTime().sleep)
        else:
            collect(settings, io.StringIO(), print, sleep=FakeTime().sleep)
    assert caught.value.exit_code == 3


# --- time --------------------------------------------------------------------------------------------


def slow_client(site, server, seconds_left=lambda: math.inf):
    """A client by whose clock each part of an answer takes five minutes."""
    connection = MispConnection.of(site.settings(MISP_DOMAIN=server.url))
    clock = FakeTime(0)

    def now():
        clock.seconds += 300
        return clock.seconds

    adapter = PinnedHttpAdapter(True, {}, connection.limits, now)
    return MispClient(connection, clock.sleep, lambda: seconds_left() - clock.seconds, adapter=adapter), clock


def test_a_misp_that_drips_ends_with_the_setting(site, endless):
    client, clock = slow_client(site, endless)
    with pytest.raises(MispTooMuch, match=r"not complete after 15 minutes \(misp_answer_minutes"):
        client.connect()
    assert clock.slept == [] and len(endless.asked) == 1, "it is not asked again"


def test_a_misp_that_drips_does_not_hold_a_run_beyond_its_time(site, endless):
    client, clock = slow_client(site, endless, lambda: 600)
    with pytest.raises(TimeUp):
        client.connect()
    assert clock.seconds <= 1200


def test_the_settings_say_what_an_answer_may_take(site):
    settings = site.settings(MISP_TIMEOUT="7", MISP_ANSWER_MINUTES="0.5", MISP_ANSWER_MIB="2")
    assert limits_of(settings, settings.misp_timeout) == Limits(7, 30, 2 * MIB)
    assert limits_of(site.settings(), 120) == Limits(120, 900, 512 * MIB)
