"""Which id an object gets when what it stands for comes back, whoever has the UUIDs that ids are made of."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from constants import WithdrawalReason
from helpers.indicators import ConversionRules
from helpers.ledger import Ledger, RetryPolicy
from helpers.sync import VALUE_NAMESPACE, DesiredObject, ObjectPlanner, ObjectWishes, attribute_key
from helpers.sync.plan import Cause
from tests.support import indicator, misp_event
from tests.support.examples import examples
from tests.support.in_process import OneProcess

NOW = 1_790_000_100
DAY = 86_400
HOST = "host.example.org"
OWNER = misp_event(1, [("domain", HOST)])["Attribute"][0]["uuid"]
PATTERN = f"[domain-name:value = '{HOST}']"


def later_uuid(namespace, life, pattern=PATTERN):
    return str(uuid5(UUID(str(namespace)), f"{pattern}#{life}"))


@pytest.fixture
def make_site(tmp_path):
    def make(**settings):
        return OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}', **settings)

    return make


def next_day(site, **options):
    site.seconds += DAY
    report = site.run(**options)
    assert report.exit_code == 0
    return report


def flag(site, value):
    site.misp.edit_attribute(misp_event(1)["uuid"], OWNER, to_ids=value)
    site.misp.publish(misp_event(1)["uuid"])


def stranger(number, uuids, host="stranger{}.example.org"):
    """An event of somebody else's, of which attributes have these UUIDs."""
    hosts = [{"type": "domain", "value": host.format(n), "uuid": uuid} for n, uuid in enumerate(uuids)]
    return misp_event(number, hosts)


def live_hosts(site):
    return sorted(found["pattern"].split("'")[1] for found in site.live().values())


@pytest.mark.parametrize("taken", [(2,), (3,), (2, 3), (2, 3, 4, 5, 6, 7), (2, 4), ()], ids=str)
def test_a_stranger_has_the_ids_of_the_next_lives(make_site, taken):
    """The stranger is there before the owner comes back, and neither sends anything under an id of the other's."""
    site = make_site()
    site.misp.load([misp_event(1, [("domain", HOST)])])
    assert site.run().exit_code == 0
    site.misp.load([stranger(2, [later_uuid(OWNER, life) for life in taken])])
    flag(site, False)
    next_day(site)
    assert HOST not in live_hosts(site)
    flag(site, True)
    next_day(site)
    everything = sorted([HOST, *(f"stranger{n}.example.org" for n in range(len(taken)))])
    assert live_hosts(site) == everything
    site.misp.delete(misp_event(2)["uuid"])
    next_day(site, force_withdraw=True)
    assert live_hosts(site) == [HOST]
    next_day(site, full=True)
    assert live_hosts(site) == [HOST]
    assert site.azure.wrong == []


def test_a_stranger_who_comes_after_the_owner_s_second_life_gets_another_id(make_site):
    site = make_site()
    site.misp.load([misp_event(1, [("domain", HOST)])])
    site.run()
    for wanted in (False, True):
        flag(site, wanted)
        next_day(site)
    site.misp.load([stranger(2, [later_uuid(OWNER, 2)])])
    next_day(site)
    assert live_hosts(site) == [HOST, "stranger0.example.org"]
    flag(site, False)
    next_day(site)
    assert live_hosts(site) == ["stranger0.example.org"]
    assert site.azure.wrong == []


def test_a_stranger_whose_own_value_is_the_owner_s_gets_another_id(make_site):
    """The same value under the UUID of the owner's next life; both come back in one plan."""
    site = make_site()
    both = misp_event(1, [("domain", HOST)])
    both["Attribute"] += stranger(2, [later_uuid(OWNER, 2)], HOST)["Attribute"]
    site.misp.load([both])
    site.run()
    assert len(site.live()) == 2
    for wanted in (False, True, False, True):
        flag(site, wanted)
        next_day(site)
        assert len(site.live()) == 1 + wanted
    assert site.azure.wrong == []


def test_lives_of_a_shared_value_are_not_taken_either(make_site):
    """The ids of the values that events share have a namespace that everybody can read."""
    site = make_site(DEDUPLICATE="attribute")
    site.misp.load([stranger(2, [later_uuid(VALUE_NAMESPACE, life) for life in (2, 3)])])
    site.run()
    planner = planner_of(site.settings, opened_ledger(site), shared=True)
    first = f"indicator--{uuid5(VALUE_NAMESPACE, PATTERN)}"
    wanted = DesiredObject("value/1", {**indicator(1), "pattern": PATTERN}, VALUE_NAMESPACE, first, DAY)
    lives = [begin(planner, wanted) for _ in range(3)]
    assert [record.life for record in lives] == [1, 4, 5]
    planner.ledger.close()


def opened_ledger(site):
    settings = site.settings
    return Ledger(settings.ledger_url, settings.workspace_key, settings.sourcesystem)


def planner_of(settings, ledger, *, shared):
    return ObjectPlanner(ObjectWishes(ConversionRules.of(settings), RetryPolicy(NOW), shared), ledger)


def begin(planner, wanted):
    """Send an object that has none, and withdraw it."""
    (new,) = planner.plan({wanted.key: wanted}, {}, event="", in_window=True).new
    planner.ledger.keep(objects=[new])
    settle(planner.ledger, [new])
    (leaving,) = planner.plan({}, {wanted.key: Cause("test", "")}, event="", in_window=True).withdraw
    planner.ledger.keep(objects=[leaving])
    settle(planner.ledger, [leaving])
    return new


def settle(ledger, records):
    """Have Microsoft take what a plan sends and withdraws."""
    ids = [record.id for record in records]
    ledger.enqueue(ids)
    ledger.dequeue(len(ids), NOW, in_flight=True)
    ledger.accepted([record.id for record in records if not record.leaving], NOW)
    ledger.withdrawn([record.id for record in records if record.leaving])


def test_many_lives_that_are_taken_cost_few_questions(make_site, monkeypatch):
    site = make_site()
    planner = planner_of(site.settings, opened_ledger(site), shared=False)
    taken = {f"indicator--{later_uuid(OWNER, life)}" for life in range(2, 500)} | {f"indicator--{OWNER}"}
    questions = []

    def ask(_, ids):
        questions.append(ids)
        return ids & taken

    monkeypatch.setattr(Ledger, "known_ids", ask)
    wanted = DesiredObject("key", {**indicator(1), "pattern": PATTERN}, UUID(OWNER), f"indicator--{OWNER}", DAY)
    (new,) = planner.plan({"key": wanted}, {}, event="", in_window=True).new
    assert new.life == 500
    assert len(questions) < 12 and sum(map(len, questions)) < 1100
    planner.ledger.close()


# -- any order of events -------------------------------------------------------------------------------

PATTERNS = [PATTERN, "[domain-name:value = 'other.example.org']"]
ROOT = UUID(OWNER)


def chain(depth):
    """UUIDs of which each is a later life's of one before it."""
    uuids = [ROOT]
    for parent in range(depth):
        uuids += [uuid5(uuids[parent], f"{pattern}#{life}") for pattern in PATTERNS for life in (2, 3)]
    return uuids


ATTRIBUTES = st.tuples(st.sampled_from(chain(3)), st.sampled_from(PATTERNS))
WISHES = st.lists(st.sets(ATTRIBUTES, max_size=6), min_size=1, max_size=8)


def wanted_of(attribute, pattern):
    made = {**indicator(1), "pattern": pattern, "id": f"indicator--{attribute}"}
    return DesiredObject(attribute_key(made, str(attribute)), made, attribute, made["id"], DAY)


@given(WISHES)
@hypothesis_settings(max_examples=examples(300))
def test_no_two_keys_ever_share_an_id_and_nobody_leaves_because_of_a_stranger(make_settings, wishes):
    ledger = Ledger("sqlite://", "workspace", "MISP")
    planner = planner_of(make_settings(), ledger, shared=False)
    keys_of_id, before = defaultdict(set), set()
    for wish in wishes:
        desired = {wanted.key: wanted for wanted in (wanted_of(*one) for one in sorted(wish))}
        unwanted = {key: Cause(WithdrawalReason.NOT_SHOWN, "") for key in before - desired.keys()}
        plan = planner.plan(desired, unwanted, event="", in_window=True)
        ledger.keep(objects=plan.kept, no_objects=[record.id for record in plan.forget])
        settle(ledger, plan.send + plan.withdraw)
        for record in plan.kept:
            keys_of_id[record.id].add(record.key)
        live = ledger.every_live_object(NOW)
        assert sorted(record.key for record in live) == sorted(desired)
        before = set(desired)
    assert all(len(keys) == 1 for keys in keys_of_id.values())
    ledger.close()
