"""What Microsoft's answers may take, in time and size: at the login, the upload APIs, management and a key vault."""

from __future__ import annotations

from itertools import count

import pytest

from helpers.errors import MicrosoftError, SyncError
from helpers.http import MIB, PinnedHttpAdapter, session
from helpers.microsoft import (
    BatchSender,
    Clock,
    ManagementApi,
    MicrosoftClient,
    RateLimiters,
    api_for,
    key_vault,
)
from helpers.microsoft.batch import Batch
from helpers.microsoft.client import LIMITS
from helpers.microsoft.reading import management_api
from helpers.microsoft.responses import NextStep
from helpers.settings import load
from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from tests.support import environ_for, hosts, misp_event
from tests.support.tls_site import TlsSite
from tests.support.tls_site import sandbox as sandbox_with_clock
from tests.support.vault_site import vault_site

LARGER = "the answer is larger than 16 MiB"
HUGE = " " * (16 * MIB + 1)


@pytest.fixture
def site(tmp_path):
    box, time = sandbox_with_clock()
    with box:
        yield TlsSite(box, time, tmp_path)


def fault(site, path, **more):
    site.azure.faults.add(Fault(path, "body", body=HUGE, times=None, **more))


def slow_client(site, settings):
    """A client by whose clock each part of an answer takes ten minutes."""
    ticks = iter(range(0, 10**9, 600))
    adapter = PinnedHttpAdapter(site.box.ca_file, {}, LIMITS, now=lambda: next(ticks))
    return MicrosoftClient(settings, site.time.clock, session(adapter, "test"))


@pytest.mark.parametrize("path", ["openid-configuration", "oauth2/v2.0/token"])
def test_a_login_whose_answer_is_too_large_gives_no_token(site, path):
    fault(site, path)
    with pytest.raises(MicrosoftError, match=LARGER):
        MicrosoftClient(site.settings(), site.time.clock).get_token()
    assert site.time.slept == [], "it is not asked again"


def test_a_login_that_drips_gives_no_token(site):
    with pytest.raises(MicrosoftError, match="not complete after 5 minutes") as caught:
        slow_client(site, site.settings()).get_token()
    assert caught.value.exit_code == 4


def test_uploads_whose_answers_are_too_large_are_given_up_and_wait_for_the_next_run(site):
    site.misp.load([misp_event(1, hosts(700))])
    fault(site, ":upload")
    report = site.run()
    assert report.exit_code == 4 and LARGER in report.given_up
    assert site.time.slept == [], "none is sent again in this run"
    site.azure.faults.clear()
    assert site.run().exit_code == 0
    assert len(site.azure.live()) == 700


@pytest.mark.parametrize("graph", ["true", "false"])
def test_an_upload_that_drips_is_not_sent_again(site, graph):
    settings = site.settings(MS_AUTH__GRAPH_API=graph, MS_ENDPOINTS__GRAPH=f"{site.box.azure_url}/beta")
    client = MicrosoftClient(settings, site.time.clock)
    client.get_token()
    slow = slow_client(site, settings)
    slow._tokens = client._tokens
    verdict = BatchSender(api_for(settings), slow, RateLimiters(site.time.clock)).send(Batch([]))
    assert verdict.next_step is NextStep.FAILED
    assert "not complete after 5 minutes" in verdict.words


def test_a_management_api_whose_answer_is_too_large_is_an_error(site):
    fault(site, "/query")
    with pytest.raises(MicrosoftError, match=LARGER):
        list(ManagementApi(site.settings(), site.time.clock).indicators())
    assert site.time.slept == []


@pytest.mark.parametrize("kind", ["one page again and again", "ever new empty pages", "ever new pages"])
def test_a_management_api_whose_pages_have_no_end_is_left(monkeypatch, kind):
    monkeypatch.setattr(management_api, "MOST", 500)
    settings, asked = load(None, environ_for(AzureState())).settings, count()
    api = ManagementApi(settings, Clock())
    records = [{"properties": {"data": {"id": "x", "pattern": "y"}}}] * (100 if kind == "ever new pages" else 0)

    def page(*_):
        number = 1 + next(asked) * kind.startswith("ever")
        link = f"{settings.ms_endpoints.management}/query?page={number}"
        return {"value": records, "nextLink": link}

    monkeypatch.setattr(api, "_ask", page)
    with pytest.raises(MicrosoftError, match="pages without an end"):
        list(api.indicators())
    assert next(asked) <= management_api.MOST_EMPTY + 3


def test_a_key_vault_whose_answer_is_too_large_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(key_vault, "TRIES_MORE", 0)
    with vault_site(tmp_path) as (box, settings):
        box.azure.faults.add(Fault("/secrets", "body", body=HUGE, times=None))
        with pytest.raises(SyncError, match=LARGER) as caught:
            key_vault.with_secrets(settings)
    assert caught.value.exit_code == 4
