"""Several destinations: each has its own alerts, its sightings bear its name, and none costs another one any."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from helpers.commands.sightings.summary import lines_of
from helpers.ledger import Ledger, SightingLedger
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION
from sandbox.faults import Fault
from sandbox.misp.app import READONLY_KEY
from tests.support import misp_event
from tests.sync.sightings.site import HOUR, NAMES, TI_MAP, Site, day_of

OSLO, PARIS, ROME = DESTINATIONS = ("oslo", "paris", "rome")


def workspace(name):
    return f"33333333-3333-4333-8333-00000000000{DESTINATIONS.index(name)}"


class Several(Site):
    """Three workspaces that have the same indicators; ``seen_at`` is an alert in one of them."""

    def __init__(self, place, count=4, **settings):
        none = {f"MS_AUTH__{name}": "" for name in NAMES}
        super().__init__(place, count, **none, **settings)
        for name in DESTINATIONS:
            self.azure.add_workspace(workspace(name))
            self.azure.management_names[SUBSCRIPTION, RESOURCE_GROUP, name] = workspace(name)
        self.configure(MS_TENANTS=json.dumps(list(map(self._tenant, DESTINATIONS))))
        assert self.run().exit_code == 0
        self.seconds += HOUR

    def _tenant(self, name):
        return {
            "name": name,
            "tenantId": self.azure.tenant,
            "id": self.azure.client_id,
            "secret": self.azure.client_secret,
            "workspaceId": workspace(name),
            "subscription_id": SUBSCRIPTION,
            "resourceGroupName": RESOURCE_GROUP,
            "workspaceName": name,
        }

    def seen_at(self, name, *numbers, **named):
        """An alert there that names the indicators of these attributes."""
        return self.alert(indicators=list(map(self.indicator, numbers)), workspace=workspace(name), **named)

    def indicator(self, number=0):
        wanted = f"[domain-name:value = 'host{number}.example.org']"
        return next(id_ for id_, one in self.azure.objects(workspace(OSLO)).items() if one["pattern"] == wanted)

    def expected(self, **numbers):
        """What is in MISP where each destination has seen these attributes today."""
        return Counter(
            (f"Microsoft Sentinel {name}", self.attribute(number), "0", day_of(self.seconds))
            for name, seen in numbers.items()
            for number in seen
        )


@pytest.fixture
def site(tmp_path):
    return Several(tmp_path)


def written(report):
    return {part.name: part.written for part in report.parts}


def test_each_destination_sights_what_its_own_alerts_name_under_its_own_name(site):
    assert set(site.azure.objects(workspace(OSLO))) == set(site.azure.objects(workspace(PARIS)))
    site.seen_at(OSLO, 0, 1)
    site.seen_at(PARIS, 1)
    site.alert(TI_MAP, entities=[("dns", "host2.example.org")], workspace=workspace(PARIS))
    report = site.sightings()
    assert (report.exit_code, written(report)) == (0, {"oslo": 2, "paris": 2, "rome": 0})
    assert site.written() == site.expected(oslo=[0, 1], paris=[1, 2])
    site.seen_at(ROME, 1)
    assert written(site.sightings()) == {"oslo": 0, "paris": 0, "rome": 1}
    assert site.written() == site.expected(oslo=[0, 1], paris=[1, 2], rome=[1])


def test_where_microsoft_refuses_one_the_others_write_and_it_goes_on_later(site):
    for name in DESTINATIONS:
        site.seen_at(name, 0)
    site.azure.readable.discard(workspace(PARIS))
    report = site.sightings()
    told = report.as_json()
    assert (report.exit_code, told["written"]) == (4, 2)
    assert [(each["name"], each["exit_code"], each["written"]) for each in told["destinations"]] == [
        ("oslo", 0, 1),
        ("paris", 4, 0),
        ("rome", 0, 1),
    ]
    assert "Microsoft Sentinel Reader" in told["destinations"][1]["failure"]
    assert next(lines_of(report, "log")).text().startswith("FAILED: paris: the app may not read")
    site.azure.readable.add(workspace(PARIS))
    report = site.sightings()
    assert (report.exit_code, written(report)) == (0, {"oslo": 0, "paris": 1, "rome": 0})


def test_a_key_that_may_not_write_is_tried_once_for_all_and_nothing_is_lost(site):
    key = site.settings.misp_sightings.api_key.get_secret_value()
    site.configure(MISP_SIGHTINGS__API_KEY=READONLY_KEY)
    site.seen_at(OSLO, 0)
    site.seen_at(PARIS, 0)
    report = site.sightings()
    assert [(part.exit_code, part.waiting) for part in report.parts] == [(3, 1), (3, 1), (3, 0)]
    assert (report.exit_code, report.waiting) == (3, 2)
    assert [path for _, path, _ in site.misp.requests].count(f"/sightings/add/{site.attribute(0)}") == 1
    site.configure(MISP_SIGHTINGS__API_KEY=key)
    assert site.sightings().written == 2


@pytest.mark.parametrize(
    ("most", "found", "expected"),
    [
        (6, {OSLO: 4, PARIS: 1, ROME: 4}, {OSLO: 2, PARIS: 1, ROME: 3}),
        (6, {OSLO: 4, PARIS: 3, ROME: 0}, {OSLO: 3, PARIS: 3, ROME: 0}),
        (2, {OSLO: 4, PARIS: 4, ROME: 4}, {OSLO: 0, PARIS: 1, ROME: 1}),
    ],
)
def test_what_a_run_may_write_is_shared_fairly_and_used_up(site, monkeypatch, most, found, expected):
    monkeypatch.setattr("helpers.sync.sightings.run.MOST_WRITTEN", most)
    for name, count in found.items():
        site.seen_at(name, *range(count))
    report = site.sightings()
    assert written(report) == expected
    assert {part.name: part.waiting for part in report.parts} == {
        name: count - expected[name] for name, count in found.items()
    }
    for _ in range(sum(found.values()) // most):
        report = site.sightings()
    assert (report.waiting, site.written().total()) == (0, sum(found.values()))


def test_one_destination_alone(site):
    for name in DESTINATIONS:
        site.seen_at(name, 0)
    report = site.sightings(workspace="Paris")
    assert (report.exit_code, report.parts, report.written) == (0, (), 1)
    assert site.written() == site.expected(paris=[0])
    assert written(site.sightings()) == {"oslo": 1, "paris": 0, "rome": 1}
    assert {asked["path"].split("/")[-3] for asked in site.azure.log_queries} == set(DESTINATIONS)


def test_one_whose_sightings_another_process_writes_costs_no_other_one(site):
    for name in DESTINATIONS:
        site.seen_at(name, 0)
    ledger = Ledger(site.settings.ledger_url, workspace(OSLO), site.settings.sourcesystem)
    with ledger.database.hold_sightings(ledger.destination):
        report = site.sightings()
    assert [(part.exit_code, part.written) for part in report.parts] == [(5, 0), (0, 1), (0, 1)]
    assert report.exit_code == 5
    ledger.close()
    assert written(site.sightings()) == {"oslo": 1, "paris": 0, "rome": 0}


def test_a_dry_run_says_at_which_destination_each_would_be(site):
    site.seen_at(OSLO, 0)
    site.seen_at(ROME, 1)
    lines = []
    assert site.sightings(dry_run=True, line=lines.append).waiting == 2
    assert [line.split()[0] + " " + line.split()[-1] for line in lines] == [
        "oslo: host0.example.org",
        "rome: host1.example.org",
    ]


def test_a_lost_answer_at_one_is_asked_about_by_its_own_source(site):
    site.seen_at(OSLO, 0)
    site.seen_at(PARIS, 0)
    site.misp.faults.add(Fault("/sightings/add", "reset-after", times=2))
    report = site.sightings()
    assert [part.in_doubt for part in report.parts] == [1, 1, 0]
    report = site.sightings()
    assert [part.there for part in report.parts] == [1, 1, 0]
    assert site.written() == site.expected(oslo=[0], paris=[0])


def test_what_a_destinations_filters_keep_out_it_never_sights_though_another_one_had_it(tmp_path):
    """They may be customers, and share indicators with the values."""
    site = Several(tmp_path, DEDUPLICATE="value")
    filtered = site._tenant(OSLO) | {"filters": {"exclude_tags": ["secret"]}}
    site.configure(MS_TENANTS=json.dumps([filtered, site._tenant(PARIS)]))
    site.misp.tags.add("secret")
    open_, secret = (misp_event(100 + n, [("domain", "shared.example.org")], distribution="3") for n in range(2))
    site.misp.load([open_, secret])
    site.misp.tag_event(secret["uuid"], "secret")
    site.misp.publish(secret["uuid"])
    assert site.run().exit_code == 0
    site.misp.edit_attribute(secret["uuid"], secret["Attribute"][0]["uuid"], to_ids=False)
    site.misp.publish(secret["uuid"])
    assert site.run().exit_code == 0
    site.seconds += HOUR
    for name in (OSLO, PARIS):
        site.alert(TI_MAP, entities=[("dns", "shared.example.org")], workspace=workspace(name))
    assert written(site.sightings()) == {"oslo": 1, "paris": 2}


def test_each_has_a_cursor_of_its_own(site):
    for name in (OSLO, PARIS):
        site.sightings(workspace=name)
        site.seconds += HOUR
    cursors = {}
    for name in DESTINATIONS:
        ledger = Ledger(site.settings.ledger_url, workspace(name), site.settings.sourcesystem)
        cursors[name] = SightingLedger(ledger).window().until
        ledger.close()
    assert cursors == {OSLO: site.seconds - 2 * HOUR, PARIS: site.seconds - HOUR, ROME: 0}
