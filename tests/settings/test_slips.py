"""Slips in the settings: each is understood or an error, and never silently something else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constants
from helpers.commands.adopt import completed
from helpers.errors import SettingsError
from helpers.indicators import ConversionRules, convert_event
from helpers.settings import Settings, tlp_word
from helpers.settings.config import doubled_keys
from helpers.settings.config.values import filter_values, site_constants
from helpers.settings.config.values.observable_kinds import _OF_TYPES, canonical_kind
from helpers.settings.cross_checks import contradictions
from helpers.settings.filter_names import KNOWN, RECEIVED
from helpers.stories.misp_event import tag_names
from helpers.stories.story import Story
from tests.settings.test_settings import ENVIRON, FILLED, GUID, ROOT, from_environment, only_problem, problems, site

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
__all__ = ["site"]


# --- a key that is there twice -----------------------------------------------------------------------

TWICE = 'misp_event_filters = {"published": 1, "tags": ["!tlp:red"],\n "tags": ["tlp:green"]}'


def test_a_key_that_is_twice_in_a_dictionary_of_config_is_named_with_its_lines(site, tmp_path):
    assert only_problem(site, TWICE, ENVIRON) == (
        f"misp_event_filters['tags'] ({tmp_path / 'config.py'}) is there more than once, in lines 1 and 2, and only "
        "the last one would count: keep one of them."
    )


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
def test_the_reported_case_as_json():
    text = (CASES / "filter-key-twice" / "filters.json").read_text()
    problem = only_problem(from_environment, MISP2SENTINEL_MISP_EVENT_FILTERS=text)
    assert problem.startswith("misp_event_filters (environment MISP2SENTINEL_MISP_EVENT_FILTERS) has 'tags' more than")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ms_auth = {'tenant': 'a.example', 'tenant': 'b.example'}", "ms_auth['tenant']"),
        ("graph_auth = {'tenant': 'a.example', 'tenant': 'b.example'}", "graph_auth['tenant']"),
        ("misp_event_filters = {'tags': {'NOT': ['a'], 'NOT': ['b']}}", "misp_event_filters['tags']['NOT']"),
        ("filters = {'max_tlp': 'red', 'min_confidence': 5, 'max_tlp': 'green'}", "filters['max_tlp']"),
        ("days_to_expire_mapping = {'url': 1, 'url': 2}", "days_to_expire_mapping['url']"),
        ("misp_headers: dict = {'X-A': '1', 'X-A': '2'}", "misp_headers['X-A']"),
        ("if True:\n    misp_headers = {'X-A': '1', 'X-A': '2'}", "misp_headers['X-A']"),
        ("misp_event_filters = {}\nmisp_event_filters['tags'] = {'OR': ['a'], 'OR': ['b']}", "['tags']['OR']"),
        ("mine = [{'a': 1, 'a': 1}]", "mine[0]['a']"),
        ("TAGS = 'tags'\nmisp_event_filters = {TAGS: ['a'], TAGS: ['b']}", "misp_event_filters[TAGS]"),
        ("misp_event_filters = {}\nmisp_event_filters.update({'org': 'A', 'org': 'B'})", "'org' of a dictionary"),
        (f"{FILLED}ms_tenants = [{{'name': 'a', 'name': 'b'}}]", "ms_tenants[0]['name']"),
        ("misp_stories = {'additional_headers': {'A': 'b', 'A': 'c'}}", "misp_stories['additional_headers']['A']"),
    ],
)
def test_a_key_that_is_twice_in_any_dictionary_of_config(site, text, place):
    assert [problem for problem in problems(site, text, ENVIRON) if f"{place} (" in problem and "in line" in problem]


@pytest.mark.parametrize(
    "text",
    [
        "base = {'tags': ['a']}\nmisp_event_filters = {**base, **base, 'tags': ['b']}",
        "misp_event_filters = {'tags': ['a'], 'org': 'b', 'eventid': [1, 1]}",
        "make = str\nmisp_headers = {make('X-A'): '1', make('X-A'): '1'}",
        "misp_headers = {'x-a': '1', 'X-A': '2'}",
    ],
)
def test_what_is_no_key_that_is_there_twice(site, text):
    assert site(text, ENVIRON).warnings == ()


@pytest.mark.parametrize("text", ['{"tags": {"OR": 1, "OR": 1}}', '[{"id": 1, "id": 1}]', '{"\\u0061": 1, "a": 2}'])
def test_json_that_says_a_key_twice_anywhere_is_refused(text):
    with pytest.raises(doubled_keys.DoubledKeys, match="more than once"):
        doubled_keys.loads(text)


@pytest.mark.parametrize("name", ["MS_AUTH", "MISP_STORIES", "MS_TENANTS", "FILTERS", "DAYS_TO_EXPIRE_MAPPING"])
def test_json_in_the_environment_is_read_that_way_for_every_setting(name):
    text = '[{"a": 1, "a": 2}]' if name == "MS_TENANTS" else '{"a": 1, "a": 2}'
    assert "has 'a' more than once" in only_problem(from_environment, **{f"MISP2SENTINEL_{name}": text})


def test_the_functions_variable_is_read_that_way_too():
    assert "'org' more than once" in only_problem(from_environment, misp_event_filters='{"org": "A", "org": "B"}')


def test_keys_that_differ_in_letter_case_are_one_key_where_it_does_not_count(site):
    in_config = only_problem(site, "ms_auth = {'tenant': 'a.example', 'Tenant': 'b.example'}", ENVIRON)
    assert in_config.startswith("ms_auth['Tenant'] (") and "is the same key as 'tenant': keep one" in in_config
    as_json = '{"url": "https://a.example", "URL": "https://b.example"}'
    assert "the same key as 'url'" in only_problem(from_environment, MISP2SENTINEL_MISP_STORIES=as_json)
    assert site("ms_auth = {'Tenant': 'b.example'}", {}, offline=True).settings.ms_auth.tenant == "b.example"


def test_a_config_that_cannot_be_run_is_reported_by_that_alone(site):
    assert "line 1" in only_problem(site, TWICE.replace("]}", "]"), ENVIRON)
    assert len(problems(site, f"{TWICE}\n1 / 0", ENVIRON)) == 2


def test_a_long_sum_in_config_is_looked_through():
    sums = " + ".join(["'a'"] * 900)
    assert doubled_keys.in_tree(doubled_keys.parse(f"x = {{'a': {sums}, 'a': 1}}".encode()))


JSONS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)


@given(value=JSONS)
def test_what_json_and_python_can_hold_is_never_refused(value):
    assert doubled_keys.loads(json.dumps(value)) == value
    assert doubled_keys.in_tree(doubled_keys.parse(f"x = {value!r}".encode())) == []


# --- a setting that is set twice ---------------------------------------------------------------------


def test_a_setting_that_is_set_twice_in_a_row_is_a_warning(site, tmp_path):
    loaded = site("days_to_expire = 5\nx = 1\ndays_to_expire = 6", ENVIRON)
    assert loaded.settings.days_to_expire == 6
    assert loaded.warnings == (
        f"days_to_expire ({tmp_path / 'config.py'}) is set in line 1 and again in 3, which counts.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "days_to_expire = 5\nif days_to_expire:\n    days_to_expire = 6",
        "days_to_expire = 5\nif True:\n    days_to_expire = 6",
        "if True:\n    days_to_expire = 5\nelse:\n    days_to_expire = 6",
        "days_to_expire = 5\ndays_to_expire = days_to_expire + 1",
        "misp_event_filters = {}\nmisp_event_filters = {'published': 1}",
        "key_vault_name = ''\nkey_vault_name = ''",
        "mine = 1\nmine = 2",
    ],
)
def test_a_default_and_what_replaces_it_is_no_slip(site, text):
    assert site(text, ENVIRON).warnings == ()


def test_names_in_lines_are_found_without_running_anything():
    tree = doubled_keys.parse(b"a = 1\na = 2\nb = 1\nc = b\nb = 2")
    assert list(doubled_keys.assigned_twice(tree)) == [("a", 1, 2)]
    assert isinstance(doubled_keys.parse(b"a = ("), ast.Module)


# --- a TLP, however it is written --------------------------------------------------------------------

WRITTEN = {
    "tlp-white": "white",
    "red": "red",
    "TLP:RED": "red",
    "tlp:clear": "clear",
    "Tlp: Green": "green",
    " TLP AMBER ": "amber",
    "TLP:AMBER+STRICT": "amber+strict",
    "amber-strict": "amber+strict",
    "tlp_amber strict": "amber+strict",
}
NO_TLP = ["", "tlp", "tlp:", "blue", "tlp:red red", "tlp:white+strict", "strict", "tlpred", None, 5, ["red"], "tlp:réd"]


@pytest.mark.parametrize(("text", "word"), WRITTEN.items())
def test_a_tlp_is_understood_wherever_it_is_written(text, word, site, monkeypatch):
    assert tlp_word(text) == word
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_TLP", text)
    loaded = site(f"filters = {{'max_tlp': {text!r}}}", ENVIRON)
    assert ConversionRules.of(loaded.settings).default_tlp == f"tlp:{word}"
    assert loaded.settings.attribute_filters.max_tlp == word


def test_the_tlp_of_a_destination_and_of_a_story_is_understood_too():
    destination = {
        "tenantId": "example.org",
        "id": GUID.replace("1", "2"),
        "secret": "s",
        "workspaceId": GUID,
        "filters": {"max_tlp": "TLP-AMBER"},
    }
    loaded = from_environment(MISP2SENTINEL_MS_TENANTS=json.dumps([destination]))
    (settings,) = loaded.settings.destinations()
    assert settings.every_filter[1].max_tlp == "amber"
    story = Story.model_validate(
        {"id": GUID, "title": "t", "attributes": {"TLP": {"key": "TLP", "value": "tlp-amber"}}}
    )
    assert tag_names(story) == ["tlp:amber"]


@pytest.mark.parametrize("value", NO_TLP, ids=repr)
def test_anything_else_is_no_tlp(value, site, monkeypatch):
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_TLP", value)
    assert only_problem(site, FILLED) == (
        "SENTINEL_DEFAULT_TLP (constants.py) is not a TLP: write one of white, clear, green, amber, amber+strict, red."
    )


@given(text=st.text(max_size=12))
def test_any_text_is_a_tlp_of_tlp_2_or_none(text):
    with suppress(ValueError):
        assert tlp_word(text) in constants.TLP_2_LEVELS


@pytest.mark.parametrize(("default", "marking"), [("tlp-white", "white"), ("TLP:CLEAR", "white"), ("RED", "red")])
def test_an_object_without_a_marking_has_the_default_of_the_site(default, marking, monkeypatch):
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_TLP", default)
    assert completed({})["object_marking_refs"] == [constants.TLP_MARKINGS[marking]]


def test_a_threat_type_is_understood_in_any_letter_case(monkeypatch):
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_THREATTYPE", "watchlist")
    assert list(site_constants.problems()) == []
    assert ConversionRules.of(Settings()).default_threat_type == "WatchList"


# --- constants.py ------------------------------------------------------------------------------------

WRONG_CONSTANTS = [
    ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", "indicator", "", 'must be a list: write ["…", "…"]'),
    ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", [], "", "nothing would be sent"),
    ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", ["identity"], "", "nothing would be sent"),
    ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", ["Indicator"], "[0]", "write 'indicator'"),
    ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", {"indicator"}, "", "must be a list"),
    ("HASH_TYPES", "md5", "", "must be a list"),
    ("HASH_TYPES", ["md5", "sha257"], "[1]", "is not a hash that can be sent: take it out, or write 'sha25"),
    ("HASH_TYPES", ["domain"], "[0]", "take it out"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", "url", "", "must be a list"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", 5, "", "must be a list"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", [], "", "nothing would be sent"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", [5, "url"], "[0]", "must be text"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["as"], "[0]", "write 'AS'"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["ip-scr"], "[0]", "write 'ip-src'"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["yara"], "[0]", "is a rule"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["comment"], "[0]", "is not a MISP type that can be sent"),
    ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["ip-*"], "[0]", "is not a MISP type that can be sent"),
    ("MISP_TAGS_IGNORE", "workflow:", "", "must be a list"),
    ("MISP_TAGS_IGNORE", [""], "[0]", "is empty"),
    ("MISP_TAGS_IGNORE", ["workflow:*"], "[0]", "ends with *"),
    ("MISP_TAGS_IGNORE", [None], "[0]", "must be text"),
    ("MISP_ALLOWED_TAXONOMIES", "tlp", "", "must be a list"),
    ("MISP_ALLOWED_TAXONOMIES", ["tlp:"], "[0]", "first colon of a tag, 'tlp'"),
    ("MISP_ALLOWED_TAXONOMIES", ['osint:source-type="blog-post"'], "[0]", "'osint'"),
    ("MISP_ALLOWED_TAXONOMIES", [""], "[0]", "is not a taxonomy's name"),
    ("MISP_ALLOWED_TAXONOMIES", ["osi*"], "[0]", "whole name"),
    ("MISP_CONFIDENCE", [50], "", "must be a dictionary"),
    ("MISP_CONFIDENCE", {"unconfident": 101}, "['unconfident']", "from 0 to 100"),
    ("MISP_CONFIDENCE", {"unconfident": True}, "['unconfident']", "from 0 to 100"),
    ("MISP_CONFIDENCE", {"unconfident": "0"}, "['unconfident']", "from 0 to 100"),
    ("MISP_CONFIDENCE", {"Unconfident": 0}, "['Unconfident']", "write 'unconfident'"),
    ("MISP_CONFIDENCE", {"usualy-confident": 7}, "['usualy-confident']", "write 'usually-confident'"),
    ("SENTINEL_DEFAULT_THREATTYPE", "Ransomware", "", "write one of Botnet"),
    ("SENTINEL_DEFAULT_THREATTYPE", None, "", "write one of Botnet"),
    ("ATTR_MAPPING", ["domain"], "", "must be a dictionary"),
    ("ATTR_MAPPING", 5, "", "must be a dictionary"),
    ("ATTR_MAPPING", {"domain": "domain"}, "['domain']", "is not a property"),
    ("ATTR_MAPPING", {"domain": "domainname"}, "['domain']", "write 'domainName'"),
    ("ATTR_MAPPING", {5: "url"}, "[5]", "must be text"),
]


@pytest.mark.parametrize(("name", "value", "path", "words"), WRONG_CONSTANTS)
def test_a_constant_that_cannot_be_is_reported(name, value, path, words, site, monkeypatch):
    monkeypatch.setattr(constants, name, value)
    problem = only_problem(site, f"{FILLED}filters = {{'exclude_types': ['*']}}" if path else FILLED)
    assert problem.startswith(f"{name}{path} (constants.py) ")
    assert words in problem and ":" in problem.partition(") ")[2]


def test_the_constants_problems_stand_beside_all_others(site, monkeypatch):
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", 5)
    monkeypatch.setattr(constants, "MISP_CONFIDENCE", {"unconfident": -1})
    reported = problems(site, f"{FILLED}days_to_expire = 0\nfilters = {{'types': ['url']}}")
    assert [problem.split(" (")[0] for problem in reported] == [
        "days_to_expire",
        "filters['types'][0]",
        "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES",
        "MISP_CONFIDENCE['unconfident']",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPLOAD_INDICATOR_API_ACCEPTED_TYPES", ("indicator", "identity")),
        ("HASH_TYPES", []),
        ("HASH_TYPES", ["md5", "vhash", "sha3-256"]),
        ("UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["uri", "malware-sample", "filename|sha3-256", "filename|tlsh"]),
        ("MISP_TAGS_IGNORE", []),
        ("MISP_TAGS_IGNORE", ["misp:type", 'osint:source-type="x"', "no siem"]),
        ("MISP_ALLOWED_TAXONOMIES", ["osint", "my taxonomy"]),
        ("MISP_CONFIDENCE", {}),
        ("MISP_CONFIDENCE", {"confidence-cannot-be-evaluated": 0, "my-own": 100}),
        ("ATTR_MAPPING", {}),
        ("ATTR_MAPPING", {"named pipe": "fileMutexName", "regkey": "fileType"}),
    ],
)
def test_a_constant_that_can_be_is_taken(name, value, site, monkeypatch):
    monkeypatch.setattr(constants, name, value)
    assert ConversionRules.of(site(FILLED).settings).fingerprint()


def test_a_type_that_only_the_graph_mapping_has_may_be_sent(monkeypatch):
    monkeypatch.setattr(constants, "ATTR_MAPPING", {"named pipe": "fileMutexName"})
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["named pipe"])
    assert list(site_constants.problems()) == []


def test_every_constant_for_sites_is_checked_and_every_shipped_one_is_right():
    text = (ROOT / "constants.py").read_text(encoding="utf-8").partition("# --- What the neighbours call")[0]
    for_sites = {ast.unparse(node.target) for node in ast.parse(text).body if isinstance(node, ast.AnnAssign)}
    assert {*for_sites, "ATTR_MAPPING"} == site_constants._CHECKS.keys()
    assert list(site_constants.problems()) == []
    assert set(constants.UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES) <= site_constants.SENDABLE_TYPES


EXAMPLES = {"mac-address": "00:00:5e:00:53:01", "telfhash": "a" * 70, "cdhash": "a" * 40, "vhash": "0" * 20}


@pytest.mark.parametrize("kind", sorted(site_constants.SENDABLE_TYPES - set(constants.LONGEST_VALUES)))
def test_a_type_that_is_not_shipped_and_may_be_added_gives_an_indicator(kind, monkeypatch):
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", [kind])
    digits = kind.rpartition("sha3-")[2]
    value = EXAMPLES.get(kind.removeprefix("filename|")) or ("a" * (int(digits) // 4) if digits.isdecimal() else "")
    value = f"a.exe|{value}" if kind.startswith("filename|") else value or "https://example.org/a@example.org"
    value = "someone@example.org" if kind == "email-reply-to" else value
    attribute = {"uuid": GUID, "type": kind, "value": value, "to_ids": True, "timestamp": "1750000000"}
    event = {"uuid": GUID, "info": "i", "published": True, "timestamp": "1750000000", "Attribute": [attribute]}
    results = convert_event(event, ConversionRules.of(Settings()), datetime.fromtimestamp(1_750_000_000, UTC))
    assert sum(len(result.indicators) for result in results) == 1


def run_with(folder, text, encoding="utf-8"):
    """Run ``script.py check`` with another constants.py, as a site has edited it."""
    (folder / "constants.py").write_text(text, encoding)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import script; raise SystemExit(script.main(['check']))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('SENTINEL_DEFAULT_TLP: Final = "tlp:white"', "SENTINEL_DEFAULT_TLP: Final = red", "NameError (name 'red' is"),
        ('SENTINEL_DEFAULT_TLP: Final = "tlp:white"', 'SENTINEL_DEFAULT_TLP: Final = "red', "SyntaxError"),
        ('SENTINEL_DEFAULT_TLP: Final = "tlp:white"', "", "SENTINEL_DEFAULT_TLP (constants.py) is missing"),
        ("THREAT_TYPES: Final", "THREATS: Final", "'THREAT_TYPES' from 'constants'"),
    ],
)
def test_a_constants_py_that_cannot_be_used_is_a_sentence(old, new, words, tmp_path):
    text = (ROOT / "constants.py").read_text()
    done = run_with(tmp_path, text.replace(old, new))
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    if "Error" in words:
        assert f"constants.py stopped in line {text[: text.index(old)].count(chr(10)) + 1} with " in done.stderr


def test_a_constants_py_in_utf_16_is_to_be_saved_as_utf_8(tmp_path):
    done = run_with(tmp_path, (ROOT / "constants.py").read_text(), "utf-16")
    assert done.returncode == 2
    assert done.stderr.startswith("constants.py is no text in UTF-8 (") and "save it as UTF-8" in done.stderr


# --- kinds of observables ----------------------------------------------------------------------------


def test_a_kind_that_is_none_is_named_beside_days_that_are_too_many(site):
    with pytest.raises(SettingsError) as error:
        site("days_to_expire_mapping = {'DomainName': 99999, 'url': 0}", ENVIRON)
    assert [problem.partition(" (")[0] for problem in error.value.problems] == [
        "days_to_expire_mapping['DomainName']",
        "days_to_expire_mapping['DomainName']",
        "days_to_expire_mapping['url']",
    ]


def test_kinds_of_observables_have_no_letter_case(site):
    mapping = {"URL": 1, "Domain-Name": 2, " ipv4-addr": 3, "FILE:hashes.'sha-256'": 4, "Process:command_line": 5}
    settings = site(f"days_to_expire_mapping = {mapping!r}", ENVIRON).settings
    assert settings.days_to_expire_mapping == {
        "url": 1,
        "domain-name": 2,
        "ipv4-addr": 3,
        "file:hashes.'SHA-256'": 4,
        "process:command_line": 5,
    }


def test_every_path_that_the_docs_name_is_a_kind_in_any_letter_case():
    page = (ROOT / "docs" / "how-it-decides.md").read_text(encoding="utf-8")
    table = page[page.index("## What becomes of a value") : page.index("How values are written:")]
    paths = {*re.findall(r"`\[([^`]+?) = ", table), *re.findall(r"\| `([a-z0-9-]+:hashes[^`]+)` \|", table)}
    assert len(paths) > 25
    for path in paths:
        assert canonical_kind(path.swapcase()) == path
        assert canonical_kind(path.partition(":")[0].upper()) == path.partition(":")[0]


def test_a_type_of_misp_names_a_kind_that_is_taken():
    for proposed in _OF_TYPES.values():
        for kind in ast.literal_eval(proposed.replace(" and ", ",") + ","):
            assert canonical_kind(kind) == kind


@given(key=st.text(max_size=12))
def test_any_key_is_a_kind_or_a_sentence(key):
    try:
        assert canonical_kind(canonical_kind(key)) == canonical_kind(key)
    except ValueError as error:
        assert str(error).startswith("is no kind of observable that is sent: write ")


# --- Microsoft's limit -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authority", "problems_expected"),
    [
        ("https://127.0.0.1:8443", 0),
        ("https://localhost:8443/", 0),
        ("https://login.microsoftonline.com", 1),
        ("https://127.0.0.1.example.org", 1),
        ("https://localhost.example.org", 1),
    ],
)
def test_more_requests_than_microsoft_takes_are_for_an_azure_on_this_machine_only(authority, problems_expected):
    values = {"ms_max_requests_minute": 1000, "ms_endpoints.authority": authority}
    assert len(list(contradictions(values))) == problems_expected
    assert list(contradictions({**values, "ms_max_requests_minute": 100})) == []


@pytest.mark.parametrize("name", sorted(site_constants.NAMES))
def test_a_constant_in_the_place_of_a_setting_is_said_to_be_one(name, site):
    loaded = site(f"{name} = 'red'", {**ENVIRON, f"MISP2SENTINEL_{name}": "red"})
    for place, warning in zip((name, f"MISP2SENTINEL_{name}"), loaded.warnings, strict=True):
        assert warning.startswith(place) and warning.endswith("it is a constant, so set it in constants.py.")


def test_what_config_takes_from_constants_is_no_slip(site):
    assert not site("from constants import *\nMISP_TAGS_IGNORE.copy()", ENVIRON).warnings


# --- values in misp_event_filters --------------------------------------------------------------------

WRONG_FILTERS = [
    ("tags", {"tlp:red": True}, "", "something else than AND, OR and NOT"),
    ("tags", {"XOR": ["tlp:white"]}, "", "something else than AND, OR and NOT"),
    ("org", {"A": "B"}, "", "something else than AND, OR and NOT"),
    ("tags", [["a"], ["b"]], "[0]", "is not a value"),
    ("tags", {"OR": ["a", ["b"]]}, "['OR'][1]", "is not a value"),
    ("tags", {"OR": {"AND": "a"}}, "['OR']", "is not a value"),
    ("tags", ["a", None], "[1]", "without None"),
    ("tags", ["a", ""], "[1]", "is empty"),
    ("tags", [], "", "is empty"),
    ("tags", {}, "", "is empty"),
    ("tags", {"NOT": []}, "['NOT']", "is empty"),
    ("tags", None, "", "is empty"),
    ("org", "", "", "is empty"),
    ("tags", True, "", "write text or a number"),
    ("tags", ["!tlp:*"], "[0]", "write % for any text"),
    ("type_attribute", 5, "", "must be text"),
    ("type", ["url", 5], "[1]", "must be text"),
    ("category", {"NOT": [1]}, "['NOT'][0]", "must be text"),
    ("published", "yes", "", "must be 1 or 0"),
    ("published", "true", "", "must be 1 or 0"),
    ("published", [0, 2], "[1]", "must be 1 or 0"),
    ("published", {"OR": [1]}, "", "AND, OR or NOT"),
    ("to_ids", "no", "", "must be 1 or 0"),
    ("enforceWarninglist", "false", "", "must be True or False"),
    ("enforce_warninglist", "yes", "", "must be True or False"),
    ("threat_level_id", "High", "", "from 1 (high) to 4"),
    ("threat_level_id", [1, 5], "[1]", "from 1 (high) to 4"),
    ("threat_level_id", {"NOT": [4]}, "", "AND, OR or NOT"),
    ("searchall", ["x"], "", "is no text"),
    ("blockedAttributeTags", "tlp:red", "", "is no list"),
    ("limit", "abc", "", "whole number"),
    ("limit", -5, "", "whole number"),
    ("page", 1.5, "", "whole number"),
    ("publish_timestamp", "14", "", "has no unit, so that MISP takes it for seconds since 1970"),
    ("publish_timestamp", 14, "", "has no unit"),
    ("last", 7, "", "has no unit"),
    ("timestamp", 1.5, "", "has no unit"),
    ("timestamp", "20260131", "", "has no unit"),
    ("timestamp", -14, "", "no time in seconds"),
    ("timestamp", 1_750_000_000_000, "", "no milliseconds"),
    ("publish_timestamp", "14 days", "", 'write "14d"'),
    ("publish_timestamp", "14days", "", 'write "14d"'),
    ("publish_timestamp", "-7 days", "", 'write "7d"'),
    ("publish_timestamp", "1w", "", 'write "7d"'),
    ("publish_timestamp", "2 weeks", "", 'write "14d"'),
    ("publish_timestamp", "1 week", "", 'write "7d"'),
    ("publish_timestamp", "3 months", "", 'write "90d"'),
    ("publish_timestamp", "1y", "", 'write "365d"'),
    ("publish_timestamp", "12 hours", "", 'write "12h"'),
    ("publish_timestamp", "30 minutes", "", 'write "30m"'),
    ("publish_timestamp", "14d ", "", "without spaces"),
    ("publish_timestamp", "d", "", 'write "14d", "12h", or a date'),
    ("publish_timestamp", "bogus", "", "finds nothing"),
    ("publish_timestamp", "last month", "", "finds nothing"),
    ("publish_timestamp", True, "", "is no time"),
    ("publish_timestamp", ["2d"], "", "other than two times"),
    ("publish_timestamp", ["2d", "1d", "1h"], "", "other than two times"),
    ("publish_timestamp", ["14", "1h"], "[0]", "has no unit"),
    ("event_timestamp", {"AND": ["1d"]}, "", "AND, OR or NOT"),
    ("date", "14", "", "has no unit"),
    ("date", ["2026-01-31"], "", "other than two times"),
    ("from", "14", "", "is no date"),
    ("date_from", "14d", "", "goes into publish_timestamp"),
    ("from", "20260131", "", "is no date"),
    ("to", "2 weeks", "", "is no date"),
    ("to", 14, "", "is no date"),
    ("date_to", "31.01.2026", "", "is no date"),
    ("from", ["2026-01-31", "2026-02-01"], "", "is a list"),
    ("to", {"OR": ["2026-01-31"]}, "", "AND, OR or NOT"),
    ("from", "2026-13-01", "", "no day of the calendar"),
    ("to", "2026/2/30", "", "no day of the calendar"),
    ("publish_timestamp", "2026-02-30", "", "no day of the calendar"),
    ("timestamp", ["20260132T1000", "2026-02-01"], "[0]", "no day of the calendar"),
    ("to_ids", [0, 1], "", "is a list"),
]


@pytest.mark.parametrize(("name", "value", "path", "words"), WRONG_FILTERS, ids=str)
def test_a_filter_of_the_wrong_shape_is_reported_with_what_to_write(name, value, path, words, site):
    problem = only_problem(site, f"misp_event_filters = { ({name: value})!r}", ENVIRON)
    assert problem.startswith(f"misp_event_filters[{name!r}]{path} (")
    assert words in problem and ": " in problem.partition(") ")[2]


RIGHT_FILTERS = [
    {"published": True, "to_ids": False, "enforceWarninglist": 1},
    {"published": "1", "to_ids": "0", "enforce_warninglist": "true", "includeEventTags": True},
    {"tags": {"not": ["tlp:white"], "AND": "tlp:red"}, "org": {"NOT": ["A"]}},
    {"tags": "a||b", "org": 5, "value": 80, "eventinfo": "%loader%", "eventid": [1, "2", GUID]},
    {"tags": ["!tlp:red", 73, "74", "osint:%"], "sharing_group_id": [3], "category": ["Network activity"]},
    {"threat_level_id": [1, "2"], "searchall": "word", "blockedAttributeTags": ["x"]},
    {"limit": "2", "page": 1, "order": "Event.id asc", "deleted": [0, 1], "attackGalaxy": "mitre-attack"},
    {"date_from": datetime(2026, 1, 2, tzinfo=UTC).date(), "date_to": "2026-01-31"},
    {"from": "2026/1/31", "to": "2026-01-31 23:59:59", "date": ["30d", "2026-01-31"]},
    {"from": 1_750_000_000, "to": "1750000000", "date": "14d"},
    *(
        {"publish_timestamp": time}
        for time in (
            *("14d", "12h", "30m", "90s", "1.5d", "14D", "0", 0, 1_750_000_000, "1750000000", 1_750_000_000.5),
            *(
                "2026-01-31",
                "2026-11-21T00:00:00+00:00",
                "2026-11-21T00:00:00Z",
                "2026-11-21 10:00",
                "2026-01-31 10:00:01",
            ),
            *("yesterday", "2 weeks ago", "14 days ago", "-1 week", "last week", "1 January 2026", "@1750000000"),
            *("2026/01/31", "31.01.2026", ["2d", "1h"], ("30d", 0), ["2026-01-01", "2026-02-01"]),
        )
    ),
]


@pytest.mark.parametrize("filters", RIGHT_FILTERS, ids=str)
def test_what_misp_understands_is_left_alone(filters):
    assert Settings(misp_event_filters=filters).misp_event_filters == filters


# Asked on purpose to see what MISP makes of them: it reads an odd page as the first, an odd limit as none.
ODD = ("limit", "page")


@pytest.mark.skipif(not CASES.is_dir(), reason="what a real MISP answered is not here")
def test_every_filter_that_a_real_misp_answered_with_events_is_left_alone():
    tried = 0
    for path in sorted((CASES.parent / "misp-recordings").glob("events_restSearch_*.json")):
        exchange = json.loads(path.read_text())
        body, response = exchange["request"].get("body"), exchange["response"]
        found = response["status"] == 200 and response.get("headers", {}).get("X-Result-Count", "0") != "0"
        if found and isinstance(body, dict):
            tried += 1
            filters = {name: value for name, value in body.items() if name not in ODD}
            assert list(filter_values.problems(filters)) == [], path.name
    assert tried > 40


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["AND", "or", "x"]), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from(sorted(KNOWN | RECEIVED.keys())), value=VALUES)
def test_any_value_of_a_filter_is_taken_or_named(name, value):
    for path, problem in filter_values.problems({name: value}):
        assert path.startswith(f"[{name!r}]") and problem.endswith(".") and ": " in problem
