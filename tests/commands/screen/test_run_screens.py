"""What a person sees of a run in a terminal: the verdict first, then little else, and nothing wider than the screen."""

from __future__ import annotations

import json
import re
import time

import pytest
from filelock import FileLock

from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.samples import demo_misp
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.processes import Host

OTHER = "44444444-4444-4444-8444-444444444444"
NOT_A_SECRET_OF_THE_APP = {"MS_AUTH__CLIENT_SECRET": "not-a-secret-of-this-app"}


@pytest.fixture
def box(tmp_path):
    with Sandbox(AzureState(), demo_misp(time.time), 0, 0, tmp_path / "box") as sandbox:
        yield sandbox


@pytest.fixture
def host(box, tmp_path):
    """A host whose settings have the names by which Sentinel can be asked what it holds."""
    return lambda **settings: Host(box, tmp_path / "state", **{**names_of(box), **settings})


def names_of(box):
    (subscription, group, workspace), *_ = box.azure.management_names
    names = {"SUBSCRIPTION_ID": subscription, "RESOURCEGROUPNAME": group, "WORKSPACENAME": workspace}
    named = {f"MS_AUTH__{name}": value for name, value in names.items()}
    return {**named, "MS_ENDPOINTS__MANAGEMENT": box.azure_url}


def is_too_wide(line, columns):
    """Whether a line has no room; one word that has none by itself is not to be helped."""
    return len(line) > columns and " " in line.strip()


def test_a_first_run_is_told_in_a_few_lines_and_green(host):
    shown = host().show()
    first, *detail = shown.lines
    assert re.fullmatch(r"✓ OK: 45 sent, 0 withdrawn, 23 skipped, context: \d+ sent, in \d+ s", first)
    assert shown.style_of("OK: 45 sent") == {"bold", "green"}
    assert len(shown.lines) <= 12
    skipped = " ".join(detail).partition("  skipped  ")[2].partition("live")[0]
    assert sum(map(int, re.findall(r"\d+", skipped))) == 23
    assert not re.search(r"\b0 ", " ".join(detail))


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_at_any_width_the_counts_are_whole_and_no_line_is_too_wide(host, columns):
    shown = host().show("--dry-run", columns=columns)
    assert max(map(len, shown.lines)) <= columns
    assert "2 private_address, 2 refused, 1 file_name, 1 type_not_accepted" in " ".join(shown.text.split())


def test_a_quiet_night_is_one_line(host):
    night = host()
    night.run()
    assert night.show().lines == ["✓ Nothing changed in MISP. 45 indicators live in Sentinel."]


def test_in_cron_a_good_run_says_nothing_and_its_log_ends_with_the_verdict(host):
    night = host()
    done = night.run()
    assert (done.stdout, done.stderr) == ("", "")
    log = (night.config.parent / "misp2sentinel.log").read_text()
    assert re.search(
        r"INFO Summary: \{.*\n.* INFO Verdict: OK: 45 sent, 0 withdrawn, 23 skipped, context: \d+ sent, in \d+ s\n$",
        log,
    )


def test_quiet_leaves_the_summary_out_and_a_failure_in(host, box):
    night = host()
    assert night.show("-q").text == ""
    role(box)
    box.misp.load([misp_event(1, hosts(1))])
    assert night.show("-q").lines[0].startswith("✗ FAILED: the app lacks the role")


def role(box):
    box.azure.allowed.clear()
    return {}


FAILURES = {
    "role": (role, 4, "✗ FAILED: the app lacks the role Microsoft Sentinel Contributor. Give it that"),
    "misp": (lambda _: {"MISP_DOMAIN": "https://127.0.0.1:9"}, 3, "✗ FAILED at MISP: no connection: is it up"),
    "secret": (
        lambda _: NOT_A_SECRET_OF_THE_APP,
        4,
        "✗ FAILED: Microsoft's login gives no token: ms_auth['client_secret'] is not a",
    ),
    "workspace": (lambda _: {"MS_AUTH__WORKSPACE_ID": OTHER}, 4, "✗ FAILED: there is no such workspace. ms_auth["),
}


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_failed_run_says_the_cause_first_and_numbers_last(host, box, kind, columns):
    settings, code, first = FAILURES[kind]
    shown = host(**settings(box)).show(columns=columns)
    assert shown.exit_code == code
    assert " ".join(" ".join(shown.lines[:2]).split()).startswith(first)
    assert shown.style_of("FAILED") == {"bold", "red"}
    assert len(shown.lines) <= 25 or columns < 80
    raw = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown.raw).decode().replace("\r", "")
    assert not [line for line in raw.splitlines() if is_too_wide(line, columns) and "MISP events" not in line]


@pytest.mark.parametrize("kind", FAILURES)
def test_the_cause_is_said_once(host, box, kind):
    settings, _, first = FAILURES[kind]
    shown = " ".join(host(**settings(box)).show(columns=160).text.split())
    assert shown.count(first.partition(": ")[2][:40]) == 1


def test_correlation_numbers_stand_on_lines_of_their_own(host):
    shown = host(**NOT_A_SECRET_OF_THE_APP).show()
    for name in ("Trace ID", "Correlation ID", "Timestamp"):
        (line,) = [line for line in shown.lines if name in line]
        assert re.fullmatch(rf"  {name} +[0-9a-fZ: -]+", line)


def test_in_cron_a_failed_run_has_the_verdict_first_on_stderr_and_what_to_do(host, box):
    role(box)
    done = host().run()
    assert (done.returncode, done.stdout) == (4, "")
    first, *others = done.stderr.splitlines()
    assert first.startswith("FAILED: the app lacks the role Microsoft Sentinel Contributor. Give it that role")
    assert others[-1].startswith("Exit code 4; the log is ")
    assert not any("Contributor" in line for line in others)


def test_json_alone_is_on_stdout(host, box):
    role(box)
    done = host().run("--json")
    assert json.loads(done.stdout)["exit_code"] == 4
    assert done.stderr.startswith("FAILED: the app lacks the role")


def test_a_dry_run_is_shown_in_a_pipe_too_and_yellow_in_a_terminal(host):
    night = host()
    piped, shown = night.run("--dry-run"), night.show("--dry-run")
    words = "Dry run: 45 would be sent, 0 withdrawn, 23 skipped, context: "
    assert piped.stdout.startswith(words) and piped.stderr == ""
    assert shown.lines[0].startswith(f"! {words}")
    assert shown.style_of("Dry run") == {"bold", "yellow"}


def test_verbose_shows_an_example_of_each_reason_apart_from_the_reason(host):
    shown = host().run("--dry-run", "--verbose").stdout
    assert "  10  no_to_ids          the attribute is not flagged to_ids\n" in shown
    assert "\n                         e.g. filename readme.txt\n" in shown


def test_what_microsoft_rejects_is_yellow_with_its_words_once(host, box):
    errors = {"errors": [{"recordIndex": 0, "errorMessages": ["Error for Property=pattern: bad."]}]}
    box.azure.faults.add(Fault(":upload", "body", body=errors, times=1))
    shown = host().show(columns=100)
    assert shown.exit_code == 1
    assert shown.lines[0] == "! PARTLY DONE: Microsoft rejects 1 of 45 indicators: Error for Property=pattern: bad."
    assert shown.style_of("PARTLY DONE") == {"bold", "yellow"}
    assert shown.text.count("Error for Property") == 1


def test_one_of_several_destinations_fails_and_the_others_are_told_in_a_line_each(box, tmp_path):
    places = {"paris": box.azure.workspace_id, "rome": OTHER}
    tenants = [
        {
            "name": name,
            "tenantId": box.azure.tenant,
            "id": box.azure.client_id,
            "secret": box.azure.client_secret,
            "workspaceId": workspace,
        }
        for name, workspace in places.items()
    ]
    several = Host(box, tmp_path / "state", MS_TENANTS=json.dumps(tenants))
    several.environ = {name: value for name, value in several.environ.items() if "MS_AUTH__" not in name}
    shown = several.show()
    assert shown.exit_code == 1
    assert shown.lines[0].startswith("✗ FAILED at rome, 1 of 2 destinations: there is no such workspace.")
    assert len(shown.lines) <= 25
    assert [line[:12] for line in shown.lines if line.startswith(("  ✓", "  ✗"))] == ["  ✓ paris  O", "  ✗ rome   F"]
    assert shown.text.count("no such workspace") == 1


# --- the advice of a first run --------------------------------------------------------------------

ADOPT = "New here? Nothing to do. Sentinel held indicators of MISP before? → adopt"


def test_a_first_run_that_could_not_ask_sentinel_advises_in_one_line(box, tmp_path):
    night = Host(box, tmp_path / "state")
    assert f"  {ADOPT}" in night.show().lines
    assert "adopt" not in night.show().text


def test_nothing_is_advised_where_sentinel_says_that_it_holds_nothing(host):
    assert "adopt" not in host().show().text


def test_the_advice_is_strong_where_sentinel_holds_what_the_ledger_does_not_know(host, tmp_path):
    night = host()
    night.run()
    (tmp_path / "state" / "ledger.sqlite").unlink()
    shown = night.show()
    words = "Sentinel holds 45 indicators of MISP's that the ledger does not know → adopt"
    assert words in " ".join(shown.text.split())
    assert shown.style_of("Sentinel holds 45") == {"bold", "yellow"}
    assert ADOPT not in shown.text


# --- what ends a command before it has a report ---------------------------------------------------


def test_another_run_is_yellow_and_nothing_failed(host, tmp_path):
    night = host()
    night.run()
    with FileLock(tmp_path / "state" / "ledger.sqlite.1.lock"):
        shown = night.show("--dry-run")
    assert shown.exit_code == 5
    assert shown.lines[0].startswith("! Another run is active")
    assert shown.style_of("Another run") == {"bold", "yellow"}


def test_adopt_that_may_not_read_says_so_first_and_the_numbers_last(host, box):
    box.azure.allowed.clear()
    shown = host().show("adopt")
    assert shown.exit_code == 4
    assert shown.lines[0].startswith("✗ the app may not read what the workspace holds. Give it the role")
    assert shown.lines[2].split()[0] == "app" and shown.lines[-1].startswith("  https://")


def test_settings_are_wrong_line_by_line_in_red(host):
    shown = host(DAYS_TO_EXPIRE="soon", MISP_DOMAIN="<misp_domain>").show()
    assert shown.exit_code == 2
    assert [line[:2] for line in shown.lines if not line.startswith("  ")] == ["✗ ", "✗ "]
