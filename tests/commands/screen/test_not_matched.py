"""What Microsoft's published rules do not match is said of what is new, once, and never where cron would send mail."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections import Counter
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.check import holdings
from helpers.commands.check.holdings import holdings_of
from helpers.commands.run import show_report, summary
from helpers.indicators.patterns import Observable
from helpers.settings import MsAuth, Settings
from helpers.sync import Report, Sort, not_matched, not_to_be_matched, sort_of, sorted_by
from sandbox.faults import Fault
from tests.support import misp_event
from tests.sync.test_destination import APIS, UPLOAD_PATH, later, make_site

__all__ = ["make_site"]
IPV6 = "312 IPv6 addresses: no rule that Microsoft publishes matches them"
URLS = (
    "48 URLs with capital letters: 3 of Microsoft's 8 rules never match them; lowercase_url_twins sends small ones too"
)
CONFIDENCE = "default_confidence 50: the rule for AppServiceHTTPLogs wants more"
COUNTS = {Sort.IPV4: 9, Sort.IPV6: 312, Sort.CAPITALS: 48}
VALUES = [("ip-dst", "192.0.2.1"), ("ip-dst", "2001:db8::1"), ("ip-src", "2001:db8::2"), ("domain", "a.example.org")]
VALUES += [("url", "https://example.org/A"), ("url", "https://example.org/b")]


# --- which --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "sort"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", Sort.IPV4),
        ("[ipv6-addr:value = '2001:db8::1']", Sort.IPV6),
        ("[ipv6-addr:value", Sort.IPV6),
        ("[networkIPv6 = '2001:db8::1' AND threatType = 'WatchList']", Sort.IPV6),
        ("[networkSourceIPv4 = '192.0.2.1' AND networkIPv4 = '192.0.2.1']", Sort.IPV4),
        ("[networkDestinationIPv6 = '2001:db8::1']", Sort.IPV6),
        ("[networkCidrBlock = '192.0.2.0/24']", None),
        ("[url:value = 'https://example.org/A']", Sort.CAPITALS),
        ("[url = 'https://example.org/A' AND threatType = 'WatchList']", Sort.CAPITALS),
        ("[url = 'https://example.org/a' AND threatType = 'WatchList']", None),
        ("[url:value", None),
        ("[domain-name:value = '2001:db8::1']", None),
        ("[file:name = 'A']", None),
        ("", None),
    ],
)
def test_which_sort_an_indicator_is(pattern, sort):
    assert sort_of(pattern) is sort


@given(st.lists(st.text()))
def test_a_url_is_told_apart_by_its_own_letters_alone(values):
    sorts = sorted_by(Observable("url:value", value).pattern for value in values)
    assert sorts.total() == sorts[Sort.CAPITALS] == sum(value != value.lower() for value in values)


# --- in words -----------------------------------------------------------------------------------------


def said(counts, **settings):
    return list(not_matched(Settings(**settings), counts))


def test_each_sort_has_a_sentence_and_what_is_none_has_not():
    assert said(COUNTS) == [IPV6, URLS, CONFIDENCE]
    assert said({}) == said({Sort.IPV4: 1}, default_confidence=51) == []
    assert said({Sort.IPV4: 1}, default_confidence=30) == [CONFIDENCE.replace("50", "30")]
    one = said({Sort.IPV6: 1, Sort.CAPITALS: 1})
    assert one[0] == "1 IPv6 address: no rule that Microsoft publishes matches it"
    assert one[1].startswith("1 URL with capital letters: 3 of Microsoft's 8 rules never match it;")


def test_with_twins_urls_are_matched():
    assert said(COUNTS, lowercase_url_twins=True) == [IPV6, CONFIDENCE]


def test_what_does_not_reach_sentinel_is_nothing_for_its_rules():
    graph = {"ms_auth": MsAuth(graph_api=True)}
    assert said(COUNTS, **graph) == [IPV6, URLS, CONFIDENCE]
    assert said(COUNTS, **graph, ms_target_product="Microsoft Defender ATP") == []
    assert list(not_to_be_matched(Settings(**graph, ms_target_product="Microsoft Defender ATP"))) == []
    assert said(COUNTS, ms_target_product="Microsoft Defender ATP") == [IPV6, URLS, CONFIDENCE], "Graph's alone"


def test_where_nothing_is_known_one_sentence_says_it_by_the_settings():
    urls = "not all match URLs with capitals (lowercase_url_twins)"
    said = f"match no IPv6 address, {urls}, one wants default_confidence > 50"
    assert list(not_to_be_matched(Settings())) == list(not_to_be_matched(Settings(default_confidence=30))) == [said]
    assert list(not_to_be_matched(Settings(lowercase_url_twins=True, default_confidence=60))) == [
        "match no IPv6 address"
    ]


# --- a run --------------------------------------------------------------------------------------------


def shown(report, settings, capsys, monkeypatch, *, terminal, **arguments):
    """What a run shows on stdout and stderr."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    show_report(report, settings, Namespace(**{"json": False, "quiet": False, "verbose": False, **arguments}))
    return capsys.readouterr()


@pytest.mark.parametrize("api", APIS)
def test_a_run_counts_what_is_new_and_the_next_one_has_nothing_to_say(make_site, api):
    site = make_site(**APIS[api])
    site.misp.load([misp_event(1, VALUES)])
    first = site.run()
    assert first.new_sorts == {Sort.IPV4: 1, Sort.IPV6: 2, Sort.CAPITALS: 1}
    assert first.as_json()["new_for_rules"] == {"ipv4_addresses": 1, "ipv6_addresses": 2, "urls_with_capitals": 1}
    assert first.exit_code == 0
    assert later(site, full=True).new_sorts == later(site).new_sorts == {}
    site.misp.load([misp_event(2, [("ip-dst", "2001:db8::3")])])
    assert later(site).new_sorts == {Sort.IPV6: 1}


def test_it_is_shown_in_a_terminal_and_logged_and_cron_hears_nothing(make_site, capsys, monkeypatch, caplog):
    site = make_site()
    site.misp.load([misp_event(1, VALUES)])
    report = site.run()
    caplog.set_level(logging.INFO)
    cron = shown(report, site.settings, capsys, monkeypatch, terminal=False)
    assert (cron.out, cron.err) == ("", "")
    assert [record.message for record in caplog.records if record.message.startswith("Not matched: ")] == [
        "Not matched: 2 IPv6 addresses: no rule that Microsoft publishes matches them",
        f"Not matched: {URLS.replace('48 URLs', '1 URL').replace('them', 'it')}",
        f"Not matched: {CONFIDENCE}",
    ]
    terminal = shown(report, site.settings, capsys, monkeypatch, terminal=True)
    assert "  no match  2 IPv6 addresses: no rule that Microsoft publishes matches them" in terminal.out
    assert terminal.err == ""
    quiet = shown(report, site.settings, capsys, monkeypatch, terminal=True, quiet=True)
    assert quiet.out + quiet.err == ""
    as_json = shown(report, site.settings, capsys, monkeypatch, terminal=True, json=True)
    assert json.loads(as_json.out)["new_for_rules"]["ipv6_addresses"] == 2
    assert as_json.err == ""


def test_a_run_that_failed_says_it_in_the_log_alone(capsys, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    for given_up, said in (("", True), ("no token", False)):
        report = Report(new_sorts=Counter(COUNTS), given_up=given_up)
        caplog.clear()
        out = shown(report, Settings(state_dir="/tmp"), capsys, monkeypatch, terminal=True).out
        assert ("no match" in out, f"Not matched: {IPV6}" in caplog.messages) == (said, True)


def test_of_many_destinations_it_is_said_once(capsys, monkeypatch):
    parts = [Report(name=f"place {number}", new_sorts=Counter(COUNTS)) for number in range(50)]
    whole = Report.of(parts, events=1)
    out = " ".join(shown(whole, Settings(state_dir="/tmp"), capsys, monkeypatch, terminal=True).out.split())
    assert out.count("IPv6") == out.count("URLs with capital letters") == out.count("default_confidence") == 1
    assert "no match 15,600 IPv6 addresses at 50 destinations: no rule" in out


def test_it_is_a_block_at_the_end_of_what_is_counted():
    report = Report(events=1, attributes=1, new_sorts=Counter(COUNTS), live=1)
    lines = [(line.mark, line.words) for line in summary.details(report, verbose=False, not_matched=[IPV6, CONFIDENCE])]
    assert lines[-3:] == [("live", "1 in Sentinel now"), ("no match", IPV6), ("", CONFIDENCE)]


# --- what the ledger holds ----------------------------------------------------------------------------


def held(site, destinations=None):
    return holdings_of(site.settings, destinations or site.settings.destinations(), site.seconds)


@pytest.mark.parametrize("api", APIS)
def test_what_is_live_is_counted_by_the_ledger(make_site, api):
    site = make_site(**APIS[api])
    assert held(site) is None, "nothing has run"
    site.misp.load([misp_event(1, VALUES)])
    site.run()
    assert held(site) == ({Sort.IPV4: 1, Sort.IPV6: 2, Sort.CAPITALS: 1}, False)
    site.misp.edit_attribute(misp_event(1)["uuid"], misp_event(1, VALUES)["Attribute"][1]["uuid"], to_ids=False)
    site.misp.publish(misp_event(1)["uuid"])
    later(site)
    assert held(site).sorts[Sort.IPV6] == 1
    site.seconds += 500 * 86_400
    assert held(site) is None, "what has expired is not live"


def test_what_waits_is_not_counted(make_site):
    site = make_site()
    site.misp.load([misp_event(1, [("url", "https://example.org/A")])])
    site.run()
    site.misp.load([misp_event(2, [("url", "https://example.org/B")])])
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, times=None))
    assert later(site).not_taken == 1
    assert held(site) == ({Sort.CAPITALS: 1}, False)


def test_another_destination_s_indicators_are_not_counted(make_site):
    site = make_site()
    site.misp.load([misp_event(1, VALUES)])
    site.run()
    assert held(site, [site.settings.model_copy(update={"sourcesystem": "another"})]) is None


def test_no_more_urls_are_looked_at_than_can_be_in_a_moment(make_site):
    site = make_site()
    site.misp.load([misp_event(1, [("url", f"https://example.org/A{number}") for number in range(9)])])
    site.run()
    with mock.patch.object(holdings, "MOST_URLS", 4):
        counted = held(site)
    assert counted == ({Sort.CAPITALS: 4}, True)
    (words,) = not_matched(site.settings, counted.sorts, more_urls=counted.more_urls)
    assert words.startswith("at least 4 URLs with capital letters: ")
