"""Known holes: pip-audit itself asks an OSV on loopback, and what it could not learn is never taken for good news."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from deploy.supply import __main__ as command
from deploy.supply.holes import Answer, exit_code, read, sentence

HOLE = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "A hole",
    "affected": [
        {
            "package": {"name": "pip", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """An OSV that knows one hole, in apprise."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hole = {**HOLE, "affected": [{**HOLE["affected"][0], "package": asked["package"]}]}
        answer = json.dumps({"vulns": [hole]} if asked["package"]["name"] == "apprise" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def osv():
    with HTTPServer(("127.0.0.1", 0), Osv) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def asked(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["deploy.supply", "holes", *words])
    return command.main()


def test_a_hole_is_named_with_the_version_that_has_none(monkeypatch, capsys, osv):
    assert asked(monkeypatch, "requirements-notify.txt", "--osv", osv) == 1
    hole, said = capsys.readouterr().out.splitlines()
    assert hole == "apprise 2.3.0: PYSEC-2026-1, CVE-2026-1, fixed in 99.1"
    assert said.startswith("1 known. Pin a fixed version in pyproject.toml")


def test_no_answer_is_no_good_news(monkeypatch, capsys):
    """On loopback nobody listens at port 9."""
    assert asked(monkeypatch, "requirements-notify.txt", "--osv", "http://127.0.0.1:9/v1/query") == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("There is no answer, so this says nothing: ")


FINE = {"name": "one", "version": "1", "vulns": []}
SKIPPED = {"name": "two", "skip_reason": "Dependency not found on PyPI and could not be audited: two (1)"}
OPEN = {"name": "three", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": [], "fix_versions": []}]}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([FINE], 0, "No holes are known in 1 packages."),
        ([FINE, SKIPPED], 2, "Of 1 of 2 packages nothing could be learnt."),
        ([FINE, SKIPPED, OPEN], 1, "1 known."),
    ],
)
def test_what_pypi_does_not_know_counts_as_unknown(packages, code, words):
    answer = read(packages)
    assert exit_code(answer) == code and sentence(answer).startswith(words)


def test_a_hole_without_a_fix_says_so():
    assert read([OPEN]) == Answer(("three 1: PYSEC-1, fixed in no version yet",), 1, ())
