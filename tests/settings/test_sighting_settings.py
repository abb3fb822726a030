"""misp_sightings: its keys, what contradicts them, and who a sighting is said to come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import SettingsError
from helpers.settings import Settings, load
from helpers.settings.cross_checks import MOST_SOURCE
from helpers.settings.environment import variable
from helpers.settings.validators import sighting_source

APP, WORKSPACE, OTHER, SUBSCRIPTION = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "1234")
KEY = "s1ghting" + "k" * 32
AUTH = {"tenant": "example.org", "client_id": APP, "client_secret": "s3cr3t", "workspace_id": WORKSPACE}
NAMES = {"subscription_id": SUBSCRIPTION, "resourceGroupName": "soc", "workspaceName": "soc-logs"}
TENANT = {"tenantId": "example.org", "id": APP, "secret": "s3cr3t"}
PARIS, OSLO = (
    {**TENANT, "name": name, "workspaceId": workspace, **NAMES}
    for name, workspace in (("paris", WORKSPACE), ("oslo", OTHER))
)


@pytest.fixture
def site(tmp_path):
    """A function that loads a config.py with these sightings, for one destination or several."""

    def write_and_load(sightings, environ=None, *, auth=AUTH, offline=False, stories=False, **more):
        values = {
            "misp_domain": "https://misp.example.org",
            "misp_key": "k" * 40,
            "ms_auth": auth,
            "misp_sightings": sightings,
            **more,
        }
        path = tmp_path / "config.py"
        path.write_text("\n".join(f"{name} = {value!r}" for name, value in values.items()), encoding="utf-8")
        return load(path, environ or {}, offline=offline, stories=stories).settings

    return write_and_load


def only_problem(action, *arguments, **keywords) -> str:
    with pytest.raises(SettingsError) as caught:
        action(*arguments, **keywords)
    (problem,) = caught.value.problems
    return problem


def test_without_a_key_no_sightings_are_written(site):
    assert not site({}).misp_sightings.configured
    assert not site({"api_key": "", "rules": []}).misp_sightings.configured


def test_the_key_may_come_from_the_environment_and_is_a_secret(site):
    settings = site({"max_tlp": "TLP:Amber"}, {variable("misp_sightings.api_key"): KEY})
    assert settings.misp_sightings.configured
    assert settings.misp_sightings.max_tlp == "amber"
    assert KEY in settings.secret_values()
    assert KEY not in repr(settings) + str(settings.model_dump())


def test_the_whole_of_it_may_be_one_variable():
    variables = {variable("misp_sightings"): f'{{"api_key": "{KEY}", "rules": ["*"], "in_run": false}}'}
    settings = load(Path(os.devnull), variables, offline=True).settings
    assert (settings.misp_sightings.rules, settings.misp_sightings.in_run) == (["*"], False)


@pytest.mark.parametrize("section", ["misp_sightings", "misp_stories"])
def test_a_key_put_where_its_file_belongs_is_not_shown(section):
    with pytest.raises(SettingsError) as caught:
        load(Path(os.devnull), {variable(f"{section}.api_key") + "_FILE": KEY})
    problem = next(problem for problem in caught.value.problems if problem.startswith(section))
    assert "cannot be read" in problem and KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("api_key", "two words", "copy it again"),
        ("api_key", 5, "text"),
        ("in_run", "yes", "True or False"),
        ("source", "Sentinel \U0001f600", "emoji"),
        ("source", " Sentinel", "on one line"),
        ("source", "Sentinel\n", "on one line"),
        ("source", "", "on one line"),
        ("source", "Sentinel {workspace}", "{destination}"),
        ("endpoint", "graph", "'log_analytics'"),
        ("max_tlp", "blue", "amber+strict"),
        ("false_positives", 1, "True or False"),
        ("rules", "TI map*", "a list"),
    ],
)
def test_values_that_cannot_be(site, tmp_path, key, value, words):
    problem = only_problem(site, {"api_key": KEY, key: value})
    assert problem.startswith(f"misp_sightings['{key}'] ({tmp_path / 'config.py'}) ")
    assert words in problem and ": " in problem.partition(") ")[2]


def test_each_rule_has_a_name(site):
    assert only_problem(site, {"rules": ["TI map*", " "]}).startswith("misp_sightings['rules'][1] (")


# --- who a sighting is said to come from -------------------------------------------------------------


def test_a_source_names_its_destination(site):
    several = site({}, ms_tenants=[PARIS, OSLO])
    assert [each.sightings_source for each in several.destinations()] == [
        "Microsoft Sentinel paris",
        "Microsoft Sentinel oslo",
    ]
    assert site({}, auth=AUTH | NAMES).sightings_source == "Microsoft Sentinel soc-logs"
    assert site({"source": "{destination} in Sentinel"}).sightings_source == f"{WORKSPACE} in Sentinel"


def test_two_destinations_do_not_share_a_source(site):
    problem = only_problem(site, {"source": "Sentinel"}, ms_tenants=[PARIS, OSLO])
    assert "misp_sightings['source']" in problem and "{destination}" in problem
    assert site({"source": "Sentinel"}, ms_tenants=[PARIS]).destinations()[0].sightings_source == "Sentinel"


def test_a_source_fits_into_misps_column(site):
    longest = "é" * (MOST_SOURCE - len("paris")) + "{destination}"
    assert len(site({"source": longest}, ms_tenants=[PARIS]).destinations()[0].sightings_source) == MOST_SOURCE
    assert "256 characters" in only_problem(site, {"source": f"e{longest}"}, ms_tenants=[PARIS])


@given(st.text(max_size=300))
def test_a_source_that_is_taken_is_one_plain_line(text):
    try:
        source = sighting_source(text)
    except ValueError:
        return
    assert source == text == text.strip() and source.isprintable()
    assert Settings(misp_sightings={"source": source}).sightings_source == source.replace("{destination}", "")


# --- what contradicts them ---------------------------------------------------------------------------


def test_a_part_of_the_run_needs_a_key_and_the_workspaces_names(site):
    with pytest.raises(SettingsError) as caught:
        site({"in_run": True})
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "misp_sightings['api_key']",
        "ms_auth['subscription_id']",
        "ms_auth['resourceGroupName']",
        "ms_auth['workspaceName']",
    ]
    assert site({"in_run": True, "api_key": KEY}, auth=AUTH | NAMES).misp_sightings.in_run
    assert site({"in_run": True, "api_key": KEY, "endpoint": "log_analytics"}).misp_sightings.in_run
    assert site({"in_run": True}, offline=True).misp_sightings.in_run, "what converts a file needs neither"


def test_each_destination_has_the_names_that_a_part_of_the_run_needs(site):
    nameless = {key: value for key, value in OSLO.items() if key != "workspaceName"}
    problem = only_problem(site, {"in_run": True, "api_key": KEY}, ms_tenants=[PARIS, nameless])
    assert problem.startswith("ms_tenants[1]['workspaceName'] (") and "in_run" in problem
    site({"in_run": True, "api_key": KEY, "endpoint": "log_analytics"}, ms_tenants=[PARIS, nameless])


def test_a_part_of_the_run_needs_a_ledger(site):
    sightings = {"in_run": True, "api_key": KEY, "endpoint": "log_analytics"}
    assert 'state_url is "none"' in only_problem(site, sightings, state_url="none")
    assert site({"api_key": KEY}, state_url="none").misp_sightings.configured, "the command says so when it is given"


def test_a_cloud_whose_host_nobody_names_has_no_endpoint_of_its_own(site):
    problem = only_problem(site, {"endpoint": "log_analytics"}, ms_cloud="usgov")
    assert "Azure US Government" in problem and "ms_endpoints['log_analytics']" in problem
    named = {"log_analytics": "https://logs.example.org/"}
    settings = site({"endpoint": "log_analytics"}, ms_cloud="usgov", ms_endpoints=named)
    assert settings.ms_endpoints.log_analytics == "https://logs.example.org"
    in_usgov = {**OSLO, "cloud": "usgov"}
    assert "Government" in only_problem(site, {"endpoint": "log_analytics"}, ms_tenants=[PARIS, in_usgov])
    assert not site({}, ms_tenants=[in_usgov]).destinations()[0].ms_endpoints.log_analytics


def test_a_placeholder_is_a_problem_only_where_sightings_are_asked_for(site):
    assert "placeholder" in only_problem(site, {"api_key": "<key>"})
    stories = {"api_key": KEY, "organisation_id": 1}
    assert not site({"api_key": "<key>"}, stories=True, misp_stories=stories).misp_sightings.configured
    assert not site({"api_key": "<key>"}, offline=True).misp_sightings.configured
