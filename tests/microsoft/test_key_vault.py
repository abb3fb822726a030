"""Secrets out of a key vault, with Azure's own SDK, over TLS, through a proxy that leads to the sandbox."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from helpers.commands.check import Preflight
from helpers.errors import MicrosoftError, SettingsError
from helpers.microsoft import credential_ends, key_vault
from helpers.process.log import redact
from helpers.settings import load
from helpers.settings.config.config_file import written
from helpers.settings.environment import variable
from sandbox.azure.app import IDENTITY
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import Said, environ_for, misp_event
from tests.support.connect_proxy import ConnectProxy
from tests.support.files.certificate_files import Pair

ROOT = Path(__file__).resolve().parents[2]
VAULT = "soc-vault.vault.azure.net:443"
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://soc-vault.vault.azure.net/secrets/MISP-Key/)"


@pytest.fixture
def box(monkeypatch):
    """A sandbox with a vault, on a host that has a managed identity."""
    for name in [*os.environ]:
        if name.upper().endswith("_PROXY") or name.startswith(("AZURE_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)
    with Sandbox() as running:
        azure, misp = running.azure, running.misp
        azure.vaults["soc-vault"] = {"MISP-Key": misp.readonly_key, "ClientSecret": azure.client_secret}
        misp.load([misp_event(1, [("domain", "bad.example.org")])])
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", running.identity_url)
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
        yield running


@pytest.fixture
def proxy(box):
    with ConnectProxy(urlsplit(box.azure_url).port) as running:
        yield running


@pytest.fixture
def site(box, proxy, tmp_path):
    """A function that gives the environment of a site whose secrets are in the vault."""

    def environ(**more):
        settings = {
            "misp_domain": box.misp_url,
            "misp_verifycert": box.ca_file,
            "misp_event_filters": '{"published": 1}',
            "ms_verifycert": box.ca_file,
            "ms_proxies": json.dumps({"https": proxy.url, "no_proxy": "localhost"}),
            "ms_endpoints.authority": box.azure_url,
            "ms_endpoints.upload": box.azure_url,
            "key_vault_name": "soc-vault",
            "state_dir": str(tmp_path / "state"),
            **more,
        }
        environ = environ_for(box.azure) | {variable(name): value for name, value in settings.items()}
        taken = {variable("misp_key"), variable("ms_auth.client_secret")} - {variable(name) for name in more}
        return {name: value for name, value in environ.items() if name not in taken}

    return environ


def settings(environ):
    return load(Path(os.devnull), environ).settings


def problems(action, *arguments):
    with pytest.raises(SettingsError) as caught:
        action(*arguments)
    return caught.value.problems


# --- what comes from where ---------------------------------------------------------------------------


def test_both_secrets_come_from_the_vault(box, proxy, site):
    before = settings(site())
    assert before.vault_secrets == {"misp_key": "MISP-Key", "ms_auth.client_secret": "ClientSecret"}
    assert proxy.asked == [], "reading the settings asks nobody"
    after = key_vault.with_secrets(before)
    assert after.misp_key.get_secret_value() == box.misp.readonly_key
    assert after.ms_auth.client_secret.get_secret_value() == box.azure.client_secret
    assert after.source_of("misp_key") == "key vault soc-vault"
    assert before.source_of("misp_key") == "default"
    assert after.vault_secrets == {}
    assert set(proxy.asked) == {VAULT}
    assert box.misp.readonly_key not in redact(f"a log with {box.misp.readonly_key} in it")
    assert box.misp.readonly_key not in repr(after)


def test_when_a_secret_expires_is_known_where_the_vault_knows(box, site):
    box.azure.secret_expiries = {"ClientSecret": 1_900_000_000}
    after = key_vault.with_secrets(settings(site()))
    assert credential_ends(after) == 1_900_000_000
    assert (after.expiry_of("misp_key"), credential_ends(settings(site()))) == (0, 0)


@pytest.mark.parametrize("odd", ["soon", 1e30])
def test_an_expiry_that_is_no_moment_is_an_answer_that_cannot_be_read(box, site, odd):
    box.azure.secret_expiries = {"MISP-Key": odd}
    with pytest.raises(MicrosoftError, match="cannot be read"):
        key_vault.with_secrets(settings(site()))


def test_what_the_environment_sets_wins_over_the_vault(box, site):
    after = key_vault.with_secrets(settings(site(misp_key="given-in-the-environment")))
    assert after.misp_key.get_secret_value() == "given-in-the-environment"
    assert after.ms_auth.client_secret.get_secret_value() == box.azure.client_secret


def test_a_vault_is_not_asked_for_a_secret_that_destinations_say_themselves(box, site):
    credentials = {"tenantId": box.azure.tenant, "id": box.azure.client_id, "secret": "s3cr3t"}
    tenants = json.dumps([{**credentials, "workspaceId": box.azure.workspace_id}])
    box.azure.vaults["soc-vault"] = {"MISP-Key": "k" * 40}
    after = key_vault.with_secrets(settings(site() | {"tenants": tenants}))
    assert after.misp_key.get_secret_value() == "k" * 40
    assert [destination.ms_auth.client_secret.get_secret_value() for destination in after.destinations()] == ["s3cr3t"]


def test_config_wins_over_the_vault_and_a_placeholder_does_not(box, site, tmp_path):
    config = tmp_path / "config.py"
    config.write_text('misp_key = "given-in-config"\nms_auth = {"client_secret": "<client_secret>"}\n')
    after = key_vault.with_secrets(load(config, site()).settings)
    assert after.misp_key.get_secret_value() == "given-in-config"
    assert after.ms_auth.client_secret.get_secret_value() == box.azure.client_secret


def test_a_vault_that_nothing_is_left_to_is_not_asked_and_a_warning(proxy, site):
    loaded = load(Path(os.devnull), site(**{"misp_key": "k" * 40, "ms_auth.client_secret": "s3cr3t"}))
    assert [warning.split()[0] for warning in loaded.warnings] == ["key_vault_name"]
    assert key_vault.with_secrets(loaded.settings) is loaded.settings
    assert proxy.asked == []


def test_the_names_of_the_secrets_can_be_changed(box, site):
    box.azure.vaults["soc-vault"] = {"one": "k" * 40, "two": "s3cr3t"}
    after = key_vault.with_secrets(settings(site(key_vault_misp_key="one", key_vault_client_secret="two")))
    assert (after.misp_key.get_secret_value(), after.ms_auth.client_secret.get_secret_value()) == ("k" * 40, "s3cr3t")


@pytest.mark.parametrize(("cloud", "suffix"), [("public", "vault.azure.net"), ("usgov", "vault.usgovcloudapi.net")])
def test_a_vault_is_in_the_cloud_of_the_settings(site, cloud, suffix):
    assert key_vault.address(settings(site(ms_cloud=cloud))) == f"https://soc-vault.{suffix}"


# --- who asks ----------------------------------------------------------------------------------------


def identities(box, tmp_path):
    pair = Pair()
    box.azure.certificates = [pair.certificate_pem.decode()]
    box.azure.federated_token = "federated.token"
    for name, content in {"sync.pem": pair.key_pem() + pair.certificate_pem, "token": b"federated.token"}.items():
        (tmp_path / name).write_bytes(content)
    return {
        "certificate": {"ms_auth.certificate_path": str(tmp_path / "sync.pem")},
        "workload_identity": {"ms_auth.federated_token_file": str(tmp_path / "token")},
        "managed_identity": {},
    }


@pytest.mark.parametrize(
    ("name", "reader"),
    [("certificate", "client"), ("workload_identity", "client"), ("managed_identity", IDENTITY)],
)
def test_each_credential_asks_the_vault_by_itself(box, proxy, site, tmp_path, name, reader):
    """The client secret is then not read, and no other identity may read anything."""
    box.azure.vault_readers = {box.azure.client_id if reader == "client" else reader}
    del box.azure.vaults["soc-vault"]["ClientSecret"]
    environ = site(**{"ms_auth.credential": name, **identities(box, tmp_path)[name]})
    after = key_vault.with_secrets(settings(environ))
    assert after.misp_key.get_secret_value() == box.misp.readonly_key
    assert set(proxy.asked) == {VAULT}, "the login is in no_proxy, and an identity endpoint needs no proxy"


def test_a_client_secret_that_is_given_asks_for_the_key(box, site):
    box.azure.vault_readers = {box.azure.client_id}
    after = key_vault.with_secrets(settings(site(**{"ms_auth.client_secret": box.azure.client_secret})))
    assert after.misp_key.get_secret_value() == box.misp.readonly_key


def test_a_tenant_that_is_named_by_its_domain_is_the_one_that_the_vault_names_by_guid(box, site, tmp_path):
    certificate = identities(box, tmp_path)["certificate"]
    environ = site(**{"ms_auth.credential": "certificate", "ms_auth.tenant": "example.org", **certificate})
    assert not key_vault.with_secrets(settings(environ)).vault_secrets


def test_a_client_secret_in_the_vault_is_asked_for_by_the_host(box, site):
    box.azure.vault_readers = {IDENTITY}
    assert not key_vault.with_secrets(settings(site())).vault_secrets


# --- what goes wrong ---------------------------------------------------------------------------------


def test_a_secret_that_is_not_there_is_named_with_its_setting(box, site):
    box.azure.vaults["soc-vault"] = {}
    first, second = problems(key_vault.with_secrets, settings(site()))
    assert first.startswith("misp_key (key_vault_misp_key) cannot be read: https://soc-vault.vault.azure.net has no")
    assert "ClientSecret" in second and "key_vault_client_secret" in second


def test_an_identity_that_may_not_read_says_which_role_it_lacks(box, site):
    box.azure.vault_readers.clear()
    sentences = problems(key_vault.with_secrets, settings(site()))
    assert all("Key Vault Secrets User" in problem and "ForbiddenByRbac" not in problem[:40] for problem in sentences)


def test_a_host_that_is_nobody_to_azure_says_so(box, site):
    box.azure.identities.clear()
    sentences = problems(key_vault.with_secrets, settings(site()))
    assert all("does not know who asks: see docs/identities.md" in problem for problem in sentences)


@pytest.mark.parametrize("value", ["", "with space", "line\nbreak"])
def test_a_secret_that_cannot_be_one(box, site, value):
    box.azure.vaults["soc-vault"]["MISP-Key"] = value
    (problem,) = problems(key_vault.with_secrets, settings(site()))
    assert problem.startswith("misp_key (MISP-Key in https://soc-vault.vault.azure.net) is empty, or has a space")
    assert not value or value not in problem


def test_a_vault_that_cannot_be_reached(box, site):
    nobody = json.dumps({"https": "http://127.0.0.1:1", "no_proxy": "localhost"})
    with pytest.raises(MicrosoftError, match=r"No answer from https://soc-vault.vault.azure.net. Is key_vault_name"):
        key_vault.with_secrets(settings(site(ms_proxies=nobody)))


def test_a_vault_that_fails(box, site):
    box.azure.faults.add(Fault("/secrets/", "status", status=400, body={"error": {"code": "BadParameter"}}, times=None))
    with pytest.raises(MicrosoftError, match="gives no secret"):
        key_vault.with_secrets(settings(site()))


def test_the_settings_decide_which_certificates_are_trusted(box, site, monkeypatch, tmp_path):
    """The variable that requests reads trusts the sandbox; ms_verifycert does not, and it is what counts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", box.ca_file)
    with pytest.raises(MicrosoftError, match=r"certificate is not trusted .ms_verifycert can"):
        key_vault.with_secrets(settings(site(ms_verifycert="true")))
    other = tmp_path / "other.pem"
    other.write_bytes(Pair().certificate_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert not key_vault.with_secrets(settings(site())).vault_secrets


def test_without_the_packages_an_error_says_how_to_install_them(site, monkeypatch):
    real = builtins.__import__

    def without_azure(name, *arguments, **more):
        if name.partition(".")[0] == "azure":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **more)

    before = settings(site())
    monkeypatch.setattr(builtins, "__import__", without_azure)
    (problem,) = problems(key_vault.with_secrets, before)
    assert ".venv/bin/pip install -r requirements-keyvault.txt" in problem and "azure" in problem


# --- the commands ------------------------------------------------------------------------------------


def run(environ, *arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "script.py"), "--config", os.devnull, *arguments],
        env={**environ, **{name: value for name, value in os.environ.items() if name.startswith("AZURE_")}},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_takes_its_secrets_from_the_vault(box, proxy, site):
    done = run(site(), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 1
    assert len(box.azure.live()) == 1
    assert VAULT in proxy.asked


def test_a_run_remembers_when_secrets_expire_for_status(box, site):
    box.azure.secret_expiries = {"ClientSecret": 1_900_000_000, "MISP-Key": 2_000_000_000}
    assert run(site()).returncode == 0
    (destination,) = json.loads(run(site(), "status", "--json").stdout)["destinations"]
    assert (destination["credential_ends"], destination["misp_key_ends"]) == (
        "2030-03-17T17:46:40Z",
        "2033-05-18T03:33:20Z",
    )


def test_check_reads_the_vault_in_a_step_of_its_own(box, site):
    lines = Said()
    assert Preflight(settings(site()), lines.say, verbose=True).run() == 0, lines
    line = next(line for line in lines if "Key Vault" in line)
    assert any("misp_key from key vault soc-vault" in line for line in lines)
    assert line.startswith("ok   Key Vault: https://soc-vault.vault.azure.net gives MISP-Key and ClientSecret")
    box.azure.vault_readers.clear()
    lines.clear()
    assert Preflight(settings(site()), lines.say, verbose=True).run() == 2
    *failed, verdict = [line for line in lines if line.startswith("FAIL")]
    assert len(failed) == 2 and all(line.startswith("FAIL Key Vault: ") for line in failed)
    assert [line for line in lines if line.startswith("--")] == [
        f"--   {name}: not tried, since the key vault gave no secrets"
        for name in ("MISP login", "MISP role", "MISP filters", "MISP galaxies", "Microsoft token", "Microsoft upload")
    ]
    assert verdict.startswith("FAIL Not ready (exit code 2): Key Vault. ")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["status"], 0), (["explain", "--offline", "bad.example.org"], 1), (["convert"], 0)]
)
def test_what_asks_nobody_needs_no_vault(proxy, site, tmp_path, arguments, code):
    if arguments == ["convert"]:
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"Event": misp_event(2)}))
        arguments = ["convert", str(event)]
    done = run(site(), *arguments)
    assert (done.returncode, proxy.asked) == (code, []), done.stderr


def test_other_problems_are_reported_before_the_vault_is_asked(proxy, site):
    done = run(site(days_to_expire="soon"), "--dry-run")
    assert done.returncode == 2 and "days_to_expire" in done.stderr
    assert proxy.asked == []


# --- references that were not resolved ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["misp_key", "ms_auth.client_secret", "days_to_expire", "misp_event_filters", "dry_run"]
)
def test_an_unresolved_reference_in_the_environment(site, name):
    (problem,) = problems(settings, site(key_vault_name="", **SECRETS | {name: REFERENCE}))
    assert problem.startswith(f"{written(name)} (environment {variable(name)}) holds a Key Vault reference")
    assert "Key Vault Secrets User" in problem and problem.endswith(".") and "soc-vault" not in problem


SECRETS = {"misp_key": "k" * 40, "ms_auth.client_secret": "s3cr3t"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"misp_key = '{REFERENCE}'", "misp_key"),
        (f"ms_auth = {{'client_secret': '{REFERENCE}'}}", "ms_auth['client_secret']"),
        (f"misp_headers = {{'X-Token': ' {REFERENCE.upper()}'}}", "misp_headers['X-Token']"),
        (f"ms_auth = {{'subscription_id': '{REFERENCE}'}}", "ms_auth['subscription_id']"),
        (f"misp_event_filters = {{'tags': ['{REFERENCE}']}}", "misp_event_filters['tags'][0]"),
    ],
)
def test_an_unresolved_reference_in_config(site, tmp_path, text, shown):
    config = tmp_path / "config.py"
    config.write_text(text)
    name = shown.replace("['", ".").replace("']", "") if shown.startswith("ms_auth") else shown.partition("[")[0]
    environ = site(key_vault_name="", **{key: value for key, value in SECRETS.items() if key != name})
    environ.pop(variable(name), None)
    (problem,) = problems(lambda: load(config, environ))
    assert problem.startswith(f"{shown} ({config}) holds a Key Vault reference")


def test_an_unresolved_reference_is_not_what_a_vault_is_for(site):
    (problem,) = problems(settings, site(misp_key=REFERENCE))
    assert problem.startswith("misp_key (")
