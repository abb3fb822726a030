"""Every way to sign in gets its token from the sandbox, and what is wrong with one is said before."""

from __future__ import annotations

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
import requests

from helpers.commands.check import Preflight
from helpers.errors import MicrosoftError, SettingsError
from helpers.http import PinnedHttpAdapter, session
from helpers.microsoft.client import LIMITS
from helpers.microsoft.tokens import TokenSource, credential_ends
from helpers.process.log import redact
from helpers.settings import certificates, credentials, load
from helpers.settings.environment import variable
from sandbox.azure.app import IDENTITY
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import FakeTime, Said, environ_for, misp_event
from tests.support.files.certificate_files import Pair

ROOT = Path(__file__).resolve().parents[2]
USER_ASSIGNED = "99999999-9999-4999-8999-999999999999"
FEDERATED = "federated.token.one"
APP = ("ms_auth.tenant", "ms_auth.client_id", "ms_auth.client_secret")
PASSWORD = "p@ss word ü"


@pytest.fixture(scope="module")
def pair():
    return Pair()


@pytest.fixture(scope="module")
def other_pair():
    return Pair()


@pytest.fixture
def box(pair):
    with Sandbox() as running:
        running.azure.certificates = [pair.certificate_pem.decode()]
        yield running


@pytest.fixture(autouse=True)
def no_identity_of_this_host(monkeypatch):
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_FEDERATED_TOKEN_FILE", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def environ(box, tmp_path, credential, *, without=("ms_auth.client_secret",), **more):
    """The environment of a site that signs in that way; keyword names are keys of ms_auth."""
    complete = environ_for(
        box.azure,
        MISP2SENTINEL_MISP_DOMAIN=box.misp_url,
        MISP2SENTINEL_MISP_KEY=box.misp.readonly_key,
        MISP2SENTINEL_MISP_EVENT_FILTERS='{"published": 1}',
        MISP2SENTINEL_MISP_VERIFYCERT=box.ca_file,
        MISP2SENTINEL_MS_VERIFYCERT=box.ca_file,
        MISP2SENTINEL_MS_ENDPOINTS__AUTHORITY=box.azure_url,
        MISP2SENTINEL_MS_ENDPOINTS__UPLOAD=box.azure_url,
        MISP2SENTINEL_MS_AUTH__CREDENTIAL=credential,
        MISP2SENTINEL_STATE_DIR=str(tmp_path / "state"),
    )
    variables = {key: value for key, value in complete.items() if key not in map(variable, without)}
    return variables | {variable(f"ms_auth.{name}"): str(value) for name, value in more.items()}


def settings_of(box, tmp_path, credential, **more):
    return load(Path(os.devnull), environ(box, tmp_path, credential, **more)).settings


def source(settings, time=None):
    adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, LIMITS)
    return TokenSource(settings, session(adapter, "test"), (time or FakeTime()).clock)


def problems(environ):
    with pytest.raises(SettingsError) as caught:
        load(Path(os.devnull), environ)
    return caught.value.problems


def written(tmp_path, content, name="sync.pem"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


# --- certificates ------------------------------------------------------------------------------------


def files(pair, other):
    key, certificate = pair.key_pem(), pair.certificate_pem
    return {
        "PEM": (key + certificate, ""),
        "PEM, the certificate first, with those of its issuers": (certificate + other.certificate_pem + key, ""),
        "PEM, the issuers first": (key + other.certificate_pem + certificate, ""),
        "PEM with a password": (pair.key_pem(PASSWORD.encode()) + certificate, PASSWORD),
        "PFX": (pair.pfx(), ""),
        "PFX with a password": (pair.pfx(PASSWORD.encode()), PASSWORD),
    }


@pytest.mark.parametrize("kind", files(Pair(), Pair()))
def test_a_certificate_signs_in(box, tmp_path, pair, other_pair, kind):
    content, password = files(pair, other_pair)[kind]
    keys = {"certificate_path": written(tmp_path, content)} | ({"certificate_password": password} if password else {})
    token = source(settings_of(box, tmp_path, "certificate", **keys)).token()
    assert box.azure.principal(token) == box.azure.client_id


def test_it_is_known_when_a_certificate_expires(box, tmp_path, pair):
    path = written(tmp_path, pair.key_pem() + pair.certificate_pem)
    settings = settings_of(box, tmp_path, "certificate", certificate_path=path)
    assert credential_ends(settings) == pair.certificate.not_valid_after_utc.timestamp()
    path.unlink()
    assert credential_ends(settings) == credential_ends(settings_of(box, tmp_path, "managed_identity")) == 0


def test_a_certificate_that_the_app_has_not_is_refused(box, tmp_path, other_pair):
    path = written(tmp_path, other_pair.key_pem() + other_pair.certificate_pem)
    with pytest.raises(MicrosoftError, match=r"ms_auth\['certificate_path'\] is no certificate of this app"):
        source(settings_of(box, tmp_path, "certificate", certificate_path=path)).token()


def bad_files(pair, other):
    key, certificate = pair.key_pem(), pair.certificate_pem
    curve, old, future = Pair(curve=True), Pair(begins=-9, ends=-1), Pair(begins=1)
    hidden = pair.key_pem(PASSWORD.encode()) + certificate
    path, password = "certificate_path", "certificate_password"
    return {
        "key alone": (key, "", path, "no certificate of its private key"),
        "certificate alone": (certificate, "", path, "no private key"),
        "another's certificate": (key + other.certificate_pem, "", path, "no certificate of its private key"),
        "DER certificate": (certificate_der(pair), "", path, "no private key"),
        "PFX without a key": (pair.pfx(key=False), "", path, "no private key"),
        "not RSA": (curve.key_pem() + curve.certificate_pem, "", path, "not RSA"),
        "expired": (old.key_pem() + old.certificate_pem, "", path, "has expired, on "),
        "not yet valid": (future.key_pem() + future.certificate_pem, "", path, "not valid before"),
        "neither": (b"hello", "", path, "neither a PEM nor a PFX"),
        "empty": (b"", "", path, "neither a PEM nor a PFX"),
        "damaged key": (key.replace(key[40:60], b"A" * 20) + certificate, "", path, "damaged"),
        "damaged certificate": (key + certificate.replace(certificate[40:60], b"A" * 20), "", path, "no certificate"),
        "PEM, wrong password": (hidden, "other", password, "does not open"),
        "PEM, no password": (hidden, "", password, "is needed"),
        "PEM, needless password": (key + certificate, "other", password, "take it out"),
        "PFX, wrong password": (pair.pfx(PASSWORD.encode()), "other", password, "does not open"),
        "PFX, no password": (pair.pfx(PASSWORD.encode()), "", password, "is needed"),
    }


def certificate_der(pair):
    from cryptography.hazmat.primitives.serialization import Encoding

    return pair.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", bad_files(Pair(), Pair()))
def test_a_certificate_that_cannot_be_used_is_a_problem_of_the_settings(box, tmp_path, pair, other_pair, kind):
    content, password, key, words = bad_files(pair, other_pair)[kind]
    keys = {"certificate_path": written(tmp_path, content)} | ({"certificate_password": password} if password else {})
    (problem,) = problems(environ(box, tmp_path, "certificate", **keys))
    assert problem.startswith(f"ms_auth['{key}'] (") and words in problem
    assert problem.endswith(".") and ":" in problem.partition(") ")[2]
    assert not password or password not in problem


@pytest.mark.parametrize("path", ["/no/such/file.pem", "/"])
def test_a_certificate_that_cannot_be_read_is_reported_with_the_other_problems(box, tmp_path, path):
    variables = environ(box, tmp_path, "certificate", certificate_path=path)
    reported = problems(variables | {"MISP2SENTINEL_DAYS_TO_EXPIRE": "soon"})
    assert [problem.split()[0] for problem in reported] == ["days_to_expire", "ms_auth['certificate_path']"]
    assert "cannot be read" in reported[1] and "name a file that is there" in reported[1]


def test_a_certificate_that_goes_away_after_the_settings_were_read(box, tmp_path, pair):
    path = written(tmp_path, pair.key_pem() + pair.certificate_pem)
    settings = settings_of(box, tmp_path, "certificate", certificate_path=path)
    path.unlink()
    with pytest.raises(MicrosoftError, match=r"ms_auth\['certificate_path'\] cannot be read"):
        source(settings).token()


def test_the_certificates_password_and_key_are_never_shown(box, tmp_path, pair):
    path = written(tmp_path, pair.pfx(PASSWORD.encode()))
    settings = settings_of(box, tmp_path, "certificate", certificate_path=path, certificate_password=PASSWORD)
    assert PASSWORD in settings.secret_values()
    assert PASSWORD not in repr(settings)
    assert "PRIVATE KEY" not in repr(certificates.certificate_of(settings.ms_auth))


# --- managed identities ------------------------------------------------------------------------------


class Snare(BaseHTTPRequestHandler):
    """A proxy that answers by itself, and remembers who asked for what."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(502)
        self.end_headers()

    def do_CONNECT(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def snare():
    server = HTTPServer(("127.0.0.1", 0), Snare)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def machine(box, monkeypatch):
    """This process is on a virtual machine of the sandbox."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", box.identity_url)
    box.azure.identities[USER_ASSIGNED] = USER_ASSIGNED
    return box


@pytest.fixture
def app_service(box, monkeypatch):
    """This process is in an App Service of the sandbox."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{box.identity_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", box.azure.identity_header)
    box.azure.identities[USER_ASSIGNED] = USER_ASSIGNED
    return box


@pytest.mark.parametrize("place", ["machine", "app_service"])
@pytest.mark.parametrize(("client", "principal"), [("", IDENTITY), (USER_ASSIGNED, USER_ASSIGNED)])
def test_a_managed_identity_signs_in_without_an_app(request, tmp_path, place, client, principal):
    box = request.getfixturevalue(place)
    keys = {"managed_identity_client_id": client} if client else {}
    settings = settings_of(box, tmp_path, "managed_identity", without=APP, **keys)
    assert box.azure.principal(source(settings).token()) == principal


@pytest.mark.parametrize("place", ["machine", "app_service"])
def test_an_identity_that_the_host_has_not_is_named(request, tmp_path, place):
    box = request.getfixturevalue(place)
    keys = {"managed_identity_client_id": "55555555-5555-4555-8555-555555555555"}
    settings = settings_of(box, tmp_path, "managed_identity", without=APP, **keys)
    with pytest.raises(MicrosoftError, match="This host has no such identity: assign it"):
        source(settings).token()


@pytest.mark.parametrize("variables", ["settings", "environment"])
@pytest.mark.parametrize("place", ["machine", "app_service"])
def test_the_identity_endpoint_is_asked_without_a_proxy(request, tmp_path, monkeypatch, place, snare, variables):
    box = request.getfixturevalue(place)
    proxy = f"http://127.0.0.1:{snare.server_port}"
    proxies = {"http": proxy, "https": proxy}
    variables = environ(box, tmp_path, "managed_identity", without=APP)
    if variables == "settings":
        variables["MISP2SENTINEL_MS_PROXIES"] = json.dumps(proxies)
    else:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    settings = load(Path(os.devnull), variables).settings
    assert source(settings).token()
    assert snare.asked == []
    with pytest.raises(requests.RequestException):
        session(PinnedHttpAdapter(True, proxies, LIMITS), "test").get("http://misp.example.org/").raise_for_status()
    assert snare.asked == ["http://misp.example.org/"], "the proxy itself works"


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_an_identity_endpoint_that_stumbles_is_asked_again(machine, tmp_path, status):
    machine.azure.faults.add(Fault("/metadata/", "status", status=status, body={"error": "busy"}, times=2))
    time = FakeTime()
    assert source(settings_of(machine, tmp_path, "managed_identity", without=APP), time).token()
    assert len(time.slept) == 2


def test_a_host_without_an_identity_says_so(box, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    with pytest.raises(MicrosoftError, match="This host has no managed identity") as caught:
        source(settings_of(box, tmp_path, "managed_identity", without=APP)).token()
    assert caught.value.exit_code == 4


def test_a_page_in_place_of_a_token(machine, tmp_path):
    machine.azure.faults.add(Fault("/metadata/", "html", status=200, times=None))
    with pytest.raises(MicrosoftError, match=r"no token from this host's managed identity: .*a proxy's page"):
        source(settings_of(machine, tmp_path, "managed_identity", without=APP)).token()


def test_a_token_of_an_identity_that_is_refused_is_asked_for_again(machine, tmp_path):
    tokens = source(settings_of(machine, tmp_path, "managed_identity", without=APP))
    first = tokens.token()
    assert tokens.token() == first
    tokens.refused(first)
    assert tokens.token() != first


# --- workload identities -----------------------------------------------------------------------------


def test_a_federated_token_is_read_again_for_each_request(box, tmp_path):
    path = written(tmp_path, FEDERATED.encode() + b"\n", "token")
    box.azure.federated_token = FEDERATED
    tokens = source(settings_of(box, tmp_path, "workload_identity", federated_token_file=path))
    first = tokens.token()
    assert box.azure.principal(first) == box.azure.client_id
    box.azure.federated_token = "federated.token.two"
    tokens.refused(first)
    with pytest.raises(MicrosoftError, match="gives no token"):
        tokens.token()
    path.write_text("federated.token.two")
    assert tokens.token() != first
    assert "federated.token.two" not in redact("a log with federated.token.two in it")


def test_the_file_of_the_federated_token_comes_from_where_aks_says_it(box, tmp_path):
    path = written(tmp_path, FEDERATED.encode(), "token")
    box.azure.federated_token = FEDERATED
    variables = environ(box, tmp_path, "workload_identity") | {"AZURE_FEDERATED_TOKEN_FILE": str(path)}
    settings = load(Path(os.devnull), variables).settings
    assert settings.source_of("ms_auth.federated_token_file") == "environment AZURE_FEDERATED_TOKEN_FILE"
    assert source(settings).token()
    own = {"MISP2SENTINEL_MS_AUTH__FEDERATED_TOKEN_FILE": str(path)}
    settings = load(Path(os.devnull), variables | {"AZURE_FEDERATED_TOKEN_FILE": "/no/such/token"} | own).settings
    assert settings.ms_auth.federated_token_file == path


def test_what_aks_says_does_not_matter_to_another_credential(box, tmp_path):
    variables = environ(box, tmp_path, "secret", without=()) | {"AZURE_FEDERATED_TOKEN_FILE": "/no/such/token"}
    assert load(Path(os.devnull), variables).settings.ms_auth.federated_token_file is None


def test_a_federated_token_that_is_not_there_is_a_problem_of_the_settings(box, tmp_path):
    (problem,) = problems(environ(box, tmp_path, "workload_identity", federated_token_file="/no/such/token"))
    assert problem.startswith("ms_auth['federated_token_file'] (") and "cannot be read" in problem


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff", "utf-8"), (b"half-a-token", "AADSTS50027")],
)
def test_a_federated_token_that_goes_away(box, tmp_path, content, words):
    path = written(tmp_path, FEDERATED.encode(), "token")
    settings = settings_of(box, tmp_path, "workload_identity", federated_token_file=path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MicrosoftError, match=rf"ms_auth\['federated_token_file'\].*{words}"):
        source(settings).token()


# --- what belongs to what ----------------------------------------------------------------------------


EXAMPLES = {
    "tenant": "example.org",
    "client_id": USER_ASSIGNED,
    "client_secret": "s3cr3t~value",
    "certificate_path": "/etc/misp2sentinel/sync.pem",
    "certificate_password": "pass",
    "managed_identity_client_id": USER_ASSIGNED,
    "federated_token_file": "/var/run/token",
}


def test_the_examples_have_every_key():
    assert set(EXAMPLES) == set(credentials.KEYS)


@pytest.mark.parametrize("key", [key for key in EXAMPLES if key not in ("tenant", "client_id")])
@pytest.mark.parametrize("name", credentials.CREDENTIALS)
def test_a_key_of_another_credential_is_an_error(name, key):
    credential = credentials.CREDENTIALS[name]
    wrong = dict(credentials.misplaced_keys(name, [*credential.needs, key]))
    assert set(wrong) == ({key} - {*credential.needs, *credential.may})
    for words in wrong.values():
        assert f"it is {name!r}: take it out, or choose" in words


@pytest.mark.parametrize("name", credentials.CREDENTIALS)
def test_what_a_credential_needs_is_asked_for_by_name(name):
    needed = [f"ms_auth['{key}']" for key in credentials.CREDENTIALS[name].needs]
    reported = problems({"MISP2SENTINEL_MS_AUTH__CREDENTIAL": name})
    missing = [problem.split()[0] for problem in reported]
    assert sorted(missing) == sorted([*needed, "misp_domain", "misp_key", "ms_auth['workspace_id']"])
    plain = [name.replace("['", ".").replace("']", "") for name in missing]
    assert all(variable(name) in problem for name, problem in zip(plain, reported, strict=True))


def test_keys_of_another_credential_are_reported_with_where_they_came_from(box, tmp_path):
    variables = environ(box, tmp_path, "managed_identity", without=(), certificate_path="/etc/sync.pem")
    reported = problems(variables)
    assert [problem.partition(" belongs")[0] for problem in reported] == [
        "ms_auth['client_secret'] (environment MISP2SENTINEL_MS_AUTH__CLIENT_SECRET)",
        "ms_auth['certificate_path'] (environment MISP2SENTINEL_MS_AUTH__CERTIFICATE_PATH)",
    ]


def test_an_unknown_credential_is_one_problem(box, tmp_path):
    (problem,) = problems(environ(box, tmp_path, "password", certificate_path="/etc/sync.pem"))
    assert problem.startswith("ms_auth['credential'] (") and "'workload_identity'" in problem


@pytest.mark.parametrize("name", [name for name in credentials.CREDENTIALS if name != "secret"])
def test_placeholders_count_for_the_chosen_credential_only(name):
    """config.py as it is shipped, with another credential: what that one does not need may stay."""
    reported = problems_of_shipped({"MISP2SENTINEL_MS_AUTH__CREDENTIAL": name})
    needs = {f"ms_auth['{key}']" for key in credentials.CREDENTIALS[name].needs}
    assert {problem.split()[0] for problem in reported} == {
        *needs,
        "misp_domain",
        "misp_key",
        "ms_auth['workspace_id']",
    }


def problems_of_shipped(environ):
    with pytest.raises(SettingsError) as caught:
        load(ROOT / "config.py", environ)
    return caught.value.problems


@pytest.mark.parametrize(
    ("key", "value", "credential", "words"),
    [
        ("certificate_path", "sync.pem", "certificate", "absolute"),
        ("federated_token_file", "token", "workload_identity", "absolute"),
        ("managed_identity_client_id", "sync", "managed_identity", "GUID"),
    ],
)
def test_values_that_cannot_be(box, tmp_path, key, value, credential, words):
    (problem,) = problems(environ(box, tmp_path, credential, **{key: value}))
    assert problem.startswith(f"ms_auth['{key}'] (") and words in problem


def test_offline_asks_for_no_credential_and_opens_no_file(tmp_path):
    variables = {
        "MISP2SENTINEL_MS_AUTH__CREDENTIAL": "certificate",
        "MISP2SENTINEL_MS_AUTH__CERTIFICATE_PATH": "/no/such/file.pem",
        "MISP2SENTINEL_MS_AUTH__CERTIFICATE_PASSWORD_FILE": str(tmp_path / "gone"),
        "MISP2SENTINEL_MISP_KEY": "@Microsoft.KeyVault(SecretUri=https://soc.vault.azure.net/secrets/x/)",
    }
    assert load(Path(os.devnull), variables, offline=True).settings.ms_auth.credential == "certificate"


# --- check -------------------------------------------------------------------------------------------


def checked(settings):
    lines = Said()
    code = Preflight(settings, lines.say, verbose=True).run()
    number = next(number for number, line in enumerate(lines) if "Microsoft token" in line)
    return code, "\n".join(lines[number : number + 2]), lines


def test_check_names_the_credential_and_where_it_was_set(machine, tmp_path, pair):
    machine.misp.load([misp_event(1, [("domain", "bad.example.org")])])
    path = written(tmp_path, pair.key_pem() + pair.certificate_pem)
    token = written(tmp_path, FEDERATED.encode(), "token")
    machine.azure.federated_token = FEDERATED
    more = {
        "certificate": ({"certificate_path": path}, f"certificate {path}"),
        "managed_identity": ({}, "managed identity, system-assigned"),
        "workload_identity": ({"federated_token_file": token}, f"workload identity, token in {token}"),
    }
    for name, (keys, words) in more.items():
        code, line, lines = checked(settings_of(machine, tmp_path, name, **keys))
        assert (code, line[:4]) == (0, "ok  "), lines
        assert words in line and "ms_auth['credential'] from environment" in line
        assert "client_secret" not in line
    code, line, lines = checked(settings_of(machine, tmp_path, "secret", without=()))
    assert "client secret" in line and "ms_auth['client_secret'] from" in line


def test_check_says_what_a_managed_identity_lacks(box, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", box.identity_url)
    box.azure.identities.clear()
    code, line, _ = checked(settings_of(box, tmp_path, "managed_identity", without=APP))
    assert line.startswith("FAIL") and "This host has no such identity" in line
    assert code in (2, 4)


# --- the sandbox's own refusals ----------------------------------------------------------------------


class Signer:
    """Makes assertions as a client would, with one thing wrong."""

    def __init__(self, box, pair):
        self.box, self.pair = box, pair

    def ask(self, *, header=None, algorithm="PS256", kind=None, **claims):
        import base64

        from cryptography.hazmat.primitives import hashes

        url = f"{self.box.azure_url}/{self.box.azure.tenant}/oauth2/v2.0/token"
        client = self.box.azure.client_id
        claims = {"aud": url, "iss": client, "sub": client, "exp": int(time.time()) + 600, **claims}
        print_ = base64.urlsafe_b64encode(self.pair.certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
        headers = {"x5t#S256": print_} if header is None else header
        form = {
            "client_id": client,
            "client_assertion": jwt.encode(claims, self.pair.key, algorithm=algorithm, headers=headers),
            "client_assertion_type": kind or "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "grant_type": "client_credentials",
            "scope": "https://management.azure.com/.default",
        }
        return requests.post(url, data=form, verify=self.box.ca_file, timeout=10)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"aud": "https://login.example.org/"}, 700023),
        ({"exp": 1_000_000}, 700024),
        ({"iss": "somebody"}, 700021),
        ({"sub": "somebody"}, 700021),
        ({"header": {}}, 70021),
        ({"header": {"x5t#S256": "AAAA"}}, 700027),
        ({"algorithm": "RS256"}, 700027),
        ({"kind": "urn:other"}, 50027),
    ],
)
def test_the_sandbox_verifies_assertions(box, pair, changes, code):
    answer = Signer(box, pair).ask(**changes)
    assert answer.json().get("error_codes") == (None if code is None else [code])


def test_the_sandbox_verifies_signatures(box, pair, other_pair):
    signer = Signer(box, pair)
    genuine, signer.pair = signer.pair, other_pair
    forged = {"certificate": genuine.certificate, "key": other_pair.key}
    signer.pair = type("Forged", (), forged)
    assert signer.ask().json()["error_codes"] == [700027]


@pytest.mark.parametrize("headers", [{}, {"Metadata": "true", "X-Forwarded-For": "192.0.2.1"}])
def test_the_sandboxs_metadata_service_wants_its_header_and_no_proxy(box, headers):
    where = f"{box.identity_url}/metadata/identity/oauth2/token?resource=https://management.azure.com"
    answer = requests.get(where, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("metadata/identity/oauth2/token", {"Metadata": "true"}, 400),
        ("msi/token", {"X-IDENTITY-HEADER": "wrong"}, 401),
        ("msi/token", {"X-IDENTITY-HEADER": "sandbox-identity-header"}, 500),
    ],
)
def test_the_sandboxs_identities_refuse_resources_and_callers_that_they_do_not_know(box, path, headers, status):
    where = f"{box.identity_url}/{path}?resource=https://other.example.org"
    assert requests.get(where, headers=headers, timeout=10).status_code == status


# --- which id is which -------------------------------------------------------------------------------


def test_exchanged_ids_of_tenant_and_app_are_asked_for(box, tmp_path):
    names = {"tenant": box.azure.client_id, "client_id": box.azure.tenant, "client_secret": box.azure.client_secret}
    with pytest.raises(MicrosoftError) as caught:
        source(settings_of(box, tmp_path, "secret", **names)).token()
    assert "is not a tenant that this authority knows" in str(caught.value)
    assert "Are ms_auth['tenant'] and ms_auth['client_id'] swapped? (login: " in str(caught.value)


def test_a_domain_name_that_is_no_tenant_is_not_taken_for_the_apps_id(box, tmp_path):
    names = {"tenant": "example.org", "client_id": box.azure.client_id, "client_secret": box.azure.client_secret}
    with pytest.raises(MicrosoftError) as caught:
        source(settings_of(box, tmp_path, "secret", **names)).token()
    assert "is not a tenant that this authority knows" in str(caught.value) and "swapped" not in str(caught.value)
