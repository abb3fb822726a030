"""What explain shows: the first sentence for each case, few lines, several values, and nothing that a run belies."""

import io
import json
import subprocess
import time
from types import SimpleNamespace

import pytest

from constants import Skip
from helpers.commands.command_line import parse
from helpers.commands.explain.command import Options, asked_for, explain, main
from helpers.commands.explain.dates import day
from helpers.errors import SettingsError
from helpers.sync.destination import RunOptions
from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.samples import demo_misp
from sandbox.serve import Sandbox
from tests.commands.test_explain import EVENT, add
from tests.support import FakeTime, hosts, misp_event
from tests.support.processes import Host
from tests.support.tls_site import TlsSite, attribute_uuid, sandbox

ATTRIBUTE = attribute_uuid(1, 0)
LIVE = "live0.example.org is live in Sentinel: 1 indicator, until 19 July 2027, from 1 event"
NEXT_RUN = "the next run sends it"
FULL_RUN = "it is sent when a full run reads its event, which has not changed since: --full does so now"


@pytest.fixture
def site(tmp_path):
    box, fake = sandbox()
    with box:
        site = TlsSite(box, fake, tmp_path)
        site.misp.load([misp_event(1, hosts(2, "live"))])
        site.run()
        yield site


def shown(site, *asked, columns=80, clock=None, **options):
    """The lines of a terminal."""
    lines = []
    clock = clock or site.time.clock
    explain(site.settings(), list(asked), lines.append, Options(**options), clock=clock, now=site.time.now)
    return [piece for line in lines for piece in line.in_terminal().wrapped(columns)]


def first_sentence(site, *asked, **options):
    lines = []
    explain(site.settings(), list(asked), lines.append, Options(**options), clock=FakeTime().clock, now=site.time.now)
    return lines[0].words


def test_a_twin_that_is_no_longer_wanted_leaves_since_the_setting_is_off(site):
    site.misp.load([misp_event(2, [("url", "https://Example.org/A")])])
    site.run(LOWERCASE_URL_TWINS="True")
    url, twin = sorted(line for line in shown(site, "https://example.org/a", columns=200) if line.startswith("  url"))
    assert twin.startswith("  url https://example.org/a (twin in small letters): live until ")
    assert (
        "lowercase_url_twins is off, and MISP has the URL with capital letters alone: the next run withdraws it" in twin
    )
    assert url.startswith("  url https://Example.org/A: live until ")


# --- the first sentence -------------------------------------------------------------------------------


def unflag(site):
    site.misp.edit_attribute(EVENT, ATTRIBUTE, to_ids=False)
    site.misp.publish(EVENT)


def unflag_and_run(site):
    unflag(site)
    site.run()


def flag_again(site):
    unflag_and_run(site)
    site.misp.edit_attribute(EVENT, ATTRIBUTE, to_ids=True)
    site.misp.publish(EVENT)


def hold(site):
    site.misp.edit_info(EVENT, "Another name")
    site.run()


def reject(site):
    add(site, ("domain", "bad.example.org"))
    site.azure.reject = lambda indicator: "Not valid." if "bad" in indicator["pattern"] else None
    site.run()


CASES = {
    "live": (lambda site: None, "live0.example.org", f"{LIVE}."),
    "unwanted": (unflag, "live0.example.org", f"{LIVE}; but MISP does not want it now."),
    "held": (hold, "live0.example.org", f"{LIVE}; held until 29 September 2026."),
    "withdrawn": (
        unflag_and_run,
        "live0.example.org",
        f"live0.example.org is no longer live in Sentinel: withdrawn on 22 September 2026: {Skip.NO_TO_IDS.value}.",
    ),
    "withdrawn, and wanted again": (
        flag_again,
        "live0.example.org",
        f"live0.example.org is no longer live in Sentinel: withdrawn on 22 September 2026: {Skip.NO_TO_IDS.value}; "
        f"MISP wants it again: {NEXT_RUN}, under a new id.",
    ),
    "new": (
        lambda site: add(site, ("domain", "new.example.org")),
        "new.example.org",
        f"new.example.org is not yet in Sentinel: nothing stands in its way: {NEXT_RUN}.",
    ),
    "skipped": (
        lambda site: add(site, {"type": "domain", "value": "new.example.org", "to_ids": False}),
        "new.example.org",
        f"new.example.org is not in Sentinel: {Skip.NO_TO_IDS.value}.",
    ),
    "only in MISP, not published": (
        lambda site: add(site, ("domain", "new.example.org"), published=False),
        "new.example.org",
        "new.example.org is not in Sentinel: the event is not published.",
    ),
    "nowhere": (lambda site: None, "no.example.org", "no.example.org is known to no run nor to MISP."),
    "an event": (lambda site: None, EVENT, f"Event {EVENT} is live in Sentinel: 2 indicators."),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_sentence_says_where_it_stands(site, case):
    prepare, asked, sentence = CASES[case]
    prepare(site)
    assert first_sentence(site, asked) == sentence


def test_where_nobody_could_be_asked_it_says_so(site):
    assert first_sentence(site, "no.example.org", offline=True) == (
        "no.example.org is not known to the ledger, and MISP was not asked."
    )
    site.misp.faults.add(Fault("/attributes/restSearch", "status", times=None))
    assert first_sentence(site, "no.example.org") == (
        "no.example.org is not known to the ledger, and MISP could not be asked."
    )


def test_dates_are_written_out_whatever_the_machines_language():
    assert [day("2027-09-24T23:59:59Z"), day("2026-01-01T00:00:00Z")] == ["24 September 2027", "1 January 2026"]


# --- what a run does afterwards -----------------------------------------------------------------------


def warn_no_more(site):
    """A warninglist lets go of a value: that changes no event."""
    site.misp.warninglist = {"known.example.org"}
    site.config.write_text("misp_event_filters = {'published': 1, 'enforceWarninglist': True}\n")
    add(site, ("domain", "known.example.org"), ("domain", "new.example.org"))
    site.run()
    site.misp.warninglist = set()


def widen_the_filters(site):
    """Settings that shape what is sent make the next run a full one."""
    add(site, ("ip-src", "198.51.100.0/24"))
    site.run()
    site.config.write_text(f"{site.config.read_text()}send_private_and_cidr = True\n")


FORECASTS = {
    "the next run": (CASES["new"][0], "new.example.org", NEXT_RUN, [True]),
    "under a new id": (flag_again, "live0.example.org", f"{NEXT_RUN}, under a new id", [True]),
    "a full run only": (warn_no_more, "known.example.org", FULL_RUN, [False, True]),
    "other settings": (widen_the_filters, "198.51.100.0/24", NEXT_RUN, [True]),
}


@pytest.mark.parametrize("case", FORECASTS)
def test_what_is_said_of_the_next_run_comes_true(site, case):
    prepare, asked, words, outcomes = FORECASTS[case]
    prepare(site)
    assert words in " ".join(shown(site, asked, columns=10_000))
    for number, is_live in enumerate(outcomes):
        site.run(RunOptions(full=number > 0))
        assert first_sentence(site, asked).startswith(f"{asked} is live in Sentinel") is is_live


def test_what_the_next_run_is_said_to_withdraw_leaves(site):
    unflag(site)
    assert "the next run withdraws it, unless a guard" in " ".join(shown(site, "live0.example.org", columns=10_000))
    site.run()
    assert first_sentence(site, "live0.example.org").startswith("live0.example.org is no longer live")


def test_without_the_role_nothing_is_sent_by_the_next_run(site):
    add(site, ("domain", "new.example.org"))
    site.box.azure.faults.add(Fault("/threat-intelligence", "status", status=403, times=None))
    site.run()
    text = " ".join(shown(site, "new.example.org", columns=10_000))
    assert "it is sent once the role is given" in text
    assert NEXT_RUN not in text


# --- several destinations -----------------------------------------------------------------------------


def test_each_destination_speaks_by_its_own_filters(site):
    tenant = {"tenantId": "contoso.example.org", "id": "22222222-2222-4222-8222-222222222222", "secret": "s3cret"}
    names = {"paris": {}, "lyon": {"max_tlp": "green"}}
    workspaces = {"paris": site.azure.workspace_id, "lyon": "44444444-4444-4444-8444-444444444444"}
    tenants = [
        {**tenant, "name": name, "workspaceId": workspaces[name], "filters": filters} for name, filters in names.items()
    ]
    site.config.write_text(f"{site.config.read_text()}ms_tenants = {tenants}\n")
    add(site, {"type": "domain", "value": "new.example.org", "Tag": [{"name": "tlp:amber"}]})
    text = shown(site, "new.example.org", columns=200)
    assert text[0] == "! new.example.org is not yet in paris, and not in lyon."
    assert text[1] == f"  paris: not there yet: nothing stands in its way: {NEXT_RUN}"
    assert text[2] == f"  lyon: not there: {Skip.TLP_TOO_STRICT.value} (tlp:amber)"
    assert sum("filters['max_tlp']" in line for line in text if line.strip().startswith("→")) == 1


# --- how much is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [1, 2, 3, 9])
def test_a_live_value_takes_twelve_lines_at_most(site, events):
    values = [("domain", "c2.example.org"), ("domain|ip", "c2.example.org|192.0.2.7")]
    for number in range(2, 2 + events):
        site.misp.load([misp_event(number, values, info="A campaign with a name of quite some length, of July")])
    site.run()
    lines = shown(site, "c2.example.org")
    assert lines[0].startswith("✓ c2.example.org is live in Sentinel: ")
    assert len(lines) <= 12
    assert len(shown(site, "c2.example.org", detailed=True)) > 12


def test_details_are_for_verbose(site):
    brief, detailed = ("\n".join(shown(site, "live0.example.org", detailed=wanted)) for wanted in (False, True))
    for detail in (f"indicator--{ATTRIBUTE}", "2026-09-22T19:00:00Z", "life", "confidence", "pattern"):
        assert detail not in brief
        assert detail in detailed


def test_each_event_is_shown_once_with_what_is_of_it(site):
    add(site, ("domain", "live0.example.org"), info="Another campaign")
    site.run()
    lines = shown(site, "live0.example.org")
    assert lines.count("Event 1") == lines.count("Another campaign") == 1
    assert [line for line in lines if "domain-name" in line] == [
        "  domain-name live0.example.org: live until 19 July 2027",
        "  domain-name live0.example.org: live until 19 July 2027",
    ]


@pytest.fixture
def host(tmp_path):
    """A host with what the demo sends, whose screens are a real terminal's."""
    with Sandbox(AzureState(), demo_misp(time.time)) as box:
        host = Host(box, tmp_path / "state")
        assert host.run("--quiet").returncode == 0
        yield host


def test_in_a_terminal_it_is_few_lines_green_and_no_wider_than_the_terminal(host):
    seen = host.show("explain", "c2.loader.example")
    assert seen.exit_code == 0
    assert len(seen.lines) <= 12
    assert seen.style_of("c2.loader.example is live") == {"green", "bold"}
    for columns in (60, 80, 100, 160):
        assert max(map(len, host.show("explain", "10.20.30.40", columns=columns).lines)) <= columns


def test_in_a_pipe_it_is_not_wrapped_and_stdin_asks(host):
    done = subprocess.run(
        host.command("explain", "-"),
        env=host.environ,
        input="10.20.30.40\n\nc2[.]loader[.]example\n",
        text=True,
        capture_output=True,
        check=True,
    )
    assert "10.20.30.40 is not in Sentinel: " + Skip.PRIVATE_ADDRESS.value + "." in done.stdout.splitlines()
    assert "\n\nc2[.]loader[.]example is live in Sentinel: 3 indicators" in done.stdout
    assert "\x1b" not in done.stdout


# --- several values -----------------------------------------------------------------------------------


def test_what_is_asked_for_may_come_from_stdin():
    stdin = io.StringIO("a.example.org\n\n  b.example.org \r\n")
    assert list(asked_for(["x", "-", "y"], stdin)) == ["x", "a.example.org", "b.example.org", "y"]


def test_an_empty_stdin_asks_nothing_and_is_an_error(site, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    arguments = SimpleNamespace(what=["-"], offline=True, json=False, verbose=False)
    with pytest.raises(SettingsError, match="nothing on stdin to explain"):
        main(site.settings(), arguments, print)


def test_several_values_are_told_apart_by_an_empty_line(site):
    text = shown(site, "live0.example.org", "no.example.org")
    at = text.index("")
    assert text[0].startswith("✓ live0.example.org is live")
    assert text[at + 1] == "! no.example.org is known to no run nor to MISP."


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (["live0.example.org", "live1.example.org"], 0),
        (["no.example.org", "live0.example.org"], 1),
        (["live0.example.org", "no.example.org"], 1),
    ],
)
def test_in_json_each_has_a_line_and_the_exit_code_is_the_worst(site, asked, code):
    lines = []
    options = Options(as_json=True)
    ended = explain(site.settings(), asked, lines.append, options, clock=site.time.clock, now=site.time.now)
    assert ended == code
    answers = [json.loads(line) for line in lines]
    assert [answer["asked"] for answer in answers] == asked
    live = next(answer for answer in answers if answer["asked"] == "live0.example.org")
    (place,) = live["destinations"]
    assert live["sentence"] == f"{LIVE}."
    assert (place["state"], place["in_settings"], live["recorded"]) == ("live", True, True)
    assert live["ledger"][0]["objects"][0]["state"] == "live"
    assert live["misp"]["attributes"][0]["destinations"][0]["next_run"] == "passes over"


def test_that_misp_did_not_answer_is_worse_than_that_nobody_knows(site):
    site.misp.faults.add(Fault("/attributes/restSearch", "status", times=1))
    lines = []
    asked = ["no.example.org", "live0.example.org"]
    site.misp.faults.add(Fault("/attributes/restSearch", "status", times=None))
    options = Options(as_json=True)
    assert explain(site.settings(), asked, lines.append, options, clock=FakeTime().clock, now=site.time.now) == 3


def test_the_command_line_takes_several_values():
    assert parse(["explain", "a", "b", "-"]).what == ["a", "b", "-"]
