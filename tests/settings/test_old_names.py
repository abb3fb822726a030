"""Names of older versions, of the old Function and of others; ids in the wrong place; what check says of it all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from constants import VERSION
from helpers.commands.check import Preflight
from helpers.errors import SettingsError
from helpers.settings import load
from helpers.settings.config.old_names import FLAT
from helpers.settings.environment import variable
from tests.settings.test_settings import APP, ENVIRON, GUID, KEY, SECRET, SUBSCRIPTION, TENANT

OF_MISP = {name: value for name, value in ENVIRON.items() if "MISP_" in name.removeprefix("MISP2SENTINEL_")}
VALUES = {"tenant_id": TENANT, "client_id": APP, "client_secret": SECRET, "workspace_id": GUID}
LINES = "\n".join(f"{name} = {value!r}" for name, value in VALUES.items())
AUTH = {"tenant": TENANT, "client_id": APP, "client_secret": SECRET, "workspace_id": GUID}
ENTRY = {"tenantId": TENANT, "id": APP, "secret": SECRET, "workspaceId": GUID}


@pytest.fixture
def site(tmp_path):
    """A function that writes a config.py and loads it, with an environment that has what MISP needs."""

    def write_and_load(text="", environ=None):
        (tmp_path / "config.py").write_text(text)
        return load(tmp_path / "config.py", {**OF_MISP, **(environ or {})})

    return write_and_load


def problems_of(site, text="", environ=None):
    with pytest.raises(SettingsError) as caught:
        site(text, environ)
    assert SECRET not in str(caught.value) and KEY not in str(caught.value)
    return caught.value.problems


# --- one destination, as the old Function named it ---------------------------------------------------


@pytest.mark.parametrize(("text", "environ"), [(LINES, {}), ("", VALUES)], ids=["config.py", "environment"])
def test_the_names_of_the_old_function_are_taken_with_a_warning(site, text, environ):
    loaded = site(text, environ)
    auth = loaded.settings.ms_auth
    assert (auth.tenant, auth.client_id, auth.workspace_id) == (TENANT, APP, GUID)
    assert auth.client_secret.get_secret_value() == SECRET
    assert SECRET in loaded.settings.secret_values()
    expected = {f"{name} ({new})" for name, new in FLAT.items()}
    said = {
        f"{warning.split()[0]} ({new})" for warning in loaded.warnings for new in FLAT.values() if named(new, warning)
    }
    assert said == expected and SECRET not in str(loaded.warnings)


def named(name, warning):
    section, _, key = name.partition(".")
    return f"is the old name of {section}['{key}']: rename it" in warning


def test_a_placeholder_of_the_shipped_config_gives_way_to_them(site):
    auth = {key: f"<{key}>" for key in AUTH}
    assert site(f"ms_auth = {auth}", VALUES).settings.ms_auth.workspace_id == GUID


def test_what_stands_empty_as_os_getenv_leaves_it_is_not_set(site):
    text = "import os\n" + "\n".join(f"{name} = os.getenv('NO_SUCH_{name}', '')" for name in VALUES)
    assert site(f"{text}\nms_auth = {AUTH}").warnings == ()


@pytest.mark.parametrize("name", VALUES)
def test_another_value_than_ms_auths_is_an_error_that_names_both(site, name):
    other = {**AUTH, FLAT[name].partition(".")[2]: SUBSCRIPTION}
    for text, environ in ((f"{LINES}\nms_auth = {other}", {}), (f"ms_auth = {other}", VALUES)):
        (problem,) = problems_of(site, text, environ)
        assert problem.startswith(f"{name} (")
        assert f"is the old name of ms_auth['{FLAT[name].partition('.')[2]}'] (" in problem and "config.py" in problem


def test_the_same_value_in_both_says_nothing(site):
    assert site(f"ms_auth = {AUTH}", VALUES).warnings == ()
    assert site(f"ms_auth = {AUTH}", {**VALUES, "tenant_id": TENANT.upper()}).warnings == ()


def test_names_that_config_py_itself_reads_are_its_own(site):
    text = f"client_id, client_secret = 'of a vault', 'of it too'\nvault = [client_id, client_secret]\nms_auth = {AUTH}"
    assert site(text).warnings == ()
    lines = LINES + "\nms_auth = dict(tenant=tenant_id, client_id=client_id, client_secret=client_secret)"
    assert site(lines + "\nms_auth['workspace_id'] = workspace_id").warnings == ()


def test_beside_several_destinations_they_must_be_one_of_them(site):
    tenants = {"tenants": json.dumps([ENTRY])}
    assert site("", {**VALUES, **tenants}).warnings == ()
    (problem,) = problems_of(site, "", {**VALUES, "workspace_id": SUBSCRIPTION, **tenants})
    assert problem.startswith("workspace_id (environment workspace_id) is of a destination that ms_tenants (")
    assert "does not have: add it there" in problem


def test_another_credential_has_no_use_for_them(site):
    auth = {"credential": "managed_identity", "workspace_id": GUID}
    settings = site(f"ms_auth = {auth}", {name: VALUES[name] for name in ("tenant_id", "client_secret")}).settings
    assert settings.ms_auth.client_secret.get_secret_value() == ""


def test_an_unresolved_reference_is_told_as_that(site):
    problem, *_ = problems_of(site, "", {**VALUES, "client_secret": "@Microsoft.KeyVault(VaultName=soc-vault)"})
    assert problem.startswith("ms_auth['client_secret'] (environment client_secret) holds a Key Vault reference")


def test_the_old_functions_variable_for_the_key_vault(site):
    environ = {name: value for name, value in VALUES.items() if name != "client_secret"}
    settings = site("", {**environ, "key_vault_name": "soc-vault"}).settings
    assert settings.vault_secrets == {"ms_auth.client_secret": "ClientSecret"}


@pytest.mark.parametrize("name", FLAT)
def test_with_our_prefix_the_right_variable_is_said(site, name):
    environ = {key: value for key, value in ENVIRON.items() if key not in OF_MISP}
    (warning,) = site("", {**environ, f"MISP2SENTINEL_{name.upper()}": "x"}).warnings
    assert f"do you mean {variable(FLAT[name])}?" in warning


def test_local_tags_under_the_name_of_2023(site):
    assert site("misp_ignore_localtags = False", VALUES).settings.ignore_localtags is False


# --- capitals, and the keys of ms_auth without it ----------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f"MISP_KEY = '{KEY}'", "misp_key"),
        ("MISP_DOMAIN = 'https://misp.example.org'", "misp_domain"),
        ("MS_AUTH = {}", "ms_auth"),
        ("Misp_VerifyCert = False", "misp_verifycert"),
        ("MISP_URL = 'https://misp.example.org'", "misp_domain"),
        ("MISP_BASE_URL = 'https://misp.example.org'", "misp_domain"),
        (f"sentinel_workspace_id = '{GUID}'", "ms_auth['workspace_id']"),
        ("DRY_RUN = True", "dry_run"),
        ("GRAPH_AUTH = {}", "ms_auth"),
        ("MISP_STORIES = {}", "misp_stories"),
        (f"MISP2SENTINEL_MISP_KEY = '{KEY}'", "misp_key"),
        (f"MISP2SENTINEL_MS_AUTH__TENANT = '{TENANT}'", "ms_auth['tenant']"),
        (f"TENANT_ID = '{TENANT}'", "ms_auth['tenant']"),
        (f"AZ_TENANT_ID = '{TENANT}'", "ms_auth['tenant']"),
        (f"tenant = '{TENANT}'", "ms_auth['tenant']"),
        ("new_upload_api = False", "ms_auth['new_upload_api']"),
    ],
)
def test_a_name_that_is_written_otherwise_is_named(site, line, meant):
    (warning,) = site(f"{line}\nms_auth = {AUTH}").warnings
    assert warning.startswith(f"{line.split()[0]} (") and warning.endswith(f"do you mean {meant}?")
    assert KEY not in warning


@pytest.mark.parametrize(
    ("name", "key", "hint"),
    [
        ("misp_stories", "MISP_URL", 'do you mean "url"?'),
        ("misp_stories", "misp_api_key", 'do you mean "api_key"?'),
        ("misp_stories", "VERIFY", "take it out, or look for a slip in its name."),
        ("ms_auth", "tenant_id", 'do you mean "tenant"?'),
        ("ms_auth", "audience", "take it out, or look for a slip in its name."),
        ("ms_auth", 7, "take it out, or look for a slip in its name."),
        ("ms_endpoints", "vault", "take it out, or look for a slip in its name."),
    ],
)
def test_a_key_that_nothing_reads_is_named(site, tmp_path, name, key, hint):
    dictionaries = {"ms_auth": AUTH, name: {**(AUTH if name == "ms_auth" else {}), key: "x"}}
    (warning,) = site("\n".join(f"{setting} = {value}" for setting, value in dictionaries.items())).warnings
    assert warning == f'{name} ({tmp_path / "config.py"}) has no key "{key}": {hint}'


def test_a_constant_that_makes_a_setting_says_nothing(site):
    assert site(f"MISP_KEY = '{KEY}'\nmisp_key = MISP_KEY\nMISP_KEYS = 1\nms_auth = {AUTH}").warnings == ()


@pytest.mark.parametrize("key", ["MISP_KEY", "misp_key", "MISPKEY", "MISP_API_KEY"])
def test_where_a_setting_is_missing_a_variable_without_our_prefix_is_named(key):
    environ = {name: value for name, value in ENVIRON.items() if not name.endswith("MISP_KEY")}
    with pytest.raises(SettingsError) as caught:
        load(Path(os.devnull), {**environ, key: KEY})
    (problem,) = caught.value.problems
    assert problem == (
        f"misp_key is missing: set it in config.py, or set MISP2SENTINEL_MISP_KEY; {key} in the environment is not its "
        "name."
    )
    assert load(Path(os.devnull), {**ENVIRON, key: "other"} if key != "mispkey" else ENVIRON).warnings == ()


def test_where_a_placeholder_stands_a_variable_that_is_not_its_own_is_named_too(site):
    """Containers have the shipped config.py, and often the variables of another client of MISP or of Azure's."""
    text = "ms_auth = {'tenant': '<tenant id>', 'client_id': '<client id>', 'client_secret': '<client secret>'}"
    environ = {"TENANT_ID": TENANT, "AZURE_CLIENT_ID": APP, "WORKSPACE_ID": GUID}
    said = {problem.split()[0]: problem.partition("; ")[2] for problem in problems_of(site, text, environ)}
    assert said == {
        "ms_auth['tenant']": "TENANT_ID in the environment is not its name.",
        "ms_auth['client_id']": "AZURE_CLIENT_ID in the environment is not its name.",
        "ms_auth['client_secret']": "",
        "ms_auth['workspace_id']": "WORKSPACE_ID in the environment is not its name.",
    }


# --- the Graph API of 2023 ---------------------------------------------------------------------------

GRAPH = {key: AUTH[key] for key in ("tenant", "client_id", "client_secret")}


@pytest.mark.parametrize(
    "text",
    [
        f"graph_auth = {GRAPH | {'scope': 'https://graph.microsoft.com/.default'}}",
        f"graph_auth = {GRAPH}",
        f"ms_auth = {GRAPH | {'scope': 'https://graph.microsoft.com/.default'}}",
    ],
)
def test_a_file_for_graph_alone_is_told_of_graph_api_where_the_workspace_is_missing(site, text):
    (problem,) = (problem for problem in problems_of(site, text) if "workspace_id'] is missing" in problem)
    name = text.partition(" ")[0]
    assert f'add "graph_api": True to the dictionary {name} (docs/graph.md)' in problem and "upload API" in problem
    assert site(text.replace("{", '{"graph_api": True, ', 1)).settings.graph


def test_where_ms_auth_counts_beside_graph_auth_that_is_what_is_missing_something(site):
    (problem, _) = problems_of(site, f"graph_auth = {GRAPH}\nms_auth = {GRAPH}")
    assert problem.startswith("ms_auth['workspace_id'] is missing") and "graph_api" not in problem


def test_no_other_file_is_told_of_the_graph_api(site):
    (problem,) = problems_of(site, f"ms_auth = {GRAPH}")
    assert problem.startswith("ms_auth['workspace_id'] is missing") and "graph" not in problem


# --- Taranis AI --------------------------------------------------------------------------------------


def test_the_parameters_of_taranis_ai_are_taken_in_its_capitals(site):
    stories = {
        "URL": "https://stories.example.org",
        "API_KEY": KEY,
        "ORGANISATION_ID": 3,
        "SSL_CHECK": True,
        "SHARING_GROUP_ID": 7,
        "DISTRIBUTION": 4,
        "REQUEST_TIMEOUT": 5,
        "USER_AGENT": "TaranisAI/1.0",
        "PROXY_SERVER": "http://proxy.example.org:3128",
        "ADDITIONAL_HEADERS": {"X-Gateway": "token"},
        "REFRESH_INTERVAL": 60,
        "DAYS_WITHOUT_CHANGE": 7,
    }
    loaded = site(f"misp_stories = {stories}\nms_auth = {AUTH}")
    taken = loaded.settings.misp_stories.model_dump()
    assert loaded.warnings == ()
    assert taken.pop("api_key").get_secret_value() == KEY
    assert taken == {name.lower(): value for name, value in stories.items() if name != "API_KEY"}


# --- values in the wrong place -----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["/dev/stdout", "/dev/stderr", "-", "/dev/fd/1", "/proc/self/fd/2", "stdout"])
def test_a_log_on_the_terminal_is_verbose(site, value):
    problem, *_ = problems_of(site, f"log_file = {value!r}", VALUES)
    assert problem.startswith("log_file (") and "give --verbose" in problem


def test_other_places_for_the_log_stay(site):
    for value in ("/var/log/misp2sentinel.log", "stdout.log", "/dev/null"):
        site(f"log_file = {value!r}", VALUES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"workspace_id": TENANT}, "ms_auth['workspace_id'] ({}) is the same GUID as ms_auth['tenant']"),
        ({"workspace_id": APP.upper()}, "ms_auth['workspace_id'] ({}) is the same GUID as ms_auth['client_id']"),
        ({"subscription_id": GUID}, "ms_auth['subscription_id'] ({}) is the same GUID as ms_auth['workspace_id']"),
        ({"client_id": TENANT}, "ms_auth['client_id'] ({}) is the same GUID as ms_auth['tenant']"),
    ],
)
def test_one_id_in_two_places_was_copied_wrongly(site, tmp_path, changed, words):
    (problem,) = problems_of(site, f"ms_auth = {AUTH | changed}")
    assert problem.startswith(words.format(tmp_path / "config.py"))


def test_one_id_in_two_places_of_a_destination(site):
    (problem,) = problems_of(site, f"ms_tenants = {[ENTRY, {**ENTRY, 'id': TENANT, 'workspaceId': SUBSCRIPTION}]}")
    assert "ms_tenants[1]['id']" in problem and "the same GUID as ms_tenants[1]['tenantId']" in problem


def test_a_domain_name_under_the_apps_id_is_the_tenants(site):
    problems = problems_of(site, f"ms_auth = {AUTH | {'client_id': 'contoso.example.org'}}")
    assert any("ms_auth['tenant']" in problem and "exchange them" in problem for problem in problems)


def test_a_secret_that_is_a_guid_is_a_warning(site):
    (warning,) = site(f"ms_auth = {AUTH | {'client_secret': SUBSCRIPTION}}").warnings
    assert warning.startswith("ms_auth['client_secret'] (") and "take the secret's value" in warning
    assert SUBSCRIPTION not in warning
    (warning,) = site(f"ms_tenants = {[ENTRY | {'secret': SUBSCRIPTION}]}").warnings
    assert warning.startswith("ms_tenants[0]['secret'] (")


# --- check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ok   settings: {}"),
        ("misp_verifycerts = 1", "warn settings: {}: nothing stops a run; stderr has 1 warning about them"),
        (
            "misp_verifycerts = 1\nDRY_RUN = True",
            "warn settings: {}: nothing stops a run; stderr has 2 warnings about them",
        ),
    ],
)
def test_check_does_not_call_all_settings_valid_beside_a_warning(site, tmp_path, text, words):
    settings = site(f"ms_auth = {AUTH}\nstate_dir = {str(tmp_path)!r}\n{text}").settings
    said = []

    def say(line):
        said.append(line.text())
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Preflight(settings, say).run()
    assert said == [words.format(f"{settings.config}, MISP2Sentinel {VERSION}")]
