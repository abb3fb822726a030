"""The workbook's queries, run: on rows as Sentinel writes them of what is really sent."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest

from tests.project.deploy.sentinel.workspace import (
    KQL,
    REPUBLISHED,
    Workspace,
    ago,
    context_of,
    of_attributes,
    of_sandbox,
)


@pytest.fixture
def workspace():
    return Workspace()


@pytest.fixture(scope="module")
def sent():
    return of_sandbox()


@pytest.mark.parametrize("name", sorted(KQL))
def test_a_query_runs_where_nothing_is(workspace, name):
    assert len(workspace.ask(name)) <= 1


def test_a_column_that_is_not_documented_stops_a_query(workspace):
    with pytest.raises(duckdb.BinderException, match="NetworkIP"):
        workspace.run("ThreatIntelIndicators | where NetworkIP == '192.0.2.1'")


def test_what_is_live_is_counted_once_by_kind(workspace, sent):
    for indicator in sent:
        workspace.send(indicator, TimeGenerated=ago(days=9))
        workspace.send(indicator, TimeGenerated=ago(days=1), LastUpdateMethod=REPUBLISHED)
    counted = {row["Kind"]: row["Indicators"] for row in workspace.ask("live-by-kind")}
    kinds = [indicator["pattern"][1:].partition(" = ")[0] for indicator in sent]
    assert counted == {kind: kinds.count(kind) for kind in kinds}


@pytest.mark.parametrize(
    "newest",
    [
        {"IsActive": False},
        {"Revoked": True},
        {"IsDeleted": True},
        {"ValidUntil": ago(hours=1)},
        {"SourceSystem": "another"},
        {"TimeGenerated": ago(days=15)},
    ],
    ids=lambda newest: next(iter(newest)),
)
def test_what_no_rule_can_match_is_not_live(workspace, newest):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    if "TimeGenerated" not in newest and "SourceSystem" not in newest:
        workspace.send(indicator, TimeGenerated=ago(days=2))
    workspace.send(indicator, **newest)
    for name in ("live-by-kind", "expiring", "by-tlp-and-confidence", "by-tag", "by-organisation"):
        assert workspace.ask(name) == []


def test_the_newest_arrival_is_what_was_sent_and_not_what_microsoft_wrote(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator, TimeGenerated=ago(hours=50))
    workspace.send(indicator, TimeGenerated=ago(hours=2), LastUpdateMethod=REPUBLISHED)
    (row,) = workspace.ask("newest-arrival")
    assert (row["Indicators"], row["Rows"], row["HoursSinceSent"]) == (1, 2, 50)
    assert row["NewestRow"] - row["NewestSent"] > timedelta(hours=47)


def test_rows_are_counted_by_what_made_them(workspace):
    first, second = of_attributes(("domain", "bad.example.org"), ("domain", "worse.example.org"))
    for indicator in (first, second):
        workspace.send(indicator)
    workspace.send(first, LastUpdateMethod=REPUBLISHED)
    workspace.send(second, Revoked=True)
    workspace.send(first, IsDeleted=True)
    assert {row["What"]: row["Rows"] for row in workspace.ask("arrived-by-day")} == {
        "sent": 2,
        "withdrawn": 2,
        "written again by Microsoft": 1,
    }


def test_what_microsoft_wrote_first_was_there_before(workspace):
    first, second = of_attributes(("domain", "bad.example.org"), ("domain", "worse.example.org"))
    workspace.send(first, TimeGenerated=ago(days=20), LastUpdateMethod=REPUBLISHED)
    workspace.send(first)
    workspace.send(second)
    assert [row["Indicators"] for row in workspace.ask("first-seen")] == [1]


def test_what_expires_within_thirty_days_has_its_day(workspace):
    (indicator,) = of_attributes(("md5", "0123456789abcdef" * 2))
    for number, days in enumerate((1, 1, 29, 31)):
        workspace.send({**indicator, "id": f"indicator--{number}"}, ValidUntil=ago(days=-days))
    assert [row["Indicators"] for row in workspace.ask("expiring")] == [2, 1]


def test_the_cost_is_the_billed_volume_at_the_price_that_was_given(workspace):
    for billed, quantity in ((True, 1500.0), (True, 500.0), (False, 9000.0)):
        workspace.add("Usage", DataType="ThreatIntelIndicators", IsBillable=billed, Quantity=quantity)
    workspace.add("Usage", DataType="SecurityEvent", IsBillable=True, Quantity=1.0)
    assert workspace.ask("cost-by-table", price="2.5") == [{"Table": "ThreatIntelIndicators", "GB": 2.0, "Cost": 5.0}]
    assert workspace.ask("cost-by-table")[0]["Cost"] == 0


def test_rows_by_source_says_what_microsoft_wrote_and_what_is_billed(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator, _BilledSize=2_000_000.0, _IsBillable="true")
    workspace.send(indicator, _BilledSize=500_000.0, _IsBillable="False", LastUpdateMethod=REPUBLISHED)
    workspace.add("ThreatIntelObjects", SourceSystem="another", Type="ThreatIntelObjects", _BilledSize=1_000_000.0)
    assert [tuple(row.values()) for row in workspace.ask("rows-by-source")] == [
        ("ThreatIntelIndicators", "MISP", 2, 1, 2.0),
        ("ThreatIntelObjects", "another", 1, 0, 1.0),
    ]


@pytest.mark.parametrize("parsed", [True, False])
def test_one_value_is_found_however_much_sentinel_understood_of_it(workspace, sent, parsed):
    for indicator in sent:
        workspace.send(indicator, parsed=parsed)
    found = {
        value: [row["IndicatorId"] for row in workspace.ask("one-value", value=value)]
        for value in (
            "c2.loader.example",
            "https://cdn.loader.example/it's/ok?x='1'",
            r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Run",
            "nothing.example.org",
            "",
        )
    }
    assert [len(ids) for ids in found.values()] == [2, 1, 1, 0, 0]
    assert {id_ for ids in found.values() for id_ in ids} <= {indicator["id"] for indicator in sent}
    assert workspace.ask("one-value", value="c2.loader.example", source="another") == []


def test_one_value_that_was_deleted_is_not_shown_as_it_was(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator, TimeGenerated=ago(days=1))
    workspace.send(indicator, IsDeleted=True, IsActive=False, Pattern="", ObservableValue="", Data="{}")
    (row,) = workspace.ask("one-value")
    assert (row["IndicatorId"], row["IsActive"], row["IsDeleted"]) == (indicator["id"], False, True)


def test_tags_are_the_labels_that_are_sent(workspace, sent):
    for indicator in sent:
        workspace.send(indicator)
    labels = [label for indicator in sent for label in indicator.get("labels", ())]
    assert {row["Tag"]: row["Indicators"] for row in workspace.ask("by-tag")} == {
        label: labels.count(label) for label in labels
    }


def test_an_organisation_has_its_name_and_its_uuid(workspace, sent):
    for indicator in sent:
        workspace.send(indicator)
    makers = [indicator["created_by_ref"].removeprefix("identity--") for indicator in sent]
    found = workspace.ask("by-organisation")
    assert {row["Uuid"]: row["Indicators"] for row in found} == {maker: makers.count(maker) for maker in makers}
    assert {row["Organisation"] for row in found} == {"Sandbox CERT", "Example ISAC"}


def test_an_organisation_keeps_its_name_where_a_long_comment_has_pushed_it_out_of_a_description(workspace, sent):
    first, *_ = sent
    for number, description in enumerate(("A long comment", first["description"], "A long comment")):
        workspace.send({**first, "id": f"indicator--{number}", "description": description})
    assert [tuple(row.values())[::2] for row in workspace.ask("by-organisation")] == [("Sandbox CERT", 3)]


@pytest.fixture
def behind(workspace):
    """One indicator with what is sent beside it, as it arrived and as Microsoft wrote it again."""
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator)
    for said in context_of(indicator):
        workspace.send_context(said, TimeGenerated=ago(days=9))
        workspace.send_context(said, TimeGenerated=ago(days=1), LastUpdateMethod=REPUBLISHED)
    return indicator


def names_behind(workspace, **values):
    return [(row["Name"], row["Kind"]) for row in workspace.ask("actors-behind", **values)]


def test_an_indicator_stands_with_each_actor_and_technique_that_it_points_to(workspace, behind):
    rows = workspace.ask("actors-behind")
    assert {(row["IndicatorId"], row["Pattern"]) for row in rows} == {(behind["id"], behind["pattern"])}
    assert names_behind(workspace) == [("Moon Fox", "threat-actor"), ("Phishing", "attack-pattern")]
    assert names_behind(workspace, source="another") == []


@pytest.mark.parametrize("gone", [{"revoked": True}, None], ids=["revoked", "deleted"])
@pytest.mark.parametrize("kind", ["threat-actor", "relationship"])
def test_what_left_is_behind_nothing(workspace, behind, kind, gone):
    for said in context_of(behind):
        if said["type"] == kind:
            workspace.send_context({**said, **(gone or {})}, IsDeleted=gone is None)
    assert ("Moon Fox", "threat-actor") not in names_behind(workspace)


def test_an_indicator_that_left_has_nothing_behind_it(workspace, behind):
    workspace.send(behind, Revoked=True, IsActive=False, TimeGenerated=ago(minutes=1))
    assert names_behind(workspace) == []


def test_a_tlp_that_sentinel_does_not_know_is_unknown(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator, AdditionalFields="{}")
    assert [row["Tlp"] for row in workspace.ask("by-tlp-and-confidence")] == ["unknown"]


def test_tlp_and_confidence_are_sentinels_columns(workspace, sent):
    for indicator in sent:
        workspace.send(indicator)
    found = {(row["Tlp"], row["Confidence"]): row["Indicators"] for row in workspace.ask("by-tlp-and-confidence")}
    confidences = [indicator["confidence"] for indicator in sent]
    assert found == {("green", number): confidences.count(number) for number in confidences}


def test_the_longest_silences_stand_first(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    for hours in (200, 190, 120, 100):
        workspace.send(indicator, TimeGenerated=ago(hours=hours))
    workspace.send(indicator, TimeGenerated=ago(hours=150), LastUpdateMethod=REPUBLISHED)
    assert [row["Hours"] for row in workspace.ask("longest-silence")] == [70, 20, 10]
