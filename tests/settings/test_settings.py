"""Settings: config.py and the environment, and what is reported about them."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from constants import VERSION
from helpers.errors import SettingsError
from helpers.files import user_name
from helpers.settings.config import places
from helpers.settings.config.config_file import written
from helpers.settings.config.old_names import MEANT, NEEDLESS, RENAMED
from helpers.settings.environment import variable
from helpers.settings.loading import (
    FOR_READING,
    FOR_SIGHTINGS,
    FOR_STORIES,
    NEEDED,
    UNSET_WHEN_EMPTY,
    Loaded,
    load,
)
from helpers.settings.model import SETTING_TYPES, Settings

ROOT = Path(__file__).resolve().parents[2]
GUID = "11111111-2222-4333-8444-555555555555"
TENANT, APP, SUBSCRIPTION = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "456")
KEY = "K3y" + "a" * 37
SECRET = "s3cr3t~value.of_an-app"
ENVIRON = {
    "MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org",
    "MISP2SENTINEL_MISP_KEY": KEY,
    "MISP2SENTINEL_MS_AUTH__TENANT": "example.org",
    "MISP2SENTINEL_MS_AUTH__CLIENT_ID": APP,
    "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": SECRET,
    "MISP2SENTINEL_MS_AUTH__WORKSPACE_ID": GUID,
}
FILLED = f'''
misp_domain = "https://misp.example.org"
misp_key = "{KEY}"
ms_auth = {{"tenant": "{TENANT}", "client_id": "{APP}", "client_secret": "{SECRET}", "workspace_id": "{GUID}"}}
'''
SECTIONS = ("ms_auth", "ms_endpoints", "misp_stories", "misp_sightings")
SINGLE_NAMES = sorted(name for name in SETTING_TYPES if name not in SECTIONS)


@pytest.fixture
def site(tmp_path):
    """A function that writes a config.py and loads it."""

    def write_and_load(text, environ=None, *, offline=False):
        path = tmp_path / "config.py"
        path.write_text(text, encoding="utf-8")
        return load(path, environ or {}, offline=offline)

    return write_and_load


@pytest.mark.parametrize("line", ["", 'ms_useragent = ""', 'ms_useragent = "MISP2Sentinel/1.0"'])
def test_the_user_agent_has_the_version_where_none_was_chosen(site, line):
    assert site(FILLED + line).settings.ms_useragent == f"MISP2Sentinel/{VERSION}"


def test_a_user_agent_that_was_chosen_is_sent_as_it_is(site):
    assert site(FILLED + 'ms_useragent = "MISP2Sentinel/1.0 (paris)"').settings.ms_useragent.endswith("/1.0 (paris)")


def from_environment(*removed, offline=False, **added) -> Loaded:
    environ = {key: value for key, value in ENVIRON.items() if key not in removed}
    return load(Path(os.devnull), {**environ, **added}, offline=offline)


def problems(action, *arguments, **keywords) -> tuple[str, ...]:
    handled = sys.exc_info()[1]  # an earlier test may have left one to this thread
    with pytest.raises(SettingsError) as caught:
        action(*arguments, **keywords)
    assert caught.value.exit_code == 2
    assert caught.value.__context__ is handled, "an inner exception could show a secret"
    return caught.value.problems


def only_problem(action, *arguments, **keywords) -> str:
    (problem,) = problems(action, *arguments, **keywords)
    return problem


# --- what is shipped ---------------------------------------------------------------------------------


def test_config_as_shipped_reports_exactly_its_placeholders():
    reported = problems(load, None, {})
    names = [
        "ms_auth.tenant",
        "ms_auth.client_id",
        "ms_auth.client_secret",
        "ms_auth.workspace_id",
        "misp_domain",
        "misp_key",
    ]
    for name, problem in zip(names, reported, strict=True):
        assert problem.startswith(f"{written(name)} ({ROOT / 'config.py'})")
        assert variable(name) in problem


def test_config_as_shipped_has_every_setting_with_its_default():
    loaded = load(None, ENVIRON)
    assert loaded.warnings == ()
    assert loaded.settings.model_dump(exclude={"misp_domain", "misp_key", "ms_auth"}) == Settings().model_dump(
        exclude={"misp_domain", "misp_key", "ms_auth"}
    )
    empty = {name for name in SINGLE_NAMES if loaded.settings.source_of(name) == "default"}
    assert {*FOR_READING, *FOR_STORIES, *FOR_SIGHTINGS} < empty < UNSET_WHEN_EMPTY
    names = {name for name, _ in flat(runpy.run_path(str(ROOT / "config.py")))}
    assert names >= set(SINGLE_NAMES)


def flat(values):
    """Yield the dotted names of a config.py's settings, with their values."""
    for name, value in values.items():
        if name in SECTIONS:
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def test_shipped_config_wants_nothing_else_offline():
    loaded = load(None, {}, offline=True)
    assert loaded.settings.model_dump() == Settings().model_dump()
    assert loaded.warnings == ()


def rows_of_docs() -> dict[str, tuple[str, str]]:
    """Variable and default of each setting, from the tables with four columns."""
    rows = {}
    for line in (ROOT / "docs" / "configure.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("`"):
            name = cells[0].strip("`").replace('["', ".").replace('"]', "")
            rows[name] = (cells[1].strip("`"), cells[2].strip("`"))
    return rows


def test_docs_have_every_setting_with_its_variable_and_default():
    rows = rows_of_docs()
    assert sorted(rows) == SINGLE_NAMES
    for name, (env_name, default) in rows.items():
        assert env_name == variable(name)
        value = Settings()
        for part in name.split("."):
            value = getattr(value, part)
        assert default == "to fill in" if name in (*NEEDED, *FOR_STORIES, *FOR_SIGHTINGS) else eval(default) == value, (
            name
        )


def test_docs_have_every_old_and_needless_name_and_constant():
    text = (ROOT / "docs" / "configure.md").read_text(encoding="utf-8")
    for old, new in RENAMED.items():
        assert f"| `{old}` | `{new}`" in text
    for name in NEEDLESS:
        assert f"`{name}`" in text
    constants = (ROOT / "constants.py").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("| `UPLOAD_INDICATOR_") or line.startswith("| `MISP_") or line.startswith("| `SENTINEL_"):
            assert f"\n{line.split('`')[1]}: Final" in constants


# --- config.py ---------------------------------------------------------------------------------------


def test_values_from_config(site, tmp_path):
    loaded = site(FILLED + "days_to_expire = 7\nmisp_timeout = 10\n")
    settings = loaded.settings
    assert loaded.warnings == ()
    assert settings.days_to_expire == 7
    assert settings.misp_timeout == 10.0
    assert settings.ms_auth.tenant == TENANT
    assert settings.ms_auth.scope == "https://management.azure.com/.default"
    assert settings.misp_key.get_secret_value() == KEY
    assert settings.source_of("days_to_expire") == str(tmp_path / "config.py")
    assert settings.source_of("ms_auth.client_secret") == str(tmp_path / "config.py")
    assert settings.source_of("ms_auth.scope") == "default"
    assert settings.source_of("ms_auth") == str(tmp_path / "config.py")
    assert settings.source_of("dry_run") == "default"


def test_source_of_an_unknown_name():
    with pytest.raises(KeyError):
        Settings().source_of("nonsense")


OLD_CONFIG = f'''
import os
import datetime as action
from pathlib import Path


class SecretClient:
    def get_secret(self, name):
        return type("Secret", (), {{"value": "{SECRET}"}})()


def fetch(name, client=SecretClient()):
    return client.get_secret(name).value


vault_url = "https://vault.example.org"
_misp_keys = ["left", "alone"]
MISP_KEYS = "also left alone"
client = SecretClient()
graph_auth = {{
    "tenant": "{TENANT}",
    "client_id": "{APP}",
    "client_secret": fetch("client-secret"),
    "graph_api": False,
    "scope": "https://management.azure.com/.default",
    "workspace_id": "{GUID}",
    "subscription_id": "{SUBSCRIPTION}",
    "resourceGroupName": "group",
    "workspaceName": "name",
}}
targetProduct = "Azure Sentinel"
passiveOnly = False
ms_action = "alert"
network_ignore_direction = True
write_post_json = False
defaultConfidenceLevel = 60
ms_api_version = "2022-07-01"
remove_pipe_from_misp_attribute = True
ms_check_if_exist_in_sentinel = True
timeframe_toids_change = "1d"
misp_key = "{KEY}"
misp_domain = "https://misp.example.org/"
misp_verifycert = False
misp_event_filters = {{"published": 1, "tags": ["a", "b"], "publish_timestamp": "14d"}}
ms_proxies = None
misp_proxies = {{}}
misp_headers = None
'''


def test_an_existing_config_works_with_warnings(site):
    loaded = site(OLD_CONFIG)
    settings = loaded.settings
    assert settings.ms_auth.client_secret.get_secret_value() == SECRET
    assert settings.default_confidence == 60
    assert settings.misp_domain == "https://misp.example.org"
    assert settings.misp_event_filters == {"published": 1, "tags": ["a", "b"], "publish_timestamp": "14d"}
    assert settings.ms_proxies == settings.misp_headers == {}
    assert settings.upload_api == "stix"
    assert settings.api_version == "2024-02-01-preview"
    renamed, needless, *others = sorted(
        loaded.warnings, key=lambda words: "rename" not in words and "can go" not in words
    )
    assert {warning.split()[0] for warning in others} == {"misp_verifycert", "ms_api_version"}
    assert renamed.partition(": ")[2] == (
        "rename graph_auth to ms_auth, targetProduct to ms_target_product, passiveOnly to ms_passiveonly "
        "and defaultConfidenceLevel to default_confidence."
    )
    names = "remove_pipe_from_misp_attribute, ms_check_if_exist_in_sentinel and timeframe_toids_change ("
    assert needless.startswith(names) and "docs/configure.md" in needless


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_each_old_name_is_a_warning(site, old, new):
    value = {
        "graph_auth": "{}",
        "targetProduct": "'Azure Sentinel'",
        "action": "'block'",
        "passiveOnly": "True",
        "defaultConfidenceLevel": "9",
        "misp_ignore_localtags": "False",
    }[old]
    loaded = site(f"{old} = {value}", ENVIRON)
    (warning,) = loaded.warnings
    assert warning.startswith(f"{old} (")
    assert "rename it" in warning and new in warning


def test_the_new_name_wins_over_the_old(site):
    loaded = site("defaultConfidenceLevel = 9\ndefault_confidence = 8", ENVIRON)
    assert loaded.settings.default_confidence == 8
    assert "default_confidence is given too, so defaultConfidenceLevel is not used" in loaded.warnings[0]


@pytest.mark.parametrize(("name", "why"), NEEDLESS.items())
def test_needless_names_say_why(site, name, why):
    assert why in site(f"{name} = 1", ENVIRON).warnings[0]
    assert why in from_environment(**{variable(name): "1"}).warnings[0]


def test_a_typo_is_a_warning_that_names_the_setting(site):
    loaded = site("misp_verifycerts = 'path'\nbreakfast = 1\nMISP_KEYS = 2\n_misp_keys = 3", ENVIRON)
    (warning,) = loaded.warnings
    assert "misp_verifycerts" in warning and "misp_verifycert?" in warning
    assert "path'" not in warning


def test_keys_of_fixed_dictionaries(site):
    auth = "ms_auth = {'tenant_id': 'x', 'breakfast': 1, 5: 6, 'workspaceName': 'n'}\n"
    loaded = site(auth + "ms_endpoints = {'uploads': 'x'}", ENVIRON)
    first, *others, last = loaded.warnings
    assert '"tenant_id"' in first and '"tenant"' in first
    assert [warning.partition("has no key ")[2].partition(":")[0] for warning in others] == ['"breakfast"', '"5"']
    assert '"uploads"' in last and '"upload"' in last


def test_a_named_file_must_be_there(tmp_path):
    gone = tmp_path / "gone.py"
    assert str(gone) in only_problem(load, gone, ENVIRON)
    assert str(gone) in only_problem(load, None, {**ENVIRON, "MISP2SENTINEL_CONFIG": str(gone)})
    assert "directory" in only_problem(load, tmp_path, ENVIRON)


def test_the_default_file_may_be_absent(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.process.installation.default_config", lambda: None)
    assert load(None, ENVIRON).settings.source_of("misp_timeout") == "default"


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "site.py").write_text("days_to_expire = 3")
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load(None, {**ENVIRON, "MISP2SENTINEL_CONFIG": "~/site.py"})
    assert loaded.settings.days_to_expire == 3
    assert load(None, {**ENVIRON, "MISP2SENTINEL_CONFIG": ""}).settings.days_to_expire == 50


def test_a_file_without_permission(site, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    problem = only_problem(site, "", ENVIRON)
    assert "Permission denied" in problem
    assert user_name() in problem


def test_a_file_in_a_directory_that_may_not_be_entered(site, tmp_path, monkeypatch):
    def refused(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    site("", ENVIRON)
    monkeypatch.setattr(Path, "stat", refused)
    assert f"let {user_name()} read it and enter {tmp_path}" in only_problem(load, tmp_path / "config.py", ENVIRON)


@pytest.mark.parametrize(("name", "meant"), MEANT.items())
def test_what_others_call_a_setting_is_a_hint(site, name, meant):
    loaded = site(f"{name} = 'https://misp.example.org'", {**ENVIRON, variable(name): "https://misp.example.org"})
    hints = [warning.partition("do you mean ")[2] for warning in loaded.warnings]
    assert hints == [f"{written(meant)}?", f"{variable(meant)}?"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"x = 1\nmisp_key = '{SECRET}", "line 2: unterminated string literal"),
        (f"x = 1\nraise ValueError('{SECRET}')", "in line 2 with ValueError:"),
        (f"def f():\n    raise ValueError('{SECRET}')\nf()", "in line 2 with ValueError:"),
        (
            "import no_such_module_here",
            "in line 1 with ModuleNotFoundError (No module named 'no_such_module_here')",
        ),
        ("x = undefined_name", "in line 1 with NameError (name 'undefined_name' is not defined)"),
        (f"misp_key = {KEY}", "in line 1 with NameError:"),
        ("import os\nos.environ['NOT_SET']", "in line 2 with KeyError (the environment has no NOT_SET)"),
        (f"import os\nos.environ['{KEY}']", "in line 2 with KeyError:"),
        ("x = {}['NOT_SET']", "in line 1 with KeyError:"),
        ("import sys\nsys.exit('bye')", "in line 2 with SystemExit:"),
        ("raise SystemExit(0)", "in line 1 with SystemExit:"),
        ("1 / 0", "in line 1 with ZeroDivisionError:"),
        ("open('/does/not/exist')", "in line 1 with FileNotFoundError:"),
    ],
)
def test_a_config_that_stops(site, text, words, tmp_path):
    problem = only_problem(site, text)
    assert problem.startswith(str(tmp_path / "config.py"))
    assert words in problem
    assert SECRET not in problem and KEY not in problem


def test_a_config_with_a_null_byte(site, tmp_path):
    assert only_problem(site, "x = '\0'").startswith(str(tmp_path / "config.py"))


def test_a_broken_file_does_not_hide_the_environments_problems(site):
    first, second = problems(site, "x = (", {"MISP2SENTINEL_DAYS_TO_EXPIRE": "soon"})
    assert "line 1" in first
    assert second.startswith("days_to_expire (environment MISP2SENTINEL_DAYS_TO_EXPIRE)")


def test_a_syntax_error_in_an_imported_file_names_that_file(site, tmp_path):
    (tmp_path / "site_vault.py").write_text("x = (")
    assert "site_vault.py" in only_problem(site, "import site_vault", ENVIRON)


def test_config_may_import_from_its_folder_and_leaves_nothing(site, tmp_path):
    (tmp_path / "site_days_helper.py").write_text("days = 4")
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    assert site("from site_days_helper import days as days_to_expire", ENVIRON).settings.days_to_expire == 4
    assert sys.path == before
    assert sys.dont_write_bytecode == bytecode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.py", "site_days_helper.py"]


# --- the environment ---------------------------------------------------------------------------------


def test_the_environment_wins(site):
    loaded = site(
        FILLED + "days_to_expire = 7\nmisp_event_filters = {'published': 1}",
        {
            "MISP2SENTINEL_DAYS_TO_EXPIRE": "8",
            "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "other",
            "MISP2SENTINEL_MISP_EVENT_FILTERS": '{"tags": ["a"]}',
        },
    )
    settings = loaded.settings
    assert settings.days_to_expire == 8
    assert settings.ms_auth.client_secret.get_secret_value() == "other"
    assert settings.ms_auth.client_id == APP
    assert settings.misp_event_filters == {"tags": ["a"]}
    source = settings.source_of("ms_auth.client_secret")
    assert source == "environment MISP2SENTINEL_MS_AUTH__CLIENT_SECRET"


def test_the_environment_replaces_a_placeholder(site):
    assert site('misp_key = "<misp_key>"', ENVIRON).settings.misp_key.get_secret_value() == KEY


def test_a_whole_dictionary_as_json_is_merged_key_by_key(site):
    loaded = site(
        FILLED,
        {
            "MISP2SENTINEL_MS_AUTH": '{"Tenant": "example.net", "client_secret": "a", "workspaceName": "x"}',
            "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "key",
            "MISP2SENTINEL_MS_ENDPOINTS": '{"upload": "https://upload.example.org/"}',
        },
    )
    settings = loaded.settings
    assert settings.ms_auth.tenant == "example.net"
    assert settings.ms_auth.client_secret.get_secret_value() == "key"
    assert settings.ms_auth.client_id == APP
    assert settings.ms_endpoints.upload == "https://upload.example.org"
    assert settings.ms_endpoints.management == "https://management.azure.com"
    assert loaded.warnings == ()


def test_keys_are_matched_in_any_case():
    loaded = from_environment("MISP2SENTINEL_MS_AUTH__CLIENT_SECRET", MISP2SENTINEL_MS_AUTH__Client_Secret=SECRET)
    assert loaded.settings.ms_auth.client_secret.get_secret_value() == SECRET
    problem = only_problem(from_environment, MISP2SENTINEL_MS_AUTH__client_id=GUID)
    assert "MISP2SENTINEL_MS_AUTH__client_id" in problem and "MISP2SENTINEL_MS_AUTH__CLIENT_ID" in problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "TRUE", "1", "Yes", "on")),
        *((text, False) for text in ("false", "0", "no", "OFF", " no ")),
    ],
)
def test_flags(text, value):
    assert from_environment(MISP2SENTINEL_DRY_RUN=text).settings.dry_run is value
    assert from_environment(MISP2SENTINEL_MISP_VERIFYCERT=text).settings.misp_verifycert is value


def test_a_ca_bundle(tmp_path, monkeypatch, site):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert from_environment(MISP2SENTINEL_MS_VERIFYCERT=str(bundle)).settings.ms_verifycert == str(bundle)
    assert site("ms_verifycert = '~/ca.pem'", ENVIRON).settings.ms_verifycert == str(bundle)
    assert "not there" in only_problem(from_environment, MISP2SENTINEL_MS_VERIFYCERT=str(tmp_path / "no.pem"))


@pytest.mark.parametrize("name", [name for name in SINGLE_NAMES if name not in NEEDED])
def test_an_empty_variable_is_not_set(name):
    assert from_environment(**{variable(name): ""}).settings.source_of(name) == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("days_to_expire_mapping", '{"url": 9}', {"url": 9}),
        ("misp_headers", '{"X-Token": "abc"}', {"X-Token": "abc"}),
        (
            "ms_proxies",
            '{"https": "http://proxy.example.org:3128"}',
            {"https": "http://proxy.example.org:3128"},
        ),
        ("misp_proxies", '{"no_proxy": "a.example.org,b.example.org:81"}', None),
        ("misp_timeout", "1.5", 1.5),
        ("misp_answer_minutes", "0.5", 0.5),
        ("misp_answer_mib", "64", 64),
        ("ms_max_requests_minute", " 60 ", 60),
        ("ms_legacy_upload_key", "value", "value"),
        ("log_file", "some.log", Path("some.log")),
        ("state_url", "sqlite:////var/lib/ledger.sqlite", "sqlite:////var/lib/ledger.sqlite"),
        ("deduplicate", "value", "value"),
        ("refresh_days", "10", 10),
    ],
)
def test_text_becomes_a_value(name, text, value):
    value_read = getattr(from_environment(**{variable(name): text}).settings, name)
    assert value_read == (json.loads(text) if value is None else value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("days_to_expire", "soon", "whole number"),
        ("days_to_expire", "5.0", "whole number"),
        ("days_to_expire", "1_0", "whole number"),
        ("days_to_expire", "9" * 5000, "whole number"),
        ("misp_timeout", "soon", "number"),
        ("misp_timeout", "nan", "number"),
        ("misp_timeout", "inf", "number"),
        ("dry_run", "perhaps", "true or false"),
        ("misp_headers", "{'X': 1}", "line 1, column 2"),
        ("misp_headers", "[]", "dictionary"),
        ("misp_headers", "[" * 200_000, "not valid JSON"),
        ("misp_event_filters", "14d", "not valid JSON"),
        ("ms_auth", '{"tenant"', "not valid JSON"),
        ("ms_auth", "[]", "dictionary"),
    ],
)
def test_text_that_cannot_be_converted(name, text, words):
    problem = only_problem(from_environment, **{variable(name): text})
    assert problem.startswith(f"{name} (environment {variable(name)}) ")
    assert words in problem
    assert len(problem) < 300


def test_a_broken_dictionary_does_not_make_its_keys_missing():
    assert "JSON" in only_problem(
        load,
        Path(os.devnull),
        {
            "MISP2SENTINEL_MS_AUTH": "{",
            "MISP2SENTINEL_MISP_KEY": KEY,
            "MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org",
        },
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("MISP2SENTINEL_DAY_TO_EXPIRE", "MISP2SENTINEL_DAYS_TO_EXPIRE?"),
        ("MISP2SENTINEL_MS_AUTH_TENANT", "MISP2SENTINEL_MS_AUTH__TENANT?"),
        ("MISP2SENTINEL_GRAPH_AUTH__TENANT", "MISP2SENTINEL_MS_AUTH__TENANT?"),
        ("MISP2SENTINEL_DEFAULTCONFIDENCELEVEL", "MISP2SENTINEL_DEFAULT_CONFIDENCE?"),
        ("MISP2SENTINEL_QQQQQQ", "not used"),
        ("MISP2SENTINEL_QQQQQQ_FILE", "not used"),
    ],
)
def test_an_unknown_variable_is_a_warning(key, words):
    (warning,) = from_environment(**{key: "hidden"}).warnings
    assert key in warning and words in warning
    assert "hidden" not in warning


def test_idle_and_other_variables_are_ignored():
    loaded = from_environment(
        MISP2SENTINEL_MS_ACTION="alert",
        MISP2SENTINEL_MS_AUTH__SUBSCRIPTION_ID=SUBSCRIPTION,
        MISP_KEY="x",
        PATH="/bin",
    )
    assert loaded.warnings == ()


# --- files named by variables ------------------------------------------------------------------------


def test_a_file_holds_the_value(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\r\n")
    loaded = from_environment("MISP2SENTINEL_MISP_KEY", MISP2SENTINEL_MISP_KEY_FILE=str(path))
    assert loaded.settings.misp_key.get_secret_value() == KEY
    assert loaded.settings.source_of("misp_key") == "environment MISP2SENTINEL_MISP_KEY_FILE"


def test_any_setting_can_be_in_a_file(tmp_path):
    path = tmp_path / "value"
    path.write_text('{"url": 5}\n')
    loaded = from_environment(MISP2SENTINEL_DAYS_TO_EXPIRE_MAPPING_FILE=str(path))
    assert loaded.settings.days_to_expire_mapping == {"url": 5}


def test_log_file_is_a_setting_and_not_a_file_to_read(tmp_path):
    loaded = from_environment(MISP2SENTINEL_LOG_FILE=str(tmp_path / "absent.log"))
    assert loaded.settings.log_path == tmp_path / "absent.log"
    (tmp_path / "name").write_text("named.log")
    loaded = from_environment(MISP2SENTINEL_LOG_FILE_FILE=str(tmp_path / "name"))
    assert loaded.settings.log_file == Path("named.log")


def test_a_variable_and_its_file_are_a_problem(tmp_path):
    problem = only_problem(from_environment, MISP2SENTINEL_MISP_KEY_FILE=str(tmp_path / "key"))
    assert "MISP2SENTINEL_MISP_KEY and MISP2SENTINEL_MISP_KEY_FILE" in problem
    assert KEY not in problem


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe\xff", "UTF-8")],
)
def test_a_file_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    problem = only_problem(from_environment, "MISP2SENTINEL_MISP_KEY", MISP2SENTINEL_MISP_KEY_FILE=str(path))
    assert "MISP2SENTINEL_MISP_KEY_FILE" in problem and str(path) not in problem and words in problem


@pytest.mark.parametrize("secret", ["short", "of/base64+", "x" * 40])
@pytest.mark.parametrize(
    "variable",
    [
        *("MISP_KEY", "MS_AUTH__CLIENT_SECRET", "MS_AUTH__CERTIFICATE_PASSWORD", "MS_AUTH"),
        *("MISP_HEADERS", "MISP_PROXIES", "MS_PROXIES", "MS_TENANTS", "STATE_URL"),
    ],
)
def test_a_secret_put_where_a_path_belongs_is_not_shown(variable, secret):
    name = f"MISP2SENTINEL_{variable}"
    text = "\n".join(problems(from_environment, name, **{f"{name}_FILE": secret}))
    assert f"environment {name}_FILE" in text
    assert secret not in text


def test_a_file_that_cannot_be_used_is_named_where_it_holds_no_secret():
    problem = only_problem(from_environment, MISP2SENTINEL_DAYS_TO_EXPIRE_FILE="/run/days")
    assert "names the file /run/days" in problem


def test_config_py_may_be_named_in_any_letter_case(tmp_path):
    (tmp_path / "mine.py").write_text("days_to_expire = 7")
    (tmp_path / "other.py").write_text("days_to_expire = 8")
    small = {"misp2sentinel_config": str(tmp_path / "mine.py")}
    assert load(None, {**ENVIRON, **small}).settings.days_to_expire == 7
    both = {**small, "MISP2SENTINEL_CONFIG": str(tmp_path / "other.py")}
    assert load(None, {**ENVIRON, **both}).settings.days_to_expire == 8


@pytest.mark.parametrize("name", ["misp_headers", "misp_proxies"])
def test_one_wrong_key_is_reported_once(site, name):
    reported = [problem for problem in problems(site, f"{name} = {{1: 2}}") if problem.startswith(name)]
    assert len(reported) == 1 and reported[0].startswith(f"{name}[1] ")


# --- offline -----------------------------------------------------------------------------------------


def test_offline_needs_no_access_to_anyone(site, tmp_path):
    assert load(Path(os.devnull), {}, offline=True).settings.ms_auth.tenant == ""
    text = "ms_auth = {'tenant': '<tenant>', 'client_secret': None}\nmisp_key = ''\ndays_to_expire = 3"
    settings = site(text, offline=True).settings
    assert (settings.ms_auth.tenant, settings.days_to_expire) == ("", 3)
    unreadable = {"MISP2SENTINEL_MISP_KEY_FILE": str(tmp_path / "gone")}
    assert load(Path(os.devnull), unreadable, offline=True).settings.secret_values() == ()


def test_offline_still_checks_what_is_there(site):
    assert "days_to_expire" in only_problem(site, "days_to_expire = '<days>'", offline=True)
    assert "client_id" in only_problem(site, "ms_auth = {'client_id': 'x'}", offline=True)


# --- types, ranges, placeholders ---------------------------------------------------------------------


BAD = [
    ("days_to_expire", '"50"', "whole number"),
    ("days_to_expire", "True", "whole number"),
    ("days_to_expire", "5.5", "whole number"),
    ("days_to_expire", "None", "whole number"),
    ("days_to_expire", "0", "at least 1"),
    ("days_to_expire", "36501", "at most 36500"),
    ("days_to_expire", "10 ** 5000", "at most 36500"),
    ("days_to_expire_mapping['url']", "{'url': 0}", "at least 1"),
    ("days_to_expire_mapping['url']", "{'url': '9'}", "whole number"),
    ("days_to_expire_mapping[5]", "{5: 9}", "text"),
    ("days_to_expire_mapping['ip-src']", "{'url': 1, 'ip-src': 9}", "write 'ipv4-addr' and 'ipv6-addr'"),
    ("days_to_expire_mapping['hostname']", "{'hostname': 9}", "write 'domain-name'"),
    ("days_to_expire_mapping['sha256']", "{'sha256': 9}", "file:hashes.'SHA-256'"),
    ("days_to_expire_mapping['file:hashes.SHA-256']", "{'file:hashes.SHA-256': 9}", "file:hashes.'SHA-256'"),
    ("days_to_expire_mapping['domian-name']", "{'domian-name': 9}", "write 'domain-name', if"),
    ("days_to_expire_mapping['colour']", "{'colour': 9}", "write one of ipv4-addr, "),
    ("days_to_expire_mapping['']", "{'': 9}", "write one of ipv4-addr, "),
    ("days_to_expire_mapping['URL']", "{'url': 1, 'URL': 2}", "is the same kind as 'url': keep one"),
    ("days_to_expire_mapping", "[]", "dictionary"),
    ("days_to_expire_start", '"today"', "'current_date' or 'valid_from'"),
    ("default_confidence", "-1", "at least 0"),
    ("default_confidence", "101", "at most 100"),
    ("ms_max_indicators_request", "101", "at most 100"),
    ("ms_max_indicators_request", "0", "at least 1"),
    ("ms_max_requests_minute", "0", "at least 1"),
    ("ms_max_requests_minute", "101", "at most 100, Microsoft's limit"),
    ("ms_max_requests_minute", "2 ** 70", "smaller number"),
    ("misp_event_limit_per_page", "0", "at least 1"),
    ("misp_event_limit_per_page", "100_001", "at most 100000"),
    ("misp_timeout", "0", "more than 0"),
    ("misp_timeout", '"300"', "number"),
    ("misp_timeout", "True", "number"),
    ("misp_timeout", "float('inf')", "finite"),
    ("dry_run", "1", "True or False"),
    ("dry_run", '"false"', "True or False"),
    ("misp_verifycert", "0", "True, False or the path"),
    ("misp_verifycert", '""', "True, False or the path"),
    ("misp_verifycert", '"/no/such/bundle.pem"', "not there"),
    ("misp_verifycert", '"False"', "must be False without quotes"),
    ("misp_verifycert", '" true"', "must be True without quotes"),
    ("ms_tenants", '{"contoso.example": {"id": "x"}}', 'write [{ "tenantId": …'),
    ("misp_verifycert", '"~no-such-user-here/ca.pem"', "home"),
    ("misp_event_filters", "None", "dictionary"),
    ("misp_event_filters", "['a']", "dictionary"),
    ("misp_event_filters[1]", "{1: 2}", "text"),
    ("misp_event_filters", "{'tags': {'a', 'b'}}", "cannot be sent"),
    ("misp_event_filters", "{'timestamp': float('nan')}", "cannot be sent"),
    ("misp_headers['X-Count']", "{'X-Count': 5}", "text"),
    ("misp_headers['X-Odd']", r"{'X-Odd': 'a\r\nb'}", "line break"),
    ("misp_headers['X-Odd']", r"{'X-Odd': ' a\\b'}", "space"),
    ("misp_headers['X-Odd']", "{'X-Odd': 'ab '}", "space"),
    ("misp_timeout", "1e20", "at most 86400"),
    ("misp_answer_minutes", "0", "more than 0"),
    ("misp_answer_minutes", "-1", "more than 0"),
    ("misp_answer_minutes", "float('nan')", "finite"),
    ("misp_answer_minutes", "1441", "at most 1440"),
    ("misp_answer_mib", "0", "at least 1"),
    ("misp_answer_mib", "1.5", "whole number"),
    ("misp_answer_mib", "2 ** 40", "at most 65536"),
    ("ms_proxies", '"http://proxy.example.org"', "dictionary"),
    ("ms_proxies['HTTPS']", "{'HTTPS': 'http://proxy.example.org'}", "small letters"),
    ("ms_proxies['https']", "{'https': 'ftp://proxy.example.org'}", "not a proxy's address"),
    ("ms_proxies['https']", "{'https': 'http://'}", "not a proxy's address"),
    ("misp_domain", '"misp.example.org"', "scheme"),
    ("misp_domain", '"ftp://misp.example.org"', "scheme"),
    ("misp_domain", '"https://"', "scheme"),
    ("misp_domain", '"https://misp.example.org:port"', "scheme"),
    ("misp_domain", '"https://misp.example.org/?a=b"', "base address"),
    ("misp_domain", '"https://user:hidden@misp.example.org"', "user or password"),
    ("misp_domain", '"https://misp.example.org/events/index"', "page of MISP in it: take /events/index off"),
    ("misp_domain", '"https://example.org/misp/attributes/restSearch/"', "take /attributes/restSearch off"),
    ("misp_domain", "5", "text"),
    ("misp_key", '"with space"', "space"),
    ("misp_key", """ "'hidden'" """, "quotes around it"),
    ("misp_key", "5", "text"),
    ("sourcesystem", '""', "1 to 256"),
    ("sourcesystem", '"x" * 257', "1 to 256"),
    ("sourcesystem", '"microsoft sentinel"', "Microsoft keeps"),
    ("sourcesystem", '"Azure Sentinel"', "Microsoft keeps"),
    ("sourcesystem", '"SECURITYGRAPH"', "Microsoft keeps"),
    ("context", '"everything"', "'identities', 'actors' or 'techniques'"),
    ("context", "True", "'identities', 'actors' or 'techniques'"),
    ("context_private", '"no"', "True or False"),
    ("activity_group_labels", "1", "True or False"),
    ("ms_useragent", '" "', "begins or ends with a space"),
    ("ms_useragent", r'"a\nb"', "line break"),
    ("ms_api_version", '"latest"', "2024-02-01-preview"),
    ("ms_legacy_upload_key", '"values"', "'indicators' or 'value'"),
    ("ms_auth", "5", "dictionary"),
    ("ms_auth.tenant", '{"tenant": "common"}', "one tenant"),
    ("ms_auth.tenant", '{"tenant": "Organizations"}', "one tenant"),
    ("ms_auth.tenant", '{"tenant": "contoso"}', "neither a GUID"),
    ("ms_auth.client_id", '{"client_id": "123"}', "GUID"),
    ("ms_auth.workspace_id", '{"workspace_id": "my-workspace"}', "GUID"),
    ("ms_auth.client_secret", r'{"client_secret": "a\n"}', "line break"),
    ("ms_auth.graph_api", '{"graph_api": "yes"}', "True or False"),
    ("ms_auth.scope", '{"graph_api": True, "scope": "https://management.azure.com/.default"}', "not Graph's"),
    ("ms_target_product", '"Sentinel"', "Azure Sentinel"),
    ("ms_action", '"warn"', "'alert'"),
    ("ms_passiveonly", "0", "True or False"),
    ("network_ignore_direction", '"yes"', "True or False"),
    ("write_post_json", "1", "True or False"),
    ("ms_auth.new_upload_api", '{"new_upload_api": "yes"}', "True or False"),
    ("ms_auth.scope", '{"scope": "https://graph.microsoft.com/.default"}', "Graph"),
    ("ms_auth.scope", '{"scope": "https://graph.microsoft.us/.default"}', "Graph"),
    ("ms_auth.scope", '{"scope": "https://management.azure.com"}', "/.default"),
    ("ms_auth.subscription_id", '{"subscription_id": "production"}', "GUID"),
    ("ms_cloud", '"azure"', "GCC High"),
    ("ms_cloud", '"China"', "retired on 18 August 2026"),
    ("ms_cloud", '"AzureChinaCloud"', "retired"),
    ("ms_cloud", '"mooncake"', "retired"),
    ("ms_cloud", '"21Vianet"', "retired"),
    ("ms_cloud", '""', "not a known cloud"),
    ("ms_cloud", "5", "text"),
    ("ms_auth.credential", '{"credential": "password"}', "'managed_identity'"),
    ("key_vault_name", '"https://soc.vault.azure.net"', "the name alone"),
    ("key_vault_misp_key", '"MISP_Key"', "hyphens"),
    ("key_vault_client_secret", '"a/b"', "hyphens"),
    ("ms_endpoints.upload", '{"upload": "http://upload.example.org"}', "https://"),
    ("ms_endpoints.authority", '{"authority": "login.example.org"}', "scheme"),
    ("state_dir", '"relative/path"', "absolute"),
    ("state_dir", "5", "path"),
    ("log_file", "True", "path"),
    ("state_url", '"mysql://user:hidden@db.example.org/ledger"', "postgresql:// or sqlite:///"),
    ("state_url", '"/var/lib/ledger.sqlite"', "postgresql:// or sqlite:///"),
    ("state_url", '"postgresql://user:hid@hidden@db.example.org/ledger"', "%40"),
    ("state_url", '"postgresql://ledger:hidden@127.0.0.1:abc/db"', "the port must be a number"),
    ("state_url", '"postgresql://ledger:hidden@127.0.0.1:65536/db"', "the port must be a number"),
    ("state_url", '"postgresql://ledger:hidden@127.0.0.1:0/db"', "the port must be a number"),
    ("state_url", '"postgresql://ledger:hidden@127.0.0.1:/db"', "the port must be a number"),
    ("state_url", '"postgresql://ledger:hidden@[2001:db8::1/db"', "bracket"),
    ("state_url", '"postgresql://ledger:hidden@2001:db8::1]/db"', "bracket"),
    ("state_url", '"postgresql://ledger:hidden@[2001:db8::1]x:5432/db"', "bracket"),
    ("state_url", '"postgresql://ledger:hidden@2001:db8::1/db"', "bracket"),
    ("state_url", '"postgresql://ledger:hidden@db .example.org/db"', "host"),
    ("state_url", '"postgresql://ledger:hidden@db.example.org/db "', "space"),
    ("state_url", '"postgresql+psycopg2://ledger:hidden@db.example.org/db"', "postgresql:// or sqlite:///"),
    ("state_url", '"sqlite:///"', "names no file"),
    ("state_url", '"sqlite:///:memory:"', "names no file"),
    ("state_url", "5", "text"),
    ("state_url", "None", "text"),
    ("deduplicate", '"event"', "'attribute' or 'value'"),
    ("full_sync_days", "0", "at least 1"),
    ("full_sync_days", "7.5", "whole number"),
    ("full_sync_days", "36501", "at most 36500"),
    ("unpublished_grace_days", "10 ** 12", "at most 36500"),
    ("refresh_days", "36501", "at most 36500"),
    ("max_run_minutes", "-1", "at least 0"),
    ("max_run_minutes", "10_081", "at most 10080"),
    ("misp_stories.refresh_interval", "{'refresh_interval': 525_601}", "at most 525600"),
    ("misp_stories.days_without_change", "{'days_without_change': 10 ** 12}", "at most 36500"),
    ("unpublished_grace_days", "-1", "at least 0"),
    ("max_withdraw_percent", "-1", "at least 0"),
    ("max_withdraw_percent", "101", "at most 100"),
    ("filters", "['domain']", "dictionary"),
    ("filters[5]", "{5: 1}", "text"),
    ("filters['typs']", "{'typs': ['domain']}", "'types'"),
    ("filters['colour']", "{'colour': 'red'}", "exclude_tags"),
    ("filters['types'][1]", "{'types': ['domain', 'ip-dts']}", "'ip-dst'"),
    ("filters['exclude_tags'][0]", "{'exclude_tags': ['!tlp:red']}", "exclude_tags"),
    ("filters['max_tlp']", "{'max_tlp': 'blue'}", "amber+strict"),
    ("filters['exclude_tags']", "{'exclude_tags': 'tlp:red'}", "must be a list"),
    ("filters['exclude_tags']", "{'exclude_tags': {'NOT': ['tlp:red']}}", "must be a list"),
    ("filters['exclude_tags'][0]", "{'exclude_tags': [['tlp:red']]}", "must be text"),
    ("filters['exclude_tags'][0]", "{'exclude_tags': ['%red']}", "begins with %: write *"),
    ("filters['exclude_organisations'][0]", "{'exclude_organisations': ['CERT%']}", "ends with %: write *"),
    ("filters['min_confidence']", "{'min_confidence': '50'}", "whole number"),
    ("filters['decaying_models']", "{'decaying_models': ['NIDS']}", "exclude_decayed"),
    ("refresh_days", "-1", "at least 0"),
    ("refresh_days", "False", "whole number"),
]


@pytest.mark.parametrize(("shown", "value", "words"), BAD)
def test_values_that_cannot_be(site, tmp_path, shown, value, words):
    name = shown.partition("[")[0].partition(".")[0]
    environ = {key: text for key, text in ENVIRON.items() if key != variable(name) and variable(shown) != key}
    problem = only_problem(site, f"{name} = {value}", environ)
    assert problem.startswith(f"{written(shown)} ({tmp_path / 'config.py'}) ")
    assert words in problem
    assert ":" in problem.partition(") ")[2], "every problem says how to fix it"
    assert "hidden" not in problem and "errors.pydantic.dev" not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ms_auth.tenant", "contoso.onmicrosoft.com"),
        ("ms_auth.tenant", TENANT.upper()),
        ("ms_auth.scope", "https://management.usgovcloudapi.net/.default"),
        ("ms_auth.subscription_id", SUBSCRIPTION),
        ("ms_auth.resourceGroupName", "soc"),
        ("ms_auth.workspaceName", "soc-logs"),
        ("misp_domain", "https://misp.example.org:8443/misp"),
        ("misp_domain", "https://example.org/events/misp"),
        ("misp_domain", "https://[2001:db8::1]"),
        ("ms_proxies", {"https": "proxy.example.org:3128", "all": "socks5h://127.0.0.1:1080"}),
        ("ms_proxies", {"https://misp.example.org": ""}),
        ("ms_max_indicators_request", 1),
        ("days_to_expire", 36500),
        ("default_confidence", 0),
        ("state_url", "postgresql://user:pass%40word@db.example.org:5432/ledger?sslmode=verify-full"),
        ("state_url", "postgresql+psycopg://user@/ledger?host=/var/run/postgresql"),
        ("state_url", "postgresql://user:pa/ss?w#rd@[2001:db8::1]:5432/ledger"),
        ("state_url", "postgresql://user@[fe80::1%eth0]/ledger"),
        ("state_url", "postgresql:///ledger?host=db.example.org&port=5433"),
        ("state_url", "sqlite:///ledger.sqlite"),
        ("state_url", "sqlite:////var/lib/50% a?b/ledger.sqlite"),
        ("state_url", "none"),
        ("state_url", ""),
        ("unpublished_grace_days", 0),
        ("max_withdraw_percent", 0),
        ("max_withdraw_percent", 100),
        ("refresh_days", 0),
        ("misp_event_filters", {"published": False, "tags": {"OR": ["a"], "NOT": ["b"]}, "eventid": [1, 2]}),
        ("misp_event_filters", {}),
        ("filters", {"types": ["ip-*", "domain"], "max_tlp": "amber", "min_confidence": 50}),
        ("filters", {"exclude_decayed": True, "min_decay_score": 12.5, "decaying_models": ["NIDS*", 5]}),
        ("misp_event_filters", {"tags": ("a", 5), "timestamp": [0, "14d"]}),
    ],
)
def test_values_that_are_fine(site, name, value):
    group, _, key = name.rpartition(".")
    environ = {known: text for known, text in ENVIRON.items() if known != variable(name)}
    settings = site(f"{group} = { ({key: value})!r}" if group else f"{name} = {value!r}", environ).settings
    assert getattr(getattr(settings, group) if group else settings, key) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("misp_key = '<key>'", "misp_key"),
        ("misp_domain = 'https://<misp>/'", "misp_domain"),
        ("misp_headers = {'X': '<token>'}", "misp_headers['X']"),
        ("misp_event_filters = {'tags': ['a', '<tag>']}", "misp_event_filters['tags'][1]"),
        ("sourcesystem = '<your source>'", "sourcesystem"),
        ("ms_auth = {'scope': '<scope>'}", "ms_auth['scope']"),
        ("misp_key = '...'", "misp_key"),
        ("misp_key = '…'", "misp_key"),
        ("default_confidence = '<0-100>'", "default_confidence"),
    ],
)
def test_placeholders_anywhere(site, text, shown):
    environ = {key: value for key, value in ENVIRON.items() if "MISP_KEY" not in key and "DOMAIN" not in key}
    filled = "\n".join(line for line in FILLED.splitlines() if not line.startswith(("ms_auth", text.split()[0])))
    problem = only_problem(site, f"{filled}\n{text}", environ)
    assert problem.startswith(f"{shown} (")
    assert "placeholder" in problem


def test_each_problem_of_filters_is_reported_by_itself(site):
    reported = problems(
        site, "", {**ENVIRON, "MISP2SENTINEL_FILTERS": '{"typs": 1, "max_tlp": 2, "types": ["a", "url"]}'}
    )
    assert [problem.partition(" (environment MISP2SENTINEL_FILTERS) ")[0] for problem in reported] == [
        "filters['typs']",
        "filters['max_tlp']",
        "filters['types'][0]",
    ]


def test_filters_may_hold_dates(site):
    text = "import datetime\nmisp_event_filters = {'date_from': datetime.date(2026, 1, 2)}"
    assert site(text, ENVIRON).settings.misp_event_filters["date_from"].year == 2026


def test_all_problems_are_reported_at_once(site, tmp_path):
    reported = problems(
        site,
        "days_to_expire = '50'\nms_auth = {'tenant': '<tenant>', 'client_id': 'x'}\nmisp_headers = 5",
        {
            "MISP2SENTINEL_MISP_KEY_FILE": str(tmp_path / "gone"),
            "MISP2SENTINEL_MISP_TIMEOUT": "-1",
            "MISP2SENTINEL_MISP_EVENT_FILTERS": "{",
            "MISP2SENTINEL_MS_PROXIES": '{"http": 1, "https": 2}',
        },
    )
    assert sorted(problem.split()[0] for problem in reported) == [
        "days_to_expire",
        "misp_domain",
        "misp_event_filters",
        "misp_headers",
        "misp_key",
        "misp_timeout",
        "ms_auth['client_id']",
        "ms_auth['client_secret']",
        "ms_auth['tenant']",
        "ms_auth['workspace_id']",
        "ms_proxies['http']",
        "ms_proxies['https']",
    ]


def test_what_is_missing_names_its_variable():
    reported = problems(load, Path(os.devnull), {})
    assert len(reported) == len(NEEDED)
    for name, problem in zip(NEEDED, reported, strict=True):
        assert problem.startswith(f"{written(name)} is missing: ")
        assert variable(name) in problem


# --- what follows from settings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "text", "expected", "warned"),
    [
        ({}, "", ("stix", "2024-02-01-preview"), False),
        ({}, "ms_api_version = '2022-07-01'", ("stix", "2024-02-01-preview"), True),
        ({"new_upload_api": None}, "ms_api_version = '2022-07-01'", ("stix", "2024-02-01-preview"), True),
        ({"new_upload_api": True}, "ms_api_version = '2022-07-01'", ("stix", "2024-02-01-preview"), False),
        ({"new_upload_api": False}, "ms_api_version = '2022-07-01'", ("legacy", "2022-07-01"), False),
        ({"new_upload_api": False}, "ms_api_version = '2024-02-01-preview'", ("legacy", "2022-07-01"), False),
        ({"new_upload_api": False}, "ms_legacy_upload_key = 'value'", ("legacy-value", "2022-07-01"), False),
        ({}, "ms_legacy_upload_key = 'value'", ("stix", "2024-02-01-preview"), False),
        ({}, "ms_api_version = '2027-01-01'", ("stix", "2027-01-01"), False),
        ({}, "ms_api_version = ''", ("stix", "2024-02-01-preview"), False),
    ],
)
def test_which_upload_api(site, auth, text, expected, warned):
    loaded = site(f"ms_auth = {auth!r}\n{text}", ENVIRON)
    assert (loaded.settings.upload_api, loaded.settings.api_version) == expected
    assert bool(loaded.warnings) == warned
    if warned:
        assert "ms_auth['new_upload_api'] = False" in loaded.warnings[0]


NOWHERE = [
    ("ms_auth = {'graph_api': True}", "and ms_auth['graph_api'] is True: "),
    ("ms_auth = {'new_upload_api': False}", "and ms_auth['new_upload_api'] is False: "),
    ("state_url = 'none'", 'and state_url is "none": '),
]


@pytest.mark.parametrize("line", ["", "context = ''", "context = None", "context = 'nothing'"])
@pytest.mark.parametrize(("why", "_words"), NOWHERE)
def test_nothing_is_sent_beside_indicators_where_nothing_can_be(site, why, _words, line):
    settings = site(f"{why}\n{line}", ENVIRON).settings
    assert (settings.context_level, settings.may_have_context) == ("nothing", False)


@pytest.mark.parametrize(("why", "words"), NOWHERE)
def test_what_a_site_wrote_to_be_sent_beside_indicators_is_an_error_there(site, tmp_path, why, words):
    problem = only_problem(site, f"{why}\ncontext = 'actors'", ENVIRON)
    assert problem.startswith(f'context ({tmp_path / "config.py"}) is "actors", which ')
    assert problem.endswith(f'{words}write "nothing", or take it out.')
    environment = {**ENVIRON, "MISP2SENTINEL_CONTEXT": "identities"}
    assert only_problem(site, why, environment).startswith("context (environment MISP2SENTINEL_CONTEXT) is")


def destination(number, **more):
    return {"tenantId": TENANT, "id": APP, "secret": SECRET, "workspaceId": f"{GUID[:-1]}{number}", **more}


@pytest.mark.parametrize("level", ["nothing", "identities", "actors", "techniques"])
def test_a_destination_may_be_sent_something_else_beside_indicators(site, level):
    tenants = [destination(0), destination(1, context=level), destination(2, context=None)]
    settings = site(f"{FILLED}context = 'identities'\nms_tenants = {tenants!r}").settings
    levels = [one.context_level for one in settings.destinations()]
    assert levels == ["identities", level, "identities"]
    assert settings.for_destination(f"{GUID[:-1]}1", "MISP").context_level == level
    assert settings.for_destination(f"{GUID[:-1]}1", "another").context_level == level
    assert settings.for_destination(f"graph:{TENANT}:Azure Sentinel", "MISP").context_level == "nothing"


def test_what_a_destination_has_of_its_own_is_an_error_too_where_nothing_can_be(site):
    tenants = [destination(0, context="nothing"), destination(1, context="actors")]
    problem = only_problem(site, f"{FILLED}state_url = 'none'\nms_tenants = {tenants!r}")
    assert problem.startswith("ms_tenants[1]['context'] (")
    tenants = [destination(0, context="all")]
    problem = only_problem(site, f"{FILLED}ms_tenants = {tenants!r}")
    assert "ms_tenants[0]['context']" in problem
    assert "'actors' or 'techniques': write one of these." in problem


def test_doubtful_values_are_warnings(site):
    text = "misp_verifycert = False\nms_verifycert = False\nmisp_domain = 'http://misp.example.org'"
    environ = {key: value for key, value in ENVIRON.items() if "DOMAIN" not in key}
    loaded = site(text, environ)
    assert [warning.split()[0] for warning in loaded.warnings] == [
        "misp_verifycert",
        "ms_verifycert",
        "misp_domain",
    ]


def test_paths(tmp_path):
    settings = from_environment(MISP2SENTINEL_STATE_DIR=str(tmp_path)).settings
    assert (settings.state_path, settings.log_path) == (tmp_path, tmp_path / "misp2sentinel.log")
    settings = from_environment(MISP2SENTINEL_STATE_DIR=str(tmp_path), MISP2SENTINEL_LOG_FILE="a.log").settings
    assert settings.log_path == tmp_path / "a.log"


def test_state_is_the_users_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "OF_PROGRAM", tmp_path / "lib")  # this host may have a ledger in its own
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    settings = from_environment().settings
    assert settings.state_path == tmp_path / ".local" / "state" / "misp2sentinel"
    assert list(tmp_path.iterdir()) == []


def test_settings_cannot_be_changed():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.days_to_expire = 3
    with pytest.raises(ValidationError):
        settings.ms_auth.tenant = "example.org"


def test_importing_settings_imports_nothing_heavy():
    heavy = {"requests", "pymisp", "msal", "platformdirs", "cryptography", "azure"}
    code = f"import helpers.settings, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- secrets -----------------------------------------------------------------------------------------


SECRETIVE = {
    "MISP2SENTINEL_MISP_HEADERS": '{"Authorization": "Bearer h3ad3r"}',
    "MISP2SENTINEL_MISP_PROXIES": '{"https": "http://user:pr%40xy1@proxy.example.org:3128"}',
    "MISP2SENTINEL_MS_PROXIES": '{"https": "user:pr0x/2@proxy.example.org:3128"}',
    "MISP2SENTINEL_STATE_URL": "postgresql://user:d%40t4base@db.example.org/ledger",
}


def test_secrets_are_known_and_never_shown():
    settings = from_environment(**SECRETIVE).settings
    secrets = settings.secret_values()
    assert set(secrets) == {KEY, SECRET, "Bearer h3ad3r", "pr%40xy1", "pr@xy1", "pr0x/2", "d%40t4base", "d@t4base"}
    for shown in (repr(settings), str(settings), repr(from_environment(**SECRETIVE))):
        assert not [secret for secret in secrets if secret in shown]


def test_no_secrets_at_all():
    assert Settings().secret_values() == ()


@given(password=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_escaped_proxy_passwords_are_secret(password):
    proxies = json.dumps({"http": f"http://user:{quote(password, safe='')}@proxy.example.org:3128"})
    secrets = from_environment(MISP2SENTINEL_MISP_PROXIES=proxies).settings.secret_values()
    assert password in secrets and quote(password, safe="") in secrets


MARK = "Zq7Zq7"


@pytest.mark.parametrize(
    "value",
    [
        f"{MARK} x",
        f"<{MARK}",
        f"[{MARK}",
        f"{MARK}\n{MARK}",
        f"https://u:{MARK}@h",
        f"ü{MARK}",
        f'{{"a": "{MARK}"',
    ],
)
@pytest.mark.parametrize("name", sorted(SETTING_TYPES))
def test_no_message_shows_a_value(name, value, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(f"{name.partition('.')[0]} = { ({name.partition('.')[2]: value} if '.' in name else value)!r}")
    reported = []
    for path, environ in ((config, {}), (Path(os.devnull), {variable(name): value})):
        try:
            reported += load(path, environ).warnings
        except SettingsError as error:
            reported += error.problems
    assert reported
    assert not [sentence for sentence in reported if MARK in sentence]


@given(
    environ=st.dictionaries(st.sampled_from([variable(name) for name in sorted(SETTING_TYPES)]), st.text(), max_size=8)
)
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_text_gives_settings_or_sentences(environ):
    try:
        assert load(Path(os.devnull), {**ENVIRON, **environ}).settings.log_path
    except SettingsError as error:
        assert error.problems
        assert all(problem.endswith(".") and "\n" not in problem for problem in error.problems)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(values=st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), JSONS, max_size=6))
@example(values={"ms_tenants": [{}]})
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_value_gives_settings_or_sentences(values, tmp_path):
    config = tmp_path / "config.py"
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    config.write_text("\n".join(["from math import inf, nan", *lines]), encoding="utf-8")
    try:
        assert load(config, ENVIRON).settings
    except SettingsError as error:
        assert error.problems
        assert all(problem.endswith(".") for problem in error.problems)


@given(number=st.integers(min_value=1, max_value=36500))
def test_numbers_survive_the_environment(number):
    assert from_environment(MISP2SENTINEL_DAYS_TO_EXPIRE=str(number)).settings.days_to_expire == number
