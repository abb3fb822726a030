"""Adopt: an empty ledger filled from what Sentinel holds, so that the next run changes only what differs."""

import json
from uuid import UUID, uuid5

import pytest

from constants import WithdrawalReason
from helpers.commands import adopt
from helpers.commands.run.summary import details
from helpers.errors import LedgerError, MicrosoftError, MispError, RunActive, SettingsError
from helpers.ledger.records import Stage
from helpers.microsoft import NAMES
from helpers.sync.run import ADOPT_FIRST, ADOPT_NEXT
from sandbox.faults import Fault
from tests.support import hosts, indicator, misp_event
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox
from tests.sync.test_run import Site

ODD_FIELDS = (
    "labels",
    "indicator_types",
    "kill_chain_phases",
    "object_marking_refs",
    "confidence",
    "name",
    "pattern_type",
)
GUID = "11111111-2222-4333-8444-555555555555"
QUERY = "threatIntelligence/main/query"


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box:
        yield TlsSite(box, time, tmp_path)


@pytest.fixture
def full(site):
    """Three events were sent, and the ledger is lost."""
    site.misp.load(misp_event(n, hosts(3, f"e{n}h")) for n in range(1, 4))
    site.run()
    site.lose_ledger()
    return site


def take_over(site, *, withdraw_unmatched=False, force_withdraw=False, line=None, dry_run=False, **more):
    settings = site.settings(**more).model_copy(update={"dry_run": dry_run})
    site.time.seconds += 60
    return adopt.adopt(
        [settings],
        withdraw_unmatched=withdraw_unmatched,
        force_withdraw=force_withdraw,
        line=line,
        clock=site.time.clock,
        now=site.time.now,
    )


def records_by_id(site, **more):
    ledger = site.ledger(**more)
    try:
        return {record.id: record for record in ledger.search(*_every_object())}
    finally:
        ledger.close()


def _every_object():
    import sqlalchemy as sql

    from helpers.ledger.records import ObjectRecord
    from helpers.ledger.tables import OBJECTS

    return OBJECTS, ObjectRecord, sql.true()


def id_of(event, position):
    return f"indicator--{attribute_uuid(event, position)}"


def uploads(site):
    return sum(upload["kinds"]["indicator"] for upload in site.azure.uploads)


# -- what is the same is not sent --------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["current_date", "valid_from"])
@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_run_after_adopting_sends_nothing(site, deduplicate, start):
    environ = {"DEDUPLICATE": deduplicate, "DAYS_TO_EXPIRE_START": start}
    site.misp.load(misp_event(n, [*hosts(3), ("ip-src|port", f"198.51.100.{n}|80")]) for n in range(1, 4))
    site.misp.tag_event(event_uuid(2), "tlp:red")
    site.misp.publish(event_uuid(2))
    site.run(**environ)
    before = dict(site.azure.objects())
    site.lose_ledger()
    report = take_over(site, **environ)
    assert report.exit_code == 0
    assert report.adopted == {"matched": len(before)}
    for _ in range(2):
        report = site.run(**environ)
        assert (report.exit_code, report.indicators) == (0, 0)
    assert set(report.context.planned) <= {"identity"}, "whoever made the events"
    assert site.azure.objects() == before


@pytest.mark.parametrize("stored", [{}, {"labels": [], "kill_chain_phases": None}])
def test_a_list_that_is_not_sent_when_it_is_empty_is_not_remembered_as_empty(stored):
    assert not adopt.completed(stored).keys() & {"labels", "kill_chain_phases"}


def test_what_misp_no_longer_wants_leaves_with_the_next_run(full):
    full.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
    full.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 1), value="new.example.org")
    full.misp.publish(event_uuid(1))
    full.misp.soft_delete(event_uuid(2), attribute_uuid(2, 0))
    full.misp.publish(event_uuid(2))
    full.misp.warninglist = {"e3h1.example.org"}
    take_over(full)
    report = full.run()
    assert report.withdrawals.total() == 4
    patterns = {object_["pattern"].split("'")[1] for object_ in full.azure.live().values()}
    expected = {f"e{n}h{k}.example.org" for n in range(1, 4) for k in range(3)} | {"new.example.org"}
    assert patterns == expected - {"e1h0.example.org", "e1h1.example.org", "e2h0.example.org", "e3h1.example.org"}


def test_an_event_outside_the_filters_leaves_with_the_next_run(full):
    narrow = json.dumps({"published": 1, "tags": ["keep"]})
    for number in (1, 2):
        full.misp.tag_event(event_uuid(number), "keep")
        full.misp.publish(event_uuid(number))
    take_over(full, MISP_EVENT_FILTERS=narrow)
    report = full.run(MISP_EVENT_FILTERS=narrow)
    assert report.withdrawals == {"event no longer matches misp_event_filters": 3}
    assert {key[-8] for key in full.azure.live()} <= {"1", "2", "0"}
    assert len(full.azure.live()) == 6


def test_an_event_edited_and_not_published_again_is_held(full):
    full.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
    take_over(full)
    report = full.run()
    assert (report.held, report.withdrawals.total(), len(full.azure.live())) == (1, 0, 9)


def test_an_attribute_deleted_between_adopting_and_the_run_leaves(full):
    take_over(full)
    full.misp.hard_delete(event_uuid(1), attribute_uuid(1, 0))
    full.misp.publish(event_uuid(1))
    full.run()
    assert id_of(1, 0) not in full.azure.live()
    assert len(full.azure.live()) == 8


def test_empty_lists_and_times_in_another_form_make_no_difference(full):
    for object_ in list(full.azure.objects().values()):
        bare = {name: value for name, value in object_.items() if value != []}
        full.keep({**bare, "created": object_["created"].replace(".000Z", "Z"), "revoked": False})
    take_over(full)
    assert full.run().indicators == 0


@pytest.mark.parametrize("odd", [5, -1, 10**30, True, "x", {"a": []}, [[]], [None, 1, {}], "\ud83d"])
@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_field_of_another_kind_counts_as_missing_and_costs_no_other_record(full, odd, deduplicate):
    for number, name in enumerate(ODD_FIELDS):
        full.keep({**full.azure.objects()[id_of(1, 0)], "id": indicator(number)["id"], name: odd})
    assert take_over(full, DEDUPLICATE=deduplicate).adopted == {"matched": 9 + len(ODD_FIELDS)}
    assert full.run(DEDUPLICATE=deduplicate).exit_code == 0
    assert sorted(object_["pattern"] for object_ in full.azure.live().values()) == sorted(
        _pattern(f"e{n}h{k}") for n in range(1, 4) for k in range(3)
    )


def test_half_a_character_in_a_pattern_costs_no_other_record(full):
    full.keep({**full.azure.objects()[id_of(1, 0)], "id": indicator(1)["id"], "pattern": _pattern("\ud83d")})
    assert take_over(full).adopted == {"matched": 10}
    assert full.run().exit_code == 0
    assert len(full.azure.live()) == 9


# -- ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_revoked_id_is_never_sent_again(site, deduplicate):
    site.misp.load([misp_event(1, hosts(2))])
    site.run(DEDUPLICATE=deduplicate)
    for to_ids in (False, True) * 2:
        site.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=to_ids)
        site.misp.publish(event_uuid(1))
        site.run(DEDUPLICATE=deduplicate)
    (revoked, *others) = [key for key, object_ in site.azure.objects().items() if object_.get("revoked")]
    site.keep({**site.azure.objects()[max(site.azure.live())], "revoked": True})
    site.keep({**site.azure.objects()[min(site.azure.live())], "revoked": True})
    dead = set(site.azure.objects())
    site.lose_ledger()
    assert take_over(site, DEDUPLICATE=deduplicate).adopted == {"revoked": 4}
    report = site.run(DEDUPLICATE=deduplicate)
    assert (report.exit_code, report.plans["new"]) == (0, 2)
    assert len(site.azure.live()) == 2
    assert not dead & site.azure.live().keys()
    assert {record.life for record in records_by_id(site, DEDUPLICATE=deduplicate).values() if record.live} == {2, 4}
    assert revoked in dead and len(others) == 1


def test_an_id_is_not_used_for_another_pattern(full):
    full.keep({**full.azure.objects()[id_of(1, 0)], "pattern": "[domain-name:value = 'old.example.org']"})
    take_over(full)
    full.run()
    assert full.azure.objects()[id_of(1, 0)]["revoked"] is True
    assert full.azure.objects()[id_of(1, 0)]["pattern"] == "[domain-name:value = 'old.example.org']"
    live = [key for key, object_ in full.azure.live().items() if "e1h0" in object_["pattern"]]
    assert live == [f"indicator--{uuid5(UUID(attribute_uuid(1, 0)), _pattern('e1h0') + '#2')}"]


def _pattern(host):
    return f"[domain-name:value = '{host}.example.org']"


def test_of_two_indicators_of_one_observable_one_leaves(full):
    other = {**full.azure.objects()[id_of(1, 0)], "id": "indicator--30000000-0000-4000-8000-000000000001"}
    full.keep(other)
    take_over(full)
    report = full.run()
    assert (report.withdrawals, report.plans.total()) == ({WithdrawalReason.SECOND: 1}, 0)
    assert sum("e1h0" in object_["pattern"] for object_ in full.azure.live().values()) == 1
    assert full.run().indicators == 0


def test_a_live_first_life_outlives_a_revoked_second_one(full):
    second = f"indicator--{uuid5(UUID(attribute_uuid(1, 0)), _pattern('e1h0') + '#2')}"
    full.keep({**full.azure.objects()[id_of(1, 0)], "id": second, "revoked": True})
    take_over(full)
    assert full.run().indicators == 0
    assert id_of(1, 0) in full.azure.live()


def test_an_expired_indicator_is_taken_over_and_not_counted_as_live(full):
    full.time.seconds += 400 * 86_400
    assert take_over(full).adopted == {"matched": 9}
    ledger = full.ledger()
    assert ledger.count(int(full.time.now()))["live"] == 0
    ledger.close()
    assert full.run().plans == {"renewed": 9, "new": 0, "changed": 0, "again": 0}


# -- what is not MISP's ------------------------------------------------------------------------------------


FOREIGN = [
    indicator(1),
    indicator(2, external_references=[{"source_name": "x", "external_id": "none"}, "odd"]),
    indicator(3, revoked=True),
    indicator(4, valid_until="2026-01-02T00:00:00Z"),
    {key: value for key, value in indicator(5, object_marking_refs=[]).items() if key != "valid_until"},
]


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_unmatched_objects_are_listed_and_left_alone(site, deduplicate):
    site.misp.load([misp_event(1, hosts(2, "e1h"))])
    site.keep(*FOREIGN)
    lines = []
    report = take_over(site, line=lines.append, DEDUPLICATE=deduplicate)
    assert report.adopted == {"unmatched": 4, "revoked": 1}
    assert len(report.unmatched) == 3
    assert len(lines) == 5 and sum(line.startswith("adopt unmatched indicator--") for line in lines) == 4
    before = {object_["id"]: site.azure.objects()[object_["id"]] for object_ in FOREIGN}
    assert site.run(DEDUPLICATE=deduplicate).plans["new"] == 2
    assert site.run(DEDUPLICATE=deduplicate).indicators == 0
    assert {key: object_ for key, object_ in site.azure.objects().items() if key in before} == before
    stages = {key: record.stage for key, record in records_by_id(site).items() if key in before}
    assert stages == {
        key: Stage.WITHDRAWN if object_.get("revoked") else Stage.ACCEPTED for key, object_ in before.items()
    }


def test_unmatched_objects_are_withdrawn_when_asked_for(full):
    full.keep(*FOREIGN)
    report = take_over(full, withdraw_unmatched=True)
    assert (report.exit_code, report.withdrawals) == (0, {WithdrawalReason.NOT_IN_MISP: 3})
    revoked = {key[-1] for key, object_ in full.azure.objects().items() if object_.get("revoked")}
    assert revoked == {"1", "2", "3", "5"}
    gone = full.azure.objects()[FOREIGN[0]["id"]]
    assert gone["valid_from"] < gone["valid_until"] == gone["modified"]
    assert full.run().indicators == 0


def test_the_guard_holds_back_unmatched_objects_too(full):
    full.keep(*(indicator(n) for n in range(200)))
    report = take_over(full, withdraw_unmatched=True)
    assert report.exit_code == 1
    assert "200 objects would leave" in report.refusals[0] and "209 are live" in report.refusals[0]
    assert full.run().indicators == 0
    report = take_over(full, withdraw_unmatched=True, force_withdraw=True)
    assert report.adopted == {}
    assert (report.exit_code, report.withdrawals.total(), report.requests) == (0, 200, 2)
    assert len(full.azure.live()) == 9


def test_an_attribute_that_appears_later_takes_its_indicator_over(full):
    hidden = [misp_event(4, hosts(1, "e4h"))]
    full.misp.load(hidden)
    full.run()
    full.lose_ledger()
    full.misp.delete(event_uuid(4))
    assert take_over(full).adopted == {"matched": 9, "unmatched": 1}
    full.misp.load(hidden)
    report = full.run()
    assert report.plans["new"] == 0
    assert take_over(full, withdraw_unmatched=True).indicators == 0
    assert id_of(4, 0) in full.azure.live()


def test_other_source_systems_are_not_read(full):
    full.keep(indicator(1), sourcesystem="other")
    assert take_over(full).adopted == {"matched": 9}


# -- all or nothing ----------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(full):
    full.keep(*FOREIGN)
    before, sent = dict(full.azure.objects()), uploads(full)
    lines = []
    report = take_over(full, dry_run=True, withdraw_unmatched=True, line=lines.append)
    assert (report.exit_code, report.withdrawals.total()) == (0, 3)
    assert report.adopted == {"matched": 9, "unmatched": 4, "revoked": 1}
    assert sum(line.startswith("withdraw ") for line in lines) == 3
    assert (full.azure.objects(), uploads(full)) == (before, sent)
    assert not (full.state / "ledger.sqlite").exists()
    assert take_over(full).adopted["matched"] == 9


def test_a_ledger_that_is_not_empty_is_left_alone(full):
    take_over(full)
    with pytest.raises(LedgerError, match="holds objects of this destination already") as caught:
        take_over(full)
    assert caught.value.exit_code == 2
    full.lose_ledger()
    full.run()
    with pytest.raises(LedgerError):
        take_over(full, withdraw_unmatched=True)


def test_a_withdrawal_that_microsoft_did_not_answer_is_taken_up_again(full):
    full.keep(*FOREIGN)
    full.azure.faults.add(Fault("threat-intelligence-stix-objects:upload", "status", times=None))
    assert take_over(full, withdraw_unmatched=True).exit_code == 4
    full.azure.faults.clear()
    assert take_over(full, withdraw_unmatched=True).withdrawals.total() == 3
    assert len(full.azure.live()) == 10, "an expired one is left as it is"


def test_missing_keys_are_named_together(full):
    with pytest.raises(SettingsError) as caught:
        take_over(full, MS_AUTH__SUBSCRIPTION_ID="", MS_AUTH__WORKSPACENAME="")
    (problem,) = caught.value.problems
    assert problem.startswith("adopt needs subscription_id and workspaceName in ms_auth (")
    assert str(full.config) in problem and "MISP2SENTINEL_MS_AUTH__SUBSCRIPTION_ID" in problem
    assert "the portal" in problem, "it says where they are found"
    assert not full.state.exists()


def test_a_placeholder_is_missing_for_adopt_only(full):
    full.config.write_text('ms_auth = {"subscription_id": "<subscription_id>", "workspaceName": "<workspaceName>"}')
    with pytest.raises(SettingsError, match="subscription_id and workspaceName"):
        take_over(full, MS_AUTH__SUBSCRIPTION_ID="", MS_AUTH__WORKSPACENAME="")


def test_many_pages_and_many_questions(full):
    full.misp.load([misp_event(9, hosts(1100, "many"))])
    full.run()
    full.lose_ledger()
    full.misp.requests.clear()
    assert take_over(full).adopted == {"matched": 1109}
    asked = [body for _, path, body in full.misp.requests if path == "/attributes/restSearch"]
    assert [len(body["uuid"]) for body in asked] == [500, 500, 109]
    assert full.run().indicators == 0


FAULTS = {
    "403": (Fault(QUERY, "status", status=403, times=None, after=1), MicrosoftError, "Microsoft Sentinel Contributor"),
    "404": (Fault(QUERY, "status", status=404, times=None), MicrosoftError, "workspaceName"),
    "429 for good": (
        Fault(QUERY, "status", status=429, times=None, headers={"Retry-After": "9"}),
        MicrosoftError,
        "429",
    ),
    "500 for good": (Fault(QUERY, "status", times=None), MicrosoftError, "500"),
    "HTML": (Fault(QUERY, "html", status=200, times=None), MicrosoftError, "not Microsoft's"),
    "reset for good": (Fault(QUERY, "reset-after", times=None, after=1), MicrosoftError, "no answer from Microsoft"),
    "MISP": (Fault("/attributes/restSearch", "status", times=None), MispError, "MISP"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_sentence_and_nothing_was_written(full, name):
    fault, kind, words = FAULTS[name]
    full.keep(*(indicator(n) for n in range(150)))
    full.box.azure.faults.add(Fault(**vars(fault)))
    full.box.misp.faults.add(Fault(**vars(fault)))
    with pytest.raises(kind, match=words) as caught:
        take_over(full)
    assert caught.value.exit_code == (3 if kind is MispError else 4)
    assert "sandbox-secret" not in str(caught.value)
    assert records_by_id(full) == {}


@pytest.mark.parametrize("kind", ["status", "reset-after", "truncate"])
def test_a_fault_that_passes_costs_nothing(full, kind):
    full.keep(*(indicator(n) for n in range(150)))
    full.azure.faults.add(Fault(QUERY, kind, after=1, status=429, headers={"Retry-After": "7"}))
    assert take_over(full).adopted == {"matched": 9, "unmatched": 150}
    assert full.time.slept[-1] == 7 or kind != "status"


def test_a_token_that_is_refused_is_renewed_once(full):
    full.azure.faults.add(Fault(QUERY, "status", status=401))
    assert take_over(full).adopted == {"matched": 9}
    full.lose_ledger()
    full.azure.faults.add(Fault(QUERY, "status", status=401, times=None))
    with pytest.raises(MicrosoftError, match="refuses a new token too"):
        take_over(full)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"value": 1}, "no list"),
        ({"value": [{"properties": {"data": {"id": "x"}}}]}, "no indicator"),
        ({"value": [None]}, "no indicator"),
        ({"value": [], "nextLink": "https://elsewhere.example.org/x"}, "another host: https://elsewhere.example.org/x"),
    ],
)
def test_answers_that_are_not_the_documented_ones(full, body, words):
    full.azure.faults.add(Fault(QUERY, "status", status=200, body=body))
    with pytest.raises(MicrosoftError, match=words):
        take_over(full)


def test_a_run_and_adopting_exclude_each_other(full):
    full.state.mkdir()
    ledger = full.ledger()
    with ledger.hold_lock(), pytest.raises(RunActive):
        take_over(full)
    ledger.close()


# -- what people see ---------------------------------------------------------------------------------------


def test_a_first_run_recommends_to_adopt(full):
    assert full.run(DRY_RUN="1").advice == ADOPT_FIRST
    assert full.run().advice == ADOPT_NEXT
    assert full.run().advice == ""


def test_nothing_is_recommended_beside_a_misp_that_failed(full):
    full.box.misp.faults.add(Fault("users/view", "status", times=None))
    report = full.run(DRY_RUN="1")
    assert report.misp_error
    assert report.advice == ""


def test_the_summary_of_adopt_has_no_rows_of_a_run(full):
    full.run()
    full.lose_ledger()
    rows = list(details(take_over(full), verbose=False))
    assert [line.mark for line in rows] == ["taken over", "context"]
    assert rows[1].words == "taken over: 1 organisation"


def test_for_a_destination_of_several_the_message_names_its_entry(full):
    entry = {
        "tenantId": "example.org",
        "id": GUID.replace("1", "2"),
        "secret": "s" * 8,
        "workspaceId": GUID,
        "name": "one",
    }
    nameless = {f"MS_AUTH__{name.upper()}": "" for name in NAMES}
    with pytest.raises(SettingsError, match=r"in the entry of one in ms_tenants \(environment .*MS_TENANTS\)"):
        adopt.adopt(
            full.settings(MS_TENANTS=json.dumps([entry]), **nameless).destinations(),
            withdraw_unmatched=False,
            force_withdraw=False,
            line=None,
        )


def test_the_command(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(3))])
        site.keep(indicator(1))
        commands = Site(box, tmp_path)
        commands.environ = site.environ()
        done = commands.script("adopt", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["adopted"] == {"unmatched": 1}
        again = commands.script("adopt", "--json")
        assert again.returncode == 2, again.stderr
        assert (again.returncode, json.loads(again.stdout)["exit_code"]) == (2, 2)
        for name in ("SUBSCRIPTION_ID", "RESOURCEGROUPNAME", "WORKSPACENAME"):
            del commands.environ[f"MISP2SENTINEL_MS_AUTH__{name}"]
        missing = commands.script("adopt")
        assert missing.returncode == 2
        assert all(name in missing.stderr for name in NAMES)
