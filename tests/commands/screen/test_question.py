"""Whoever sits at a terminal is asked before indicators leave Sentinel for ever; nobody else is."""

from __future__ import annotations

import io
import json
import re
from argparse import Namespace

import pytest

from constants import WithdrawalReason
from helpers.commands.screen import question
from helpers.commands.screen.question import Withdrawn, ask, is_to_be_asked, lines
from helpers.context import Kind
from helpers.errors import Declined
from helpers.settings import load as load_settings
from sandbox.azure.app import WORKSPACE
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.context.site import SET_TAG, TECHNIQUE_TAG, context_site, later, tagged
from tests.support.processes import Host, load
from tests.support.tls_site import NAMES

SECOND = "44444444-4444-4444-8444-444444444444"
LEAVE = ("withdraw", "--workspace", WORKSPACE)
COMMANDS = {"withdraw": LEAVE, "run": ("--force-withdraw",)}


@pytest.fixture
def box():
    with Sandbox() as box:
        yield box


@pytest.fixture
def host(box, tmp_path):
    """Two events of three domains were sent; the first one is unpublished since."""
    host = Host(box, tmp_path / "state")
    load(box, 2, 3)
    assert host.run().returncode == 0
    box.misp.unpublish(misp_event(1)["uuid"])
    return host


def text(shown):
    return " ".join(shown.text.split())


# -- what is asked ------------------------------------------------------------------------------------


def test_withdraw_shows_how_many_why_where_that_it_is_for_ever_and_that_the_next_run_sends_all_again(host, box):
    shown = host.show(*LEAVE, typed="n\n")
    asked = text(shown)
    assert asked.startswith("! 6 indicators would be withdrawn from Microsoft Sentinel, for ever: what comes back")
    assert f"workspace {WORKSPACE}, sourcesystem MISP 6 the workspace is left such as [domain-name:value = " in asked
    assert len(re.findall(r"\[domain-name:value = 'e\dh\d\.example\.org'\]", asked)) == 3
    assert "The settings still name this workspace: the next run sends all of it again, under new ids." in asked
    assert "and beside them 1 organisation" in asked
    assert "Withdraw them? [y/N] n" in asked
    assert shown.style_of("6 indicators would") == {"bold", "yellow"}
    assert (shown.exit_code, len(box.azure.live())) == (2, 6)
    assert "Nothing was done: the answer was not yes. With --yes nobody is asked." in asked


def test_a_workspace_that_is_out_of_the_settings_is_not_said_to_be_sent_to_again(host, box, tmp_path):
    box.azure.add_workspace(SECOND)
    host.environ["MISP2SENTINEL_MS_AUTH__WORKSPACE_ID"] = SECOND
    shown = host.show(*LEAVE, typed="y\n")
    assert "6 indicators would be withdrawn" in shown.text and "settings still name" not in shown.text
    assert (shown.exit_code, len(box.azure.live())) == (0, 0)


def test_each_destination_of_a_workspace_is_named(host, box):
    host.environ["MISP2SENTINEL_SOURCESYSTEM"] = "second"
    assert host.run().returncode == 0
    asked = text(host.show(*LEAVE, typed="n\n"))
    assert "! 9 indicators would be withdrawn" in asked
    first, _, second = asked.partition("sourcesystem second")
    assert "sourcesystem MISP 6 the workspace is left" in first and "settings still name" not in first
    assert second.startswith(" 3 the workspace is left") and "settings still name" in second


def test_a_run_with_force_looks_first_says_that_it_reads_twice_and_does_what_was_shown(host, box):
    asked = text(host.show("--force-withdraw", typed="n\n"))
    assert asked.startswith("Looking first at what would be withdrawn, to ask about it: MISP is read twice, ")
    assert "! 3 indicators would be withdrawn from Microsoft Sentinel, for ever" in asked
    assert f"workspace {WORKSPACE}, sourcesystem MISP 3 event unpublished such as" in asked
    assert "settings still name" not in asked, "a run does not send again what MISP took back"
    assert len(box.azure.live()) == 6
    assert host.show("--force-withdraw", typed="y\n").exit_code == 0
    assert len(box.azure.live()) == 3


def test_a_run_of_several_destinations_shows_each(host, box):
    azure = box.azure
    common = {"tenantId": azure.tenant, "id": azure.client_id, "secret": azure.client_secret, "workspaceId": WORKSPACE}
    tenants = [common | {"name": "paris", "sourcesystem": "MISP"}, common | {"name": "lyon", "sourcesystem": "second"}]
    host.environ["tenants"] = json.dumps(tenants)
    box.misp.publish(misp_event(1)["uuid"])
    assert host.run().returncode == 0
    box.misp.unpublish(misp_event(1)["uuid"])
    asked = text(host.show("--force-withdraw", typed="n\n"))
    assert "! 6 indicators would be withdrawn" in asked
    for name, source in (("paris", "MISP"), ("lyon", "second")):
        assert f"{name}: workspace {WORKSPACE}, sourcesystem {source} 3 event unpublished" in asked
    asked = text(host.show("--force-withdraw", "--workspace", "lyon", typed="n\n"))
    assert "! 3 indicators would be withdrawn" in asked and "lyon: workspace" in asked


def test_adopt_asks_about_what_is_in_sentinel_and_not_in_misp(host, box, tmp_path):
    box.misp.delete(misp_event(1)["uuid"])
    fresh = Host(box, tmp_path / "fresh", **{f"MS_AUTH__{name}": value for name, value in NAMES.items()})
    fresh.environ["MISP2SENTINEL_MS_ENDPOINTS__MANAGEMENT"] = box.azure_url
    shown = fresh.show("adopt", "--withdraw-unmatched", typed="n\n")
    assert "! 3 indicators would be withdrawn" in text(shown) and "MISP is read twice" in text(shown)
    assert (shown.exit_code, len(box.azure.live())) == (2, 6)
    assert not json.loads(fresh.run("status", "--json").stdout)["destinations"], "nothing was taken over"
    assert fresh.show("adopt", "--withdraw-unmatched", typed="y\n").exit_code == 0
    assert len(box.azure.live()) == 3


# -- who is asked -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("typed", ["\n", "no\n", "yess\n", "\x04", "nothing"])
def test_anything_but_a_yes_is_no(host, box, command, typed):
    shown = host.show(*COMMANDS[command], typed=typed if typed != "nothing" else "\x04")
    assert (shown.exit_code, len(box.azure.live())) == (2, 6)
    assert host.run("status", "--json").returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_yes_answers_before_it_is_asked_and_forces_nothing(host, box, command):
    box.misp.load([misp_event(3, hosts(200, "e3h"))])
    assert host.run().returncode == 0
    shown = host.show("withdraw", "--workspace", WORKSPACE, "--yes")
    assert (shown.exit_code, "[y/N]" in shown.text) == (1, False), "the guard holds"
    assert "max_withdraw_percent" in text(shown)
    shown = host.show(*COMMANDS[command], "--force-withdraw", "--yes")
    assert (shown.exit_code, "[y/N]" in shown.text) == (0, False)
    assert len(box.azure.live()) == {"withdraw": 0, "run": 203}[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_is_asked_where_nobody_sits(host, box, command):
    done = host.run(*COMMANDS[command])
    assert done.returncode == 0 and "[y/N]" not in done.stdout + done.stderr and "twice" not in done.stderr
    assert len(box.azure.live()) == {"withdraw": 0, "run": 3}[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_never_asks(host, box, command):
    shown = host.show(*COMMANDS[command], "--dry-run")
    assert (shown.exit_code, "[y/N]" in shown.text, len(box.azure.live())) == (0, False, 6)


def test_where_nothing_is_withdrawn_nobody_is_asked(host, box):
    assert host.run("--force-withdraw").returncode == 0
    shown = host.show("--force-withdraw")
    assert (shown.exit_code, "[y/N]" in shown.text) == (0, False)
    assert host.run(*LEAVE).returncode == 0
    shown = host.show(*LEAVE)
    assert (shown.exit_code, "[y/N]" in shown.text) == (0, False)


def test_what_the_guard_refuses_is_refused_without_a_question(host, box):
    box.misp.load([misp_event(3, hosts(200, "e3h"))])
    assert host.run().returncode == 0
    shown = host.show(*LEAVE)
    assert (shown.exit_code, "[y/N]" in shown.text) == (1, False)


def test_a_plain_run_withdraws_without_a_question(host, box):
    shown = host.show()
    assert (shown.exit_code, "[y/N]" in shown.text, len(box.azure.live())) == (0, False, 3)


def test_where_the_look_fails_the_run_does_not_go_on(host, box):
    box.misp.faults.add(Fault("/events/index", "status", status=403, times=None))
    shown = host.show("--force-withdraw")
    assert (shown.exit_code, "[y/N]" in shown.text, len(box.azure.live())) == (3, False, 6)
    assert [path for _, path, _ in box.misp.requests].count("/events/index") == 2, "one run, and one look"


def test_no_is_an_error_object_for_programs_and_a_line_of_the_log(host):
    shown = host.show(*LEAVE, "--json", typed="n\n")
    assert '"exit_code": 2}' in text(shown) and '"error": "Nothing was done' in text(shown)
    log = (host.config.parent / "misp2sentinel.log").read_text()
    assert "Asked whether to withdraw 6 indicators and beside them 1 organisation: no" in log


# -- the question by itself ---------------------------------------------------------------------------


def withdrawn(**changes):
    return Withdrawn(**{"place": "workspace one", "counts": {"a reason": 2, "another": 1200}, **changes})


def test_the_most_frequent_reason_is_first_and_numbers_stand_below_each_other():
    shown = [line.text() for line in lines([withdrawn(examples=["[one]", "[two]"])])]
    assert shown[0].startswith("1,202 indicators would be withdrawn")
    assert shown[1:] == [
        "  workspace one",
        "    1,200  another",
        "        2  a reason",
        "    such as  [one]",
        "             [two]",
    ]
    assert lines([withdrawn(counts={"a reason": 1})])[0].words.startswith("1 indicator would be")


BESIDE = {
    "beside": {Kind.RELATIONSHIP: 53, Kind.THREAT_ACTOR: 2},
    "beside_counts": {"few": 2, "sends less": 53},
    "beside_examples": ["actor Moon Fox"],
}


def test_what_leaves_beside_no_indicator_is_named_with_its_reasons_and_some_of_it():
    shown = [line.text() for line in lines([withdrawn(counts={}, **BESIDE)])]
    assert shown[0].startswith("2 actors, 53 relationships would be withdrawn from Microsoft Sentinel, for ever")
    assert shown[1:] == [
        "  workspace one",
        "    2 actors, 53 relationships",
        "    53  sends less",
        "     2  few",
        "    such as  actor Moon Fox",
    ]
    shown = [line.text() for line in lines([withdrawn(**BESIDE)])]
    assert shown[0].startswith("1,202 indicators would")
    assert shown[-4] == "    and beside them 2 actors, 53 relationships"


def test_a_run_is_asked_about_what_leaves_beside_indicators(tmp_path):
    site = context_site(tmp_path, "techniques", DRY_RUN="false")
    site.misp.load([tagged(1, SET_TAG, TECHNIQUE_TAG)])
    site.run()
    site.configure(CONTEXT="actors", DRY_RUN="true")
    asked = Withdrawn.of(later(site, force_withdraw=True), site.settings)
    assert asked.beside_counts == {WithdrawalReason.CONTEXT_SENDS_LESS: 4}
    assert asked.beside_examples == ["technique Social Media"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1,202 indicators"),
        ({"counts": {}, **BESIDE}, "2 actors, 53 relationships"),
        (BESIDE, "1,202 indicators and beside them 2 actors, 53 relationships"),
    ],
)
def test_the_log_says_of_what_it_was_asked(caplog, changes, words):
    caplog.set_level("INFO")
    ask([withdrawn(**changes)], lambda: "y\n")
    assert f"Asked whether to withdraw {words}: yes" in caplog.messages


@pytest.mark.parametrize("reply", ["y\n", "Y\n", " yes \n", "YES\n"])
def test_a_yes(capsys, reply):
    ask([withdrawn()], lambda: reply)
    assert capsys.readouterr().err.endswith("Withdraw them? [y/N] ")


def no_text():
    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")


def gone():
    raise OSError("hung up")


@pytest.mark.parametrize("answer", [lambda: "", lambda: "\n", lambda: "ja\n", lambda: "y es\n", no_text, gone])
def test_a_no(capsys, answer):
    with pytest.raises(Declined):
        ask([withdrawn()], answer)
    assert capsys.readouterr().out == "", "stdout is for what was done"


def test_nothing_to_withdraw_is_no_question(capsys):
    ask([withdrawn(counts={}), withdrawn(counts={"a reason": 0})], gone)
    assert capsys.readouterr().err == ""


class Stream(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.mark.parametrize(("stdin", "stderr"), [(True, True), (True, False), (False, True), (None, True)])
@pytest.mark.parametrize(("yes", "dry"), [(False, False), (True, False), (False, True)])
def test_who_is_asked(monkeypatch, tmp_path, stdin, stderr, yes, dry):
    (tmp_path / "config.py").write_text(f"dry_run = {dry}\n")
    settings = load_settings(tmp_path / "config.py", {}, offline=True).settings
    monkeypatch.setattr(question.sys, "stdin", None if stdin is None else Stream(terminal=stdin))
    monkeypatch.setattr(question.sys, "stderr", Stream(terminal=stderr))
    asked = is_to_be_asked(settings, Namespace(yes=yes))
    assert asked == (stdin is True and stderr and not yes and not dry)
