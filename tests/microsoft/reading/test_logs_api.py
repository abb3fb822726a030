"""A workspace's logs, asked at both endpoints: windows, refusals, and how often it is tried."""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.errors import MicrosoftError, SettingsError
from helpers.http import MIB
from helpers.microsoft import Clock, LogsApi, MicrosoftClient, taken_apart
from helpers.microsoft.client import Reply
from helpers.microsoft.rate_limit import ASKED_TO_WAIT
from helpers.microsoft.reading import asking, logs_api
from helpers.microsoft.responses import Answer
from helpers.process import redact
from helpers.settings import MsAuth, Settings, load
from sandbox.azure.app import CLIENT, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_NAME
from sandbox.azure.token import GRAPH_SCOPE, LOGS_SCOPE, SCOPE
from sandbox.faults import Fault
from tests.support import FakeTime, azure_in_process, settings_for
from tests.support.tls_site import TlsSite
from tests.support.tls_site import sandbox as sandbox_with_clock

START = 1_790_000_000
HOUR = 3600
NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}
LOGS = "https://logs.example.org"
TIMED_OUT = {"error": {"code": "GatewayTimeout", "message": "The request timed out"}}
BOTH = pytest.mark.parametrize("endpoint", ["management", "log_analytics"])


class Site:
    """A workspace, and the API that asks it."""

    def __init__(self, folder, monkeypatch):
        self.time = FakeTime(START + HOUR)
        self.azure, self.adapter, self.http = azure_in_process(self.time)
        self.folder, self.waited = folder, []
        monkeypatch.setattr(logs_api, "MicrosoftClient", partial(MicrosoftClient, http=self.http))

    def settings(self, endpoint="management", **more):
        own = {f"MS_AUTH__{name}": value for name, value in NAMES.items()} | {"MS_ENDPOINTS__LOG_ANALYTICS": LOGS}
        own |= {"MISP_SIGHTINGS__ENDPOINT": endpoint, **more}
        return settings_for(self.azure, self.folder, **{f"MISP2SENTINEL_{name}": text for name, text in own.items()})

    def api(self, endpoint="management", **more):
        return LogsApi(self.settings(endpoint, **more), self.time.clock, waiting=lambda *told: self.waited.append(told))

    def alerts(self, *moments, value="192.0.2.5"):
        for moment in moments:
            self.azure.add_alert("TI map IP", entities=[("ip", value)], start=moment, generated=moment)

    def fault(self, kind, status=500, path="/query", **more):
        self.azure.faults.add(Fault(path, kind, status, **more))

    def failure(self, endpoint="management", **more):
        """The error that reading ends with, and its parts."""
        with pytest.raises(MicrosoftError) as caught:
            list(self.api(endpoint, **more).alerts(START, START + HOUR))
        return taken_apart(str(caught.value))


@pytest.fixture
def site(tmp_path, monkeypatch):
    return Site(tmp_path, monkeypatch)


def found(windows):
    return [hit.at for window in windows for hit in window.hits]


# --- both endpoints ----------------------------------------------------------------------------------


@BOTH
def test_what_alerts_name_is_read(site, endpoint):
    site.azure.add_alert("Mine", indicators=["aaaaaaaa-0000-4000-8000-000000000001"], start=START, generated=START + 5)
    (window,) = site.api(endpoint).alerts(START, START + HOUR)
    (hit,) = window.hits
    assert (window.since, window.until, window.unreadable) == (START, START + HOUR, 0)
    assert (hit.rule, hit.kind, hit.at, hit.value[:8]) == ("Mine", "id", START, "aaaaaaaa")


@BOTH
def test_false_positives_are_read(site, endpoint):
    number = site.azure.add_incident(["a", "b"], closed=START, generated=START)
    site.azure.add_incident(["c"], classification="TruePositive", closed=START, generated=START)
    (window,) = site.api(endpoint).verdicts(START, START + 1)
    assert [(each.incident, each.alert, each.at) for each in window.verdicts] == [
        (str(number), "a", START),
        (str(number), "b", START),
    ]


@pytest.mark.parametrize(
    ("endpoint", "path", "prefer"),
    [
        (
            "management",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.OperationalInsights"
            f"/workspaces/{WORKSPACE_NAME}/api/query",
            "response-v1=true,wait=180",
        ),
        ("log_analytics", f"/v1/workspaces/{WORKSPACE}/query", "wait=180"),
    ],
)
def test_each_endpoint_is_asked_in_its_own_way(site, endpoint, path, prefer):
    site.api(endpoint).may_read()
    (asked,) = site.azure.log_queries
    assert (asked["path"], asked["prefer"], asked["status"]) == (path, prefer, 200)


def scopes(site):
    sent = [request.body for request in site.adapter.requests if "oauth2" in request.url]
    return [text for body in sent for text in (SCOPE, GRAPH_SCOPE, LOGS_SCOPE) if text.split("//")[1][:12] in str(body)]


@pytest.mark.parametrize(
    ("endpoint", "more", "scope"),
    [
        ("management", {}, SCOPE),
        ("management", {"MS_AUTH__GRAPH_API": "true"}, SCOPE),
        ("log_analytics", {}, LOGS_SCOPE),
        ("log_analytics", {"MS_AUTH__GRAPH_API": "true"}, LOGS_SCOPE),
    ],
)
def test_a_token_is_for_the_endpoint_wherever_indicators_go(site, endpoint, more, scope):
    settings = site.settings(endpoint, **more)
    site.api(endpoint, **more).may_read()
    assert scopes(site) == [scope]
    assert settings.ms_auth.scope in (SCOPE, GRAPH_SCOPE), "those of the upload stay what they are"


def test_elsewhere_the_scope_is_the_host_itself(site):
    settings = site.settings("log_analytics", MS_CLOUD="usgov")
    assert logs_api.logs_endpoints.endpoint_of(settings).scope == f"{LOGS}/.default"
    managed = site.settings("management", MS_CLOUD="usgov")
    assert logs_api.logs_endpoints.endpoint_of(managed).scope == "https://management.usgovcloudapi.net/.default"


@pytest.mark.parametrize(
    ("endpoint", "missing"),
    [
        ("management", "ms_auth['subscription_id'], ms_auth['resourceGroupName'], ms_auth['workspaceName'] must"),
        ("log_analytics", "ms_auth['workspace_id'] must"),
    ],
)
def test_a_workspace_that_is_not_named_is_a_problem_of_the_settings(endpoint, missing):
    settings = Settings(misp_sightings={"endpoint": endpoint}, ms_auth=MsAuth())
    with pytest.raises(SettingsError) as caught:
        LogsApi(settings, Clock())
    assert caught.value.problems[0].startswith(missing)


def test_a_destination_is_named_as_the_settings_name_it(tmp_path):
    tenant = {"tenantId": "example.org", "id": CLIENT, "secret": "s", "workspaceId": WORKSPACE, "name": "paris"}
    (tmp_path / "config.py").write_text(f"ms_tenants = [{tenant}]")
    settings = load(tmp_path / "config.py", {}, offline=True).settings.destinations()[0]
    with pytest.raises(SettingsError, match=r"^ms_tenants\['paris'\]\['subscription_id'\], "):
        LogsApi(settings, Clock())


# --- halves ------------------------------------------------------------------------------------------


@BOTH
def test_more_rows_than_an_answer_holds_are_asked_for_in_halves_in_order(site, endpoint):
    site.azure.rows_per_answer = 2
    moments = [START + seconds for seconds in (0, 1, 900, 901, 1800, 3599)]
    site.alerts(*moments)
    windows = list(site.api(endpoint).alerts(START, START + HOUR))
    assert found(windows) == moments
    edges = [(window.since, window.until) for window in windows]
    assert edges == [(START, START + 900), (START + 900, START + 1800), (START + 1800, START + 3600)]


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 5000), max_size=12, unique=True),
    st.integers(1, 5),
    st.integers(0, 5000),
    st.integers(0, 5000),
)
def test_windows_have_each_alert_once_and_follow_one_another(tmp_path_factory, seconds, most, since, until):
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path_factory.mktemp("site"), patch)
        site.azure.rows_per_answer = most
        site.alerts(*(START + second for second in seconds))
        windows = list(site.api().alerts(START + since, START + until))
    assert sorted(found(windows)) == [START + second for second in sorted(seconds) if since <= second < until]
    assert all(window.since <= hit.at < window.until for window in windows for hit in window.hits)
    edges = [edge for window in windows for edge in (window.since, window.until)]
    assert edges[1:-1:2] == edges[2::2] and (edges or since >= until)
    assert not edges or (edges[0], edges[-1]) == (START + since, START + until)


def test_a_second_that_is_too_much_ends_it_with_its_time(site):
    site.azure.rows_per_answer = 1
    site.alerts(START + 7, START + 7)
    told = site.failure()
    assert "from 2026-09-21 14:13:27 UTC to 2026-09-21 14:13:28 UTC" in told.sentence
    assert "E_QUERY_RESULT_SET_TOO_LARGE" in dict(told.particulars)["Microsoft's words"]
    assert len(site.azure.log_queries) <= 14, "and no other window is asked for"


def test_a_query_that_takes_too_long_is_asked_in_halves_of_a_quarter_of_an_hour_at_least(site):
    site.alerts(START, START + 3000)
    site.fault("status", 504, body=TIMED_OUT, times=2)
    windows = list(site.api().alerts(START, START + HOUR))
    assert [window.until - window.since for window in windows] == [900, 900, 1800]
    assert found(windows) == [START, START + 3000] and site.time.slept == []
    site.fault("status", 504, body=TIMED_OUT, times=None)
    site.azure.log_queries.clear()
    assert "from 2026-09-21 14:13:20 UTC to 2026-09-21 14:28:20 UTC" in site.failure().sentence
    assert len(site.azure.log_queries) == 3


def test_an_end_that_never_comes_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(logs_api, "MOST_ASKED", 5)
    site.azure.rows_per_answer = 0
    site.alerts(*range(START, START + HOUR, 300))
    with pytest.raises(MicrosoftError, match="asked 5 times"):
        list(site.api().alerts(START, START + HOUR))


def test_an_empty_window_asks_nothing(site):
    assert list(site.api().alerts(START, START)) == list(site.api().alerts(START + 5, START)) == []
    assert site.azure.log_queries == []


@BOTH
def test_an_answer_that_is_too_large_is_asked_for_in_halves(tmp_path, endpoint):
    box, time = sandbox_with_clock()
    with box:
        site = TlsSite(box, time, tmp_path)
        box.azure.add_alert("TI map IP", entities=[("ip", "192.0.2.5")], start=START, generated=START)
        box.azure.faults.add(Fault("/query", "body", body=" " * (64 * MIB + 1)))
        more = {"MISP_SIGHTINGS__ENDPOINT": endpoint, "MS_ENDPOINTS__LOG_ANALYTICS": box.azure_url}
        windows = list(LogsApi(site.settings(**more), time.clock).alerts(START, START + 2))
    assert [window.since for window in windows] == [START, START + 1] and found(windows) == [START]


def test_a_workspace_may_be_silent_as_long_as_microsoft_may_take(site):
    assert logs_api.LIMITS.silence_seconds > logs_api.logs_endpoints.WAIT
    clients = []

    def client(*given, **named):
        clients.append(named["limits"])
        return MicrosoftClient(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs_api, "MicrosoftClient", client)
        LogsApi(site.settings(), site.time.clock)
    assert clients == [logs_api.LIMITS]


# --- trying again ------------------------------------------------------------------------------------


def test_who_is_told_to_wait_waits_and_says_so(site):
    site.alerts(START)
    words = {"error": {"code": "TooManyRequests", "message": "Rate limit is exceeded."}}
    site.fault("status", 429, body=words, headers={"Retry-After": "31"}, times=2)
    assert found(site.api().alerts(START, START + HOUR)) == [START]
    assert site.time.slept == [31, 31] and site.waited == [(ASKED_TO_WAIT, 31.0)] * 2


@pytest.mark.parametrize("wait", ["99999", "9" * 300])
def test_no_wait_is_without_a_bound(site, wait):
    site.fault("status", 429, headers={"Retry-After": wait}, times=None)
    assert "try again later" in site.failure().sentence
    assert len(site.azure.log_queries) == asking.TRIES
    assert max(site.time.slept) <= asking.LONGEST_WAIT


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "html", "status": 502},
        {"kind": "html", "status": 200},
        {"kind": "reset-before"},
        {"kind": "reset-after"},
        {"kind": "truncate"},
        {"kind": "hang"},
        {"kind": "body", "body": ""},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_what_may_pass_is_tried_again_and_nothing_is_read_twice(site, fault):
    site.alerts(START)
    site.fault(**fault, times=2)
    assert found(site.api().alerts(START, START + HOUR)) == [START]
    assert len(site.time.slept) == 2
    site.fault(**fault, times=None)
    told = site.failure()
    assert told.sentence == "the workspace's logs do not answer the query for alerts."
    assert dict(told.particulars)["workspace"] == WORKSPACE_NAME


@BOTH
def test_a_token_that_has_run_out_is_renewed_once(site, endpoint):
    site.alerts(START)
    api = site.api(endpoint)
    api.may_read()
    site.azure._tokens.clear()
    assert found(api.alerts(START, START + HOUR)) == [START]
    assert site.time.slept == []


# --- refusals ----------------------------------------------------------------------------------------


def test_without_the_role_it_is_said_which_and_where(site):
    site.azure.readable.clear()
    told = site.failure()
    assert "Microsoft Sentinel Reader" in told.sentence and "Microsoft Sentinel Contributor" in told.sentence
    particulars = dict(told.particulars)
    assert (particulars["app"], particulars["workspace"]) == (CLIENT, WORKSPACE_NAME)
    assert "workspaces/query/read" in particulars["Microsoft's words"]
    assert len(site.azure.log_queries) == 1, "asking again does not help"


@pytest.mark.parametrize("lost", ["role", "permission"])
def test_log_analytics_wants_a_permission_too(site, lost):
    site.azure.logs_permission = lost != "permission"
    if lost == "role":
        site.azure.readable.clear()
    sentence = site.failure("log_analytics").sentence
    assert "Data.Read" in sentence and "Microsoft Sentinel Reader" in sentence and '"management"' in sentence


def test_a_network_that_is_kept_out_is_no_role(site):
    inner = {"code": "NspValidationFailedError", "message": "Access to workspace 'soc-logs' from '192.0.2.1' is denied"}
    error = {"error": {"code": "InsufficientAccessError", "message": "no", "innererror": inner}}
    site.fault("status", 403, body=error, times=None)
    assert "Network isolation" in site.failure().sentence


@BOTH
def test_a_token_for_others_names_the_scope_and_the_settings_that_make_it(site, endpoint):
    code = "InvalidAuthenticationTokenAudience" if endpoint == "management" else "InvalidTokenError"
    site.fault("status", 403, body={"error": {"code": code, "message": "wrong audience"}}, times=None)
    told = site.failure(endpoint)
    assert "ms_cloud" in told.sentence and ("ms_auth['scope']" in told.sentence) is (endpoint == "management")
    assert dict(told.particulars)["scope"] == (SCOPE if endpoint == "management" else LOGS_SCOPE)
    assert len(site.azure.log_queries) == 2


@pytest.mark.parametrize(
    ("endpoint", "more", "key"),
    [
        ("management", {"MS_AUTH__WORKSPACENAME": "other"}, "workspaceName"),
        ("log_analytics", {"MS_AUTH__WORKSPACE_ID": SUBSCRIPTION.replace("7", "9")}, "workspace_id"),
    ],
)
def test_a_workspace_that_is_not_there_names_what_it_was_asked_by(site, endpoint, more, key):
    told = site.failure(endpoint, **more)
    assert "no such workspace" in told.sentence and f"ms_auth['{key}']" in told.sentence
    assert ("resource group" in dict(told.particulars)) is (endpoint == "management")


@BOTH
def test_a_workspace_without_sentinel_says_that_it_is_one(site, endpoint):
    site.azure.without_sentinel.add(WORKSPACE)
    for ask in (lambda: list(site.api(endpoint).alerts(START, START + 1)), site.api(endpoint).may_read):
        with pytest.raises(MicrosoftError, match="has no table of alerts: is Microsoft Sentinel on it"):
            ask()


def test_a_query_that_is_not_understood_is_told_in_microsofts_words(site):
    inner = {"code": "SyntaxError", "message": "Query could not be parsed at 'mv-expand'"}
    error = {"error": {"code": "BadArgumentError", "message": "no", "innererror": inner}}
    site.fault("status", 400, body=error, times=None)
    told = site.failure()
    assert "report it" in told.sentence
    assert "could not be parsed at 'mv-expand'" in dict(told.particulars)["Microsoft's words"]


def test_a_redirect_is_not_followed_and_ends_it(site):
    site.fault("status", 302, headers={"Location": "https://elsewhere.example.org/"}, times=None)
    assert "do not answer" in site.failure().sentence
    assert {request.url.split("/")[2] for request in site.adapter.requests} == {
        "login.example.org",
        "management.azure.com",
    }


@pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 429, 500, 504])
def test_may_read_tries_once_and_says_why(site, status):
    kind = {"kind": "status", "status": status} if status else {"kind": "reset-before"}
    site.fault(**kind, times=None)
    with pytest.raises(MicrosoftError):
        site.api().may_read()
    assert len(site.azure.log_queries) == (2 if status == 401 else 1) and site.time.slept == []
    site.azure.faults.clear()
    site.api().may_read()


def test_no_error_and_no_particular_shows_a_token(site, caplog):
    caplog.set_level("DEBUG")
    tokens = []

    def echo(method, url, token, body=None, headers=None):
        tokens.append(token)
        words = redact(f"The access token {token} is not for us")
        return Answer(403, json.dumps({"error": {"code": "InsufficientAccessError", "message": words}}))

    api = site.api()
    api._asking._client.send = echo
    with pytest.raises(MicrosoftError) as caught:
        list(api.alerts(START, START + 1))
    assert tokens[0] and tokens[0] not in str(caught.value) + caplog.text
    assert "is not for us" in str(caught.value)


def test_answers_of_others_are_redacted_before_they_are_read(site):
    """What echoes a request, as a debugging proxy may, shows no token."""
    client = MicrosoftClient(site.settings(), site.time.clock, site.http)
    token = client.get_token()
    site.fault("status", 500, body=f"you sent {token}")
    answer = client.send("POST", "https://management.azure.com/x/query", token, b"{}", {"Prefer": "wait=1"})
    assert answer.status == 500 and token not in answer.text
    assert Reply(answer, logs_api._understood(answer)).verdict.words.startswith("500 you sent ")


def test_what_goes_along_does_not_replace_the_token(site):
    client = MicrosoftClient(site.settings(), site.time.clock, site.http)
    client.send("GET", "https://management.azure.com/x", "token", headers={"Authorization": "other", "Prefer": "a"})
    headers = site.adapter.requests[-1].headers
    assert (headers["Authorization"], headers["Prefer"]) == ("Bearer token", "a")
