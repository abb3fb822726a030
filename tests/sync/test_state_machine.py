"""Any sequence of edits, runs, faults and deaths: what is live at Microsoft is what MISP wants.

MACHINE_SEQUENCES=2000 pytest tests/sync/test_state_machine.py tries so many random sequences of each machine;
without it the same ones are tried every time: with EXAMPLES=all a hundred of each.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from helpers.sync.report import problems_of
from sandbox.faults import Fault
from sandbox.misp.app import READONLY_KEY
from sandbox.misp.records import ORGANISATION
from tests.support.context.steps import ContextSteps
from tests.support.examples import examples
from tests.support.in_process import UPLOAD_PATH, OneProcess
from tests.support.postgres import postgres_server
from tests.support.what_misp_wants import DAY, TLP, Memory, Moment, Site, members, names, strictest

__all__ = ["postgres_server"]
SEQUENCES = int(os.environ.get("MACHINE_SEQUENCES") or examples(100))
START = 1_790_100_000
MOST_EVENTS = 4
OURS, THEIRS = ORGANISATION["uuid"], "99999999-9999-4999-8999-999999999999"
FOREIGN = "indicator--30000000-0000-4000-8000-000000000001"
# It stays as it is: of a MISP that shows no event at all nothing is withdrawn (test_guards.py).
ALWAYS_THERE = {"uuid": "10000000-0000-4000-8000-999999999999", "info": "Always there", "published": True}

SITES = [
    Site(),
    Site(moving=True),
    Site(window=("publish_timestamp", 10), moving=True),
    Site(window=("timestamp", 10)),
    Site(published=False, window=("timestamp", 10), moving=True),
    Site(published=False, warninglists=False),
    Site(private=True),
    Site(private=True, published=False, moving=True),
]
HOSTS = [f"host{n}.example.org" for n in range(3)]
ADDRESSES = [f"203.0.113.{n}" for n in range(1, 3)]
VALUES = st.sampled_from(
    [("domain", host) for host in HOSTS]
    + [("ip-dst", address) for address in ADDRESSES]
    + [("domain|ip", f"{host}|{address}") for host in HOSTS[:2] for address in ADDRESSES]
)
TAGS = st.sampled_from(
    [
        "tlp:green",
        "tlp:red",
        "label:one",
        "label:two",
        "not-for-us",
        'misp:confidence-level="rarely-confident"',
        'misp:confidence-level="usually-confident"',
    ]
)
COMMENTS = ["", "seen", "seen again"]
WHICH = st.integers(0, 11)
BATCH = st.integers(1, 2)
FLAG = st.booleans()
WHOLE = ["publish", "publish", "unpublish", "protect", "delete"]
EDITS = ["add", "value", "comment", "to_ids", "delete or restore", "hard delete"]
FAULTS_OF_AZURE = st.sampled_from(
    [
        {"kind": "status", "status": 429, "body": {"message": "Try again in 3 seconds."}},
        {"kind": "status"},
        {"kind": "status", "times": None},
        {"kind": "status", "times": None, "after": 1},
        {"kind": "reset-before", "times": None, "after": 1},
        {"kind": "reset-after"},
        {"kind": "reset-after", "times": None},
    ]
)
FAULTS_OF_MISP = st.sampled_from(
    [
        {"kind": "status"},
        {"kind": "status", "times": None, "after": 1},
        {"kind": "status", "times": None, "after": 2},
        {"kind": "truncate"},
        {"kind": "truncate", "times": None, "after": 1},
        {"kind": "status", "status": 403, "after": 1},
    ]
)


class Machine(RuleBasedStateMachine):
    """MISP is edited, time passes, runs go well, badly or not to their end."""

    deduplicate = "attribute"

    def __init__(self, state_url=""):
        super().__init__()
        self.state_url = state_url
        self.place = Path(tempfile.mkdtemp(prefix="machine-"))
        self.numbers = count(1)
        self.memories: dict[str, Memory] = {}
        self.organisations: dict[str, str] = {}
        self.deleted: dict[str, dict] = {}

    def teardown(self):
        shutil.rmtree(self.place, ignore_errors=True)

    @initialize(site=st.sampled_from(SITES), values=st.lists(VALUES, min_size=2, max_size=4), batch=BATCH)
    def open(self, site, values, batch):
        self.site = replace(site, deduplicate=self.deduplicate)
        self.process = OneProcess(self.place, START, **_settings(self.site, batch), STATE_URL=self.state_url)
        self.misp, self.azure = self.process.misp, self.process.azure
        self.misp.unpublishedprivate = site.private
        pattern = "[domain-name:value = 'host0.example.org']"
        foreign = {"id": FOREIGN, "type": "indicator", "pattern": pattern, "valid_until": "2036"}
        self.azure.store(self.azure.workspace_id, "Somebody else", foreign)
        self.foreign = dict(foreign)
        self.misp.add_event({**ALWAYS_THERE, "Attribute": [{**self._attribute(("comment", "none")), "to_ids": False}]})
        for value in values:
            self._added(self._new_event([value], published=True))
        self._clean_run(full=True)

    # -- people edit MISP -----------------------------------------------------------------------------

    @precondition(lambda self: len(self.events) < MOST_EVENTS)
    @rule(values=st.lists(VALUES, min_size=1, max_size=2), published=FLAG, own=FLAG, in_object=st.none() | VALUES)
    def add_event(self, values, published, own, in_object):
        event = self._new_event(values, published, own or not self.site.private)
        if in_object:
            uuid = f"40000000-0000-4000-8000-{next(self.numbers):012d}"
            event["Object"] = [{"uuid": uuid, "name": "thing", "Attribute": [self._attribute(in_object)]}]
        self._added(event)

    @precondition(lambda self: self.deleted and len(self.events) < MOST_EVENTS)
    @rule(which=WHICH, published=FLAG)
    def add_again(self, which, published):
        uuid = sorted(self.deleted)[which % len(self.deleted)]
        self._added({**self.deleted.pop(uuid), "published": published, "timestamp": self.process.seconds})

    @precondition(lambda self: self.members)
    @rule(how=st.sampled_from(EDITS), which=WHICH, value=VALUES, comment=st.sampled_from(COMMENTS), publish=FLAG)
    def edit(self, how, which, value, comment, publish):
        event, attribute = self._member(which)
        uuids = (event["uuid"], attribute["uuid"])
        if how == "add" and len(list(members(event))) < 3:
            self.misp.add_attribute(event["uuid"], self._attribute(value))
        elif how == "value":
            self.misp.edit_attribute(*uuids, type=value[0], value=value[1])
        elif how == "comment":
            self.misp.edit_attribute(*uuids, comment=comment)
        elif how == "to_ids":
            self.misp.edit_attribute(*uuids, to_ids=not attribute["to_ids"])
        elif how == "delete or restore":
            (self.misp.restore if attribute["deleted"] else self.misp.soft_delete)(*uuids)
        elif how == "hard delete":
            self.misp.hard_delete(*uuids)
        self._edited(event, publish)

    @precondition(lambda self: self.members)
    @rule(which=WHICH, days=st.integers(-2, 9), publish=FLAG)
    def last_seen(self, which, days, publish):
        event, attribute = self._member(which)
        end = datetime.fromtimestamp(self.process.seconds + days * DAY, UTC).isoformat() if days >= 0 else None
        self.misp.edit_attribute(event["uuid"], attribute["uuid"], last_seen=end)
        self._edited(event, publish)

    @precondition(lambda self: self.events)
    @rule(which=WHICH, publish=FLAG)
    def delete_object(self, which, publish):
        """The event's counter drifts by it, so that the event may leave the minimal index."""
        event = self._event(which)
        for object_ in [object_ for object_ in event["Object"] if not object_["deleted"]]:
            self.misp.delete_object(event["uuid"], object_["uuid"])
            self._edited(event, publish)

    @precondition(lambda self: self.members)
    @rule(which=WHICH, tag=TAGS, local=FLAG, publish=FLAG, whole=FLAG)
    def tag_or_untag(self, which, tag, local, publish, whole):
        event, attribute = self._member(which)
        if whole or tag == "not-for-us":
            change = self.misp.untag_event if tag in names(event) else partial(self.misp.tag_event, local=local)
            change(event["uuid"], tag)
        else:
            change = (
                self.misp.untag_attribute if tag in names(attribute) else partial(self.misp.tag_attribute, local=local)
            )
            change(event["uuid"], attribute["uuid"], tag)
        self._edited(event, publish, local=not whole or not self._moment().matches(event, windows=True))

    @precondition(lambda self: self.events)
    @rule(which=WHICH, how=st.sampled_from(WHOLE))
    def whole_event(self, which, how):
        event = self._event(which)
        getattr(self.misp, how)(event["uuid"])
        if how == "delete":
            self.deleted[event["uuid"]] = event

    @rule(value=st.sampled_from([*HOSTS, *ADDRESSES]))
    def warninglist(self, value):
        self.misp.warninglist ^= {value}
        for memory in self.memories.values():
            memory.unseen = True

    @rule(hours=st.sampled_from([1, 5, 24, 49, 73, 7 * 24, 8 * 24]))
    def time_passes(self, hours):
        self.process.seconds += hours * 3600

    # -- the program runs -----------------------------------------------------------------------------

    @rule()
    def full_run(self):
        self._clean_run(full=True)

    @rule()
    def ordinary_run(self):
        self._clean_run(full=False)

    @rule(full=FLAG)
    def run_twice(self, full):
        """The second run has nothing to upload; but a shared object that changed is renewed a run later."""
        self._clean_run(full=True)
        before = len(self.azure.uploads)
        self._clean_run(full=full)
        assert len(self.azure.uploads) == before or (self.site.moving and self.deduplicate == "value")

    @rule(step=st.integers(1, 70), full=FLAG)
    def killed_run(self, step, full):
        self._run_with_faults(full, last_step=step)

    @precondition(lambda self: len(self.events) < MOST_EVENTS)
    @rule(values=st.lists(VALUES, min_size=1, max_size=2), step=st.integers(15, 70), then=st.sampled_from(WHOLE))
    def killed_on_a_new_event(self, values, step, then):
        """What was sent of it must be found again, whatever becomes of the event."""
        self._added(self._new_event(values, published=True))
        self._run_with_faults(full=False, last_step=step)
        self.whole_event(-1, then)
        self._clean_run(full=True)

    @precondition(lambda self: self.members)
    @rule(which=WHICH, how=st.sampled_from(EDITS), value=VALUES, step=st.integers(15, 70))
    def killed_on_an_edit(self, which, how, value, step):
        """What was to leave leaves, although the event does not change again."""
        self.edit(how, which, value, "seen", publish=True)
        self._run_with_faults(full=False, last_step=step)
        self._clean_run(full=False)

    @rule(fault=FAULTS_OF_AZURE, full=FLAG)
    def microsoft_fails(self, fault, full):
        self.azure.faults.add(Fault(UPLOAD_PATH, **fault))
        self._run_with_faults(full)

    @rule(fault=FAULTS_OF_MISP, path=st.sampled_from(["restSearch", "events/index"]), full=FLAG)
    def misp_fails(self, fault, path, full):
        self.misp.faults.add(Fault(path, **fault))
        self._run_with_faults(full)

    def _run_with_faults(self, full, last_step=None):
        report = self.process.run(full=full, last_step=last_step)
        self.misp.faults.clear()
        self.azure.faults.clear()
        if report and report.exit_code == 0:
            self._remember_clean(full)
        else:
            self._remember_faulty()
        assert not self.azure.wrong

    def _clean_run(self, *, full, **options):
        report = self.process.run(full=full, **options)
        assert report.exit_code == 0, problems_of(report)
        self._remember_clean(full)

    # -- what is followed, and compared ---------------------------------------------------------------

    def _remember_clean(self, full):
        for uuid, memory in self.memories.items():
            after = self._after(uuid, memory)
            if (not full and memory.unseen) or self._out_of_sight(uuid, memory):
                before = self._moment().unread(memory, self.misp.event(uuid))
                after = replace(before.joined(after), unseen=True)
            self.memories[uuid] = after
        self._compare()

    def _remember_faulty(self):
        for uuid, memory in self.memories.items():
            self.memories[uuid] = memory.joined(self._after(uuid, memory))

    def _after(self, uuid, memory):
        return self._moment().after(memory, self.misp.event(uuid), self.organisations[uuid])

    def _out_of_sight(self, uuid, memory):
        """Whether a run may see no reason to read an event: outside the windows, unmoved, and nothing of it live."""
        event = self.misp.event(uuid)
        if event is None or self._moment().matches(event, windows=True):
            return False
        row = None if event["protected"] or int(event["attribute_count"]) <= 0 else int(event["timestamp"])
        unmoved = row is None or any(mark and mark.timestamp == row for mark in memory.marks)
        return unmoved and all(any(map(self._has_expired, facts)) for facts in memory.holds.values())

    def _has_expired(self, facts):
        return facts is None or facts.until <= self.process.seconds

    def _moment(self):
        return Moment(self.site, self.process.seconds, frozenset(self.misp.warninglist), self.misp.organisation_uuid)

    def _compare(self):
        assert not self.azure.wrong
        assert self.azure.objects(sourcesystem="Somebody else") == {FOREIGN: self.foreign}
        live = [_seen(indicator) for indicator in self.process.live().values()]
        if self.deduplicate == "value":
            self._compare_values(live)
        else:
            self._compare_attributes(live)

    def _compare_attributes(self, live):
        """Each observable of each attribute is live as it may be, and nothing else is."""
        by_key = {(indicator["attributes"][0], indicator["pattern"]): indicator for indicator in live}
        assert len(by_key) == len(live), "two lives at once"
        for memory in self.memories.values():
            for key, facts in memory.holds.items():
                indicator = by_key.pop(key, None)
                fitting = {candidate for candidate in facts if self._fits(indicator, candidate)}
                assert fitting, f"{key}: {indicator} is none of {facts} at {self.process.seconds}"
                memory.holds[key] = fitting
        assert not by_key, f"live, and nobody wants it: {by_key}"

    def _fits(self, indicator, facts):
        if self._has_expired(facts):
            return indicator is None
        return indicator is not None and _described(facts).items() <= indicator.items()

    def _compare_values(self, live):
        """Each value is live when an attribute wants it, with what all of its attributes say."""
        by_pattern = {indicator["pattern"]: indicator for indicator in live}
        assert len(by_pattern) == len(live), "two lives at once"
        wanted: dict[str, list] = {}
        for memory in self.memories.values():
            for (attribute, pattern), facts in memory.holds.items():
                # Of an event that is held nothing is sent, not even what another event let go of before.
                uncertain = {None} if any(mark and mark.held_since is not None for mark in memory.marks) else set()
                wanted.setdefault(pattern, []).append((attribute, facts, uncertain))
        for pattern, of_value in wanted.items():
            self._compare_value(pattern, by_pattern.pop(pattern, None), of_value)
        assert not by_pattern, f"live, and nobody wants it: {by_pattern}"

    def _compare_value(self, pattern, indicator, of_value):
        now = self.process.seconds
        runs = [{fact is not None and fact.until > now for fact in facts} for _, facts, _ in of_value]
        doubtful = self.site.moving and any(False in outcomes for outcomes in runs)
        certain = any(outcomes == {True} for outcomes in runs) and not doubtful
        if indicator is None:
            assert not certain, f"{pattern} is missing: {of_value} at {now}"
            return
        assert any(True in outcomes for outcomes in runs), f"{pattern} is stale: {of_value} at {now}"
        exact = all(len(facts | uncertain) == 1 for _, facts, uncertain in of_value)
        if exact and all(outcomes == {True} for outcomes in runs):
            certain_facts = [next(iter(facts)) for _, facts, _ in of_value]
            assert indicator["attributes"] == sorted(attribute for attribute, *_ in of_value)
            assert indicator["tlp"] == TLP[strictest(fact.tlp for fact in certain_facts)]
            assert indicator["confidence"] == max(fact.confidence for fact in certain_facts)
            assert indicator["labels"] == frozenset().union(*(fact.labels for fact in certain_facts))

    # -- which ----------------------------------------------------------------------------------------

    @property
    def events(self):
        known = self.misp.events() if hasattr(self, "misp") else []
        return [event for event in known if event["uuid"] != ALWAYS_THERE["uuid"]]

    @property
    def members(self):
        return [(event, attribute) for event in self.events for attribute in members(event)]

    def _event(self, which):
        return self.events[which % len(self.events)]

    def _member(self, which):
        return self.members[which % len(self.members)]

    def _new_event(self, values, published, own=False):
        return {
            "uuid": f"10000000-0000-4000-8000-{next(self.numbers):012d}",
            "info": "An event",
            "date": "2026-09-01",
            "published": published,
            "Orgc": {"name": "EXAMPLE", "uuid": OURS if own else THEIRS},
            "Attribute": [self._attribute(value) for value in values],
        }

    def _attribute(self, value):
        uuid = f"20000000-0000-4000-8000-{next(self.numbers):012d}"
        return {
            "uuid": uuid,
            "type": value[0],
            "value": value[1],
            "category": "Network activity",
            "to_ids": True,
            "timestamp": str(self.process.seconds),
        }

    def _added(self, event):
        uuid = self.misp.add_event(event)
        self.organisations[uuid] = event["Orgc"]["uuid"]
        self.memories.setdefault(uuid, Memory())
        self.deleted.pop(uuid, None)
        self.process.seconds += 2

    def _edited(self, event, publish, *, local=False):
        """After an edit the event is published again, or not; what is ``local`` moves no row."""
        self.memories[event["uuid"]].unseen |= local
        self.process.seconds += 2
        if publish:
            self.misp.publish(event["uuid"])


class Values(Machine):
    """The same where attributes of one value share an object."""

    deduplicate = "value"


class WithContext(ContextSteps, Machine):
    """The same where events name actors and techniques as well, and what they name changes."""

    @initialize(
        site=st.sampled_from(SITES[:4]), values=st.lists(VALUES, min_size=2, max_size=4), batch=st.integers(1, 3)
    )
    def open(self, site, values, batch):
        super().open(site, values, batch)
        self.process.configure(CONTEXT="techniques", MAX_WITHDRAW_PERCENT="100")
        self.begin_context()

    def _compare(self):
        super()._compare()
        self.compare_ends()


class ValuesWithContext(WithContext):
    """Both."""

    deduplicate = "value"


def _settings(site, batch):
    return {
        "MISP_EVENT_FILTERS": json.dumps(site.filters),
        "DAYS_TO_EXPIRE": str(site.days),
        "DAYS_TO_EXPIRE_START": "current_date" if site.moving else "valid_from",
        "DAYS_TO_EXPIRE_MAPPING": "{}",
        "IGNORE_LOCALTAGS": "0",
        "DEDUPLICATE": site.deduplicate,
        "UNPUBLISHED_GRACE_DAYS": str(site.grace),
        "FULL_SYNC_DAYS": "10000",
        "MS_MAX_INDICATORS_REQUEST": str(batch),
        "MISP_EVENT_LIMIT_PER_PAGE": "2",
        **({"MISP_KEY": READONLY_KEY} if site.private else {}),
    }


def _seen(indicator):
    """What of an object at Microsoft is compared."""
    return {
        "pattern": indicator["pattern"],
        "attributes": sorted(reference["external_id"] for reference in indicator["external_references"]),
        "tlp": indicator["object_marking_refs"][0].removeprefix("marking-definition--")[:8],
        "confidence": indicator["confidence"],
        "labels": frozenset(label for label in indicator.get("labels", ()) if label.startswith("label:")),
        "comment": next(
            (comment for comment in COMMENTS if comment == indicator["description"].partition("\n")[0]), ""
        ),
        "until": int(datetime.fromisoformat(indicator["valid_until"]).timestamp()),
    }


def _described(facts):
    return {
        "tlp": TLP[facts.tlp],
        "confidence": facts.confidence,
        "labels": facts.labels,
        "comment": facts.comment,
        "until": facts.until,
    }


CAREFUL = settings(
    max_examples=SEQUENCES,
    stateful_step_count=20,
    derandomize=not os.environ.get("MACHINE_SEQUENCES"),
    deadline=None,
    phases={Phase.generate, Phase.shrink} & set(settings.default.phases),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", [Machine, Values])
def test_on_postgresql(kind, postgres_server):
    """The same with the ledger in a PostgreSQL, a fresh one for each sequence."""
    shorter = settings(CAREFUL, max_examples=max(1, SEQUENCES // 8))
    run_state_machine_as_test(lambda: kind(postgres_server.new()), settings=shorter)


TestAttributes = Machine.TestCase
TestAttributes.settings = CAREFUL
TestValues = Values.TestCase
TestValues.settings = CAREFUL
# A run takes longer with context, and what is said of indicators is said above.
FEWER = settings(CAREFUL, max_examples=max(2, SEQUENCES // 8))
TestContext = WithContext.TestCase
TestContext.settings = FEWER
TestValuesWithContext = ValuesWithContext.TestCase
TestValuesWithContext.settings = FEWER
