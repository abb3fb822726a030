"""Where alerts are read, whatever indicators are sent through: Graph, clouds, Log Analytics' own API; shared values."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs

import pytest

from helpers.errors import SettingsError
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_NAME
from sandbox.azure.token import GRAPH_SCOPE, LOGS_SCOPE, SCOPE
from tests.support import misp_event
from tests.sync.sightings.site import HOUR, MANAGEMENT, NAMES, SOURCE, TI_MAP, Site, day_of

MD5 = "0123456789abcdef0123456789abcdef"
US_GOVERNMENT = "https://management.usgovcloudapi.net"
LOGS = "https://logs.example.org"
QUERY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.OperationalInsights"
    f"/workspaces/{WORKSPACE_NAME}/api/query?api-version=2017-01-01-preview"
)


class Apis(Site):
    """A site whose requests to Microsoft are looked at; one of its events has these attributes."""

    def __init__(self, place, attributes=(), **settings):
        super().__init__(place, 1, **settings)
        if attributes:
            self.misp.load([misp_event(2, attributes, distribution="3")])

    def read(self):
        """Read the alerts and write sightings: the report, which addresses were asked, for which scope."""
        before = len(self._azure_line.requests)
        report = self.sightings()
        sent = self._azure_line.requests[before:]
        (scope,) = {parse_qs(request.body)["scope"][0] for request in sent if "oauth2" in request.url}
        return report, {request.url for request in sent if "/query" in request.url}, scope

    def values(self):
        """The values of the attributes that were sighted."""
        known = {
            attribute["id"]: attribute["value"] for event in self.misp.events() for attribute in event["Attribute"]
        }
        return Counter(known[sighting["attribute_id"]] for sighting in self.misp.sightings)


# -- Graph ------------------------------------------------------------------------------------------------

OF_GRAPH = [
    ("domain|ip", "pair.example.org|192.0.2.7"),
    ("ip-dst", "192.0.2.8"),
    ("url", "http://evil.example.org/a"),
    ("md5", MD5),
    ("email-src", "bad@example.org"),
]


@pytest.fixture
def graph(tmp_path):
    endpoint = "https://graph.example.org/beta"
    site = Apis(tmp_path, OF_GRAPH, MS_AUTH__GRAPH_API="true", MS_ENDPOINTS__GRAPH=endpoint)
    assert site.run().exit_code == 0
    assert len(site.azure.ti_indicators) == 1 + len(OF_GRAPH)
    site.seconds += HOUR
    return site


@pytest.mark.parametrize(
    ("entity", "value"),
    [
        (("dns", "PAIR.example.org"), OF_GRAPH[0][1]),
        (("ip", "192.0.2.7"), OF_GRAPH[0][1]),
        (("ip", "192.0.2.8"), OF_GRAPH[1][1]),
        (("url", "http://evil.example.org/a"), OF_GRAPH[2][1]),
        (("filehash", MD5.upper()), MD5),
        (("mailbox", "Bad@example.org"), OF_GRAPH[4][1]),
    ],
)
def test_of_graphs_indicators_alerts_name_values_a_pair_by_either_half(graph, entity, value):
    graph.alert(TI_MAP, entities=[entity])
    report, addresses, scope = graph.read()
    assert (report.exit_code, report.matches, report.written, report.unknown) == (0, 1, 1, 0)
    assert graph.values() == {value: 1}
    assert addresses == {f"{MANAGEMENT}{QUERY}"} and scope == SCOPE
    assert graph.settings.ms_auth.scope == GRAPH_SCOPE


@pytest.mark.parametrize("entity", [("dns", "pair.example.org"), ("ip", "192.0.2.7"), ("filehash", MD5)])
def test_of_what_was_uploaded_as_stix_each_half_of_a_composite_leads_to_its_attribute(tmp_path, entity):
    composites = [OF_GRAPH[0], ("filename|md5", f"bad.exe|{MD5}")]
    site = Apis(tmp_path, composites)
    assert site.run().exit_code == 0
    site.alert(TI_MAP, entities=[entity])
    assert site.sightings().written == 1
    assert site.values() == {composites[entity[0] == "filehash"][1]: 1}


def test_ids_say_nothing_where_indicators_went_through_graph(graph):
    given, indicator = next(iter(graph.azure.ti_indicators.items()))
    graph.alert(indicators=[given, indicator["externalId"]])
    report = graph.sightings()
    assert (report.exit_code, report.alerts, report.matches, report.unknown) == (0, 1, 0, 2)
    assert not graph.misp.sightings


def test_what_graph_does_not_have_any_more_is_found_by_its_value(graph):
    event = misp_event(2)["uuid"]
    graph.misp.unpublish(event)
    assert graph.run(force_withdraw=True).exit_code == 0
    assert len(graph.azure.ti_indicators) == 1
    graph.alert(TI_MAP, entities=[("ip", "192.0.2.7")])
    assert graph.sightings().written == 1
    assert graph.values() == {OF_GRAPH[0][1]: 1}


# -- clouds -----------------------------------------------------------------------------------------------


def test_in_the_us_government_cloud_its_own_management_api_is_asked(tmp_path):
    site = Apis(tmp_path)
    del site._environ["MISP2SENTINEL_MS_ENDPOINTS__MANAGEMENT"]
    site.azure.scopes = {f"{US_GOVERNMENT}/.default"}
    site.configure(MS_CLOUD="usgov")
    assert site.run().exit_code == 0
    site.seconds += HOUR
    site.alert(indicators=[site.indicator()])
    report, addresses, scope = site.read()
    assert (report.exit_code, report.written) == (0, 1)
    assert (addresses, scope) == ({f"{US_GOVERNMENT}{QUERY}"}, f"{US_GOVERNMENT}/.default")
    with pytest.raises(SettingsError, match=r"names no host of it for Azure US Government: write \"management\""):
        site.configure(MISP_SIGHTINGS__ENDPOINT="log_analytics")


def test_log_analytics_itself_wants_the_workspaces_id_alone_and_a_permission(tmp_path):
    endpoint = {"MISP_SIGHTINGS__ENDPOINT": "log_analytics", "MS_ENDPOINTS__LOG_ANALYTICS": LOGS}
    site = Apis(tmp_path, **{f"MS_AUTH__{name}": "" for name in NAMES}, **endpoint)
    assert site.run().exit_code == 0
    site.seconds += HOUR
    site.alert(indicators=[site.indicator()])
    site.azure.logs_permission = False
    report, addresses, scope = site.read()
    assert (report.exit_code, report.written) == (4, 0)
    assert "Data.Read of the Log Analytics API" in report.failure
    assert (addresses, scope) == ({f"{LOGS}/v1/workspaces/{WORKSPACE}/query"}, LOGS_SCOPE)
    site.azure.logs_permission = True
    report, _, _ = site.read()
    assert (report.exit_code, report.written) == (0, 1)
    assert {sighting["source"] for sighting in site.misp.sightings} == {f"Microsoft Sentinel {WORKSPACE}"}


# -- a value that many attributes have --------------------------------------------------------------------


def shared(number):
    return misp_event(100 + number, [("domain", "shared.example.org")], distribution="3")


def sighted(site):
    """Which of the events with the shared value have a sighting, by their number."""
    numbers = {event["id"]: int(event["uuid"][-12:]) - 100 for event in site.misp.events()}
    return sorted(numbers[sighting["event_id"]] for sighting in site.misp.sightings)


@pytest.mark.parametrize("by_id", [True, False])
def test_of_a_shared_value_the_attributes_of_the_20_newest_events_are_sighted(tmp_path, by_id):
    site = Apis(tmp_path, DEDUPLICATE="value")
    site.misp.load(map(shared, range(23)))
    assert site.run().exit_code == 0
    (indicator,) = [id_ for id_, one in site.azure.objects().items() if "shared" in one["pattern"]]
    site.seconds += HOUR
    if by_id:
        site.alert(indicators=[indicator])
    else:
        site.alert(TI_MAP, entities=[("dns", "shared.example.org")])
    assert site.sightings().written == 20
    assert sighted(site) == list(range(3, 23))
    assert {(one["source"], day_of(int(one["date_sighting"]))) for one in site.misp.sightings} == {
        (SOURCE, day_of(site.seconds))
    }


def test_an_attribute_that_gave_a_shared_value_up_is_sighted_with_those_that_have_it(tmp_path):
    site = Apis(tmp_path, DEDUPLICATE="value")
    site.misp.load(map(shared, range(3)))
    assert site.run().exit_code == 0
    event = shared(1)
    site.misp.edit_attribute(event["uuid"], event["Attribute"][0]["uuid"], to_ids=False)
    site.misp.publish(event["uuid"])
    site.seconds += HOUR
    assert site.run().exit_code == 0
    assert len(site.azure.live()) == 2
    site.alert(TI_MAP, entities=[("dns", "shared.example.org")])
    assert site.sightings().written == 3
    assert sighted(site) == [0, 1, 2]
