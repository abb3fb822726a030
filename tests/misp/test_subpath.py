"""A MISP under a path: a front before it takes requests for /misp/... alone, and passes them on without that."""

from __future__ import annotations

import io
import json

import pytest
import requests

from helpers.commands.adopt import adopt
from helpers.commands.check import Preflight
from helpers.commands.collect import collect
from helpers.commands.explain.command import Options, explain
from helpers.commands.share import share
from helpers.commands.withdraw import withdraw_all
from helpers.misp.client import TRIES
from helpers.stories import ShareOptions
from helpers.sync.report import problems_of
from sandbox.certificates import server_context
from sandbox.faults import Fault
from tests.support import Said, hosts, misp_event
from tests.support.story_site import story
from tests.support.tls_site import TlsSite, event_uuid, sandbox
from tests.support.wire_server import WireServer, answer

PATH = "/misp"
OWN = ("connection", "content-length", "date", "server", "transfer-encoding", "content-type")


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box, front(box, tmp_path / "front.pem") as server:
        box.misp.load([misp_event(1, hosts(2))])
        yield SubpathSite(box, time, tmp_path, server)


def front(box, ca_file):
    """A reverse proxy over TLS."""
    misp = requests.Session()
    misp.verify, misp.trust_env = box.ca_file, False

    def pass_on(asked):
        if not asked.path.startswith(f"{PATH}/"):
            return answer(404, b"default backend - 404")
        headers = {name: value for name, value in asked.headers.items() if name not in ("host", *OWN[:2])}
        url = box.misp_url + asked.path.removeprefix(PATH)
        answered = misp.request(asked.method, url, headers=headers, data=asked.body, allow_redirects=False)
        kept = {name: value for name, value in answered.headers.items() if name.lower() not in OWN}
        return answer(answered.status_code, answered.content, **kept)

    return WireServer(pass_on, server_context(ca_file))


class SubpathSite(TlsSite):
    """A site whose MISP, and whose stories' MISP, is behind the front; ``address`` is how the settings spell it."""

    def __init__(self, box, time, folder, server):
        super().__init__(box, time, folder)
        self.server = server
        self.ca_file = str(folder / "front.pem")
        self.address = f"{server.url}{PATH}"

    def environ(self, **more):
        stories = {"URL": self.address, "API_KEY": self.misp.key, "ORGANISATION_ID": "1", "SSL_CHECK": self.ca_file}
        named = {f"MISP_STORIES__{name}": value for name, value in stories.items()}
        return super().environ(**{"MISP_DOMAIN": self.address, "MISP_VERIFYCERT": self.ca_file, **named, **more})

    @property
    def asked(self):
        """The requests that reached the front, and must all have been for MISP."""
        assert all(asked.path.startswith(f"{PATH}/") for asked in self.server.asked), self.server.asked
        return len(self.server.asked)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_run_sends_what_a_misp_under_a_path_has(site, end):
    site.address += end
    report = site.run()
    assert (report.exit_code, report.misp_error, report.states.total()) == (0, "", 2)
    assert site.asked > 3
    urls = {sent["external_references"][0]["url"] for sent in site.azure.live().values()}
    assert urls == {f"{site.server.url}{PATH}/events/view/{event_uuid(1)}"}


def test_both_spellings_are_one_misp_to_the_ledger(site):
    site.run()
    site.address += "/"
    report = site.run()
    assert (report.exit_code, report.states.total(), report.warnings) == (0, 0, [])


def test_every_command_reaches_it(site):
    site.run()
    lines = Said()
    assert Preflight(site.settings(), lines.say).run() == 0, lines
    assert explain(site.settings(), ["host0.example.org"], lines.append, Options(as_json=True)) == 0
    shown = json.loads(lines[-1])
    assert f"{site.address}/events/view/{event_uuid(1)}" in json.dumps(shown)
    clock, now = site.time.clock, site.time.now
    options = {"force_withdraw": True, "line": None, "clock": clock, "now": now}
    withdrawn = withdraw_all(site.settings(), "", **options)
    assert (withdrawn.exit_code, site.azure.live()) == (0, {})
    site.lose_ledger()
    adopted = adopt(site.settings().destinations(""), withdraw_unmatched=False, **options)
    assert adopted.exit_code == 0, problems_of(adopted)
    assert site.asked > 10


def test_stories_reach_it(site):
    file = site.folder / "stories.json"
    file.write_text(json.dumps(story()))
    lines, out = [], io.StringIO()
    assert share(site.settings(), [file], lines.append, ShareOptions(), as_json=True) == 0, lines
    (shared,) = json.loads(lines[0])["stories"]
    assert shared["url"].startswith(f"{site.address}/events/view/")
    assert collect(site.settings(), out, lines.append, now=site.time.now) == 0
    (collected,) = map(json.loads, out.getvalue().splitlines())
    assert collected["id"] == story()["id"]
    assert site.asked > 10


def test_a_path_that_is_missing_is_told(site):
    site.address = site.server.url
    report = site.run()
    assert report.exit_code == 3
    assert (
        "misp_domain must be the address of MISP itself, without a page behind it, and with the path that MISP is "
        in (report.misp_error)
    )
    assert len(site.server.asked) == TRIES, "a 404 of MISP's own, cut short, looks the same"


@pytest.mark.parametrize("page", ["/portal", "/misp-old", "/x/y"])
def test_another_path_is_no_misp(site, page):
    site.address += page
    report = site.run()
    assert report.exit_code == 3 and "misp_domain must be the address of MISP itself" in report.misp_error
    assert site.azure.uploads == []


def test_a_page_that_answers_something_else_is_doubted(site):
    with WireServer(lambda asked: answer(body=[]), server_context(site.folder / "front.pem")) as other:
        site.address = f"{other.url}/portal"
        report = site.run()
    assert report.exit_code == 3 and "is misp_domain the address of MISP itself?" in report.misp_error


def test_a_redirect_names_the_address_with_its_path(site):
    with WireServer(lambda asked: answer(301, Location=f"{site.server.url}{asked.path}")) as old:
        site.address = f"{old.url}{PATH}/"
        report = site.run()
    assert report.exit_code == 2
    assert f"misp_domain is redirected to {site.server.url}{PATH}, where the key" in report.misp_error
    assert site.server.asked == []


def test_a_page_that_fails_is_read_event_by_event_there_too(site):
    site.misp.load(misp_event(n, hosts(1, f"e{n}h")) for n in range(2, 8))
    several = Fault(
        "/events/restSearch",
        "status",
        when=lambda body: not body.get("metadata") and len(body["eventid"]) > 1,
        times=None,
    )
    site.misp.faults.add(several)
    report = site.run()
    assert (report.exit_code, report.states.total(), report.detours.singly) == (0, 8, 7)
    assert site.asked > 10
