"""No request follows a redirect with a body or a secret: to MISP, to Microsoft, to the login, to a key vault."""

from __future__ import annotations

import io
import json
from urllib.parse import urlsplit

import pytest
from requests import TooManyRedirects

from helpers.commands.check import Preflight
from helpers.commands.collect import collect
from helpers.commands.share import share
from helpers.errors import MicrosoftError, MispMoved, SyncError
from helpers.http import ForeignAddress, PinnedHttpAdapter, Redirected, same_origin, session
from helpers.http.origin import origin_of
from helpers.microsoft import BatchSender, ManagementApi, MicrosoftClient, RateLimiters, api_for, key_vault
from helpers.microsoft.batch import Batch
from helpers.microsoft.client import LIMITS
from helpers.microsoft.responses import NextStep
from helpers.misp.pymisp_errors import moved_address
from helpers.stories import ShareOptions
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.faults import Fault
from tests.support import Said, hosts, misp_event
from tests.support.story_site import StorySite, story
from tests.support.tls_site import TlsSite
from tests.support.tls_site import sandbox as sandbox_with_clock
from tests.support.vault_site import vault_site
from tests.support.wire_server import WireServer, answer

DISCOVERY, TOKEN = "openid-configuration", "oauth2/v2.0/token"


@pytest.fixture
def elsewhere():
    """A server that nothing is to reach."""
    with WireServer(lambda asked: answer()) as server:
        yield server


def http():
    return session(PinnedHttpAdapter(True, {}, LIMITS), "test")


def leading_to(location, status):
    """A server that leads to a location once, and then answers."""
    return WireServer(lambda asked: answer(body={}) if "/new" in asked.path else answer(status, Location=location))


# --- the adapter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_port_is_not_followed(elsewhere, status, method):
    words = f"redirect to {elsewhere.url}/new, which"
    leading = leading_to(f"{elsewhere.url}/new?key=s3cr3t", status)
    with leading as server, pytest.raises(Redirected, match=words) as caught:
        http().request(method, server.url, data=b"secret", headers={"X-Secret": "s3cr3t"})
    assert elsewhere.asked == []
    assert caught.value.status == status


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_may_lose_the_body_is_not_followed_at_home_either(status):
    with leading_to("/new", status) as server, pytest.raises(Redirected):
        http().post(f"{server.url}/old", data=b"filters")
    assert [asked.path for asked in server.asked] == ["/old"]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/new", "{}/new", "HTTP://LocalHost:{port}/new", "//localhost:{port}/new"])
def test_a_redirect_at_home_keeps_method_body_and_headers(status, location):
    server = WireServer(
        lambda asked: (
            answer(body={"new": True}) if asked.path == "/new" else answer(status, Location=_filled(location, server))
        )
    )
    with server:
        response = http().post(f"{server.url}/old", data=b"filters", headers={"Authorization": "key"})
    assert response.json() == {"new": True}
    old, new = server.asked
    assert new == old._replace(path="/new")
    assert (new.method, new.body, new.headers["authorization"]) == ("POST", b"filters", "key")


def _filled(location, server):
    return location.replace("{}", server.url).replace("{port}", str(server.port))


def test_redirects_at_home_end():
    with WireServer(lambda asked: answer(307, Location=f"{asked.path}x")) as server, pytest.raises(TooManyRedirects):
        http().get(f"{server.url}/a")
    assert len(server.asked) == 6


ODD = [
    "http://localhost:{port}\\@{elsewhere}/new",
    "http://{elsewhere}\\@localhost:{port}/new",
    "http://key:s3cr3t@localhost:{port}/new",
    "//{elsewhere}/new",
    "/\\{elsewhere}/new",
    "\\\\{elsewhere}/new",
    "http://localhost:{port}.{elsewhere}/new",
    "https://localhost:{port}/new",
    "http://127.0.0.1:{port}/new",
    "http://localhost.:{port}/new",
    "http://localhost:99999999/new",
    "http://localhost:x/new",
    "http://[::1/new",
    "ftp://localhost:{port}/new",
    "javascript:alert(1)",
    "\xff\xfe/new",
    "http://localhost:{port}/new\x1b[2J",
    "http://" + "a" * 60_000,
]


@pytest.mark.parametrize("location", ODD, ids=range(len(ODD)))
def test_an_odd_location_is_another_place(elsewhere, location):
    server = WireServer(lambda asked: answer(308, Location=filled))
    filled = location.replace("{port}", str(server.port)).replace("{elsewhere}", f"localhost:{elsewhere.port}")
    with server, pytest.raises(Redirected) as caught:
        http().post(f"{server.url}/old", data=b"secret")
    assert len(server.asked) == 1
    assert elsewhere.asked == []
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("https://misp.example.org", "https://misp.example.org/a?b#c", True),
        ("https://misp.example.org", "HTTPS://MISP.Example.ORG:443", True),
        ("http://misp.example.org:80/", "http://misp.example.org", True),
        ("https://[2001:db8::1]/", "https://[2001:DB8::1]:443", True),
        ("https://misp.example.org", "http://misp.example.org:443", False),
        ("https://misp.example.org", "https://misp.example.org:0", False),
        ("https://misp.example.org", "https://misp.example.org.", False),
        ("https://misp.example.org", "https://www.misp.example.org", False),
        ("https://misp.example.org", "https://misp.example.org@evil.example", False),
        ("https://misp.example.org", "https://evil.example\\@misp.example.org", False),
        ("https://misp.example.org", "https://misp.example.org\\@evil.example", False),
        ("https://misp.example.org", "https://misp.example.org%2f@evil.example", False),
        ("https://misp.example.org", "https://misp。example。org", False),
        ("https://misp.example.org", " https://misp.example.org", False),
        ("https://misp.example.org", "https:misp.example.org", False),
        ("https://misp.example.org", "", False),
    ],
)
def test_an_origin_is_scheme_host_and_port_beyond_doubt(address, other, same):
    assert same_origin(address, other) is same_origin(other, address) is same


@pytest.mark.parametrize(
    "address", ["", "misp", "https://", "https://a\\b", "https://a@b", "https://a:x", "https://[a"]
)
def test_an_address_in_doubt_has_no_origin_not_even_its_own(address):
    assert origin_of(address) is None
    assert not same_origin(address, address)


def test_a_body_goes_to_its_origin_only(elsewhere):
    with WireServer(lambda asked: answer()) as server:
        secrets = session(PinnedHttpAdapter(True, {}, LIMITS), "test", bodies_to=f"{server.url}/tenant")
        secrets.post(f"{server.url}/token", data={"client_secret": "s3cr3t"})
        secrets.get(elsewhere.url)
        with pytest.raises(ForeignAddress, match=f"not at {server.url}/tenant and gets nothing: {elsewhere.url}/x"):
            secrets.post(f"{elsewhere.url}/x?a=b", data={"client_secret": "s3cr3t"})
    assert [asked.method for asked in elsewhere.asked] == ["GET"]


# --- MISP --------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    box, time = sandbox_with_clock()
    with box:
        box.misp.load([misp_event(1, hosts(2))])
        yield TlsSite(box, time, tmp_path)


def checked(settings):
    lines = Said()
    return Preflight(settings, lines.say).run(), lines


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_misp_that_has_moved_to_https_is_named(site, status):
    """With http, the server sends every request on to https: a search would arrive there without its filters."""
    with WireServer(lambda asked: answer(status, Location=f"{site.box.misp_url}{asked.path}")) as old:
        report = site.run(MISP_DOMAIN=old.url)
        assert site.azure.uploads == []
        code, lines = checked(site.settings(MISP_DOMAIN=old.url))
    words = (
        f"misp_domain is redirected to {site.box.misp_url}, where the key does not follow: write that in misp_domain"
    )
    assert report.exit_code == 2 and words in report.misp_error
    assert site.misp.requests == []
    assert code == 2 and [line for line in lines if line.startswith(f"FAIL MISP login: {words}")]
    assert len(old.asked) == 2, "what will not pass is asked once"


def test_a_search_that_is_led_elsewhere_stops_the_run(site, elsewhere):
    site.misp.faults.add(
        Fault("restSearch", "status", 302, headers={"Location": f"{elsewhere.url}/login?to=1"}, times=None)
    )
    report = site.run()
    assert report.exit_code == 2 and f"{elsewhere.url}/login, where" in report.misp_error
    assert site.azure.uploads == [] and elsewhere.asked == []


def test_headers_for_a_gateway_do_not_leave_for_its_login_page(site, elsewhere):
    headers = json.dumps({"CF-Access-Client-Secret": "s3cr3t"})
    with WireServer(lambda asked: answer(302, Location=f"{elsewhere.url}/login")) as gateway:
        report = site.run(MISP_DOMAIN=gateway.url, MISP_HEADERS=headers)
    assert gateway.asked[0].headers["cf-access-client-secret"] == "s3cr3t"
    assert elsewhere.asked == []
    assert report.exit_code == 2 and "gateway's login page" in report.misp_error


def test_every_destination_says_so(site, elsewhere):
    site.misp.faults.add(Fault("/", "status", 302, headers={"Location": elsewhere.url}, times=None))
    tenant = {"tenantId": site.azure.tenant, "id": site.azure.client_id, "secret": site.azure.client_secret}
    places = [{**tenant, "workspaceId": site.azure.workspace_id, "name": name, "sourcesystem": name} for name in "ab"]
    report = site.run(MS_TENANTS=json.dumps(places))
    assert (report.exit_code, [part.exit_code for part in report.parts]) == (2, [2, 2])


@pytest.mark.parametrize(
    ("address", "asked", "target", "moved"),
    [
        ("http://a.example", "http://a.example/events/x", "https://a.example/events/x", "https://a.example"),
        ("http://a.example/m", "http://a.example/m/events/x", "https://b.example/m/events/x", "https://b.example/m"),
        ("http://A.example/m/", "http://a.example/m/events/x", "https://b.example/events/x?y", "https://b.example"),
        ("http://a.example", "http://a.example/events/x", "https://b.example/login", "https://b.example/login"),
    ],
)
def test_the_address_to_write_is_without_what_was_asked_for(address, asked, target, moved):
    assert moved_address(address, asked, target) == moved


@pytest.mark.parametrize("command", ["share", "collect"])
def test_stories_do_not_follow_either(tmp_path, elsewhere, command):
    with WireServer(lambda asked: answer(301, Location=f"{elsewhere.url}{asked.path}")) as old:
        settings = StorySite(tmp_path).settings(URL=old.url)
        file = tmp_path / "stories.json"
        file.write_text(json.dumps(story()))
        with pytest.raises(MispMoved, match=r'write that in misp_stories\["url"\]') as caught:
            if command == "share":
                share(settings, [file], print, ShareOptions())
            else:
                collect(settings, io.StringIO(), print)
    assert caught.value.exit_code == 2 and elsewhere.url in str(caught.value)
    assert elsewhere.asked == []


# --- Microsoft ---------------------------------------------------------------------------------------


NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}


def client(site):
    return MicrosoftClient(site.settings(), site.time.clock)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [DISCOVERY, TOKEN])
def test_the_client_secret_does_not_follow_a_redirect(site, elsewhere, path, status):
    site.azure.faults.add(Fault(path, "status", status, headers={"Location": f"{elsewhere.url}/x"}, times=None))
    with pytest.raises(MicrosoftError, match=f"a redirect to {elsewhere.url}/x, which is not followed.*authority"):
        client(site).get_token()
    assert elsewhere.asked == []
    assert site.time.slept == [], "what will not pass is asked once"


@pytest.mark.parametrize(
    "name", ["{elsewhere}", "http://{azure}", "https://{azure}.example.org", "https://{azure}\\@x"]
)
def test_the_client_secret_goes_to_the_authoritys_own_host_only(site, elsewhere, name):
    azure = site.box.azure_url.partition("//")[2]
    endpoint = name.format(azure=azure, elsewhere=elsewhere.url.replace("http:", "https:")) + "/t/oauth2/v2.0/token"
    found = {"token_endpoint": endpoint, "authorization_endpoint": endpoint, "issuer": site.box.azure_url}
    site.azure.faults.add(Fault(DISCOVERY, "body", body=found, times=None))
    with pytest.raises(MicrosoftError, match=rf"o token\b.*{site.box.azure_url}|{site.box.azure_url}.* no token"):
        client(site).get_token()
    assert elsewhere.asked == []
    code, lines = checked(site.settings())
    assert code == 4 and [line for line in lines if line.startswith("FAIL Microsoft token")]


def test_an_upload_that_is_led_elsewhere_gives_the_destination_up(site, elsewhere):
    site.azure.faults.add(Fault(":upload", "status", 307, headers={"Location": f"{elsewhere.url}/x"}, times=None))
    report = site.run()
    assert report.exit_code == 4 and f"redirect to {elsewhere.url}/x" in report.given_up
    assert "ms_endpoints" in report.given_up
    assert elsewhere.asked == []


@pytest.mark.parametrize("graph", ["true", "false"])
def test_neither_api_sends_its_token_on(site, elsewhere, graph):
    site.azure.faults.add(Fault("", "status", 308, headers={"Location": elsewhere.url}, times=None, after=2))
    settings = site.settings(MS_AUTH__GRAPH_API=graph, MS_ENDPOINTS__GRAPH=f"{site.box.azure_url}/beta")
    sender = BatchSender(api_for(settings), MicrosoftClient(settings, site.time.clock), RateLimiters(site.time.clock))
    assert sender.send(Batch([])).next_step is NextStep.STOP
    assert elsewhere.asked == []


LINKS = ["{azure}\\@{elsewhere}/x", "https://{elsewhere}\\@{azure_host}/x", "//{elsewhere}/x", "http://{azure_host}/x"]


@pytest.mark.parametrize("link", LINKS)
def test_the_next_page_is_on_the_management_apis_own_host(site, elsewhere, link):
    parts = {"azure": site.box.azure_url, "azure_host": urlsplit(site.box.azure_url).netloc}
    named = link.format(elsewhere=f"localhost:{elsewhere.port}", **parts)
    site.azure.faults.add(Fault("/query", "body", body={"value": [], "nextLink": named}))
    with pytest.raises(MicrosoftError, match="another host"):
        list(ManagementApi(site.settings(), site.time.clock).indicators())
    assert elsewhere.asked == []


def test_the_secret_for_a_key_vault_goes_to_the_authority_only(tmp_path, elsewhere):
    with vault_site(tmp_path) as (box, settings):
        endpoint = f"{elsewhere.url}/t/oauth2/v2.0/token".replace("http:", "https:")
        found = {"token_endpoint": endpoint, "authorization_endpoint": endpoint, "issuer": box.azure_url}
        box.azure.faults.add(Fault(DISCOVERY, "body", body=found, times=None))
        with pytest.raises(SyncError, match="gets nothing") as caught:
            key_vault.with_secrets(settings)
    assert elsewhere.asked == []
    assert box.azure.client_secret not in str(caught.value)
