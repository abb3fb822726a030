"""Every fault at the seam to Microsoft: each object has one outcome, and the upload ends."""

import json
import logging
import re
from collections import deque
from datetime import UTC, datetime

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import MicrosoftError
from helpers.http import asked_for_in_words
from helpers.indicators.dates import stix_time
from helpers.ledger import ObjectRecord, packed
from helpers.microsoft import batch
from helpers.microsoft.api import api_for, principal_of
from helpers.microsoft.batch import Batch, OutcomeState, OutgoingObject, SharedTexts
from helpers.microsoft.batch_sender import BatchSender
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.rate_limit import Clock, RateLimiters
from helpers.microsoft.request_manager import RequestManager
from helpers.microsoft.responses import Answer, NextStep, interpret
from helpers.sync.report import Report
from sandbox.faults import Fault
from tests.support import AUTHORITY, FakeTime, azure_in_process, indicator, settings_for

UPLOAD_PATH = "threat-intelligence-stix-objects:upload"
TOKEN_PATH = "oauth2/v2.0/token"
DISCOVERY_PATH = "openid-configuration"


class Outbox:
    """An outbox in memory."""

    def __init__(self, indicators):
        self.objects = deque(
            OutgoingObject(sent["id"], str(sent["pattern"]), json.dumps(sent).encode()) for sent in indicators
        )
        self.outcomes = []
        self.errors = []

    def dequeue(self, most, *, in_flight):
        return [self.objects.popleft() for _ in range(min(most, len(self.objects)))]

    def settle(self, outcomes):
        self.outcomes += outcomes

    def note_answer(self, answer, *, success):
        if not success:
            self.errors.append(answer)


class Upload:
    """An upload into the sandbox's Azure in this process, by a clock that the test moves."""

    def __init__(self, tmp_path, workers=1, **environ):
        self.time = FakeTime()
        self.azure, self.adapter, self.http = azure_in_process(self.time)
        self.settings = settings_for(self.azure, tmp_path, **environ)
        self.workers = workers
        self.rate_limiters = RateLimiters(self.time.clock)
        self.client = MicrosoftClient(self.settings, self.time.clock, self.http)

    def fault(self, kind, path=UPLOAD_PATH, **more):
        self.azure.faults.add(Fault(path, kind, **more))
        return self

    def send(self, indicators):
        self.sent = list(indicators)
        self.outbox = Outbox(self.sent)
        api = api_for(self.settings)
        self.manager = RequestManager(api, self.client, self.outbox, self.rate_limiters, workers=self.workers)
        self.manager.start()
        self.manager.enqueue(len(self.sent))
        self.manager.finish()
        return self

    @property
    def sender(self):
        return BatchSender(api_for(self.settings), self.client, self.rate_limiters)

    @property
    def outcomes(self):
        return self.outbox.outcomes

    def ids(self, state):
        return [outcome.object.id for outcome in self.outcomes if outcome.state is state]

    @property
    def exit_code(self):
        report = Report()
        report.settle(self.outcomes)
        report.given_up = self.manager.given_up
        return report.exit_code

    def check(self):
        """No object is unaccounted for, and what is called accepted is in the workspace."""
        assert sorted(o.object.id for o in self.outcomes) == sorted(sent["id"] for sent in self.sent)
        assert set(self.ids(OutcomeState.ACCEPTED)) <= set(self.azure.live())
        return self


@pytest.fixture
def upload(tmp_path):
    return lambda **more: Upload(tmp_path, **more)


THROTTLED = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 7 seconds."}
THROTTLED_WITHOUT_NUMBER = {"statusCode": 429, "message": "Rate limit is exceeded."}


@pytest.mark.parametrize("body", [THROTTLED, THROTTLED_WITHOUT_NUMBER, "slow down", ""])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_429_costs_time_and_nothing_else(upload, body, batch):
    done = upload().fault("status", status=429, body=body, after=batch).send(map(indicator, range(250))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 250
    assert done.exit_code == 0
    assert done.manager.requests == 4


@pytest.mark.parametrize(
    ("count", "then", "wants"),
    [
        (300, None, True),
        (300, RequestManager.abandon, False),
        (99, None, False),
        (99, RequestManager.no_more, True),
        (300, RequestManager.finish, False),
    ],
)
def test_those_that_share_the_limit_know_whether_there_is_a_batch_to_send(upload, count, then, wants):
    start = upload()
    outbox = Outbox(map(indicator, range(count)))
    manager = RequestManager(api_for(start.settings), start.client, outbox, start.rate_limiters)  # it has not started
    manager.enqueue(count)
    if then:
        then(manager)
    limiter = start.rate_limiters.limiter_for(principal_of(api_for(start.settings)), 100, lambda _words, _seconds: None)
    assert bool(limiter._wanting) is wants


def test_429_waits_as_the_text_says(upload):
    done = upload().fault("status", status=429, body=THROTTLED).send([indicator(1)])
    assert sum(done.time.slept) == pytest.approx(7)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit is exceeded. Try again in 1 minute(s).", 60),
        ("Rate limit is exceeded. Try again in 1 minute", 60),
        ("Try again in 2 minutes", 120),
        ("Try again in 1 minute and 30 seconds.", 90),
        ("Please retry after '17' sec", 17),
        ("try again in a minute.", 60),
        ("Try again in 0.5 minutes.", 30),
    ],
)
def test_429_waits_as_the_text_says_in_whatever_unit(upload, words, seconds):
    body = {"statusCode": 429, "message": words}
    done = upload().fault("status", status=429, body=body).send([indicator(1)]).check()
    assert done.exit_code == 0
    assert sum(done.time.slept) == pytest.approx(seconds)


@pytest.mark.parametrize("words", ["Try again in 1 hour.", "Try again in 2 days", f"Try again in {'9' * 9} seconds"])
def test_words_that_ask_for_longer_than_a_run_waits_leave_the_batch_pending(upload, words):
    done = upload().fault("status", status=429, body={"message": words}).send([indicator(1)]).check()
    assert (done.exit_code, done.time.slept) == (4, [])


@pytest.mark.parametrize("words", ["Try again later.", "try again in a moment", "try again in 5 months", "retry in s"])
def test_words_without_a_time_name_none(words):
    assert asked_for_in_words(words) is None


def test_words_are_read_in_a_time_that_grows_with_their_length_alone():
    words = ("try again in ", "1 minute ", "9", " ", "try again in 1 minute and ")
    assert [asked_for_in_words(f"try again in {word * 200_000}") for word in words] == [None, 120, None, None, 60]


@pytest.mark.parametrize(
    ("headers", "body", "slept"),
    [
        ({"Retry-After": "45"}, "", 45),
        ({}, "Rate limit is exceeded. Try again in 1 minute(s)", 60),
        ({"Retry-After": "3"}, "Try again in 1 minute", 3),
    ],
)
def test_a_token_service_that_asks_to_wait_is_given_that_time(upload, headers, body, slept):
    done = upload().fault("status", TOKEN_PATH, status=429, headers=headers, body=body).send([indicator(1)]).check()
    assert done.exit_code == 0
    assert done.time.slept == [slept]


def test_a_token_service_that_asks_for_too_long_is_not_waited_for(upload):
    start = upload().fault("status", TOKEN_PATH, status=429, headers={"Retry-After": "121"}, times=None)
    done = start.send([indicator(1)]).check()
    assert (done.exit_code, done.time.slept) == (4, [])


def test_retry_after_comes_before_the_text(upload):
    done = upload().fault("status", status=429, body=THROTTLED, headers={"Retry-After": "11"}).send([indicator(1)])
    assert done.check().exit_code == 0
    assert sum(done.time.slept) == pytest.approx(11)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_wait_of_nothing_is_no_hurry(upload, status, value):
    fault = {"status": status, "body": "busy", "headers": {"Retry-After": value}, "times": 4}
    done = upload().fault("status", **fault).send([indicator(1)])
    assert done.check().exit_code == 0
    assert all(seconds >= 1 for seconds in done.time.slept)


@pytest.mark.parametrize(
    "body", [{"error": {"code": "X"}}, {"errors": "all bad"}, {"errors": {"recordIndex": 0}}, {"statusCode": 500}]
)
def test_a_200_that_says_no_is_no_success(upload, body):
    done = upload().fault("body", body=body, times=None).send(map(indicator, range(300))).check()
    assert done.ids(OutcomeState.ACCEPTED) == []
    assert done.exit_code == 4


def test_every_rejected_object_is_in_the_log(upload, caplog):
    upload().send([indicator(n, created="never") for n in range(10)] + [indicator(50)])
    for number in range(10):
        assert f"Rejected {indicator(number)['id']}" in caplog.text


def test_a_gateway_that_refuses_everything_with_words_of_its_own_is_given_up(upload):
    start = upload(MISP2SENTINEL_MS_MAX_INDICATORS_REQUEST="4")
    start.fault("status", status=400, body="blocked, reference 1", times=1)
    start.fault("status", status=400, body="blocked, reference 2", times=None)
    done = start.send(map(indicator, range(100))).check()
    assert done.exit_code == 4
    assert done.manager.requests < 30


def test_a_token_that_comes_back_in_an_error_is_not_shown(upload, caplog):
    start = upload()
    start.client.get_token()
    token = next(iter(start.azure._tokens))
    start.fault("status", status=502, body=f"you sent Bearer {token}", times=None)
    with pytest.raises(MicrosoftError) as error:
        start.sender.probe()
    assert token not in f"{error.value}{caplog.text}"


def test_429_for_ever_ends_as_pending(upload):
    done = upload().fault("status", status=429, body=THROTTLED, times=None).send(map(indicator, range(900))).check()
    assert len(done.ids(OutcomeState.PENDING)) == 900
    assert done.exit_code == 4


PASSING = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502, "body": "<html>bad gateway</html>"},
    {"kind": "status", "status": 503, "headers": {"Retry-After": "3"}},
    {"kind": "status", "status": 408},
    {"kind": "reset-before"},
    {"kind": "reset-after"},
    {"kind": "hang"},
    {"kind": "html", "status": 200},
    {"kind": "body", "status": 200, "body": "[1, 2"},
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("times", [1, 3])
def test_what_passes_costs_nothing(upload, fault, times):
    done = upload().fault(**fault, after=1, times=times).send(map(indicator, range(250))).check()
    assert set(done.ids(OutcomeState.ACCEPTED)) == set(done.azure.live())
    assert len(done.ids(OutcomeState.ACCEPTED)) == 250
    assert done.exit_code == 0


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_does_not_pass_for_one_batch_leaves_that_batch_pending(upload, fault):
    first = indicator(100)["id"]
    hits = {"times": None, "when": lambda body: body["stixobjects"][0]["id"] == first}
    done = upload().fault(**fault, **hits).send(map(indicator, range(400))).check()
    assert done.ids(OutcomeState.PENDING) == [indicator(n)["id"] for n in range(100, 200)]
    assert len(done.ids(OutcomeState.ACCEPTED)) == 300
    assert done.exit_code == 1


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_a_dead_neighbour_is_given_up_after_three_batches(upload, fault):
    done = upload().fault(**fault, times=None).send(map(indicator, range(5000))).check()
    assert len(done.ids(OutcomeState.PENDING)) == 5000
    assert done.manager.requests == 15
    assert sum(done.time.slept) < 600
    assert done.exit_code == 4
    assert "3 batches in a row" in done.manager.given_up


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("count", [1, 150, 200])
def test_a_dead_neighbour_is_no_success_of_a_run_with_fewer_batches(upload, fault, count):
    done = upload().fault(**fault, times=None).send(map(indicator, range(count))).check()
    assert len(done.ids(OutcomeState.PENDING)) == count
    assert (done.exit_code, done.manager.blocked) == (4, None)
    assert "Microsoft took nothing in this run: " in done.manager.given_up


def test_one_bad_object_costs_only_itself(upload):
    bad = indicator(120, pattern=None)
    done = upload().send([*map(indicator, range(120)), bad, *map(indicator, range(121, 300))]).check()
    assert done.ids(OutcomeState.REJECTED) == [bad["id"]]
    assert len(done.ids(OutcomeState.ACCEPTED)) == 299
    rejected = next(o for o in done.outcomes if o.state is OutcomeState.REJECTED)
    assert "Property=pattern" in rejected.words
    assert done.exit_code == 1


@pytest.mark.parametrize("key", ["errorMessages", "validationErrorMessages"])
def test_both_names_of_the_error_list_are_read(upload, key):
    start = upload()
    start.azure.error_key = key
    done = start.send([indicator(1), indicator(2, valid_until="2000-01-01T00:00:00.000Z")]).check()
    words = next(o.words for o in done.outcomes if o.state is OutcomeState.REJECTED)
    assert "valid_until" in words


def test_a_batch_of_bad_objects_is_rejected_one_by_one_and_costs_no_other(upload):
    bad = [indicator(n, created="never") for n in range(100)]
    done = upload().send([*bad, *map(indicator, range(100, 200))]).check()
    assert set(done.ids(OutcomeState.REJECTED)) == {sent["id"] for sent in bad}
    assert len(done.ids(OutcomeState.ACCEPTED)) == 100
    assert done.exit_code == 1


def test_a_batch_refused_without_a_name_is_halved_until_only_the_bad_object_is_left(upload):
    def holds_bad(body):
        return any(sent["id"] == indicator(57)["id"] for sent in body["stixobjects"])

    refusal = {"error": {"code": "InvalidRequestBody", "message": "Something in it is wrong."}}
    done = upload().fault("status", status=400, body=refusal, times=None, when=holds_bad)
    done.send(map(indicator, range(100))).check()
    assert done.ids(OutcomeState.REJECTED) == [indicator(57)["id"]]
    assert len(done.ids(OutcomeState.ACCEPTED)) == 99
    assert done.manager.requests < 20


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusing_everything_alike_is_given_up(upload, status):
    start = upload(MISP2SENTINEL_MS_MAX_INDICATORS_REQUEST="4")
    done = start.fault("status", status=status, body="no", times=None).send(map(indicator, range(100))).check()
    assert len(done.ids(OutcomeState.REJECTED)) == 12
    assert len(done.ids(OutcomeState.PENDING)) == 88
    assert done.exit_code == 4


@pytest.mark.parametrize(
    "index", [None, -1, 100, "3", True, 1.5, {}], ids=["none", "negative", "beyond", "text", "flag", "float", "object"]
)
def test_an_error_without_a_place_is_found_by_halving(upload, index):
    answer = {"errors": [{"recordIndex": index, "errorMessages": ["bad"]}]}
    first = indicator(0)["id"]
    start = upload().fault(
        "body", body=answer, times=None, when=lambda body: any(o["id"] == first for o in body["stixobjects"])
    )
    done = start.send(map(indicator, range(100))).check()
    assert done.ids(OutcomeState.REJECTED) == [first]


def test_401_is_answered_with_one_new_token(upload):
    done = upload().fault("status", status=401, body={"statusCode": 401, "message": "no"}, after=1)
    done.send(map(indicator, range(300))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 300
    assert sum(TOKEN_PATH in request.url for request in done.adapter.requests) == 2


def test_401_for_good_stops_with_the_setting_that_may_be_wrong(upload):
    done = upload().fault("status", status=401, times=None).send(map(indicator, range(900))).check()
    assert done.manager.requests == 2
    assert "scope" in done.manager.given_up
    assert done.exit_code == 4


def test_403_stops_at_once_and_names_role_and_workspace(upload):
    start = upload()
    start.azure.allowed.clear()
    done = start.send(map(indicator, range(900))).check()
    assert done.manager.requests == 1
    assert "Microsoft Sentinel Contributor" in done.manager.given_up
    assert start.azure.workspace_id in done.manager.given_up
    assert done.exit_code == 4


def test_404_stops_at_once_and_names_the_setting(upload):
    done = upload(MISP2SENTINEL_MS_AUTH__WORKSPACE_ID="44444444-4444-4444-8444-444444444444")
    done.send(map(indicator, range(300))).check()
    assert done.manager.requests == 1
    assert "workspace_id" in done.manager.given_up


def test_a_redirect_is_not_followed(upload):
    redirect = {"status": 302, "headers": {"Location": "https://login.example.org/"}, "body": "moved"}
    done = upload().fault("status", times=None, **redirect).send(map(indicator, range(900))).check()
    assert all(UPLOAD_PATH in request.url or "/v2.0/" in request.url for request in done.adapter.requests)
    assert done.manager.requests == 1
    assert done.exit_code == 4


def test_tokens_are_renewed_before_they_run_out(upload):
    start = upload(MISP2SENTINEL_MS_MAX_REQUESTS_MINUTE="1")
    start.azure.token_lifetime = 900
    done = start.send(map(indicator, range(3000))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 3000
    assert {entry["status"] for entry in done.azure.uploads} == {200}
    assert 3 <= sum(TOKEN_PATH in request.url for request in done.adapter.requests) <= 5


def test_a_token_that_expires_early_costs_one_request(upload):
    def forget(request):
        if UPLOAD_PATH in request.url and len(start.azure.uploads) == 1:
            start.azure._tokens.clear()
            start.adapter._before = lambda _request: None

    start = upload()
    start.adapter._before = forget
    done = start.send(map(indicator, range(300))).check()
    assert done.exit_code == 0


TOKEN_FAULTS = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "body": {"error": "too_many", "error_description": "slow down"}},
    {"kind": "status", "status": 408, "body": ""},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 403},
    {"kind": "body", "body": []},
    {"kind": "body", "body": {}},
    {"kind": "body", "body": "[" * 100_000},
    {"kind": "body", "body": {"access_token": None, "expires_in": 3600, "token_type": "Bearer"}},
    {"kind": "body", "body": {"access_token": "", "expires_in": 3600}},
    {"kind": "body", "body": {"access_token": "a\nb", "expires_in": 3600}},
    {"kind": "body", "body": {"access_token": "whole", "expires_in": None}},
    {"kind": "truncate"},
    {"kind": "reset-before"},
    {"kind": "hang"},
]


@pytest.mark.parametrize("path", [TOKEN_PATH, DISCOVERY_PATH])
@pytest.mark.parametrize("fault", TOKEN_FAULTS, ids=lambda fault: str(fault)[:70])
def test_a_token_service_that_stumbles_is_asked_again(upload, fault, path):
    done = upload().fault(path=path, **fault, times=2).send([indicator(1)]).check()
    assert done.exit_code == 0


@pytest.mark.parametrize("path", [TOKEN_PATH, DISCOVERY_PATH])
@pytest.mark.parametrize("fault", TOKEN_FAULTS, ids=lambda fault: str(fault)[:70])
def test_a_token_service_that_never_gives_one_is_named_with_what_to_check(upload, fault, path):
    done = upload().fault(path=path, **fault, times=None).send(map(indicator, range(300))).check()
    assert done.exit_code == 4
    assert done.manager.requests == 0
    assert done.manager.given_up.startswith("no token from Microsoft's login: ")
    assert f"(login: {AUTHORITY}/" in done.manager.given_up
    assert "ms_proxies" in done.manager.given_up
    assert sum(path in request.url for request in done.adapter.requests) == 4


def test_a_request_that_could_not_be_made_is_not_a_tenant_that_nobody_knows(upload):
    """Some of requests' errors are ValueErrors, which msal takes for the authority's answer."""

    def fail(_request):
        raise requests.exceptions.InvalidSchema("no way for such an address")

    start = upload()
    start.adapter._before = fail
    done = start.send([indicator(1)]).check()
    assert done.exit_code == 4 and "login: no way for such an address." in done.manager.given_up
    assert "is not a tenant" not in done.manager.given_up


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "wrong-secret-value"}, "client_secret"),
        ({"MISP2SENTINEL_MS_AUTH__CLIENT_ID": "55555555-5555-4555-8555-555555555555"}, "client_id"),
        ({"MISP2SENTINEL_MS_AUTH__TENANT": "55555555-5555-4555-8555-555555555555"}, "tenant"),
    ],
)
def test_no_token_stops_with_the_setting_to_fix(upload, environ, words):
    done = upload(**environ).send(map(indicator, range(300))).check()
    assert f"ms_auth['{words}']" in done.manager.given_up
    assert "wrong-secret-value" not in done.manager.given_up
    assert done.exit_code == 4


def test_never_more_requests_in_a_minute_than_allowed_and_nearly_as_many(upload):
    done = upload().send(map(indicator, range(50_000))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 50_000
    times = [entry["time"] for entry in done.azure.uploads]
    assert {entry["status"] for entry in done.azure.uploads} == {200}
    busiest = max(sum(start <= other < start + 60 for other in times) for start in times)
    assert busiest == 100
    assert len(times[:-100]) / ((times[-100] - times[0]) / 60) >= 98


def test_large_objects_go_in_smaller_batches(upload):
    done = upload().send([indicator(n, description="d" * 300_000) for n in range(10)]).check()
    assert [entry["count"] for entry in done.azure.uploads] == [3, 3, 3, 1]


def test_no_worker_starts_before_the_upload_does(upload):
    start = upload()
    outbox = Outbox([indicator(1)])
    manager = RequestManager(api_for(start.settings), start.client, outbox, start.rate_limiters, workers=2)
    manager.enqueue(1)
    manager.no_more()
    assert (manager._threads, len(outbox.objects), outbox.outcomes) == ([], 1, [])
    manager.start()
    manager.finish()
    assert [outcome.state for outcome in outbox.outcomes] == [OutcomeState.ACCEPTED]


@pytest.mark.parametrize(
    ("key", "path"), [("indicators", "threatintelligenceindicators:upload"), ("value", "upload-indicators")]
)
def test_the_legacy_apis_take_the_same_indicators(upload, key, path):
    done = upload(MISP2SENTINEL_MS_AUTH__NEW_UPLOAD_API="false", MISP2SENTINEL_MS_LEGACY_UPLOAD_KEY=key)
    done.send(map(indicator, range(150))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 150
    assert all(path in request.url for request in done.adapter.requests if "upload" in request.url.rpartition("/")[2])
    assert list(json.loads(done.adapter.requests[-1].body)) == ["sourcesystem", key]


def test_a_fault_of_our_own_leaves_nobody_waiting(upload, monkeypatch):
    start = upload()
    monkeypatch.setattr("helpers.microsoft.upload_api.interpret", lambda *_: 1 / 0)
    done = start.send(map(indicator, range(10_000))).check()
    assert len(done.ids(OutcomeState.PENDING)) == 10_000
    assert "ZeroDivisionError" in done.manager.given_up


def test_operators_find_the_messages_that_they_grep_for(upload, caplog):
    caplog.set_level(logging.INFO)
    upload().fault("status", status=429, body=THROTTLED).send(map(indicator, range(150)))
    text = caplog.text
    assert "Pausing upload for API request limit 7.0s" in text
    assert "Indicators not accepted - request number: 1 / indicators: 100 / remaining: 150" in text
    assert "Indicators sent - request number: 2 / indicators: 100 / remaining: 50" in text
    assert "Error when submitting indicators. 429 Rate limit is exceeded." in text
    assert text.rstrip().endswith("Finished uploading indicators")


def sent_and_not(caplog):
    """The lines about requests: what became of how many, and how many remain."""
    lines = [record.getMessage().partition(" - ") for record in caplog.records if "- request" in record.getMessage()]
    numbers = [re.findall("[0-9]+", line) for _, _, line in lines]
    return [(words, *map(int, found)) for (words, _, _), found in zip(lines, numbers, strict=True)]


SENT, NOT_ACCEPTED = "Indicators sent", "Indicators not accepted"


def test_the_log_counts_as_sent_what_was_accepted(upload, caplog):
    """Halves of a refused batch, a rejected object, and how many have no outcome yet."""
    caplog.set_level(logging.INFO)
    bad = {"errors": [{"recordIndex": 2, "errorMessages": ["no"]}]}
    start = upload().fault("status", status=400, body="no").fault("body", body=bad)
    done = start.send(map(indicator, range(150)))
    assert done.exit_code == 1 and done.manager.requests == 4
    assert sent_and_not(caplog) == [
        (NOT_ACCEPTED, 1, 100, 150),
        (SENT, 2, 49, 100),
        (NOT_ACCEPTED, 2, 1, 100),
        (SENT, 3, 50, 50),
        (SENT, 4, 50, 0),
    ]


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 503}, {"status": 401}], ids=str)
def test_a_request_that_is_repeated_is_logged_as_not_accepted_and_then_as_sent(upload, fault, caplog):
    caplog.set_level(logging.INFO)
    upload().fault("status", **fault).send(map(indicator, range(3))).check()
    assert sent_and_not(caplog) == [(NOT_ACCEPTED, 1, 3, 3), (SENT, 2, 3, 0)]


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 403}, {"kind": "reset-before"}], ids=str)
def test_nothing_is_logged_as_sent_where_nothing_was_accepted(upload, fault, caplog):
    caplog.set_level(logging.INFO)
    upload().fault(**fault, times=None).send(map(indicator, range(100)))
    assert {words for words, *_ in sent_and_not(caplog)} == {NOT_ACCEPTED}


def test_an_empty_batch_that_only_tries_is_not_logged_as_anything(upload, caplog):
    caplog.set_level(logging.INFO)
    upload().sender.probe()
    assert sent_and_not(caplog) == []


def test_probe_says_yes_only_when_the_app_may_write(upload):
    start = upload()
    start.sender.probe()
    start.azure.allowed.clear()
    with pytest.raises(MicrosoftError, match="Contributor"):
        start.sender.probe()
    assert start.azure.objects() == {}


@pytest.mark.parametrize("retry_after", ["301", "600", "900"])
@pytest.mark.parametrize("status", [429, 503])
def test_nothing_is_sent_for_as_long_as_microsoft_says(upload, retry_after, status):
    done = upload().fault("status", status=status, headers={"Retry-After": retry_after}).send([indicator(1)]).check()
    assert done.exit_code == 0
    assert sum(done.time.slept) == pytest.approx(int(retry_after))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("retry_after", ["901", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_too_long_for_a_run_leaves_the_batch_pending(upload, retry_after, status, workers):
    start = upload(workers=workers).fault("status", status=status, headers={"Retry-After": retry_after})
    done = start.send(map(indicator, range(150))).check()
    assert len(done.ids(OutcomeState.PENDING)) in (100, 50)
    assert sum(done.time.slept) < 60
    assert done.exit_code == 1


@pytest.mark.parametrize("retry_after", ["²", "٣", "1e400", "Mon, 01 Jan 99999999999 00:00:00 GMT", "soon", "-5"])
def test_a_retry_after_that_is_none_is_no_fault(retry_after):
    answer = Answer(429, "", {"Retry-After": retry_after})
    assert interpret(answer, 1, datetime(2026, 1, 1, tzinfo=UTC)).next_step is NextStep.THROTTLED


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_json_too_deep_is_an_answer_like_any_other(upload, status):
    done = upload().fault("body", status=status, body="[" * 200_000).send(map(indicator, range(10))).check()
    assert len(done.ids(OutcomeState.ACCEPTED)) == 10


@pytest.mark.parametrize("body", [{"message": "no"}, {"value": []}, {"errors": None}, {"Errors": []}, [], "no", 3])
def test_200_with_another_body_than_documented_is_no_success(upload, body):
    done = upload().fault("body", body=body).send(map(indicator, range(10))).check()
    assert (len(done.ids(OutcomeState.ACCEPTED)), done.manager.requests) == (10, 2)


@pytest.mark.parametrize("body", ["", " ", {}, {"errors": []}, {"errors": [], "trace": "x"}])
def test_200_as_documented_is_a_success(body):
    text = body if isinstance(body, str) else json.dumps(body)
    verdict = interpret(Answer(200, text), 3, datetime(2026, 1, 1, tzinfo=UTC))
    assert (verdict.next_step, dict(verdict.rejected)) == (NextStep.SETTLED, {})


DUE = ObjectRecord(
    id=indicator(1)["id"],
    key="key",
    pattern=indicator(1)["pattern"],
    value="host1.example.org",
    life=1,
    fingerprint="",
    valid_until=2_000_000_000,
    body=packed(indicator(1, labels=["ä"])),
).due


def test_destinations_that_send_the_same_share_its_json(upload, monkeypatch):
    settings, texts = upload().settings, SharedTexts()
    one, other = api_for(settings, texts), api_for(settings, texts)
    theirs = DUE._replace(body=bytes(bytearray(DUE.body)))
    sent = one.outgoing(DUE, 1_790_000_000)
    assert sent.body == DUE.json_text
    assert other.outgoing(theirs, 1_790_000_000).body is sent.body
    assert one.outgoing(DUE._replace(leaving="gone"), 1_790_000_000).body != sent.body
    monkeypatch.setattr(batch, "MOST_SHARED", 2)
    for number in range(3):
        texts(DUE._replace(body=packed(indicator(number))))
    assert len(texts._text_by_body) <= 2


def test_what_is_sent_is_the_json_of_the_ledger(upload):
    api = api_for(upload().settings)
    sent = api.outgoing(DUE, 1_790_000_000)
    assert (sent.id, sent.pattern, sent.revoked) == (DUE.id, DUE.pattern, False)
    assert json.loads(sent.body) == indicator(1, labels=["ä"])
    assert api.dumped(sent) == sent.body
    assert json.loads(api.body(Batch([sent, sent]))) == {
        "sourcesystem": "MISP",
        "stixobjects": [indicator(1, labels=["ä"])] * 2,
    }
    assert json.loads(api.body(Batch([]))) == {"sourcesystem": "MISP", "stixobjects": []}


@pytest.mark.parametrize(
    ("now", "end"),
    [(1_790_000_000, "2026-09-21T14:13:20.000Z"), (1_000, "2026-01-01T00:00:01.000Z")],
    ids=["now", "a second after it begins"],
)
def test_a_withdrawal_is_the_same_object_revoked_and_expired(upload, now, end):
    withdrawal = api_for(upload().settings).outgoing(DUE._replace(leaving="no longer there"), now)
    assert withdrawal.revoked
    changed = {"revoked": True, "valid_until": end, "modified": stix_time(datetime.fromtimestamp(now, UTC))}
    assert json.loads(withdrawal.body) == indicator(1, labels=["ä"], **changed)


FAULTS = st.builds(
    dict,
    kind=st.sampled_from(["status", "html", "reset-before", "reset-after", "truncate", "hang", "body"]),
    status=st.sampled_from([200, 302, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503]),
    body=st.sampled_from(
        [None, "", "text", {}, [], 3, {"errors": []}, {"errors": "x"}, {"errors": [{"recordIndex": 1}]}]
    ),
    headers=st.sampled_from([{}, {"Retry-After": "5"}, {"Retry-After": "soon"}, {"Retry-After": "-3"}]),
    after=st.integers(0, 6),
    times=st.sampled_from([1, 2, 7, None]),
    path=st.sampled_from([UPLOAD_PATH, TOKEN_PATH]),
)


@settings(max_examples=60, deadline=None)
@given(faults=st.lists(FAULTS, max_size=4), workers=st.sampled_from([1, 3]))
def test_whatever_happens_every_object_has_one_outcome_and_it_ends(tmp_path_factory, faults, workers):
    done = Upload(tmp_path_factory.mktemp("state"), workers=workers)
    for fault in faults:
        done.fault(**fault)
    done.send(map(indicator, range(430)))
    assert sorted(o.object.id for o in done.outcomes) == sorted(sent["id"] for sent in done.sent)
    assert done.manager.requests < 6000


def test_requests_made_by_hand_are_never_needed(upload):
    """The settings' proxies and certificates travel with the client's own session."""
    start = upload(MISP2SENTINEL_MS_VERIFYCERT="false")
    client = MicrosoftClient(start.settings, Clock())
    assert isinstance(client._http, requests.Session)
    assert client._http.trust_env is False
