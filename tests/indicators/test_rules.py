"""What decides how an event is converted, and how it is seen that this changed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

import constants
from helpers.indicators.formats import FORMATS, format_of
from helpers.indicators.rules import ConversionRules
from helpers.settings.attribute_filters import AttributeFilters
from helpers.settings.model import MsAuth, Settings, Tenant

ROOT = Path(__file__).resolve().parents[2]
GUID = "10000000-0000-4000-8000-000000000000"
GRAPH = MsAuth(graph_api=True)

# Another value for each setting that shapes what becomes of an event.
CHANGED = {
    "misp_domain": "https://elsewhere.example.org",
    "misp_flatten_attributes": False,
    "misp_remove_eventreports": False,
    "default_confidence": 51,
    "days_to_expire": 51,
    "days_to_expire_start": "valid_from",
    "days_to_expire_mapping": {"url": 1},
    "days_to_expire_ignore_misp_last_seen": True,
    "ignore_localtags": False,
    "send_private_and_cidr": True,
    "lowercase_url_twins": True,
    "network_ignore_direction": False,
    "ms_target_product": "Microsoft Defender ATP",
    "ms_action": "block",
    "ms_passiveonly": True,
    "filters": {"min_confidence": 1},
    "ms_auth": GRAPH,
}
CONNECTION = "says how Microsoft or MISP is reached"
SENDING = "says how indicators are sent"
READING = "says which events are read; a run compares them itself"
STORIES = "is for stories"
BESIDE = "says what is sent beside indicators"
OUTPUT = "says what is written on the way, and where"
LEDGER = "says what is remembered and withdrawn, and when"
SHAPES_NOTHING = {
    **dict.fromkeys(("ms_cloud", "ms_endpoints", "ms_verifycert", "ms_proxies", "ms_useragent"), CONNECTION),
    **dict.fromkeys(("misp_key", "misp_verifycert", "misp_proxies", "misp_headers", "misp_timeout"), CONNECTION),
    **dict.fromkeys(("misp_answer_minutes", "misp_answer_mib"), CONNECTION),
    **dict.fromkeys(("key_vault_name", "key_vault_misp_key", "key_vault_client_secret"), CONNECTION),
    "ms_tenants": "says which destinations there are; what one has of its own is in its settings, see own_filters",
    **dict.fromkeys(("ms_api_version", "ms_legacy_upload_key"), f"{SENDING}: the envelope, not the indicator"),
    **dict.fromkeys(("ms_max_indicators_request", "ms_max_requests_minute", "sourcesystem"), SENDING),
    **dict.fromkeys(("misp_event_filters", "misp_event_limit_per_page"), READING),
    "misp_stories": STORIES,
    "misp_sightings": "is about what goes back to MISP",
    **dict.fromkeys(
        ("state_dir", "log_file", "verbose_log", "write_parsed_indicators", "write_parsed_eventid"), OUTPUT
    ),
    **dict.fromkeys(("sentinel_write_response", "write_post_json", "dry_run"), OUTPUT),
    **dict.fromkeys(("state_url", "deduplicate", "full_sync_days", "unpublished_grace_days"), LEDGER),
    **dict.fromkeys(("context", "context_private"), BESIDE),
    "report_file": OUTPUT,
    "metrics_file": OUTPUT,
    **dict.fromkeys(("on_start", "on_success", "on_failure", "notify"), OUTPUT),
    **dict.fromkeys(("max_withdraw_percent", "refresh_days", "max_run_minutes"), LEDGER),
}


# It shapes results, and what it leaves out or not is in the fingerprint of each attribute that names an actor.
LABELS = "activity_group_labels"
SHAPES_NOTHING[LABELS] = "is in the fingerprints of attributes"


def fingerprint(**changes):
    return ConversionRules.of(Settings(**changes)).fingerprint()


def test_every_setting_is_sorted_in():
    """A new setting goes into ConversionRules and CHANGED, or, with the reason, into SHAPES_NOTHING."""
    assert {*CHANGED, *SHAPES_NOTHING} == set(Settings.model_fields)
    assert not CHANGED.keys() & SHAPES_NOTHING.keys()


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_that_affects_a_result_changes_the_fingerprint(name):
    assert fingerprint(**{name: CHANGED[name]}) != fingerprint()


@pytest.mark.parametrize("name", SHAPES_NOTHING)
def test_any_other_setting_leaves_it_as_it_is(name):
    changed = Settings().model_copy(update={name: "anything else"})
    assert ConversionRules.of(changed).fingerprint() == fingerprint()


def test_the_rest_of_ms_auth_leaves_it_as_it_is():
    assert fingerprint(ms_auth=MsAuth(tenant="contoso.com", new_upload_api=False)) == fingerprint()


def test_a_destinations_own_filters_change_it():
    tenants = [
        Tenant(tenantId="contoso.com", id=GUID, workspaceId=f"{GUID[:-1]}{number}", secret="s3cret", filters=filters)
        for number, filters in enumerate([{}, {"max_tlp": "green"}])
    ]
    without, with_filters = map(ConversionRules.of, Settings(ms_tenants=tenants).destinations())
    assert without.fingerprint() == fingerprint() != with_filters.fingerprint()
    assert with_filters.filters == AttributeFilters()
    assert with_filters.own_filters == AttributeFilters(max_tlp="green")
    # The same filters for all destinations and for this one alone are not the same rules.
    assert with_filters.fingerprint() != fingerprint(filters={"max_tlp": "green"})


# --- Constants -------------------------------------------------------------------------------------


def site_constants():
    """Return the names in the part of constants.py that is for sites to change."""
    text = (ROOT / "constants.py").read_text(encoding="utf-8")
    part = text[: text.index("# --- What the neighbours call things")]
    assert "# --- For sites to change" in part
    return [ast.unparse(node.target) for node in ast.parse(part).body if isinstance(node, ast.AnnAssign)]


# Those of the other parts that are meant to be changed, or that change with the program.
ALSO = ("ATTR_MAPPING", "VERSION")


def test_the_constants_for_sites_are_found():
    assert {"HASH_TYPES", "MISP_TAGS_IGNORE", "SENTINEL_DEFAULT_THREATTYPE"} < set(site_constants())


@pytest.mark.parametrize("name", [*site_constants(), *ALSO])
def test_a_constant_that_a_site_changes_changes_the_fingerprint(monkeypatch, name):
    before = fingerprint()
    value = getattr(constants, name)
    others = {str: f"{value}-", list: [*value, "else"], dict: {**value, "else": "a"} if type(value) is dict else None}
    other = "tlp:red" if name == "SENTINEL_DEFAULT_TLP" else others[type(value)]
    monkeypatch.setattr(constants, name, other)
    assert fingerprint() != before


# --- The fingerprint -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in fields(ConversionRules) if field.name != LABELS])
def test_each_rule_is_in_the_fingerprint(name):
    rules = ConversionRules.of(Settings())
    other = FORMATS["graph"] if name == "format" else AttributeFilters(min_confidence=9) if "filters" in name else None
    assert replace(rules, **{name: other}).fingerprint() != rules.fingerprint()


# As 2.1.0 had them, with what is new off; in full, since constants.py and the settings' defaults may change.
OF_2_1_0 = {
    "format": FORMATS["stix"],
    "filters": AttributeFilters(),
    "own_filters": AttributeFilters(),
    "misp_domain": "https://misp.example.com",
    "misp_flatten_attributes": True,
    "misp_remove_eventreports": True,
    "default_confidence": 50,
    "days_to_expire": 50,
    "days_to_expire_start": "current_date",
    "days_to_expire_mapping": {"url": 400},
    "days_to_expire_ignore_misp_last_seen": False,
    "ignore_localtags": True,
    "send_private_and_cidr": False,
    "network_ignore_direction": True,
    "ms_target_product": "Azure Sentinel",
    "ms_action": "alert",
    "ms_passiveonly": False,
    "accepted_stix_types": ["indicator"],
    "accepted_types": ["url"],
    "hash_types": ["md5"],
    "ignored_tags": ["workflow:"],
    "allowed_taxonomies": [],
    "confidence_levels": {"unconfident": 0},
    "default_tlp": "tlp:white",
    "lowercase_url_twins": False,
    "default_threat_type": "WatchList",
    "graph_properties": {"url": "url"},
    "version": "2.1.0",
}


@pytest.mark.parametrize("labels", [True, False])
def test_whether_labels_name_actors_leaves_it_as_2_1_0_had_it(labels):
    recorded = "d212313e1dbc208f7be1032f7fdcc618d1ca5523a5f58f9755ba46c61c614050"
    assert ConversionRules(**OF_2_1_0, activity_group_labels=labels).fingerprint() == recorded


def test_it_is_the_same_in_every_process():
    code = (
        "from helpers.indicators import ConversionRules; from helpers.settings import Settings;"
        "print(ConversionRules.of(Settings(filters={'include_tags': ['b', 'a'], 'max_tlp': 'amber'})).fingerprint())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {fingerprint(filters={"max_tlp": "amber", "include_tags": ["b", "a"]}).encode() + b"\n"}


def test_what_has_no_fixed_text_is_refused():
    with pytest.raises(TypeError, match="cannot be part of a fingerprint"):
        replace(ConversionRules.of(Settings()), misp_domain=object()).fingerprint()


# --- What is asked of the rules ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "raw", "moves"),
    [
        ({}, {}, True),
        ({}, {"last_seen": None}, True),
        ({}, {"last_seen": "2026-11-01"}, False),
        ({"days_to_expire_ignore_misp_last_seen": True}, {"last_seen": "2026-11-01"}, True),
        ({"days_to_expire_start": "valid_from"}, {}, False),
        ({"days_to_expire_start": "valid_from"}, {"last_seen": "2026-11-01"}, False),
        ({"ms_auth": GRAPH}, {}, True),
        ({"ms_auth": GRAPH, "days_to_expire_start": "valid_from"}, {"last_seen": "2026-11-01"}, True),
    ],
)
def test_an_expiry_moves_with_the_run_unless_misp_or_the_settings_fix_it(settings, raw, moves):
    assert ConversionRules.of(Settings(**settings)).expiry_moves(raw) is moves


def test_the_format_is_that_of_the_api():
    assert {name: format_.name for name, format_ in FORMATS.items()} == {
        "stix": "stix",
        "legacy": "stix",
        "legacy-value": "stix",
        "graph": "graph",
    }
    assert format_of(Settings()) is FORMATS["stix"]
    assert format_of(Settings(ms_auth=MsAuth(new_upload_api=False))) is FORMATS["stix"]
    assert format_of(Settings(ms_auth=GRAPH)) is FORMATS["graph"]
    json.dumps([vars(format_) for format_ in FORMATS.values()])
