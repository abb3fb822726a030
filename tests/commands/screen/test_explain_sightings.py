"""What explain says of alerts: when they named something, how often, and what of that stands in MISP."""

from contextlib import closing
from dataclasses import replace

import pytest

from constants import WithdrawalReason
from helpers.indicators import DAY
from helpers.ledger import EventRecord, MatchRecord, SightingLedger, SightingRecord, SightingStage, Stage
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from helpers.settings.sections import Tenant
from helpers.sync.destination import RunOptions
from tests.commands.screen.test_explain_screen import shown
from tests.commands.test_explain import (
    ATTRIBUTE,
    EVENT,
    NOW,
    OTHER,
    STIX_ID,
    WORKSPACE,
    ExplainedLedger,
    attribute_record,
    object_record,
)
from tests.support import misp_event
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
VALUE = "evil.example.org"
ANOTHER = attribute_uuid(1, 1)
TLP = "its TLP is stricter than misp_sightings['max_tlp'] allows"
SOURCE = "Microsoft Sentinel soc"


@pytest.fixture
def explained(ledger_url, make_settings, tmp_path):
    named = MsAuth(workspace_id=WORKSPACE, workspaceName="soc")
    return ExplainedLedger(make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=named))


def sighting(day=1, attribute=ATTRIBUTE, **changes):
    """The sighting of what was seen so many days ago."""
    record = SightingRecord(attribute, f"day {day}", EVENT, 0, NOW - day * DAY, VALUE, SightingStage.WRITTEN, "", NOW)
    return replace(record, **changes)


def false_positive(**changes):
    return sighting(occasion="incident 7", type=1, at=NOW, **changes)


def match(alert, day=1, attribute=ATTRIBUTE):
    return MatchRecord(alert, attribute, f"day {day}", "id", NOW - day * DAY)


def keep(settings, matches, sightings, workspace=WORKSPACE, sourcesystem="MISP"):
    with closing(Ledger(settings.ledger_url, workspace, sourcesystem)) as ledger:
        SightingLedger(ledger).keep(matches, sightings)


def seen_lines(text):
    """The lines about alerts, and those below them."""
    found = [
        line for line in text.splitlines() if line.startswith(("  seen", "    refused", "    left out", "    in doubt"))
    ]
    return [line.strip() for line in found]


# -- what was asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [VALUE, "evil[.]example[.]org", ATTRIBUTE, STIX_ID, EVENT])
def test_it_says_when_and_how_often_alerts_named_it_and_what_misp_has(explained, asked):
    explained.keep(objects=[object_record()], attributes=[attribute_record()], events=[EventRecord(EVENT, NOW, True)])
    matches = [match("a", 3), match("b", 3), match("b", 1), match("c", 1)]
    keep(explained.settings, matches, [sighting(3), sighting(1, stage=SightingStage.WAITING, settled_at=0)])
    code, answer, text = explained.ask(asked)
    assert (code, answer["misp"]) == (0, None)
    assert answer["ledger"][0]["sightings"] == {
        "last_seen": "2026-09-20T14:13:20Z",
        "alerts": 3,
        "days": 2,
        "source": SOURCE,
        "in_misp": [
            {
                "attribute": ATTRIBUTE,
                "event": EVENT,
                "occasion": f"day {day}",
                "false_positive": False,
                "at": at,
                "state": state,
                "words": "",
                "since": since,
            }
            for day, at, state, since in (
                (1, "2026-09-20T14:13:20Z", "waiting", None),
                (3, "2026-09-18T14:13:20Z", "written", "2026-09-21T14:13:20Z"),
            )
        ],
    }
    assert seen_lines(text) == [
        "seen: in 3 alerts on 2 days, last on 20 September 2026, 14:13 UTC; "
        f'in MISP as "{SOURCE}": 1 written, 1 waiting'
    ]


def test_what_no_alert_named_has_none(explained):
    explained.keep(objects=[object_record()], attributes=[attribute_record()])
    keep(explained.settings, [match("a", attribute=ANOTHER)], [sighting(attribute=ANOTHER)])
    _, answer, text = explained.ask(VALUE)
    assert answer["ledger"][0]["sightings"] is None
    assert seen_lines(text) == []


def test_the_time_is_the_last_alerts_and_not_when_an_incident_was_closed(explained):
    explained.keep(objects=[object_record()])
    keep(explained.settings, [match("a", 2)], [sighting(2), false_positive()])
    _, answer, text = explained.ask(VALUE)
    assert answer["ledger"][0]["sightings"]["last_seen"] == "2026-09-19T14:13:20Z"
    assert answer["ledger"][0]["sightings"]["days"] == 1
    assert [each["false_positive"] for each in answer["ledger"][0]["sightings"]["in_misp"]] == [True, False]
    assert seen_lines(text)[0].endswith(": 1 written, 1 false positive written")


def test_of_an_alert_that_is_forgotten_what_it_led_to_is_said(explained):
    explained.keep(objects=[object_record()])
    keep(explained.settings, [], [false_positive(stage=SightingStage.WAITING)])
    _, answer, text = explained.ask(VALUE)
    assert answer["ledger"][0]["sightings"]["last_seen"] is None
    assert seen_lines(text) == [f'seen: in MISP as "{SOURCE}": 1 false positive waiting']


# -- where it stands ----------------------------------------------------------------------------------

REASONS = {
    SightingStage.WRITTEN: ("written", ""),
    SightingStage.THERE: ("there already", ""),
    SightingStage.WAITING: ("waiting", ""),
    SightingStage.WRITING: ("in doubt", "in doubt: MISP gave no answer"),
    SightingStage.REFUSED: ("refused", "refused: Could not add the Sighting."),
    SightingStage.LEFT_OUT: ("left out", f"left out: {TLP}"),
}


@pytest.mark.parametrize("stage", SightingStage)
def test_each_state_is_said_with_the_reason_where_there_is_one(explained, stage):
    words, line = REASONS[stage]
    explained.keep(objects=[object_record()])
    records = [sighting(day, stage=stage, words=line.partition(": ")[2]) for day in (1, 2)]
    keep(explained.settings, [match("a"), match("b", 2)], records)
    _, answer, text = explained.ask(VALUE)
    said = seen_lines(text)
    assert said[0].endswith(f'in MISP as "{SOURCE}": 2 {words}')
    assert said[1:] == ([line] if line else []), "the same words once"
    states = [(each["state"], each["words"]) for each in answer["ledger"][0]["sightings"]["in_misp"]]
    assert states == [(stage.value, line.partition(": ")[2])] * 2


def test_what_misp_says_is_on_one_line_and_not_for_ever(explained):
    explained.keep(objects=[object_record()])
    refused = [
        sighting(day, stage=SightingStage.REFUSED, words=f"No {day},\n\x1b[31m because. {'x' * 300}")
        for day in range(9)
    ]
    keep(explained.settings, [match("a")], refused)
    lines = seen_lines(explained.ask(VALUE)[2])
    assert len(lines) == 4 and all(len(line) < 230 for line in lines)
    assert lines[1].startswith("refused: No 0, \\x1b[31m because. xxx")


# -- what has left ------------------------------------------------------------------------------------


def test_of_an_attribute_whose_indicator_has_left_it_is_said_too(explained):
    gone = object_record(stage=Stage.WITHDRAWN, live=False, words=WithdrawalReason.GONE)
    explained.keep(objects=[gone], sources=[])
    keep(explained.settings, [match("a")], [sighting()])
    for asked in (VALUE, ATTRIBUTE, STIX_ID):
        _, answer, text = explained.ask(asked)
        assert answer["sentence"].startswith(f"{asked} is no longer live in Sentinel: withdrawn")
        assert len(seen_lines(text)) == 1


def test_an_attribute_that_the_ledger_knows_from_alerts_alone_is_known(explained):
    explained.keep(objects=[object_record()])
    keep(explained.settings, [match("a", attribute=ANOTHER)], [sighting(attribute=ANOTHER)])
    code, answer, text = explained.ask(ANOTHER)
    assert (code, answer["sentence"]) == (0, f"{ANOTHER} is known from alerts alone.")
    assert len(seen_lines(text)) == 1
    assert "not in it" not in text


# -- destinations -------------------------------------------------------------------------------------


@pytest.fixture
def two(explained):
    login = {"tenantId": "contoso.example.org", "id": OTHER, "secret": "s3cret"}
    tenants = [Tenant(name=name, workspaceId=id_, **login) for name, id_ in (("paris", WORKSPACE), ("oslo", OTHER))]
    explained.settings = explained.settings.model_copy(update={"ms_tenants": tenants})
    return explained


def test_each_destination_has_its_own(two):
    for workspace in (WORKSPACE, OTHER):
        two.keep(objects=[object_record()], workspace=workspace)
    keep(two.settings, [match("a")], [sighting()], workspace=OTHER)
    _, answer, text = two.ask(VALUE)
    assert [known["sightings"] and known["sightings"]["source"] for known in answer["ledger"]] == [
        None,
        "Microsoft Sentinel oslo",
    ]
    (line,) = seen_lines(text)
    assert line.startswith("seen in oslo: in 1 alert on 1 day, last on ")
    assert line.endswith(' in MISP as "Microsoft Sentinel oslo": 1 written')


def test_what_is_known_from_alerts_at_one_of_them_is_unknown_at_the_other(two):
    for workspace in (WORKSPACE, OTHER):
        two.keep(objects=[object_record()], workspace=workspace)
    keep(two.settings, [match("a", attribute=ANOTHER)], [sighting(attribute=ANOTHER)], workspace=OTHER)
    _, answer, _ = two.ask(ANOTHER)
    assert [place["sentence"] for place in answer["destinations"]] == [
        "not there: not known to the ledger, and MISP was not asked",
        "not there: known from alerts alone",
    ]


def test_one_that_the_settings_do_not_name_has_no_source(explained):
    explained.keep(objects=[object_record()], workspace=OTHER)
    keep(explained.settings, [match("a")], [sighting()], workspace=OTHER)
    _, answer, text = explained.ask(VALUE)
    (known,) = (known["sightings"] for known in answer["ledger"])
    assert known["source"] is None
    keep(explained.settings, [], [sighting(attribute=ANOTHER)], workspace=OTHER)
    assert explained.ask(ANOTHER)[1]["sentence"] == f"{ANOTHER} is known from alerts alone."
    assert any(line.endswith("UTC; in MISP: 1 written") for line in seen_lines(text))


# -- after runs, on a screen --------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    box, fake = sandbox()
    with box:
        yield TlsSite(box, fake, tmp_path)


def see(site, *sightings):
    settings = site.settings()
    matches = [
        MatchRecord(f"{record.occasion}", record.attribute, record.occasion, "ip", record.at) for record in sightings
    ]
    keep(settings, matches, sightings, settings.workspace_key)


def test_a_value_that_many_attributes_had_is_seen_through_each_of_them(site):
    """One that has left is remembered, though nothing of the indicator names it any more."""
    for number in (1, 2):
        site.misp.load([misp_event(number, [("domain", VALUE)])])
    deduplicated = {"DEDUPLICATE": "value"}
    site.run(**deduplicated)
    see(site, sighting(1), sighting(2, attribute=attribute_uuid(2, 0)))
    assert "in 2 alerts on 2 days" in " ".join(shown(site, VALUE, columns=500))
    site.misp.delete(event_uuid(1))
    site.run(RunOptions(full=True), **deduplicated)
    assert "in 2 alerts on 2 days" in " ".join(shown(site, VALUE, columns=500))


@pytest.mark.parametrize("events", [1, 2, 3, 9])
def test_a_live_value_that_was_seen_takes_twelve_lines_at_most_too(site, events):
    for number in range(1, 1 + events):
        site.misp.load(
            [misp_event(number, [("domain", VALUE)], info="A campaign with a name of quite some length, of July")]
        )
    site.run()
    see(site, sighting(), sighting(2, stage=SightingStage.LEFT_OUT, words=TLP))
    lines = shown(site, VALUE)
    assert any(line.startswith("  seen: in 2 alerts on 2 days") for line in lines)
    assert len(lines) <= 12
