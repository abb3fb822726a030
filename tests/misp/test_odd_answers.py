"""Whatever MISP answers, with absurd numbers, forms or letters in it, is a fault of MISP's and never ours."""

from __future__ import annotations

import pytest

from helpers.sync.report import problems_of
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.tls_site import TlsSite, sandbox

BODIES = [
    "9" * 5000,
    "[" * 100_000,
    '{"response":' * 100_000,
    "[" * 900 + "]" * 900,
    "NaN",
    "1e999",
    '"\\ud800"',
    '{"errors": "\\ud800\\u001b[2J"}',
    '{"version": "' + "9" * 5000 + '.1.1"}',
    '{"version": ["2"]}',
    '{"User": [], "Role": 5, "UserSetting": {"a": NaN}}',
    '[{"Event": {"uuid": "\\ud800", "id": ' + "9" * 4000 + ', "timestamp": NaN, "published": []}}]',
    '[{"uuid": {}, "timestamp": 1e999, "orgc_uuid": ["\\ud800"], "Tag": 5}]',
    '{"response": {"Attribute": [{"Event": NaN}]}}',
    "\x00\xff",
    "",
]
PATHS = ["/servers/getVersion", "/users/view", "/attributes/describeTypes", "/events/index", "/events/restSearch"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    box, time = sandbox()
    with box:
        box.misp.load([misp_event(1, hosts(2))])
        yield TlsSite(box, time, tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("status", [200, 400])
def test_no_answer_of_misps_is_a_fault_of_ours(site, tmp_path, path, body, status):
    site.state = tmp_path
    site.misp.faults.clear()
    site.misp.faults.add(Fault(path, "body" if status == 200 else "status", status=status, body=body, times=None))
    report = site.run()
    assert report.exit_code in (0, 1, 3) and not report.faults and not report.failure
    assert all(problem.text.isprintable() for problem in problems_of(report))


@pytest.mark.parametrize("wait", ["9" * 5000, "1e400", "nan", "-1", "²", "", "x"])
def test_no_rate_limit_is_waited_for_without_a_bound(site, tmp_path, wait):
    site.state = tmp_path
    site.misp.faults.clear()
    headers = {"X-Rate-Limit-Reset": wait}
    site.misp.faults.add(Fault("/events/restSearch", "status", 429, headers=headers, times=None))
    begun = len(site.time.slept)
    assert site.run().exit_code == 3
    assert sum(site.time.slept[begun:]) < 3000


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"X-Rate-Limit-Reset": "30"}, {"name": "Rate limit exceeded."}, 30),
        ({"Retry-After": "45"}, "slow down", 45),
        ({}, {"message": "Too many requests. Try again in 1 minute(s)"}, 60),
        ({"X-Rate-Limit-Reset": "30", "Retry-After": "45"}, "Try again in 1 minute", 30),
    ],
)
def test_what_asks_to_wait_is_given_that_time_whoever_in_front_of_misp_it_is(site, tmp_path, headers, body, seconds):
    site.state = tmp_path
    site.misp.faults.clear()
    site.misp.faults.add(Fault("/events/restSearch", "status", 429, headers=headers, body=body))
    begun = len(site.time.slept)
    assert site.run().exit_code == 0
    assert site.time.slept[begun:] == [seconds]
