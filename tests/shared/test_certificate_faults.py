"""A certificate that is not taken is told as what is wrong with it, with the names that it is for."""

from __future__ import annotations

import json
import ssl
from itertools import count

import pytest
import requests

from helpers.commands.check import Preflight
from helpers.commands.collect import collect
from helpers.errors import MicrosoftError, MispRefused
from helpers.http import ProxyFailed, certificate_words, found_in
from helpers.http.certificate_faults import CertificateOfAnotherName
from helpers.microsoft import MicrosoftClient
from tests.shared.test_answers import get
from tests.support import Said
from tests.support.connect_proxy import ConnectProxy, SocksProxy
from tests.support.files.certificate_files import Signer
from tests.support.story_site import StorySite
from tests.support.tls_site import TlsSite, sandbox
from tests.support.wire_server import WireServer, answer

NAMES = ("misp.example.org", "*.soc.example.org")
LISTED = "misp.example.org, *.soc.example.org"
FAULTS = {
    "another name": (NAMES, {}, "the certificate is for {listed} and not for the name in {address} (localhost): write"),
    "no subjectAltName": ((), {}, "the certificate has no subjectAltName, without which it is for no host"),
    "expired": (("localhost",), {"begins": -9, "ends": -2}, "the certificate, or one of its CAs', has expired"),
    "not yet valid": (("localhost",), {"begins": 2}, "the certificate is not valid yet: is this host's clock right"),
    "signed by itself": (("localhost",), {"signs_itself": True}, "the certificate is signed by itself and not trusted"),
    "weak": (("localhost",), {"bits": 1024}, "the certificate's key, or its CA's, is too weak"),
}
UNTRUSTED = "the certificate is not trusted ({verify} can name a CA bundle"


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def box():
    running, time = sandbox()
    with running:
        yield running, time


@pytest.fixture
def site(box, tmp_path):
    return TlsSite(*box, tmp_path)


def server_with(signer, name):
    names, options, words = FAULTS[name]
    return WireServer(lambda _: answer(), signer.server(*names, **options)), words


@pytest.mark.parametrize("name", FAULTS)
def test_misp_s_certificate_is_told_as_what_it_is(site, signer, name):
    server, words = server_with(signer, name)
    with server:
        changes = {"MISP_DOMAIN": server.url, "MISP_VERIFYCERT": str(signer.file)}
        report = site.run(**changes)
        lines = Said()
        assert Preflight(site.settings(**changes), lines.say).run() == 3
    told = words.format(listed=LISTED, address="misp_domain")
    assert report.exit_code == 3 and report.misp_error.startswith(told), report.misp_error
    assert "OpenSSL's words: " in report.misp_error
    assert ("CA bundle" in report.misp_error) is False
    assert [line for line in lines if line.startswith("FAIL MISP login") and told in line]
    assert server.asked == [], "nothing is sent to whom the certificate is not of"


def test_a_ca_that_nobody_knows_is_told_as_that(site, signer):
    with WireServer(lambda _: answer(), signer.server("localhost")) as server:
        report = site.run(MISP_DOMAIN=server.url, MISP_VERIFYCERT="true")
    assert report.misp_error.startswith(UNTRUSTED.format(verify="misp_verifycert"))


@pytest.mark.parametrize("name", FAULTS)
def test_the_login_s_certificate_is_told_as_what_it_is(site, signer, name):
    server, words = server_with(signer, name)
    with server:
        settings = site.settings(MS_ENDPOINTS__AUTHORITY=server.url, MS_VERIFYCERT=str(signer.file))
        with pytest.raises(MicrosoftError) as caught:
            MicrosoftClient(settings, site.time.clock).get_token()
    told = words.format(listed=LISTED, address="").partition(" is ")[0]
    of_another_name = f"the certificate is not for localhost but for {LISTED if FAULTS[name][0] else 'another name'}"
    assert (of_another_name if "name" in name or "Name" in name else told) in str(caught.value)
    assert "ms_endpoints['authority']" not in str(caught.value) or "firewall" not in str(caught.value)
    assert server.asked == []


def test_an_inspecting_proxy_s_ca_is_asked_for_by_its_setting(site, signer):
    with WireServer(lambda _: answer(), signer.server("localhost")) as server:
        settings = site.settings(MS_ENDPOINTS__AUTHORITY=server.url)
        with pytest.raises(MicrosoftError, match="ms_verifycert can name a CA bundle of the proxy that inspects TLS"):
            MicrosoftClient(settings, site.time.clock).get_token()
    assert site.time.slept == [], "what will not pass is asked once"


def test_an_upload_to_another_name_is_not_repeated(site, signer):
    with WireServer(lambda _: answer(), signer.server(*NAMES)) as server:
        settings = site.settings(MS_VERIFYCERT=str(signer.file))
        sent = MicrosoftClient(settings, site.time.clock).send("POST", server.url, "t0ken", b"{}")
    assert (sent.status, sent.may_pass) == (0, False)
    assert f"not for localhost but for {LISTED}: something in between answers" in sent.text
    assert server.asked == []


def test_the_stories_misp_s_certificate_is_told_with_its_settings(tmp_path, signer):
    server, words = server_with(signer, "another name")
    with server:
        settings = StorySite(tmp_path).settings(URL=server.url, SSL_CHECK=str(signer.file))
        with pytest.raises(MispRefused) as caught:
            collect(settings, None, print)
    assert str(caught.value).startswith(words.format(listed=LISTED, address='misp_stories["url"]'))


@pytest.mark.parametrize("through", ["HTTP", "SOCKS"])
def test_names_are_read_through_a_proxy_too(site, signer, through):
    server, words = server_with(signer, "another name")
    proxies = {"HTTP": lambda: ConnectProxy(server.port), "SOCKS": SocksProxy}
    with server, proxies[through]() as proxy:
        address = proxy.url if through == "HTTP" else proxy.url()
        changes = {"MISP_PROXIES": json.dumps({"https": address}), "MISP_VERIFYCERT": str(signer.file)}
        report = site.run(MISP_DOMAIN=server.url, **changes)
    assert report.misp_error.startswith(words.format(listed=LISTED, address="misp_domain"))
    assert server.asked == []


def test_names_that_could_not_be_read_are_left_out(site, signer):
    """The server takes one connection and then no more."""
    server, _ = server_with(signer, "another name")
    with server:
        taken, connections = server.finish_request, count()
        server.finish_request = lambda request, *more: request.close() if next(connections) else taken(request, *more)
        report = site.run(MISP_DOMAIN=server.url, MISP_VERIFYCERT=str(signer.file))
    assert next(connections) == 2
    assert report.misp_error.startswith("the certificate is not for the name in misp_domain (localhost): write a name")


def test_the_certificate_of_the_proxy_itself_is_the_proxy_s(signer):
    with WireServer(lambda _: answer(), signer.server(*NAMES)) as proxy, pytest.raises(ProxyFailed) as caught:
        get("https://misp.example.org", verify=str(signer.file), proxies={"https": proxy.url})
    assert certificate_words(caught.value, "misp_verifycert", "misp_domain") == ""
    assert proxy.url in str(caught.value)


def test_a_check_for_the_name_stays_after_a_look_at_the_names(site, signer):
    """The next connection of the same session is refused again."""
    server, _ = server_with(signer, "another name")
    with server:
        settings = site.settings(MS_VERIFYCERT=str(signer.file))
        client = MicrosoftClient(settings, site.time.clock)
        assert [client.send("POST", server.url, "t0ken", b"{}").status for _ in range(3)] == [0, 0, 0]
    assert server.asked == []


# -- what connections share ---------------------------------------------------------------------------


@pytest.fixture
def bundles_read(monkeypatch):
    """The CA bundles that were read, one entry for each time."""
    read, load = [], ssl.SSLContext.load_verify_locations

    def note(context, bundle=None, *others):
        read.append(bundle)
        load(context, bundle, *others)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    return read


def test_a_bundle_is_read_once_for_all_connections(tmp_path, bundles_read):
    signer = Signer(tmp_path)
    with WireServer(lambda _: answer(), signer.server("localhost")) as server:
        for _ in range(3):
            assert get(server.url, verify=str(signer.file)).content == b"{}"
    assert bundles_read == [str(signer.file)]


def test_a_bundle_that_has_changed_is_read_again(tmp_path):
    signer = Signer(tmp_path)
    with WireServer(lambda _: answer(), signer.server("localhost")) as server:
        assert get(server.url, verify=str(signer.file)).content == b"{}"
        Signer(tmp_path)  # another CA in the same file
        with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed"):
            get(server.url, verify=str(signer.file))


def test_whoever_looked_at_another_name_s_certificate_does_not_take_it_then(signer):
    server, _ = server_with(signer, "another name")
    with server:
        for _ in range(2):
            with pytest.raises(requests.exceptions.SSLError) as caught:
                get(server.url, verify=str(signer.file))
            assert found_in(caught.value, CertificateOfAnotherName).names == NAMES
        assert get(server.url, verify=False).content == b"{}"
        with pytest.raises(requests.exceptions.SSLError):
            get(server.url, verify=str(signer.file))
    assert len(server.asked) == 1


def test_a_bundle_without_certificates_is_told(tmp_path, signer):
    empty = tmp_path / "empty.pem"
    empty.touch()
    with (
        WireServer(lambda _: answer(), signer.server("localhost")) as server,
        pytest.raises(requests.exceptions.SSLError, match="NO_CERTIFICATE"),
    ):
        get(server.url, verify=str(empty))


def test_a_proxy_over_tls_is_checked_by_the_same_bundle(signer):
    with WireServer(lambda _: answer(403), signer.server("localhost")) as proxy, pytest.raises(ProxyFailed):
        get("https://misp.example.org/", verify=str(signer.file), proxies={"https": proxy.url})
    assert [asked.method for asked in proxy.asked] == ["CONNECT"]
