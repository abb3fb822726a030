"""Refused is not perhaps live: what is said of objects after any sequence of Microsoft's answers, and what is planned.

Azure is asked what it really has, so that no word is right by the ledger alone.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sql
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import ExitCode
from helpers.ledger import Blocked, Ledger, ObjectRecord, Stage
from helpers.ledger.tables import OBJECTS, STANDINGS
from sandbox.faults import Fault
from tests.ledger.test_ledger import in_flight, object_record, stored_object
from tests.microsoft.test_graph import GraphSite
from tests.support import hosts, misp_event
from tests.support.examples import examples
from tests.support.in_process import OneProcess
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
START, HOUR = 1_790_100_000, 3600
EVENT = misp_event(1)["uuid"]
LONG = {"MS_MAX_INDICATORS_REQUEST": "2", "MISP_EVENT_FILTERS": '{"published": 1}'}

# What a night's requests meet with, and what has to be mended then; each lasts the whole night.
REFUSALS = {
    "403": ({"kind": "status", "status": 403}, Blocked.ROLE),
    "401": ({"kind": "status", "status": 401}, Blocked.SIGN_IN),
    "404": ({"kind": "status", "status": 404}, Blocked.ADDRESS),
    "no token": ({"kind": "status", "status": 503, "path": "oauth2"}, Blocked.SIGN_IN),
}
DOUBTS = {
    "503": ({"kind": "status", "status": 503}, None),
    "408": ({"kind": "status", "status": 408}, None),
    "429": ({"kind": "status", "status": 429}, None),
    "a page with 200": ({"kind": "html", "status": 200}, None),
    "a page with 403": ({"kind": "html", "status": 403}, Blocked.CONNECTION),
    "a page with 404": ({"kind": "html", "status": 404}, Blocked.CONNECTION),
    "timeout": ({"kind": "hang"}, None),
    "broken before": ({"kind": "reset-before"}, None),
    "broken after": ({"kind": "reset-after"}, None),
}
NIGHTS = {**REFUSALS, **DOUBTS}
KILLS = ("killed before", "killed after")


class Upload(OneProcess):
    """A site that sends to the upload API."""

    path = "threat-intelligence-stix-objects:upload"

    def __init__(self, state, **more):
        super().__init__(state, START, **LONG, **more)


class Graph(GraphSite):
    """A site that sends to the Graph API."""

    path = "security/tiIndicators"
    run = OneProcess.run

    def __init__(self, state, **more):
        super().__init__(state, MS_MAX_INDICATORS_REQUEST="2", **more)


class Nights:
    """One object, night after night: MISP is edited, and Microsoft answers in one way all night."""

    def __init__(self, site):
        self.site, self.number = site, 0
        site.misp.load([misp_event(1, hosts(1))])
        (self.attribute,) = [raw["uuid"] for raw in site.misp.event(EVENT)["Attribute"]]

    def night(self, kind="well", **changes):
        """Edit the attribute, and run against what the night has; the report, or None of a run that died."""
        self.number += 1
        self.site.seconds += HOUR
        self.site.misp.edit_attribute(EVENT, self.attribute, **(changes or {"comment": f"edit {self.number}"}))
        self.site.misp.publish(EVENT)
        if kind in KILLS:
            self._kill(after=kind == "killed after")
        elif kind != "well":
            fault = NIGHTS[kind][0]
            self.site.azure.faults.add(Fault(**{"path": self.site.path, "times": None, **fault}))
        report = self.site.run()
        self.site.azure.faults.clear()
        return report

    def _kill(self, *, after):
        life = self.site.life

        def dies(_body):
            life.last = life.steps + (1 if after else 0)
            return not after

        self.site.azure.faults.add(Fault(self.site.path, "reset-before", times=None, when=dies))

    @property
    def record(self):
        with closing(Ledger(self.site.settings.ledger_url, self.site.settings.workspace_key, "MISP")) as ledger:
            return next(iter(ledger.search(OBJECTS, ObjectRecord, sql.true())), None)

    @property
    def facts(self):
        with closing(Ledger(self.site.settings.ledger_url, self.site.settings.workspace_key, "MISP")) as ledger:
            return ledger.facts()

    @property
    def at_microsoft(self):
        """Whether Microsoft matches it, in any form."""
        return bool(self.site.azure.ti_indicators if isinstance(self.site, Graph) else self.site.live())


@pytest.fixture(params=["upload", "graph", "upload, PostgreSQL"])
def nights(request, tmp_path):
    if request.param == "graph":
        return Nights(Graph(tmp_path))
    elsewhere = {"STATE_URL": request.getfixturevalue("postgres_url")} if "PostgreSQL" in request.param else {}
    return Nights(Upload(tmp_path, **elsewhere))


# -- single nights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_is_refused_is_not_taken_and_waits_for_what_has_to_be_mended(nights, kind):
    report = nights.night(kind)
    assert (report.exit_code, report.not_taken, report.as_json()["not_taken"]) == (ExitCode.MICROSOFT, 1, 1)
    record, now = nights.record, nights.site.seconds
    assert (record.not_taken, record.is_in_sentinel(now), nights.at_microsoft) == (True, False, False)
    assert record.is_live(now), "for the plan it may be"
    once = NIGHTS[kind][1].once
    assert nights.facts.blocked == NIGHTS[kind][1]
    (sentence,) = report.waiting()
    assert sentence == f"1 indicator is pending: Microsoft did not take it; it is sent {once}."
    assert nights.night().exit_code == 0
    assert nights.facts.blocked is None


@pytest.mark.parametrize("kind", [*DOUBTS, *KILLS])
def test_what_may_have_arrived_is_unknown_and_a_later_refusal_leaves_it_so(nights, kind):
    report = nights.night(kind)
    assert report is None or (report.states.total(), report.not_taken) == (1, 0)
    for _ in range(2):
        assert not nights.record.not_taken and nights.record.is_in_sentinel(nights.site.seconds)
        report = nights.night("403")
        assert report.not_taken == 0
    (sentence,) = report.waiting()
    assert sentence.endswith(
        "it may have been taken, since no answer says otherwise; it is sent once the role is given."
    )


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_withdrawal_that_is_refused_was_not_made(nights, kind):
    nights.night()
    report = nights.night(kind, to_ids=False)
    told = report.as_json()
    assert (told["withdrawals_pending"], told["withdrawals_not_taken"], told["withdrawn"], told["pending"]) == (
        1,
        1,
        0,
        0,
    )
    record = nights.record
    assert (record.stage, record.not_taken, record.is_in_sentinel(nights.site.seconds)) == (
        Stage.WITHDRAWING,
        True,
        True,
    )
    assert nights.at_microsoft
    (sentence,) = report.waiting()
    once = NIGHTS[kind][1].once
    assert sentence == f"1 withdrawal is pending: Microsoft did not take it; it is sent {once}."
    told = nights.night(to_ids=False).as_json()
    assert (told["withdrawn"], told["accepted"], told["indicators"], sum(told["withdrawals"].values())) == (1, 0, 0, 1)
    assert not nights.at_microsoft and not nights.record.is_in_sentinel(nights.site.seconds)


def test_what_was_accepted_before_is_live_only_as_long_as_it_was_accepted_for(tmp_path):
    nights = Nights(
        Upload(tmp_path, DAYS_TO_EXPIRE="2", DAYS_TO_EXPIRE_START="current_date", DAYS_TO_EXPIRE_MAPPING="{}")
    )
    nights.night()
    for passed, there in ((24, True), (20, True), (20, False)):
        nights.site.seconds += passed * HOUR
        nights.night("403")
        assert nights.record.is_live(nights.site.seconds), "for the plan it is, until the end that was refused"
        assert nights.record.is_in_sentinel(nights.site.seconds) is nights.at_microsoft is there


def test_of_a_batch_whose_halves_are_refused_nothing_is_certain(tmp_path):
    """A request that was answered with 400 is none of those that say that nothing was taken."""
    site = Upload(tmp_path)
    site.misp.load([misp_event(1, hosts(2))])
    site.azure.faults.add(Fault(site.path, "status", status=400))
    site.azure.faults.add(Fault(site.path, "status", status=403, times=None))
    assert (site.run().states.total(), site.run().not_taken) == (2, 0)


def test_who_plans_by_a_row_that_was_read_before_an_answer_does_not_undo_it(tmp_path):
    """An event is planned while the upload settles what it had read: the facts are of the answers alone."""
    with closing(Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "workspace", "MISP")) as ledger:
        ledger.keep(objects=[object_record(1)])
        before = stored_object(ledger)
        in_flight(ledger, [before.id])
        ledger.keep(objects=[before])
        assert stored_object(ledger).perhaps_taken
        ledger.accepted([before.id], START)
        accepted = stored_object(ledger)
        ledger.keep(objects=[before])
        assert stored_object(ledger).accepted_until == accepted.accepted_until > 0


# -- any sequence -------------------------------------------------------------------------------------------

ANY_NIGHT = st.sampled_from(["well", *REFUSALS, *REFUSALS, *DOUBTS, *KILLS])
SEQUENCES = st.tuples(st.lists(ANY_NIGHT, min_size=1, max_size=5), st.lists(ANY_NIGHT, max_size=3))


@pytest.mark.parametrize("api", [Upload, Graph])
def test_the_word_is_right_after_any_sequence(api, tmp_path_factory):
    @settings(max_examples=examples(48))
    @given(SEQUENCES)
    def trial(sequence):
        nights, unclear = Nights(api(tmp_path_factory.mktemp("site"))), False
        for kind, flagged in each_night(sequence):
            nights.night(kind, comment=f"edit {nights.number}", to_ids=flagged)
            unclear = kind != "well" and (unclear or kind not in REFUSALS)
            record = nights.record
            if record is None:  # it was never accepted, nor in flight, and is wanted no more
                assert not nights.at_microsoft
                return
            settled = record.stage in (Stage.ACCEPTED, Stage.WITHDRAWN)
            assert settled is (kind == "well") and record.not_taken is not (settled or unclear)
            there = record.is_in_sentinel(nights.site.seconds)
            assert there if nights.at_microsoft else (not there or unclear), "it is where the word says so"
            if settled and not flagged:
                return

    trial()


def each_night(sequence):
    """The nights in which it is wanted, and those in which it is not."""
    wanted, unwanted = sequence
    return [(kind, True) for kind in wanted] + [(kind, False) for kind in unwanted]


@pytest.mark.parametrize("api", [Upload, Graph])
def test_what_is_planned_does_not_depend_on_what_is_said(api, tmp_path_factory):
    """The same nights at two sites; at one of them the facts for people are wrong each morning."""

    @settings(max_examples=examples(18))
    @given(SEQUENCES)
    def trial(sequence):
        ours, wrong = (Nights(api(tmp_path_factory.mktemp("site"))) for _ in range(2))
        for kind, flagged in each_night(sequence):
            for nights in (ours, wrong):
                nights.night(kind, comment=f"edit {nights.number}", to_ids=flagged)
            assert asked(ours) == asked(wrong) and for_the_plan(ours) == for_the_plan(wrong)
            invert(wrong)

    trial()


def asked(nights):
    azure = nights.site.azure
    return [azure.graph_requests, azure.uploads, azure.objects()]


def for_the_plan(nights):
    """What the ledger has but for the facts for people, and for Graph's ids, which are made by chance."""
    record = nights.record
    return record and replace(record, perhaps_taken=False, accepted_until=0, remote_id=str(bool(record.remote_id)))


def invert(nights):
    with closing(Ledger(nights.site.settings.ledger_url, nights.site.settings.workspace_key, "MISP")) as ledger:
        ledger._write(sql.update(STANDINGS).values(perhaps_taken=~STANDINGS.c.perhaps_taken, accepted_until=7))
