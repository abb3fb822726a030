"""SOCKS proxies carry every request, within the limits of any other, and what fails about one is told as its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import requests

from constants import VERSION
from helpers.commands.check import Preflight
from helpers.errors import SettingsError
from helpers.http import AnswerTooLarge, AnswerTooSlow, PinnedHttpAdapter, ProxyFailed
from helpers.microsoft import key_vault
from helpers.settings import load
from tests.shared.test_answers import ENDLESS, SMALL, TOO_LARGE, PassingTime, get, tls
from tests.support import Said, hosts, misp_event
from tests.support.connect_proxy import SocksProxy
from tests.support.tls_site import TlsSite, sandbox
from tests.support.wire_server import WireServer, answer

__all__ = ["tls"]
ROOT = Path(__file__).parents[2]
ID = "11111111-1111-4111-8111-111111111111"
SCHEMES = {"socks5": 5, "socks5h": 5, "socks4": 4, "socks4a": 4}
BY_NAME = ("socks5h", "socks4a")
VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def box():
    running, time = sandbox()
    with running:
        running.misp.load([misp_event(1, hosts(2))])
        yield running, time


@pytest.fixture
def site(box, tmp_path):
    return TlsSite(*box, tmp_path)


def proxies(url):
    return json.dumps({"https": url})


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- what works --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_goes_through_a_socks_proxy_of_each_kind(site, scheme):
    with SocksProxy() as proxy:
        report = site.run(MISP_PROXIES=proxies(proxy.url(scheme)), MS_PROXIES=proxies(proxy.url(scheme)))
    assert (report.exit_code, report.states.total()) == (0, 2)
    ports = {int(url.rpartition(":")[2]) for url in (site.box.misp_url, site.box.azure_url)}
    assert {(target.version, target.port) for target in proxy.asked} == {(SCHEMES[scheme], port) for port in ports}
    assert {target.host for target in proxy.asked} <= ({"localhost"} if scheme in BY_NAME else {"127.0.0.1", "::1"})


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_run_goes_through_the_environment_s(site, monkeypatch, name):
    with SocksProxy() as proxy:
        monkeypatch.setenv(name, proxy.url())
        assert site.run().exit_code == 0
    assert len({target.port for target in proxy.asked}) == 2


def test_what_needs_no_proxy_goes_without(site, monkeypatch):
    with SocksProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert site.run().exit_code == 0
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["socks5h", "socks5"])
def test_a_user_and_a_password_are_shown_to_the_proxy_and_to_nobody_else(site, scheme, caplog):
    with SocksProxy(user=("ann", "s3cr3t@x")) as proxy:
        report = site.run(MISP_PROXIES=proxies(proxy.url(scheme, "ann:s3cr3t%40x")))
    assert report.exit_code == 0
    assert {target.user for target in proxy.asked} == {"ann"}
    assert "s3cr3t" not in caplog.text


def test_stories_go_through_it(site):
    with SocksProxy() as proxy:
        stories = {"PROXY_SERVER": proxy.url(), "API_KEY": site.misp.key, "ORGANISATION_ID": "1"}
        stories["SSL_CHECK"] = site.box.ca_file
        lines = Said()
        settings = site.settings(**{f"MISP_STORIES__{name}": value for name, value in stories.items()})
        assert Preflight(settings, lines.say).run() == 0, lines
    assert len(proxy.asked) == 1


def test_plain_http_goes_through_it():
    with WireServer(lambda _: answer(body={"a": 1})) as server, SocksProxy() as proxy:
        assert get(server.url, proxies={"http": proxy.url()}).json() == {"a": 1}
    assert proxy.asked[0].port == server.port


def test_a_key_vault_is_reached_through_it(tmp_path, monkeypatch):
    from tests.support.vault_site import vault_site

    with vault_site(tmp_path) as (box, settings), SocksProxy(lead_to=int(box.azure_url.rpartition(":")[2])) as proxy:
        through = settings.model_copy(update={"ms_proxies": {"https": proxy.url()}})
        assert key_vault.with_secrets(through).misp_key.get_secret_value() == box.misp.readonly_key
    assert "soc-vault.vault.azure.net" in {target.host for target in proxy.asked}


# --- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_goes_on_for_ever_ends_there_too(tls, name):
    context, ca_file = tls
    with (
        WireServer(ENDLESS[name], context) as server,
        SocksProxy() as proxy,
        pytest.raises(AnswerTooSlow, match=r"the answer was"),
    ):
        get(server.url, verify=ca_file, now=PassingTime(20), proxies={"https": proxy.url()})


def test_an_answer_that_is_too_large_is_left_there_too(tls):
    context, ca_file = tls
    with WireServer(TOO_LARGE["gzip"], context) as server, SocksProxy() as proxy, pytest.raises(AnswerTooLarge):
        get(server.url, verify=ca_file, proxies={"https": proxy.url()})


def test_a_proxy_that_drips_its_consent_ends_and_is_named():
    says = chain([b"\x05\x00\x05\x00\x00\x03\xff"], [b"x"] * 200)
    with (
        SocksProxy(says=says) as proxy,
        pytest.raises(AnswerTooSlow, match=f"of the proxy {proxy.url()} was not complete"),
    ):
        get("https://misp.example.org/", now=PassingTime(100), proxies={"https": proxy.url()})


def test_a_proxy_that_is_silent_ends(monkeypatch):
    monkeypatch.setattr("helpers.http.adapter.CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ProxyFailed, match="timed out"):
        proxy = f"socks5h://127.0.0.1:{server.getsockname()[1]}"
        get("https://misp.example.org/", proxies={"https": proxy})


# --- what fails --------------------------------------------------------------------------------------

FAILING = {
    "wants a password": ({"user": ("ann", "s3cr3t")}, "", "methods were rejected"),
    "has another password": ({"user": ("ann", "s3cr3t")}, "ann:0th3r", "authentication failed"),
    "does not let through": ({"refusal": 2}, "", "not allowed by ruleset"),
    "does not reach it": ({"refusal": 5}, "", "refused"),
    "is an HTTP proxy": ({"says": [b"HTTP/1.1 400 Bad Request\r\n\r\n"]}, "", "invalid data"),
}


@pytest.mark.parametrize("side", ["MISP", "MS"])
@pytest.mark.parametrize("name", FAILING)
def test_a_proxy_that_fails_is_named_and_not_the_tenant(site, side, name):
    options, user, words = FAILING[name]
    with SocksProxy(**options) as proxy:
        report = site.run(**{f"{side}_PROXIES": proxies(proxy.url(user=user))})
    told = report.misp_error if side == "MISP" else report.given_up
    assert report.exit_code == (3 if side == "MISP" else 4)
    assert f"the proxy {proxy.url()} gives no connection: " in told and words in told.lower() + told
    assert f"{side.lower()}_proxies" in told and "tenant that" not in told
    assert "s3cr3t" not in told and "0th3r" not in told


@pytest.mark.parametrize("side", ["MISP", "MS"])
@pytest.mark.parametrize("scheme", [*SCHEMES, "http"])
def test_a_proxy_that_is_not_there_is_named(site, side, scheme):
    proxy = f"{scheme}://127.0.0.1:{closed_port()}"
    report = site.run(**{f"{side}_PROXIES": proxies(proxy)})
    told = report.misp_error if side == "MISP" else report.given_up
    assert report.exit_code == (3 if side == "MISP" else 4)
    assert (
        f"the proxy {proxy} gives no connection" in told and "Connection refused" in told and "tenant that" not in told
    )


def test_a_name_that_only_the_proxy_knows_says_which_scheme_has_it_look_it_up():
    with SocksProxy() as proxy, pytest.raises(ProxyFailed, match=r"does not know misp.invalid: with socks5h://"):
        get("https://misp.invalid/", proxies={"https": proxy.url("socks5")})


def test_a_proxy_that_cannot_reach_microsoft_later_leaves_it_to_the_next_run(site):
    site.run()
    with SocksProxy(refusal=4) as proxy:
        settings = site.settings(MS_PROXIES=proxies(proxy.url()))
        lines = Said()
        assert Preflight(settings, lines.say).run() == 4
    assert [line for line in lines if line.startswith("FAIL Microsoft token") and proxy.url() in line]


# --- what is no proxy --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ms_proxies", "misp_proxies"])
def test_socks_alone_is_no_proxy_s_address(tmp_path, name):
    config = tmp_path / "config.py"
    config.write_text(f"{name} = {{'https': 'socks://ann:s3cr3t@127.0.0.1:9'}}\n")
    with pytest.raises(SettingsError, match=rf"{name}.*write socks5h://, or socks4a://") as caught:
        load(config, {})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"ALL_PROXY": "socks://127.0.0.1:1080/"}, "ALL_PROXY (environment) begins with socks://"),
        ({"https_proxy": "socks://127.0.0.1:1080/"}, "https_proxy (environment) begins with socks://"),
        ({"HTTPS_PROXY": "tcp://127.0.0.1:1080"}, "HTTPS_PROXY (environment) is not a proxy's address"),
        ({"HTTPS_PROXY": "http://127.0.0.1:3128", "ALL_PROXY": "socks://127.0.0.1:1080/"}, ""),
        ({"ALL_PROXY": "socks5h://127.0.0.1:1080/"}, ""),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, ""),
    ],
)
def test_the_environment_s_proxy_is_checked_as_settings_are(site, environ, told):
    assert told in problems_of(site, environ)
    assert bool(told) is bool(problems_of(site, environ))


def problems_of(site, environ, **more):
    try:
        load(site.config, {**site.environ(**more), **environ})
    except SettingsError as error:
        return str(error)
    return ""


def test_the_environment_s_proxy_does_not_matter_where_the_settings_name_theirs(site):
    own = {f"{side}_PROXIES": proxies("http://127.0.0.1:3128") for side in ("MISP", "MS")}
    assert problems_of(site, {"ALL_PROXY": "socks://127.0.0.1:1080/"}, **own) == ""


def test_an_odd_proxy_that_nobody_checked_is_an_error_that_requests_knows():
    adapter = PinnedHttpAdapter(True, {"https": "socks://127.0.0.1:1"}, SMALL)
    session = requests.Session()
    session.mount("https://", adapter)
    with pytest.raises(ProxyFailed, match=r"the proxy socks://127.0.0.1:1 gives no connection: its address is none"):
        session.get("https://misp.example.org")


@pytest.mark.parametrize("arguments", [["check"], ["--json"]], ids=" ".join)
def test_a_missing_pysocks_is_told_with_what_installs_it(arguments, tmp_path):
    """An upgrade without its packages: the module is called socks, and so is another package, which is not it."""
    code = f"import sys; sys.modules['socks'] = None; import script; raise SystemExit(script.main({arguments}))"
    values = {"tenant": "example.org", "client_id": ID, "client_secret": "x", "workspace_id": ID.replace("1", "2")}
    environ = {f"MISP2SENTINEL_MS_AUTH__{key.upper()}": value for key, value in values.items()}
    environ |= {"MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org", "MISP2SENTINEL_MISP_KEY": "x" * 40}
    environ |= {"MISP2SENTINEL_CONFIG": os.devnull, "MISP2SENTINEL_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    words = (
        "The Python module socks is missing: run .venv/bin/python script.py; if that is what you ran, "
        ".venv/bin/pip install -r requirements.txt (docs/install.md)."
    )
    assert done.stderr == f"{words}\n"
    assert arguments == ["check"] or json.loads(done.stdout) == {"version": VERSION, "error": words, "exit_code": 2}
