"""Explain: every stage and reason from the ledger, what MISP shows now, values as analysts write them, exit codes."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constants import Skip, WithdrawalReason
from helpers.commands.explain import advice
from helpers.commands.explain.command import Options, explain
from helpers.commands.explain.lines import MOST_SHOWN
from helpers.commands.screen import Screen
from helpers.indicators import DAY
from helpers.indicators.values import Unsendable, normalise
from helpers.ledger import AttributeRecord, EventRecord, ObjectRecord, Source, Stage, packed
from helpers.ledger.questions.spellings import addresses, holds, is_block_with, shortest, spellings
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from helpers.settings.sections import Tenant
from helpers.sync import attribute_key, value_in
from helpers.sync.destination import RunOptions
from sandbox.faults import Fault
from tests.support import FakeTime, hosts, misp_event
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
NOW = 1_790_000_000
LATER = NOW + 50 * DAY
WORKSPACE = "11111111-1111-4111-8111-111111111111"
OTHER = "44444444-4444-4444-8444-444444444444"
EVENT = event_uuid(1)
ATTRIBUTE = attribute_uuid(1, 0)
STIX_ID = f"indicator--{ATTRIBUTE}"


def object_record(value="evil.example.org", attribute=ATTRIBUTE, life=1, **changes):
    """An object as a run would record it."""
    pattern = f"[domain-name:value = '{value}']"
    indicator = {
        "id": f"indicator--{attribute}" if life == 1 else f"indicator--{attribute[:-1]}{life}",
        "name": "Event 1",
        "pattern": pattern,
        "confidence": 75,
        "labels": ['misp:type="domain"', "phishing"],
        "object_marking_refs": ["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
        "external_references": [{"external_id": attribute, "url": f"https://misp.example.org/events/view/{EVENT}"}],
    }
    record = ObjectRecord(
        id=indicator["id"],
        key=attribute_key(indicator, attribute),
        pattern=pattern,
        value=value_in(pattern),
        life=life,
        fingerprint="print",
        valid_until=LATER,
        body=packed(indicator),
        stage=Stage.ACCEPTED,
        live=True,
        sent_at=NOW - 3600,
        accepted_at=NOW - 3600,
    )
    record = replace(record, **changes)
    if record.live and record.accepted_at and not record.accepted_until:
        record = replace(record, accepted_until=record.valid_until)
    return replace(record, live_until=record.valid_until) if record.live and not record.live_until else record


def attribute_record(value="evil.example.org", kind="domain", attribute=ATTRIBUTE, **changes):
    return AttributeRecord(EVENT, attribute, "print", kind, value, **changes)


def as_text(lines):
    """What a pipe gets of lines."""
    stream = io.StringIO()
    for line in lines:
        Screen(stream).show(line)
    return stream.getvalue()


class ExplainedLedger:
    """Asks explain about a ledger, in JSON and as text, and says that both agree on the exit code."""

    def __init__(self, settings):
        self.settings = settings

    def keep(self, *, workspace=WORKSPACE, **records):
        ledger = Ledger(self.settings.state_url, workspace, "MISP")
        objects = records.get("objects", ())
        events = {attribute.uuid: attribute.event for attribute in records.get("attributes", ())}
        sources = [
            Source(record.key, events.get(uuid, EVENT), uuid)
            for record in objects
            if (uuid := record.key.partition("/")[0]) and not record.revoked
        ]
        ledger.keep(**{"sources": sources, **records})
        ledger.close()

    def save_facts(self, **facts):
        ledger = Ledger(self.settings.state_url, WORKSPACE, "MISP")
        ledger.save_facts(replace(ledger.facts(), **facts))
        ledger.close()

    def ask(self, what, *, offline=True, clock=None):
        printed = {}
        for as_json in (True, False):
            lines = []
            options = Options(offline=offline, as_json=as_json, detailed=True)
            code = explain(self.settings, [what], lines.append, options, clock=clock, now=lambda: NOW)
            printed[as_json] = lines
        (whole,) = printed[True]
        answer = json.loads(whole)
        assert answer["exit_code"] == code
        return code, answer, as_text(printed[False])


@pytest.fixture
def explained(ledger_url, make_settings, tmp_path):
    return ExplainedLedger(
        make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))
    )


# --- stages ------------------------------------------------------------------------------------------

STAGES = {
    "live": ({}, "live", "", ""),
    "expired": ({"valid_until": NOW - 1}, "expired", "", "raise days_to_expire"),
    "to be sent": (
        {"stage": Stage.PENDING, "live": False, "accepted_at": None},
        "waiting to be sent",
        "",
        advice.NEXT_RUN,
    ),
    "to be sent again": (
        {"stage": Stage.PENDING, "words": "no answer"},
        "waiting to be sent, and live as it was accepted before",
        "no answer",
        advice.NEXT_RUN,
    ),
    "in flight": (
        {"stage": Stage.SENDING, "accepted_at": None, "perhaps_taken": True},
        "sent, and not yet answered",
        "",
        advice.NEXT_RUN,
    ),
    "rejected": (
        {"stage": Stage.REJECTED, "live": False, "words": "Pattern is not valid.", "accepted_at": None},
        "rejected by Microsoft",
        "Pattern is not valid.",
        "--retry-rejected",
    ),
    "rejected, a former form lives": (
        {"stage": Stage.REJECTED, "words": "Too many."},
        "rejected by Microsoft, and live as it was accepted before",
        "Too many",
        "--retry-rejected",
    ),
    "kept back": (
        {"leaving": WithdrawalReason.GONE},
        "to be withdrawn, and live until then",
        WithdrawalReason.GONE,
        "--force-withdraw",
    ),
    "its withdrawal was rejected": (
        {"stage": Stage.REJECTED, "leaving": WithdrawalReason.GONE, "words": "No."},
        "to be withdrawn, and live until then",
        "No",
        "--force-withdraw",
    ),
    "withdrawal in flight": (
        {"stage": Stage.WITHDRAWING, "leaving": WithdrawalReason.GONE, "perhaps_taken": True},
        "its withdrawal was sent, and not yet answered",
        WithdrawalReason.GONE,
        advice.NEXT_RUN,
    ),
    "revoked by others": (
        {"stage": Stage.REVOKED, "live": False, "words": "Error for Property=revoked: no"},
        "revoked at Microsoft, by another hand than this program's",
        "Error for Property=revoked: no",
        advice.NEXT_RUN,
    ),
    "withdrawn": (
        {"stage": Stage.WITHDRAWN, "live": False, "words": WithdrawalReason.LEFT_FILTERS},
        "withdrawn",
        WithdrawalReason.LEFT_FILTERS,
        "widen misp_event_filters",
    ),
    "withdrawn for a skip": (
        {"stage": Stage.WITHDRAWN, "live": False, "words": Skip.NO_TO_IDS.value},
        "withdrawn",
        Skip.NO_TO_IDS.value,
        "set to_ids",
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_is_shown(explained, name):
    changes, standing, words, what_to_do = STAGES[name]
    explained.keep(objects=[object_record(**changes)])
    code, answer, text = explained.ask("evil.example.org")
    assert code == 0
    (shown,) = answer["ledger"][0]["objects"]
    assert shown["standing"] == standing
    assert ("withdrawn   2026-09-21T13:13:20Z" in text) is standing.startswith(("withdrawn", "its withdrawal"))
    assert words in (shown["why"] + shown["microsoft"])
    assert what_to_do in shown["advice"]
    assert f"{STIX_ID}: {standing}" in text
    assert words in text
    assert ("the next run sends" if what_to_do == advice.NEXT_RUN else what_to_do) in text


def test_all_stages_are_shown():
    of_indicators = {*Stage} - {Stage.KEPT_BACK}
    assert {changes.get("stage", Stage.ACCEPTED) for changes, *_ in STAGES.values()} == of_indicators


def test_what_was_sent_is_shown(explained):
    explained.keep(objects=[object_record()], events=[EventRecord(EVENT, NOW, published=True)])
    _, answer, text = explained.ask("evil.example.org")
    (shown,) = answer["ledger"][0]["objects"]
    assert shown["object"]["labels"] == shown["labels"] == ['misp:type="domain"', "phishing"]
    assert (shown["tlp"], shown["confidence"], shown["name"]) == ("amber", 75, "Event 1")
    url = f"https://misp.example.org/events/view/{EVENT}"
    assert shown["from"] == [{"attribute": ATTRIBUTE, "event": EVENT, "url": url}]
    expected = (url, "[domain-name:value = 'evil.example.org']", "75, TLP amber", "phishing", "2026-09-21T13:13:20Z")
    assert all(words in text for words in (*expected, ATTRIBUTE, "life        1"))


def test_a_withdrawn_object_names_where_it_came_from(explained):
    explained.keep(objects=[object_record(stage=Stage.WITHDRAWN, live=False, words=WithdrawalReason.GONE)])
    _, answer, _ = explained.ask(STIX_ID)
    assert answer["ledger"][0]["objects"][0]["from"][0]["event"] == EVENT


def test_earlier_lives_are_one_line(explained):
    explained.keep(objects=[object_record(stage=Stage.WITHDRAWN, live=False), object_record(life=2)])
    for asked in ("evil.example.org", STIX_ID, ATTRIBUTE, object_record(life=2).id):
        _, answer, text = explained.ask(asked)
        assert [object_["life"] for object_ in answer["ledger"][0]["objects"]] == [2, 1]
        assert "1, an earlier one" in text
        assert text.count("pattern") == 1


def test_a_held_event_says_since_when_and_until_when(explained):
    event = EventRecord(EVENT, NOW, published=False, held_since=NOW - DAY)
    explained.keep(objects=[object_record()], events=[event], attributes=[attribute_record()])
    for asked in ("evil.example.org", EVENT):
        _, _, text = explained.ask(asked)
        assert f"event {EVENT}, since 2026-09-20T14:13:20Z, until 2026-09-27T14:13:20Z" in text
        assert "publish the event in MISP" in text


# --- reasons -----------------------------------------------------------------------------------------


def test_every_reason_has_advice_or_says_why_there_is_none():
    """For what cannot be changed, or need not, the words say so: "no setting: …", "nothing is to be done: …"."""
    for reasons, table in (
        (Skip, advice.FOR_SKIP),
        (WithdrawalReason, advice.FOR_WITHDRAWAL),
        (advice.Obstacle, advice.FOR_OBSTACLE),
    ):
        assert table.keys() == set(reasons)
        assert all(table.values())
    for reason in (*WithdrawalReason, *Skip):
        assert advice.for_withdrawal(reason.value), "an object that leaves carries the words of either"


@pytest.mark.parametrize("skip", Skip)
def test_each_reason_is_shown_with_what_would_change_it(explained, skip):
    explained.keep(attributes=[attribute_record(skip=skip.name, words="misp-stix's words")])
    code, answer, text = explained.ask("evil.example.org")
    assert code == 0
    (shown,) = answer["ledger"][0]["skipped"]
    assert shown["skip"] == skip.name.lower()
    assert f"{skip.value} (misp-stix's words)" in text
    assert advice.FOR_SKIP[skip] in text


def test_a_reason_of_another_version_is_named(explained):
    explained.keep(attributes=[attribute_record(skip="TOO_NEW")])
    assert "too_new" in explained.ask("evil.example.org")[2]


def test_a_half_that_is_left_out_is_shown(explained):
    explained.keep(objects=[object_record()], attributes=[attribute_record("evil.example.org|10.0.0.1", "domain|ip")])
    _, _, text = explained.ask("10.0.0.1")
    assert "[domain-name:value = 'evil.example.org']" in text
    assert "one half is not sent" in text
    assert Skip.PRIVATE_ADDRESS.value in text


def test_an_event_is_counted(explained):
    others = [attribute_uuid(1, n) for n in range(1, 4)]
    attributes = [attribute_record("x", "yara", uuid, skip="RULE_LANGUAGE") for uuid in others[1:]]
    explained.keep(
        objects=[object_record(), object_record("other.example.org", others[0], stage=Stage.REJECTED, live=False)],
        attributes=[attribute_record(), attribute_record("other.example.org", attribute=others[0]), *attributes],
        events=[EventRecord(EVENT, NOW, published=True, todo=True)],
    )
    code, answer, text = explained.ask(EVENT.upper())
    event = answer["ledger"][0]["event"]
    assert code == 0
    assert event["objects"] == {"live": 1, "accepted": 1, "rejected": 1}
    assert event["skipped"]["rule_language"]["count"] == 2
    assert f"2 not sent: {Skip.RULE_LANGUAGE.value}" in text
    assert "the next run reads it again" in text


# --- where it is looked for --------------------------------------------------------------------------


def test_two_destinations_answer_by_themselves(explained):
    explained.keep(objects=[object_record()])
    explained.keep(workspace=OTHER, objects=[object_record(stage=Stage.WITHDRAWN, live=False)])
    _, answer, text = explained.ask(STIX_ID)
    standings = [
        (destination["workspace"], destination["in_settings"], destination["objects"][0]["stage"])
        for destination in answer["ledger"]
    ]
    assert standings == [(WORKSPACE, True, "accepted"), (OTHER, False, "withdrawn")]
    assert f"Workspace {OTHER}, source system MISP (the settings don't name it)" in text


def test_a_destination_is_called_by_its_name(explained):
    explained.keep(objects=[object_record()])
    paris = Tenant(tenantId="contoso.example.org", id=OTHER, secret="s3cret", workspaceId=WORKSPACE, name="paris")
    explained.settings = explained.settings.model_copy(update={"ms_tenants": [paris]})
    _, answer, text = explained.ask(STIX_ID)
    assert answer["ledger"][0]["name"] == "paris"
    assert f"\nparis: Workspace {WORKSPACE}, source system MISP\n" in text


@pytest.mark.parametrize("asked", ["nobody.example.org", attribute_uuid(9, 9), f"indicator--{attribute_uuid(9, 9)}"])
def test_what_nobody_knows_ends_with_1(explained, asked):
    explained.keep(objects=[object_record()])
    code, answer, text = explained.ask(asked)
    assert code == 1
    assert not answer["ledger"][0]["objects"]
    assert text.startswith(f"{asked} is not known to the ledger, and MISP was not asked.\n")
    assert "not flagged in an event of more than 4,096 attributes" in text
    assert "Without --offline, MISP is asked too" in text


def test_a_live_object_of_an_event_whose_withdrawals_were_refused_says_so(explained):
    explained.keep(objects=[object_record()])
    assert "refused" not in explained.ask(STIX_ID)[2]
    explained.save_facts(refused_events=[EVENT], last_run={"refused_withdrawals": ["150 of 200 would leave"]})
    _, answer, text = explained.ask(STIX_ID)
    assert [event["event"] for event in answer["ledger"][0]["objects"][0]["refused"]] == [EVENT]
    assert "150 of 200 would leave" in text
    assert text.count("run once with --force-withdraw") == 2


def test_without_a_ledger_it_says_so_and_makes_none(make_settings, tmp_path):
    state = tmp_path / "state"
    code, _, text = ExplainedLedger(make_settings(state_dir=state)).ask("evil.example.org")
    assert code == 1
    assert "There is no ledger yet" in text
    assert not state.exists()


def test_it_answers_while_a_run_writes(explained):
    explained.keep(objects=[object_record()])
    running = Ledger(explained.settings.state_url, WORKSPACE, "MISP")
    with running.hold_lock(), running.single_transaction():
        running.save_facts(replace(running.facts(), misp={"url": "in the middle of it"}))
        assert explained.ask("evil.example.org")[0] == 0
    running.close()


def test_nothing_is_written(explained):
    explained.keep(objects=[object_record()])
    settings = explained.settings.model_copy(update={"ms_auth": MsAuth(workspace_id=OTHER)})
    ExplainedLedger(settings).ask("evil.example.org")
    ledger = Ledger(explained.settings.state_url, WORKSPACE, "MISP")
    assert [workspace for _, workspace, _ in ledger.destinations()] == [WORKSPACE]
    ledger.close()


def test_many_are_cut_in_the_text_only(explained):
    records = [object_record(attribute=attribute_uuid(1, n)) for n in range(MOST_SHOWN + 2)]
    explained.keep(objects=records)
    _, answer, text = explained.ask("evil.example.org")
    assert len(answer["ledger"][0]["objects"]) == MOST_SHOWN + 2
    assert "… and 2 more" in text


def test_others_words_do_not_move_the_cursor(explained):
    explained.keep(attributes=[attribute_record("evil.example.org", skip="REFUSED", words="\x1b[2J\nred")])
    assert "\x1b" not in explained.ask("evil.example.org")[2]


# --- values as analysts write them -------------------------------------------------------------------

MD5 = "0123456789abcdef0123456789abcdef"
WRITTEN = [
    ("domain", "evil.example.org", "EVIL[.]Example[.]org"),
    ("domain", "evil.example.org", "evil(dot)example[dot]org."),
    ("domain", "evil.example.org", "evil[DOT]example{.}org"),
    ("domain", "evil.example.org", "hxxps://evil[.]example.org/"),
    ("domain", "evil.example.org", "hXXp[:]//evil.example.org"),
    ("domain", "evil.example.org", "evil.example.org:8443"),
    ("domain", "evil[.]example[.]org", "evil.example.org"),
    ("domain", "bücher.example.org", "BÜCHER.example.org"),
    ("domain", "bücher.example.org", "xn--bcher-kva.example.org"),
    ("domain", "xn--bcher-kva.example.org", "bücher[.]example.org"),
    ("url", "http://evil.example.org/A?q=1", "hxxp://evil[.]example[.]org/A?q=1"),
    ("url", "http://evil.example.org/A", "evil.example.org/a"),
    ("url", "evil.example.org/A", "hxxps[:]//evil.example.org/A"),
    ("url", "https://evil.example.org", "evil.example.org/"),
    ("url", "http://bücher.example.org/x", "hxxp://xn--bcher-kva.example.org/x"),
    ("ip-dst", "192.0.2.7", "192[.]0[.]2[.]7"),
    ("ip-dst", "192.0.2.7", "192.0.2.7:443"),
    ("ip-dst", "2001:db8::7", "2001:0DB8:0:0:0:0:0:7"),
    ("ip-dst", "2001:db8::7", "[2001:db8::7]:443"),
    ("ip-dst|port", "192.0.2.7|443", "192.0.2.7"),
    ("ip-dst|port", "192.0.2.7|443", "192[.]0.2.7:443"),
    ("ip-dst|port", "192.0.2.7|443", "443"),
    ("hostname|port", "evil.example.org|443", "evil.example.org"),
    ("domain|ip", "evil.example.org|192.0.2.7", "192.0.2[.]7"),
    ("domain|ip", "evil.example.org|192.0.2.7", "evil.example[.]org"),
    ("domain|ip", "evil.example.org|192.0.2.7", "evil.example.org|192.0.2.7"),
    ("email-src", "Mallory@Example.org", "mallory[at]example[.]org"),
    ("email-src", "mallory@example.org", "mallory(at)example(dot)org"),
    ("md5", MD5, MD5.upper()),
    ("filename|md5", f"Invoice.exe|{MD5}", MD5.upper()),
    ("filename|md5", f"Invoice.exe|{MD5}", "invoice.EXE"),
    ("filename|md5", f"Invoice.exe|{MD5}", f"invoice.exe|{MD5}"),
    ("regkey|value", "HKLM\\Software\\Evil|Run", "hklm\\software\\evil"),
    ("regkey|value", "HKLM\\Software\\Evil|Run", "run"),
    ("filename", "50%_off.exe", "50%_OFF.exe"),
    ("email-src", "mallory@example.org", "Mallory <mallory@example.org>"),
    ("email-src", "mallory@example.org", "mailto:mallory@example.org?subject=x"),
    ("email-src", "Mallory <mallory@example.org>", "mallory@example.org"),
    ("email-src", "mallory@example.org.", "mallory@example.org"),
    ("domain", "evil.example.org", "“evil.example.org”"),
    ("domain", "evil.example.org", "\u200bevil.exam\u00adple.org\u00a0"),
    ("domain", "<evil.example.org>", "evil.example.org"),
    ("domain", "192.0.2.7", "192.0.2.7"),
    ("domain|ip", "192.0.2.7|evil.example.org", "evil.example.org"),
    ("ip-dst", "::ffff:192.0.2.7", "192.0.2.7"),
    ("ip-dst", "192.0.2.7", "::ffff:192.0.2.7"),
    ("ip-dst", "192.0.2.7", "[ipv4-addr:value = '192.0.2.7']"),
    ("email-src", "mallory@example.org", "[email-addr:value IN ('other@example.org', 'mallory@example.org')]"),
    ("domain", "evil.example.org", "[ipv4-addr:value = '192.0.2.9' AND domain-name:value = 'evil.example.org']"),
    ("md5", MD5, f"[file:hashes.'SHA-256' = 'b' OR file:hashes.MD5 = '{MD5}'] FOLLOWEDBY [url:value = 'http://x.y']"),
    ("regkey", "HKLM\\Software\\Evil", "[windows-registry-key:key = 'HKLM\\\\Software\\\\Evil']"),
]


@pytest.mark.parametrize(("kind", "value", "asked"), WRITTEN)
def test_values_that_are_skipped_are_found_as_analysts_write_them(explained, kind, value, asked):
    explained.keep(
        attributes=[
            attribute_record(value, kind, skip="NO_TO_IDS"),
            attribute_record("zzz", kind, attribute_uuid(1, 1)),
        ]
    )
    code, answer, _ = explained.ask(asked)
    assert code == 0
    assert [attribute["value"] for attribute in answer["ledger"][0]["skipped"]] == [value]


@pytest.mark.parametrize(("kind", "value", "asked"), WRITTEN)
def test_values_that_are_sent_are_found_as_analysts_write_them(explained, kind, value, asked):
    part = normalise(kind, value, send_private_and_cidr=False).parts[0]
    explained.keep(objects=[object_record(part.replace("\\", "\\\\"))], attributes=[attribute_record(value, kind)])
    assert [object_["id"] for object_ in explained.ask(asked)[1]["ledger"][0]["objects"]] == [STIX_ID]


@pytest.mark.parametrize("asked", ["vil.example.org", "example.org", "50%", "evil.example.org/other", "_", "44"])
def test_what_only_looks_alike_is_not_found(explained, asked):
    attributes = [attribute_record(value, attribute=attribute_uuid(1, n)) for n, (_, value, _) in enumerate(WRITTEN)]
    explained.keep(attributes=[replace(attribute, skip="NO_TO_IDS") for attribute in attributes])
    assert explained.ask(asked)[0] == 1


BLOCKS = [
    ("ip-src", "198.51.100.0/24", "198.51.100.7"),
    ("ip-src", "198[.]51[.]100[.]9/24", "198[.]51[.]100[.]7"),
    ("ip-dst", "198.51.0.0/16", "198.51.100.7:443"),
    ("ip-dst", "192.0.0.0/4", "198.51.100.7"),
    ("domain|ip", "evil.example.org|198.51.100.0/25", "198.51.100.7"),
    ("ip-dst|port", "198.51.100.0/30|443", "198.51.100.1"),
    ("hostname", "198.51.100.0/24", "[ipv4-addr:value = '198.51.100.7']"),
    ("ip-src", "::ffff:198.51.100.0/120", "198.51.100.7"),
    ("ip-src", "2001:DB8::/32", "2001:db8:1::7"),
    ("ip-src", "2000::/3", "2001:db8::7"),
]


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(("kind", "value", "asked"), BLOCKS)
def test_an_address_is_found_in_a_block(explained, kind, value, asked, sent):
    block = attribute_record(value, kind, skip="" if sent else "CIDR")
    url = attribute_record("http://198.51.100.0/24", "url", attribute_uuid(1, 1), skip="NO_TO_IDS")
    other = attribute_record("198.51.101.0/24", "ip-src", attribute_uuid(1, 2), skip="CIDR")
    part = normalise(kind, value, send_private_and_cidr=True).parts[-1]
    explained.keep(attributes=[block, url, other], objects=[object_record(part)] if sent else [])
    answer = explained.ask(asked)[1]["ledger"][0]
    assert [object_["id"] for object_ in answer["objects"]] == [STIX_ID] * sent
    assert [attribute["value"] for attribute in answer["skipped"]] == [value] * (not sent)


def test_a_block_that_has_left_is_found_by_an_address_in_it(explained):
    gone = {"stage": Stage.WITHDRAWN, "live": False, "words": WithdrawalReason.GONE}
    explained.keep(objects=[object_record("198.51.100.0/24", **gone)], sources=[])
    assert [object_["id"] for object_ in explained.ask("198.51.100.7")[1]["ledger"][0]["objects"]] == [STIX_ID]


@pytest.mark.parametrize("asked", ["198.51.101.7", "2001:db9::7", "198.51.100.0/23", "::ffff:198.51.99.255"])
def test_an_address_outside_of_a_block_is_not_found_in_it(explained, asked):
    blocks = [
        attribute_record(value, "ip-src", attribute_uuid(1, n), skip="CIDR")
        for n, value in enumerate(["198.51.100.0/24", "2001:db8::/32", "0.0.0.0/32"])
    ]
    explained.keep(attributes=blocks)
    assert explained.ask(asked)[0] == 1


@pytest.mark.parametrize("asked", ["[a = 'b'", "[domain-name:value = ]'x'", "[evil]'[x]"])
def test_what_is_no_pattern_is_asked_for_as_it_is(explained, asked):
    assert spellings(asked) and explained.ask(asked)[0] == 1


def test_a_value_that_the_ledger_keeps_cut_is_found(explained):
    url = f"http://evil.example.org/{'a' * 200}"
    explained.keep(attributes=[attribute_record(url[:117] + "...", "url", skip="EXPIRED")])
    assert explained.ask(url.replace("http", "hxxp"))[0] == 0
    assert explained.ask(f"{url[:60]}b{url[61:]}")[0] == 1


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HOST = st.lists(LABEL, min_size=2, max_size=4).map(".".join)
VALUE = st.one_of(
    HOST.map(lambda host: ("domain", host)),
    st.tuples(HOST, st.from_regex(r"[A-Za-z0-9/_.-]{0,12}", fullmatch=True)).map(
        lambda pair: ("url", f"http://{pair[0]}/{pair[1]}")
    ),
    st.tuples(LABEL, HOST).map(lambda pair: ("email", "@".join(pair))),
    st.ip_addresses().map(lambda address: ("ip-dst", str(address))),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True).map(lambda digest: ("sha256", digest)),
)
DEFANGED = st.fixed_dictionaries(
    {
        ".": st.sampled_from([".", "[.]", "(.)", "[dot]", "(dot)", "[DOT]", "{.}"]),
        "@": st.sampled_from(["@", "[at]", "(at)", "[@]"]),
        "http://": st.sampled_from(["http://", "hxxp://", "hXXp://", "hxxp[:]//", "HTTP://", "h**p://", "hxxp[://]"]),
    }
)


@given(VALUE, DEFANGED, st.booleans(), st.sampled_from(["", " ", "."]))
@example(("url", "http://a.b/"), {".": "[.]", "@": "@", "http://": "hxxp://"}, False, "")
@example(("ip-dst", "::"), {}, False, "")
def test_defanging_goes_there_and_back(kind_and_value, defanged, upper, end):
    kind, value = kind_and_value
    written = value
    for plain, other in defanged.items():
        written = written.replace(plain, other)
    written = (written.upper() if upper else written) + (end if kind == "domain" else end.strip("."))
    sent = normalise(kind, value, send_private_and_cidr=True).parts[0].lower()
    asked = spellings(written)
    assert sent in asked
    assert holds(value, asked)
    assert any(spelling in value.lower() for spelling in shortest(asked))


@given(st.text(max_size=40))
def test_any_text_can_be_asked_for(text):
    asked = spellings(text)
    assert all(spelling == spelling.lower() for spelling in asked)
    assert all(any(short in spelling for short in shortest(asked)) for spelling in asked)


@given(st.text(max_size=40))
def test_what_misp_takes_is_found_as_it_is_written(value):
    try:
        part = normalise("domain", value, send_private_and_cidr=True).parts[0]
    except Unsendable:
        return
    assert part.lower() in spellings(value) or not part.strip("./:")


# --- what MISP shows now -----------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(2, "live"))])
        site.run()
        yield site


def ask(site, what, *, offline=False, clock=None, **more):
    """Ask over TLS; the JSON answer."""
    lines = []
    settings = site.settings(**more)
    clock = clock or site.time.clock
    for as_json in (True, False):
        options = Options(offline=offline, as_json=as_json, detailed=True)
        code = explain(settings, [what], lines.append, options, clock=clock, now=site.time.now)
    return code, json.loads(lines[0]), as_text(lines[1:])


def add(site, *attributes, published=True, number=7, **changes):
    site.misp.load([misp_event(number, attributes, published=published, **changes)])


def in_the_way(answer):
    return [obstacle["why"] for attribute in answer["misp"]["attributes"] for obstacle in attribute["in_the_way"]]


def test_ledger_and_misp_both_show_what_is_live(site):
    code, answer, text = ask(site, "hxxp://live0[.]example[.]org")
    assert code == 0
    assert answer["ledger"][0]["objects"][0]["standing"] == "live"
    (shown,) = answer["misp"]["attributes"]
    assert (shown["event"], shown["to_ids"], shown["deleted"]) == (EVENT, True, False)
    assert shown["would_send"] == ["[domain-name:value = 'live0.example.org']"]
    assert not shown["in_the_way"]
    assert f"{site.box.misp_url}/events/view/{EVENT}" in text
    assert "nothing stands in its way" in text


def test_what_no_run_has_read_gets_an_answer_from_misp(site):
    add(site, ("domain", "new.example.org"))
    code, answer, text = ask(site, "new.example.org")
    assert code == 0
    assert not answer["ledger"][0]["objects"]
    assert text.startswith(
        "new.example.org is not yet in Sentinel: nothing stands in its way: the next run sends it.\n"
    )
    for asked in (attribute_uuid(7, 0), f"indicator--{attribute_uuid(7, 0)}", event_uuid(7)):
        assert ask(site, asked)[0] == 0


WAYS = {
    "no to_ids": ({"to_ids": False}, {}, Skip.NO_TO_IDS.value),
    "deleted": ({"deleted": True}, {}, Skip.DELETED.value),
    "a type that is not sent": ({"type": "comment"}, {}, Skip.TYPE_NOT_ACCEPTED.value),
    "not published": ({}, {"published": False}, "the event is not published"),
    "on a warninglist": ({"value": "known.example.org"}, {}, "a warninglist holds the value: List of the sandbox"),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_stands_in_the_way_in_misp(site, name):
    attribute, event, why = WAYS[name]
    site.misp.warninglist = {"known.example.org"}
    add(site, {"type": "domain", "value": "new.example.org", **attribute}, **event)
    code, answer, text = ask(site, attribute.get("value", "new.example.org"))
    assert code == 0
    assert any(obstacle.startswith(why) for obstacle in in_the_way(answer))
    assert why in text
    assert "→" in text


def test_filters_on_attributes_stand_in_the_way(site):
    add(site, {"type": "domain", "value": "new.example.org", "Tag": [{"name": "tlp:red"}]})
    site.config.write_text("filters = {'max_tlp': 'amber'}\n")
    _, answer, text = ask(site, "new.example.org")
    assert in_the_way(answer) == [f"{Skip.TLP_TOO_STRICT.value} (tlp:red)"]
    assert "raise filters['max_tlp']" in text


def test_decay_stands_in_the_way(site):
    add(site, ("domain", "new.example.org"))
    site.misp.score(event_uuid(7), attribute_uuid(7, 0), 12, "NIDS")
    site.config.write_text("filters = {'exclude_decayed': True}\n")
    _, answer, _ = ask(site, "new.example.org")
    assert in_the_way(answer) == [f"{Skip.DECAYED.value} (NIDS)"]


def test_filters_and_their_time_windows_are_distinguished(site):
    add(site, ("domain", "new.example.org"), publish_timestamp="1700000000")
    site.config.write_text("misp_event_filters = {'published': 1, 'publish_timestamp': '14d'}\n")
    _, answer, text = ask(site, "new.example.org")
    assert in_the_way(answer) == ["the event is outside the time window of misp_event_filters, and was never sent"]
    assert f"--uuid {event_uuid(7)}" in text
    site.config.write_text("misp_event_filters = {'published': 1, 'tags': ['wanted']}\n")
    assert in_the_way(ask(site, "new.example.org")[1]) == [
        "misp_event_filters do not find the event, time windows set aside"
    ]


SHIPPED = {"published": 1, "enforceWarninglist": True, "publish_timestamp": "14d"}


@pytest.mark.parametrize("times", [{"publish_timestamp": "0"}, {"publish_timestamp": "1700000000"}])
def test_of_an_event_that_is_not_published_publishing_alone_is_named(site, times):
    """Its time of publishing is none, or an old one; to publish it makes it new."""
    site.config.write_text(f"misp_event_filters = {SHIPPED}\n")
    add(site, ("domain", "new.example.org"), published=False, **times)
    assert in_the_way(ask(site, "new.example.org")[1]) == ["the event is not published"]
    answer = ask(site, event_uuid(7))[1]
    assert [obstacle["why"] for obstacle in answer["misp"]["event"]["in_the_way"]] == ["the event is not published"]


def test_other_windows_and_filters_stand_in_the_way_of_an_unpublished_event_too(site):
    add(site, ("domain", "new.example.org"), published=False, publish_timestamp="0", timestamp="1700000000")
    site.config.write_text(f"misp_event_filters = {SHIPPED | {'timestamp': '14d'}}\n")
    assert len(in_the_way(ask(site, "new.example.org")[1])) == 2
    site.config.write_text(f"misp_event_filters = {SHIPPED | {'tags': ['wanted']}}\n")
    assert len(in_the_way(ask(site, "new.example.org")[1])) == 2


def test_an_event_that_was_sent_is_read_outside_the_time_window_too(site):
    site.config.write_text("misp_event_filters = {'published': 1, 'publish_timestamp': '1d'}\n")
    site.time.seconds += 40 * DAY
    assert not in_the_way(ask(site, "live0.example.org")[1])


def test_the_name_of_a_file_is_seen_with_the_files_hashes(site):
    names = [{"type": "filename", "value": "a.exe"}, {"type": "md5", "value": MD5}]
    members = [
        {**misp_event(8, [attribute])["Attribute"][0], "uuid": attribute_uuid(8, n)}
        for n, attribute in enumerate(names)
    ]
    add(site, number=8, Object=[{"name": "file", "uuid": "30000000-0000-4000-8000-000000000001", "Attribute": members}])
    assert in_the_way(ask(site, "a.exe")[1]) == [Skip.FILE_NAME.value]
    assert in_the_way(ask(site, MD5)[1]) == []


def test_an_address_that_misp_has_as_ipv6_is_asked_of_it(site):
    add(site, ("ip-src", "::ffff:c633:6407"), ("ip-src", "::ffff:c633:6408"))
    code, answer, _ = ask(site, "198.51.100.7")
    assert (code, [found["value"] for found in answer["misp"]["attributes"]]) == (0, ["::ffff:c633:6407"])
    assert answer["misp"]["attributes"][0]["would_send"] == ["[ipv4-addr:value = '198.51.100.7']"]


def test_an_address_inside_a_block_and_a_pattern_are_asked_of_misp(site):
    add(site, ("ip-src", "198.51.100.0/24"), ("ip-src", "203.0.113.0/24"))
    for asked in ("198.51.100.7", "[ipv4-addr:value = '198.51.100.7' OR url:value = 'http://a.example.org/']"):
        code, answer, _ = ask(site, asked)
        assert (code, [found["value"] for found in answer["misp"]["attributes"]]) == (0, ["198.51.100.0/24"])
        assert in_the_way(answer) == [Skip.CIDR.value]


def test_a_half_of_a_composite_is_asked_of_misp(site):
    add(site, ("domain|ip", "evil.example.org|10.0.0.1"))
    _, answer, text = ask(site, "10[.]0.0.1")
    (shown,) = answer["misp"]["attributes"]
    assert shown["would_send"] == ["[domain-name:value = 'evil.example.org']"]
    assert Skip.PRIVATE_ADDRESS.value in text


def test_why_an_object_was_withdrawn_is_kept(site):
    site.misp.edit_attribute(EVENT, ATTRIBUTE, to_ids=False)
    site.misp.publish(EVENT)
    site.run()
    _, answer, text = ask(site, "live0.example.org")
    assert answer["ledger"][0]["objects"][0]["standing"] == "withdrawn"
    assert answer["ledger"][0]["objects"][0]["why"] == Skip.NO_TO_IDS.value
    assert [attribute["skip"] for attribute in answer["ledger"][0]["skipped"]] == ["no_to_ids"]
    assert advice.FOR_SKIP[Skip.NO_TO_IDS] in text


def test_a_withdrawal_that_was_refused_is_made_once_that_is_mended_and_what_is_wanted_anew_does_not_hide_it(site):
    site.azure.faults.add(Fault("objects:upload", "status", times=None, status=403))
    site.misp.edit_attribute(EVENT, ATTRIBUTE, to_ids=False)
    site.misp.publish(EVENT)
    site.run()
    _, answer, _ = ask(site, "live0.example.org")
    assert "is live in Sentinel" in answer["sentence"]
    assert "it is withdrawn once the role is given" in answer["sentence"] and "full run" not in answer["sentence"]
    site.misp.edit_attribute(EVENT, ATTRIBUTE, to_ids=True)
    site.misp.publish(EVENT)
    site.run()
    _, answer, text = ask(site, "live0.example.org")
    assert len(site.azure.live()) == 2, "it is matched under its first id"
    assert "is live in Sentinel" in answer["sentence"] and "MISP wants it again" not in text
    assert "it is withdrawn once the role is given" in text and "it is sent once the role is given" in text


def test_what_changed_its_value_or_left_misp_is_shown(site):
    site.misp.edit_attribute(EVENT, ATTRIBUTE, value="changed.example.org")
    assert [attribute["value"] for attribute in ask(site, "live0.example.org")[1]["misp"]["attributes"]] == [
        "changed.example.org"
    ]
    site.misp.delete(EVENT)
    code, answer, text = ask(site, "live0.example.org")
    assert code == 0
    assert answer["misp"]["not_shown"] == [ATTRIBUTE]
    assert "deleted for good, or out of sight" in text


def test_a_held_event_is_shown(site):
    site.misp.edit_info(EVENT, "Another name")
    site.run()
    _, answer, text = ask(site, "live0.example.org")
    assert answer["ledger"][0]["objects"][0]["held"][0]["since"] == "2026-09-22T20:00:00Z"
    assert "the event is not published" in text


def test_one_event_asked_of_misp(site):
    site.misp.unpublish(EVENT)
    _, answer, text = ask(site, EVENT)
    assert answer["misp"]["event"]["in_the_way"][0]["why"] == "the event is not published"
    assert "2 attributes, not published" in text


@pytest.mark.parametrize(("asked", "code"), [("live0.example.org", 0), ("unknown.example.org", 3)])
def test_misp_that_does_not_answer(site, asked, code):
    site.misp.faults.add(Fault("/attributes/restSearch", "status", times=None))
    exit_code, answer, text = ask(site, asked, clock=FakeTime().clock)
    assert exit_code == code
    assert "error" in answer["misp"]
    assert "MISP could not be asked" in text


def test_neither_knows_it(site):
    code, _, text = ask(site, "unknown.example.org")
    assert code == 1
    assert text.startswith("unknown.example.org is known to no run nor to MISP.\n")


def test_offline_asks_nothing(site):
    before = len(site.misp.requests)
    code, answer, text = ask(site, "live0.example.org", offline=True)
    assert (code, answer["misp"]) == (0, None)
    assert "MISP was not asked" in text
    assert len(site.misp.requests) == before


def test_only_reading_is_asked_of_misp(site):
    before = len(site.misp.requests)
    ask(site, "live0.example.org")
    assert {path for _, path, _ in site.misp.requests[before:]} <= {
        "/attributes/restSearch",
        "/events/restSearch",
        "/servers/getVersion",
        "/servers/getPyMISPVersion",
        "/users/view/me",
        "/attributes/describeTypes.json",
    }


def test_values_of_several_events_name_them_all(site):
    add(site, ("domain", "live0.example.org"))
    site.run(RunOptions(force_withdraw=True), DEDUPLICATE="value")
    _, answer, _ = ask(site, "live0.example.org", DEDUPLICATE="value")
    current = next(object_ for object_ in answer["ledger"][0]["objects"] if object_["standing"] == "live")
    assert {origin["event"] for origin in current["from"]} == {EVENT, event_uuid(7)}


def test_a_pair_is_spelled_by_a_half_only_where_both_halves_mean_something():
    assert "bad.example.org" in spellings("bad.example.org|192.0.2.1")
    assert "bad.example.org" not in spellings("bad.example.org|notes")


@pytest.mark.parametrize(("kind", "found"), [("ip-src", True), ("domain", True), ("filename", False), ("url", False)])
def test_only_where_an_address_may_be_is_a_slash_a_block(kind, found):
    assert is_block_with(kind, "198.51.100.0/24", addresses(["198.51.100.7"])) is found
