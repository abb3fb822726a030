"""Slips in the settings: each is understood or an error, and never silently something else."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.settings.config import doubled_keys
from tests.settings.test_settings import ENVIRON, FILLED, from_environment, only_problem, problems, site

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
