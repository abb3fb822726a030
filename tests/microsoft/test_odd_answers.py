"""Microsoft's words as they are kept, and answers with absurd numbers in them: faults of the neighbour, never ours."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from time import process_time

import pytest

from helpers.errors import MicrosoftError, SyncError
from helpers.microsoft import ManagementApi, MicrosoftClient, key_vault, tokens
from helpers.microsoft.batch import Batch, OutgoingObject
from helpers.microsoft.graph_responses import Operation, interpret_items
from helpers.microsoft.responses import Answer, NextStep, interpret, own_words
from helpers.settings import load
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.tls_site import TlsSite
from tests.support.tls_site import sandbox as sandbox_with_clock
from tests.support.vault_site import vault_site

HOSTILE = "no\x1b[2J\r\n2026-01-01 INFO all well\x00\ud800" + "x" * 1_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def site(tmp_path):
    box, time = sandbox_with_clock()
    with box:
        yield TlsSite(box, time, tmp_path)


def kept(site):
    """The words that the ledger has about objects."""
    with closing(sqlite3.connect(site.state / "ledger.sqlite")) as database:
        return [words for (words,) in database.execute("SELECT words FROM objects") if words]


def is_fit_to_keep(words):
    """500 characters of Microsoft's, after some of ours."""
    return words.isprintable() and len(words) <= 600


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["errorMessages", "validationErrorMessages"])
def test_words_about_an_object_are_cut_before_they_are_kept(site, key):
    site.misp.load([misp_event(1, hosts(1))])
    errors = [{"recordIndex": 0, key: [HOSTILE, HOSTILE]}] * 3
    site.azure.faults.add(Fault(":upload", "body", body={"errors": errors}))
    report = site.run()
    (words,) = kept(site)
    assert words.startswith("no\\x1b[2J 2026-01-01 INFO all well\\x00\\ud800xxx")
    assert is_fit_to_keep(words)
    assert all(len(rejection) < 700 and rejection.isprintable() for rejection in map(str, report.rejections))
    assert len(json.dumps(report.as_json())) < 5000


@pytest.mark.parametrize("body", [HOSTILE, {"message": HOSTILE}, {"error": {"code": HOSTILE, "message": HOSTILE}}])
@pytest.mark.parametrize("status", [200, 302, 400, 403, 418, 429, 500])
def test_words_of_an_answer_are_cut_whatever_its_form(status, body):
    text = body if isinstance(body, str) else json.dumps(body)
    assert is_fit_to_keep(interpret(Answer(status, text), 2, NOW).words)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (
            "<!DOCTYPE html>\n<HTML><head><Title>\n Gateway &amp; filter </title></head>...",
            "a web page: Gateway & filter",
        ),
        ("<title>\x1b[2J</title>", "a web page: \\x1b[2J"),
        ("<title></title><p>no", "<title></title><p>no"),
        ("see <title>x</title>", "see <title>x</title>"),
    ],
)
def test_of_a_proxys_page_the_title_is_told_and_no_markup(page, words):
    assert interpret(Answer(503, page), 1, NOW).words == f"503 {words}"


def test_words_about_an_item_of_graphs_are_cut():
    item = {"error": {"code": HOSTILE, "message": HOSTILE, "subCode": HOSTILE}}
    verdict = interpret_items(Answer(206, json.dumps({"value": [item]})), batch(1))
    assert is_fit_to_keep(verdict.rejected[0])


def test_words_of_a_login_and_a_vault_are_cut(site):
    body = {"error": HOSTILE, "error_description": HOSTILE}
    site.azure.faults.add(Fault("oauth2/v2.0/token", "status", 400, body=body, times=None))
    with pytest.raises(MicrosoftError) as caught:
        MicrosoftClient(site.settings(), site.time.clock).get_token()
    assert len(str(caught.value)) < 900 and str(caught.value).isprintable()


@pytest.mark.parametrize("piece", [" ", "x", "\x1b", "a b ", "\ud800"])
def test_words_cost_no_more_than_what_is_kept_of_them(piece):
    text = piece * (16 * 2**20 // len(piece))
    begin = process_time()
    for _ in range(20):
        own_words(text)
    assert process_time() - begin < 0.5


def test_many_words_about_one_object_cost_no_more_than_their_length():
    errors = [{"recordIndex": 0, "errorMessages": ["x" * 400]}] * 30_000
    begin = process_time()
    verdict = interpret(Answer(200, json.dumps({"errors": errors})), 1, NOW)
    assert process_time() - begin < 5 and is_fit_to_keep(verdict.rejected[0])


# --- tokens ------------------------------------------------------------------------------------------

TOKENS = {
    "a time without an end": {"expires_in": "1e999"},
    "a time that JSON cannot have": {"expires_in": float("inf")},
    "a time that is no number": {"expires_in": float("nan")},
    "a time in the past": {"expires_in": -1},
    "a time of ages": {"expires_in": 10**30},
    "a time of more digits than Python reads": '{"access_token": "abc", "expires_in": ' + "9" * 5000 + "}",
    "a list for a time": {"expires_in": [3600]},
    "an object for a time": {"expires_in": {"a": 1}},
    "words for a time": {"expires_in": "soon"},
    "a number for a token": {"access_token": 5},
    "a list for a token": {"access_token": ["abc"]},
    "a token on two lines": {"access_token": "abc\r\nX-Evil: 1"},
    "a token that is no header": {"access_token": "äöü"},
    "a token of a million characters": {"access_token": "a" * 1_000_000},
    "a time to refresh that is none": {"refresh_in": "soon", "expires_in": "soon"},
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("credential", ["secret", "managed_identity"])
def test_an_answer_with_absurd_numbers_is_no_token(site, monkeypatch, name, credential):
    odd = TOKENS[name]
    body = odd if isinstance(odd, str) else {"access_token": "abc", "expires_in": 3600, "token_type": "Bearer", **odd}
    path = "oauth2/v2.0/token" if credential == "secret" else "/metadata/identity"
    site.azure.faults.add(Fault(path, "body", body=body, times=None))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", site.box.identity_url)
    if credential == "secret":
        settings = site.settings()
    else:
        environ = site.environ(MS_AUTH__CREDENTIAL=credential)
        taken = {f"MISP2SENTINEL_MS_AUTH__{name}" for name in ("CLIENT_SECRET", "CLIENT_ID", "TENANT")}
        settings = load(site.config, {name: value for name, value in environ.items() if name not in taken}).settings
    with pytest.raises(MicrosoftError) as caught:
        MicrosoftClient(settings, site.time.clock).get_token()
    assert caught.value.exit_code == 4
    assert "oken" in str(caught.value) and len(str(caught.value)) < 900
    assert sum(site.time.slept) < 120


@pytest.mark.parametrize("expires_in", [3600, "3600", 86_400, 0])
def test_a_token_as_they_are_is_one(expires_in):
    assert tokens._lifetime({"expires_in": expires_in}) == float(expires_in)
    assert tokens._lifetime({}) == 0
    assert tokens._is_token("a" * 20_000)


# --- numbers and forms elsewhere ---------------------------------------------------------------------


def batch(count, operation=Operation.SUBMIT):
    return Batch([OutgoingObject(f"indicator--{n}", "[a]", b"{}") for n in range(count)], operation)


@pytest.mark.parametrize("code", ["9" * 5000, "²", "5²0", "٥٠٠", "1e400", [], {}, None, True, -1])
def test_an_odd_code_of_graphs_is_a_refusal(code):
    item = {"error": {"code": code, "message": "no"}}
    verdict = interpret_items(Answer(206, json.dumps({"value": [item]})), batch(1))
    assert verdict.next_step is NextStep.SETTLED and list(verdict.rejected) == [0]


@pytest.mark.parametrize("id_", ["x" * 1_000_000, "a b", "\ud800", "a\nb", "", None, [], {"a": 1}])
def test_an_odd_id_of_graphs_is_not_kept(id_):
    item = {"id": id_, "externalId": ""}
    assert interpret_items(Answer(200, json.dumps({"value": [item]})), batch(1)).remote_ids == {}


@pytest.mark.parametrize("id_", ["e58c072b-c9bb-a5c4-34ce-eb69af44fb1e", 17])
def test_an_id_of_graphs_is_kept(id_):
    answer = Answer(200, json.dumps({"value": [{"id": id_}]}))
    assert interpret_items(answer, batch(1)).remote_ids == {0: str(id_)}


BODIES = [
    "9" * 5000,
    '{"errors": ' + "9" * 5000 + "}",
    "[" * 100_000,
    '{"a":' * 100_000,
    "NaN",
    '{"errors": NaN}',
    '{"errors": [{"recordIndex": 1e400}]}',
    '{"errors": [{"recordIndex": ' + "9" * 4000 + "}]}",
    '{"errors": [{"recordIndex": -1}]}',
    '{"errors": [[]]}',
    '"\\ud800"',
    '{"message": "\\ud800"}',
    '{"value": 1e999}',
    '{"value": [1, null, [], {"id": {}}]}',
    "\x00",
    "",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("graph", ["true", "false"])
def test_no_body_of_an_upload_is_a_fault_of_ours(site, graph, body):
    site.misp.load([misp_event(1, hosts(3))])
    site.azure.faults.add(Fault(":upload", "body", body=body))
    site.azure.faults.add(Fault("tiIndicators", "body", body=body))
    report = site.run(MS_AUTH__GRAPH_API=graph, MS_ENDPOINTS__GRAPH=f"{site.box.azure_url}/beta")
    assert report.exit_code in (0, 1, 4) and not report.faults
    assert "uploading stopped" not in report.given_up and "could not be kept" not in report.given_up


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_no_body_of_the_management_api_is_a_fault_of_ours(site, body):
    site.azure.faults.add(Fault("/query", "body", body=body, times=None))
    with pytest.raises(MicrosoftError):
        list(ManagementApi(site.settings(), site.time.clock).indicators())


WAITS = ["9" * 5000, "1e400", "nan", "inf", "-1", "1e308", "²", "Mon, 01 Jan 99999 00:00:00 GMT", " ", ","]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_no_wait_that_is_asked_for_is_without_a_bound(site, status, wait):
    site.misp.load([misp_event(1, hosts(3))])
    site.azure.faults.add(Fault(":upload", "status", status, headers={"Retry-After": wait}))
    report = site.run()
    assert report.exit_code in (0, 1, 4) and not report.faults
    assert sum(site.time.slept) < 1000


@pytest.fixture
def vault(tmp_path):
    with vault_site(tmp_path) as site:
        yield site


OF_A_VAULT = [
    {"value": 5},
    {"value": ["a"]},
    {"value": None},
    {"value": "a\nb"},
    {"value": "x", "attributes": "y"},
    {"value": "x", "attributes": {"exp": 10**30, "created": "soon"}},
    {"value": "x", "id": 7},
    [],
    "[" * 100_000,
    "9" * 5000,
    "NaN",
    "",
]


@pytest.mark.parametrize("body", OF_A_VAULT, ids=range(len(OF_A_VAULT)))
def test_no_answer_of_a_vault_is_a_fault_of_ours(vault, body):
    box, settings = vault
    box.azure.faults.add(Fault("/secrets", "body", body=body, times=None))
    try:
        assert isinstance(key_vault.with_secrets(settings).misp_key.get_secret_value(), str)
    except SyncError as error:
        assert error.exit_code in (2, 4) and len(str(error)) < 900


@pytest.mark.parametrize("wait", ["100000", "1e400", "nan", "-1"])
def test_a_vault_is_not_waited_for_as_long_as_it_likes(vault, monkeypatch, wait):
    box, settings = vault
    slept = []
    monkeypatch.setattr("helpers.process.interrupts.sleep", slept.append)
    box.azure.faults.add(Fault("/secrets", "status", 429, headers={"Retry-After": wait}, times=None))
    with pytest.raises(MicrosoftError):
        key_vault.with_secrets(settings)
    assert not [seconds for seconds in slept if seconds > 60]
