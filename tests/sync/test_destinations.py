"""Many destinations from one reading of MISP: none costs another one anything."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import threading
from collections import Counter
from contextlib import ExitStack, closing
from functools import partial
from unittest import mock

import pytest
import requests

from helpers.errors import EventNotFound, SettingsError
from helpers.ledger import unpacked, writing
from helpers.ledger.together import Together
from helpers.microsoft.batch import SharedTexts
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.rate_limit import Clock, RateLimiter
from helpers.microsoft.request_manager import RequestManager
from helpers.process import Part
from helpers.process.log import silence_libraries
from helpers.settings import load
from helpers.sync.destination import DestinationSync, RunOptions
from helpers.sync.report import problems_of
from helpers.sync.run import make_state_dir, opened, run
from helpers.sync.sending import delivery
from sandbox.azure.app import AzureState
from sandbox.azure.app import create_app as azure_app
from sandbox.faults import Fault
from sandbox.misp.app import MispState
from sandbox.misp.app import create_app as misp_app
from tests.support import FakeTime, WsgiAdapter, environ_for, hosts, misp_event

START = 1_790_000_100
ATTRIBUTES = 60
NAMES = [f"site{n}" for n in range(10)]


class TimeOfEach:
    """A time of its own for each destination: it moves when the destination's upload sleeps."""

    def __init__(self):
        self.seconds = Counter()

    def now(self):
        return START + self.seconds[threading.current_thread().name]

    def sleep(self, seconds):
        self.seconds[threading.current_thread().name] += seconds

    @property
    def clock(self):
        return Clock(self.now, self.sleep)


class TimeThatWaits(FakeTime):
    """Stands still while a request that has its turn is on its way: the machine may hold its thread there."""

    def __init__(self, now, monkeypatch):
        super().__init__(now)
        self._on_the_way = 0
        self._arrived = threading.Condition()
        slot_for, answered = RateLimiter._slot_for, RateLimiter.answered

        def counted(limiter, ticket):
            with limiter._changed:
                slot = slot_for(limiter, ticket)
                self._count(1 if slot else 0)
                return slot

        def uncounted(limiter, slot):
            answered(limiter, slot)
            self._count(-1)

        monkeypatch.setattr(RateLimiter, "_slot_for", counted)
        monkeypatch.setattr(RateLimiter, "answered", uncounted)

    def _count(self, more):
        with self._arrived:
            self._on_the_way += more
            self._arrived.notify_all()

    def sleep(self, seconds):
        with self._arrived:
            assert self._arrived.wait_for(lambda: not self._on_the_way, 60)
        super().sleep(seconds)


class Watched(AzureState):
    """Tells when some workspaces have everything."""

    def __init__(self, clock):
        super().__init__(clock)
        self.expected = {}
        self.complete = threading.Event()

    def store(self, workspace_id, sourcesystem, object_):
        refusal = super().store(workspace_id, sourcesystem, object_)
        if all(len(self.objects(id_)) >= count for id_, count in self.expected.items()):
            self.complete.set()
        return refusal


def workspace(number):
    return f"33333333-3333-4333-8333-{number:012d}"


def client(number):
    return f"22222222-2222-4222-8222-{number:012d}"


class Site:
    """Ten workspaces, under ten app registrations or under one."""

    def __init__(self, folder, time, *, shared=False, filters=lambda _number: {}, **settings):
        self.time = time
        self.late = []
        self.misp, self.azure = MispState(clock=lambda: START), Watched(time.now)
        self.azure.other_clients = {client(number) for number in range(10)}
        for number in range(10):
            self.azure.add_workspace(workspace(number))
        tenants = [self._tenant(number, shared, filters(number)) for number in range(10)]
        self.config = folder / "config.py"
        self.config.write_text("")
        environ = environ_for(self.azure, MISP2SENTINEL_STATE_DIR=str(folder), tenants=json.dumps(tenants))
        environ |= {"MISP2SENTINEL_MISP_KEY": self.misp.key, "MISP2SENTINEL_MISP_EVENT_FILTERS": '{"published": 1}'}
        environ |= {"MISP2SENTINEL_MS_MAX_INDICATORS_REQUEST": "2"}
        environ |= {f"MISP2SENTINEL_{name}": value for name, value in settings.items()}
        self.settings = load(self.config, environ).settings
        make_state_dir(self.settings)
        silence_libraries()
        self.misp.load([misp_event(1, hosts(ATTRIBUTES))])

    def _tenant(self, number, shared, filters):
        return {
            "name": NAMES[number],
            "tenantId": self.azure.tenant,
            "id": client(0 if shared else number),
            "secret": self.azure.client_secret,
            "workspaceId": workspace(number),
            "filters": filters,
        }

    def run(self, name="", **options):
        http = requests.Session()
        http.trust_env = False
        http.mount("https://", WsgiAdapter(azure_app(self.azure), before=self._wait))
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(delivery, "RequestManager", partial(RequestManager, workers=1)))
            stack.enter_context(mock.patch.object(delivery, "MicrosoftClient", partial(MicrosoftClient, http=http)))
            line = WsgiAdapter(misp_app(self.misp))
            line.last_headers = {}
            stack.enter_context(mock.patch("helpers.misp.client.PinnedHttpAdapter", lambda *_: line))
            chosen = RunOptions(**options)
            return run(self.settings, chosen, workspace=name, clock=self.time.clock, now=lambda: START)

    def _wait(self, request):
        """Those that are late answer when the others have everything."""
        if any(f"{workspace_id}/threat-intelligence" in request.url for workspace_id in self.late):
            assert self.azure.complete.wait(60), "the others waited for those that are late"

    def hold_until_all_is_in_line(self, monkeypatch):
        """Let no upload begin before there is as much to do for each destination."""
        in_line = threading.Event()
        self._wait = lambda _request: in_line.wait(60)

        def drain(manager, drain=RequestManager.drain):
            if manager._api.settings.name == NAMES[-1]:
                in_line.set()
            drain(manager)

        monkeypatch.setattr(RequestManager, "drain", drain)

    def fault(self, number, kind, **more):
        self.azure.faults.add(Fault(f"{workspace(number)}/threat-intelligence", kind, times=None, **more))

    def live(self, number):
        return len(self.azure.live(workspace(number)))

    def reading(self):
        return [path for _, path, body in self.misp.requests if "restSearch" in path and not body.get("metadata")]


@pytest.fixture
def make_site(tmp_path):
    return partial(Site, tmp_path)


def of(report, name):
    return next(part for part in report.parts if part.name == name)


def test_who_fails_delays_and_fails_no_other(make_site, tmp_path_factory):
    """One is throttled for a minute, one may not write, one is not reached; all three answer last."""
    single = Site(tmp_path_factory.mktemp("alone"), TimeOfEach(), MS_MAX_REQUESTS_MINUTE="10")
    assert single.run("site0").exit_code == 0
    only_what_it_took = single.time.seconds["upload site0"]
    assert only_what_it_took > 60

    site = make_site(TimeOfEach(), MS_MAX_REQUESTS_MINUTE="10", filters=lambda n: {"exclude_tags": [f"not:{n}"]})
    healthy = range(3, 10)
    site.azure.expected = {workspace(number): ATTRIBUTES for number in healthy}
    site.late = [workspace(number) for number in range(3)]
    minute = {"when": lambda _: site.time.now() < START + 60}
    site.fault(0, "status", status=429, body="Try again in 7 seconds.", **minute)
    site.fault(1, "status", status=403)
    site.fault(2, "reset-before")
    report = site.run()

    assert site.azure.complete.is_set(), "the seven did not wait for the three"
    assert {site.time.seconds[f"upload {NAMES[number]}"] for number in healthy} == {only_what_it_took}
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES, 0, 0, *[ATTRIBUTES] * 7]
    assert report.exit_code == 1
    assert {part.name: part.exit_code for part in report.parts} == {
        **dict.fromkeys(NAMES, 0),
        "site1": 4,
        "site2": 4,
    }
    assert "Microsoft Sentinel Contributor" in of(report, "site1").given_up
    assert "no answer" in of(report, "site2").given_up
    assert {part.name for part in report.parts if any(problem.fatal for problem in problems_of(part))} == {
        "site1",
        "site2",
    }
    assert site.reading() == ["/events/restSearch"], "MISP was read once"
    assert of(report, "site2").states.total() == ATTRIBUTES

    site.azure.faults.clear()
    site.misp.requests.clear()
    again = site.run()
    assert again.exit_code == 0
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES] * 10
    assert [part.indicators for part in again.parts] == [0, ATTRIBUTES, ATTRIBUTES, *[0] * 7]


def test_what_microsoft_refuses_is_reported_by_its_name_and_its_keys(make_site, caplog):
    site = make_site(FakeTime(START))
    site.azure.other_clients -= {client(3)}
    site.azure.workspaces -= {workspace(5)}
    with caplog.at_level(logging.INFO):
        report = site.run()
    assert report.exit_code == 1
    assert "ms_tenants['site3']['id'] is not an app of this tenant" in of(report, "site3").given_up
    assert "ms_tenants['site5']['workspaceId']" in of(report, "site5").given_up
    assert "ms_auth[" not in "\n".join(problem.text for part in report.parts for problem in problems_of(part))
    messages = [record.getMessage() for record in caplog.records]
    for name in ("site3", "site5"):
        assert [line for line in messages if line.startswith(f"{name}: Microsoft is given up for this run: ")]
    assert [line for line in messages if line.startswith("site4: Indicators sent - request number: 1 / ")]


def test_a_destination_that_took_nothing_of_a_single_batch_failed_too(make_site):
    """Three batches in a row end a run early; a run that has fewer has failed all the same."""
    site = make_site(TimeOfEach(), MS_MAX_INDICATORS_REQUEST="100")
    site.fault(2, "reset-before")
    report = site.run()
    assert {part.name: part.exit_code for part in report.parts} == {**dict.fromkeys(NAMES, 0), "site2": 4}
    first, pending = problems_of(of(report, "site2"))
    assert first.words == (
        "Microsoft took nothing in this run: no answer from Microsoft (firewall, ms_proxies, ms_verifycert, "
        "ms_endpoints?): connection reset by peer"
    )
    assert pending.words == (
        f"{ATTRIBUTES} indicators are pending: each of them may have been taken, since no answer says otherwise; "
        "the next run sends them, as long as the filters find their events."
    )


def test_all_under_one_principal_keep_its_limit_and_take_turns(make_site, monkeypatch):
    site = make_site(TimeThatWaits(START, monkeypatch), shared=True, MS_MAX_REQUESTS_MINUTE="50")
    site.azure.requests_per_minute = 50
    site.hold_until_all_is_in_line(monkeypatch)
    assert site.run().exit_code == 0
    assert {entry["status"] for entry in site.azure.uploads} == {200}
    times = [entry["time"] for entry in site.azure.uploads]
    assert max(sum(start <= other < start + 60 for other in times) for start in times) == 50
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES] * 10
    half = site.azure.uploads[: len(site.azure.uploads) // 2]
    progress = Counter(entry["workspace"] for entry in half)
    assert len(progress) == 10
    assert min(progress.values()) > len(half) / 10 / 2, "each is about as far as the others"


@pytest.mark.parametrize(("name", "remembered"), [("", [ATTRIBUTES + 1]), ("site1", [])])
def test_what_several_send_is_remembered_once_and_a_single_one_has_nothing_to_remember(
    make_site, monkeypatch, name, remembered
):
    shared = []
    monkeypatch.setattr("helpers.sync.run.SharedTexts", lambda: shared.append(SharedTexts()) or shared[-1])
    assert make_site(FakeTime(START)).run(name).exit_code == 0
    assert [len(texts._text_by_body) for texts in shared] == remembered


def test_each_has_its_own_filters_and_skips(make_site):
    site = make_site(FakeTime(START), filters=lambda n: {"types": ["ip-dst"]} if n else {})
    report = site.run()
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES, *[0] * 9]
    assert [part.skipped.total() for part in report.parts] == [0, *[ATTRIBUTES] * 9]
    assert report.as_json()["destinations"][3]["skipped"] == {"filtered_type": ATTRIBUTES}


def test_a_single_destination(make_site):
    site = make_site(FakeTime(START))
    report = site.run("site4")
    assert (report.exit_code, report.parts) == (0, [])
    assert [site.live(number) for number in range(10)] == [0] * 4 + [ATTRIBUTES] + [0] * 5
    assert site.run(workspace(5)).exit_code == 0
    with pytest.raises(SettingsError, match="no destination paris: the settings name site0, site1"):
        site.run("paris")
    rest = site.run()
    assert sum(part.indicators for part in rest.parts) == 8 * ATTRIBUTES


def test_the_parts_of_a_run_do_all_of_it(make_site):
    site = make_site(FakeTime(START))
    reports = [site.run(part=Part(number, 3)) for number in (1, 2, 3)]
    assert [[part.name for part in report.parts] for report in reports] == [
        ["site0", "site1"],
        ["site2", "site3", "site4", "site5", "site9"],
        ["site6", "site7", "site8"],
    ]
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES] * 10
    assert site.reading() == ["/events/restSearch"] * 3, "each reads MISP for itself, once"


def test_other_parts_than_before_send_nothing_again(make_site):
    site = make_site(FakeTime(START))
    for number in (1, 2):
        site.run(part=Part(number, 2))
    sent = len(site.azure.uploads)
    again = [site.run(part=Part(number, 3)) for number in (1, 2, 3)]
    assert [(report.exit_code, report.indicators) for report in again] == [(0, 0)] * 3
    assert len(site.azure.uploads) == sent


def test_a_part_of_one_destination_names_it(make_site):
    """Who reads the summaries of many parts has to know whose each is."""
    site = make_site(FakeTime(START))
    report = site.run(part=Part(2, 8))
    assert [each["name"] for each in report.as_json()["destinations"]] == ["site0"]


def test_a_first_dry_run_covers_all_destinations(make_site):
    site = make_site(FakeTime(START))
    site.settings = site.settings.model_copy(update={"dry_run": True})
    report = site.run()
    assert (report.exit_code, [part.failure for part in report.parts]) == (0, [""] * 10)
    assert [part.plans["new"] for part in report.parts] == [ATTRIBUTES] * 10
    assert [site.live(number) for number in range(10)] == [0] * 10
    assert report.as_json()["advice"].startswith("site0, site1, site2,")
    assert "site9: The ledger holds nothing for this destination yet." in report.as_json()["advice"]


def test_a_destination_that_another_run_holds_drops_out(make_site):
    site = make_site(FakeTime(START))
    with opened(site.settings.destinations("site3")[0]) as ledger, ledger.hold_lock():
        report = site.run()
    assert report.exit_code == 1
    assert "Another run is active" in of(report, "site3").failure
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES] * 3 + [0] + [ATTRIBUTES] * 6


def test_a_fault_of_ours_at_one_destination_costs_no_other(make_site, monkeypatch):
    site = make_site(FakeTime(START))
    open_ = DestinationSync.open

    def stumbling(sync, uuid):
        if sync.report.name == "site3":
            raise ZeroDivisionError
        return open_(sync, uuid)

    monkeypatch.setattr(DestinationSync, "open", stumbling)
    report = site.run()
    assert report.exit_code == 1
    assert of(report, "site3").faults[0].startswith(misp_event(1)["uuid"])
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES] * 3 + [0] + [ATTRIBUTES] * 6


def test_what_ledgers_know_of_a_page_is_read_once_also_where_each_event_lets_go_of_something(make_site, monkeypatch):
    site = make_site(FakeTime(START))
    site.misp.load(misp_event(n, hosts(2, f"e{n}h")) for n in range(2, 6))
    site.run()
    site.misp.load(misp_event(n, hosts(2, f"other{n}h"), timestamp=str(START + 10)) for n in range(2, 6))
    pages, read = [], Together.attributes
    monkeypatch.setattr(Together, "attributes", lambda self, events: pages.append(events) or read(self, events))
    report = site.run()
    assert [sorted(page) for page in pages] == [[misp_event(n)["uuid"] for n in range(2, 6)]]
    assert of(report, "site3").withdrawals.total() == 8


@pytest.mark.parametrize("at_once", [500, 70])
def test_a_fault_of_ours_in_writing_costs_its_event_alone(make_site, monkeypatch, at_once):
    """Whether or not the events of a page are written together."""
    site = make_site(FakeTime(START))
    site.misp.load([misp_event(number, hosts(30, f"of{number}-")) for number in (2, 3, 4)])
    marks_of = writing.marks_of

    def stumbling(body):
        if "'of3-7.example.org'" in unpacked(body)["pattern"]:
            raise ZeroDivisionError
        return marks_of(body)

    monkeypatch.setattr("helpers.sync.events.draft.MOST_OBJECTS", at_once)
    monkeypatch.setattr(writing, "marks_of", stumbling)
    report = site.run()
    assert {tuple(fault[:36] for fault in part.faults) for part in report.parts} == {(misp_event(3)["uuid"],)}
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES + 60] * 10
    monkeypatch.setattr(writing, "marks_of", marks_of)
    assert site.run().exit_code == 0
    assert [site.live(number) for number in range(10)] == [ATTRIBUTES + 90] * 10


def test_where_every_destination_fails_at_the_beginning_each_says_why(make_site, monkeypatch):
    def failing(*_):
        raise SettingsError(["not with these settings"])

    monkeypatch.setattr("helpers.sync.shared_reading.begin_sync", failing)
    site = make_site(FakeTime(START))
    report = site.run()
    assert report.exit_code == 2
    assert {part.failure for part in report.parts} == {"not with these settings"}
    assert site.reading() == []


def test_of_what_no_destination_has_any_more_nothing_stays_in_the_ledger(make_site):
    """What destinations share is dropped with the last of them that has it, at the end of the run."""
    site = make_site(FakeTime(START))
    site.run()
    event = misp_event(1, hosts(ATTRIBUTES), timestamp=str(START + 10))
    for attribute in event["Attribute"]:
        attribute["comment"] = "another one"
    site.misp.load([event])
    site.run()
    counted = "SELECT count(*) FROM contents WHERE number NOT IN (SELECT content FROM standings)"
    kept = "SELECT count(*) FROM contents", "SELECT count(*) FROM standings"
    with closing(sqlite3.connect(site.settings.ledger_url.removeprefix("sqlite:///"))) as database:
        assert [database.execute(question).fetchone()[0] for question in (*kept, counted)] == [
            ATTRIBUTES + 1,  # and who made the event
            10 * (ATTRIBUTES + 1),
            0,
        ]
        assert database.execute("SELECT count(*) FROM loose").fetchone()[0] == 0


def test_what_a_slow_destination_has_not_taken_is_in_no_memory(make_site):
    """The reader is done although nothing was taken yet, and what waits stands in the ledger."""
    site = make_site(FakeTime(START))
    seen = []

    def count_while_reading(_):
        if not seen and site.reading():
            with opened(site.settings.destinations("site0")[0].model_copy(update={"dry_run": True})) as ledger:
                seen.append(ledger.count(START))
        return False

    site.azure.expected = {workspace(number): ATTRIBUTES for number in range(1, 10)}
    site.late = [workspace(0)]
    site.fault(0, "status", when=count_while_reading)
    assert site.run().exit_code == 0
    assert seen == [{"pending": ATTRIBUTES - 2, "sending": 2, "live": 2}]


REFERENCE = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s/)"


def entry(*without, **changes):
    whole = {"tenantId": "contoso.example.org", "id": client(1), "secret": "s3cret", "workspaceId": workspace(1)}
    return {key: value for key, value in (whole | changes).items() if key not in without}


BAD = {
    "an object instead of a list": (entry(), "must be a list"),
    "a missing key": ([entry("secret")], "secret is missing"),
    "no workspace": ([entry("workspaceId")], "workspaceId"),
    "an unknown key": ([entry(sqace=1)], "not a key of a destination: take it out"),
    "ms_auth's name of a key": ([entry("secret", client_secret="s3cret")], "write 'secret', if that is meant"),
    "a key in other letters": ([entry("workspaceId", workspaceID=workspace(1))], "write 'workspaceId'"),
    "a placeholder": ([entry(secret="<secret>")], r"put your own value there\."),
    "an unresolved reference": ([entry(secret=REFERENCE)], "Key Vault"),
    "a name twice": ([entry(), entry()], "two destinations of the same name"),
    "a place twice": (
        [entry(name="a"), entry(name="b", sourcesystem="MISP")],
        "two destinations of the same workspace and sourcesystem",
    ),
    "two without a workspace": ([entry("workspaceId", name=name) for name in "ab"], r"\[1\]\['workspaceId'\]"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_the_list_is_named(tmp_path, name):
    tenants, words = BAD[name]
    config = tmp_path / "config.py"
    config.write_text("")
    environ = {
        "MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org",
        "MISP2SENTINEL_MISP_KEY": "k" * 40,
        "tenants": json.dumps(tenants),
    }
    with pytest.raises(SettingsError, match=words) as error:
        load(config, environ)
    assert "environment tenants" in str(error.value)
    assert "s3cret" not in str(error.value) and "ms_auth[" not in str(error.value)


@pytest.mark.parametrize(
    "tenants", ["@Microsoft.KeyVault(VaultName=soc;SecretName=tenants)", "[{'name': 'paris'}]", "[{},]"]
)
def test_a_list_that_cannot_be_read_is_all_that_is_wrong(tmp_path, tenants):
    (tmp_path / "config.py").write_text("")
    environ = {"mispurl": "https://misp.example.org", "mispkey": "k" * 40, "tenants": tenants}
    with pytest.raises(SettingsError) as error:
        load(tmp_path / "config.py", environ)
    (problem,) = error.value.problems
    assert problem.startswith("ms_tenants (environment tenants) ")


GRAPH = {"MISP2SENTINEL_MS_AUTH__GRAPH_API": "true"}
LEGACY = {"MISP2SENTINEL_MS_AUTH__NEW_UPLOAD_API": "false"}


@pytest.mark.parametrize(
    ("others", "changes", "words"),
    [
        (GRAPH, [{"name": "a"}, {"name": "b", "sourcesystem": "OTHER"}], "two destinations of the same tenantId"),
        (LEGACY, [{"cloud": "usgov"}], "no host of the legacy API for Azure US Government"),
        (LEGACY, [{}, {"name": "b", "cloud": "usgov"}], "run that destination by itself"),
    ],
)
def test_what_an_api_lacks_is_named_for_destinations_too(tmp_path, others, changes, words):
    """At Graph, two in one tenant would delete each other's indicators."""
    with pytest.raises(SettingsError, match=words):
        destinations(tmp_path, [entry(**change) for change in changes], **others)


def test_a_destination_finds_its_federated_token_where_the_cluster_says(tmp_path):
    tenants = [entry("secret", credential="workload_identity"), entry(name="b", workspaceId=workspace(2))]
    first, second = destinations(tmp_path, tenants, AZURE_FEDERATED_TOKEN_FILE="/var/run/token")
    assert str(first.ms_auth.federated_token_file) == "/var/run/token"
    assert second.ms_auth.federated_token_file is None


def destinations(folder, tenants, **others):
    config = folder / "config.py"
    config.write_text("")
    environ = {"MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org", "MISP2SENTINEL_MISP_KEY": "k" * 40}
    return load(config, {**environ, "tenants": json.dumps(tenants), **others}).settings.destinations()


def test_of_an_event_that_is_not_found_each_destination_says_what_it_has(make_site):
    filters = {1: {"exclude_types": ["domain"]}, 2: {"exclude_types": ["ip-src"]}}
    site = make_site(TimeOfEach(), filters=lambda number: filters.get(number, {}))
    for name in NAMES[:3]:
        assert site.run(name).exit_code == 0
    (event,) = (row["uuid"] for row in site.misp.events())
    site.misp.unpublish(event)
    with pytest.raises(EventNotFound) as caught:
        site.run(uuid=event)
    words = str(caught.value)
    assert words.startswith(f"Event {event} is not published, ")
    said = re.findall(r"(site\d): (\d+) indicators of it are live", words)
    assert said == [("site0", "60"), ("site2", "60")], "site1 has nothing of it, the others do not know it"


def test_a_dry_run_writes_down_what_each_destination_wants(make_site, tmp_path):
    site = make_site(TimeOfEach(), filters=lambda number: {"exclude_types": ["domain"]} if number else {})
    assert site.run().exit_code == 0
    site.settings = site.settings.model_copy(update={"dry_run": True, "write_parsed_indicators": True})
    assert site.run().exit_code == 0
    dumped = {name: json.loads((tmp_path / f"parsed_indicators-{name}.txt").read_text()) for name in NAMES}
    assert [len(indicators) for indicators in dumped.values()] == [ATTRIBUTES, *[0] * 9]
