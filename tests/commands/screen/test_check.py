"""What ``check`` shows in a terminal and in a pipe: what is well in a line each, what is not with all that helps."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from constants import VERSION
from helpers.commands.check.result import Result, State, conclusion
from sandbox.azure.app import WORKSPACE
from sandbox.serve import Sandbox
from sandbox.terminal import in_terminal
from tests.support import misp_event
from tests.support.tls_site import NAMES
from tests.sync.test_run import ROOT, Site, load

STEPS = [
    *("settings", "state", "context", "MISP login", "MISP role", "MISP filters", "MISP galaxies"),
    *("Microsoft token", "Microsoft upload"),
]
WRONG = {"MISP2SENTINEL_MISP_KEY": "x" * 40, "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "not-the-secret"}


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


@pytest.fixture
def site(box):
    """A site whose paths are as short as those of an installation."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(box, Path(folder))
        if not list(box.misp.events()):
            load(site)
        yield site


def check(site, *options, columns=80, **environ):
    """What a person sees of ``check``, typed as docs/install.md makes it."""
    named = {"MISP2SENTINEL_COMMAND": "misp2sentinel", "MISP2SENTINEL_CONFIG": str(site.config)}
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(site.state.parent), **named, **site.environ, **environ}
    return in_terminal([sys.executable, str(ROOT / "script.py"), "check", *options], columns=columns, env=surroundings)


def test_what_is_well_is_a_tick_a_name_and_few_words_in_one_line_each(site):
    shown = check(site)
    assert shown.exit_code == 0
    steps, (*note, verdict) = shown.lines[: len(STEPS)], shown.lines[len(STEPS) :]
    assert [line[:20].strip() for line in steps] == [f"✓ {name}" for name in STEPS], shown.text
    assert len(note) == 2 and note[0].startswith("· Sentinel's rules  match no IPv6 address"), shown.text
    assert verdict == "✓ Ready. Next: misp2sentinel --dry-run"
    assert f"MISP2Sentinel {VERSION}" in steps[0]
    assert "[" not in shown.text, "where a setting came from is shown where it helps"
    assert shown.style_of("✓ MISP login") == {"green"} and shown.style_of("MISP 2.5.1") == set()
    assert shown.style_of("Ready. Next") == {"bold", "green"}


@pytest.fixture
def own_site():
    """A site whose Sentinel no other test looks into."""
    with Sandbox() as box, tempfile.TemporaryDirectory() as folder:
        yield Site(box, Path(folder))


def test_what_sentinel_s_rules_do_not_match_is_a_note_and_no_fault(own_site):
    site = own_site
    site.box.misp.load([misp_event(9, [("ip-dst", "2001:db8::1"), ("ip-dst", "192.0.2.1")])])
    site.script()
    settings = {"MISP2SENTINEL_DEFAULT_CONFIDENCE": "50"}
    shown = check(site, columns=160, **settings)
    notes = [line for line in shown.lines if line.startswith("·")]
    assert notes == [
        "· Sentinel's rules  1 IPv6 address: no rule that Microsoft publishes matches it",
        "· Sentinel's rules  default_confidence 50: the rule for AppServiceHTTPLogs wants more",
    ], shown.text
    assert (shown.exit_code, shown.lines[-1]) == (0, "✓ Ready. Next: misp2sentinel --dry-run")
    assert "[default_confidence from environment" in check(site, "--verbose", columns=300, **settings).text
    assert "default_confidence" not in check(site, MISP2SENTINEL_DEFAULT_CONFIDENCE="60").text


def test_with_verbose_every_origin_is_shown(site):
    shown = " ".join(check(site, "--verbose").text.split())
    for name in ("STATE_DIR", "MISP_DOMAIN", "MISP_KEY", "MS_AUTH__CLIENT_ID", "MS_AUTH__WORKSPACE_ID"):
        assert f"from environment MISP2SENTINEL_{name}" in shown
    assert f"[misp_event_filters from {site.config}]" in shown


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_what_is_not_well_has_its_cause_the_guilty_setting_and_what_was_not_tried_for_it(site, columns):
    shown = check(site, columns=columns, **WRONG)
    assert shown.exit_code == 3
    text = " ".join(shown.text.split())
    assert "✗ MISP login https://localhost" in text and "the key (misp_key) is refused (make one in MISP" in text
    assert "[misp_key from environment MISP2SENTINEL_MISP_KEY]" in text
    assert "ms_auth['client_secret'] is not a secret of this app: take the secret's value, not its ID." in text
    assert "[ms_auth['client_secret'] from environment MISP2SENTINEL_MS_AUTH__CLIENT_SECRET]" in text
    assert "misp_domain from" not in text and "ms_auth['tenant'] from" not in text, "they are not guilty"
    for name in ("MISP role", "MISP filters", "MISP galaxies"):
        assert f"– {name} not tried, since the login failed" in text
    assert "– Microsoft upload not tried, since there is no token" in text
    end = "✗ Not ready (exit code 3): MISP login, Microsoft token. Do what is said there, then: misp2sentinel check"
    assert text.endswith(end)
    assert shown.style_of("✗ MISP login") == {"red"} and shown.style_of("– MISP role") == {"dim"}
    uncut = {word for line in shown.lines for word in line.split()}
    assert f"'{site.box.azure.client_id}'" in uncut, "no word is cut that has room on a line of its own"


def test_where_stories_have_no_address_of_their_own_misp_s_is_the_guilty_one(site):
    stories = {"API_KEY": "s" * 40, "ORGANISATION_ID": "1"}
    of_stories = {f"MISP2SENTINEL_MISP_STORIES__{name}": value for name, value in stories.items()}
    text = " ".join(check(site, MISP2SENTINEL_MISP_DOMAIN="https://localhost:1", **of_stories).text.split())
    assert text.count("[misp_domain from environment MISP2SENTINEL_MISP_DOMAIN]") == 2
    assert "misp_stories['url']" not in text


def test_microsoft_s_ids_and_numbers_follow_on_lines_of_their_own(site):
    shown = check(site, **WRONG)
    (number,) = [line for line in shown.lines if "Correlation ID" in line]
    assert number.startswith("     Correlation ID: ")
    sentence = shown.text[: shown.text.index("     login: ")]
    assert "AADSTS" not in sentence and "Trace ID" not in sentence


def test_a_pipe_has_words_in_place_of_symbols_and_lines_that_are_not_wrapped(site):
    done = site.script("check", **WRONG)
    marks = [line[:5] for line in done.stdout.splitlines() if not line.startswith("     ")]
    assert marks == [*["ok   "] * 3, "FAIL ", *["--   "] * 3, "FAIL ", "--   ", "FAIL "]
    assert "\nFAIL MISP login: https://" in done.stdout and "\n--   MISP role: not tried, since" in done.stdout
    assert done.stdout.isascii() and "\x1b" not in done.stdout


def test_a_terminal_whose_encoding_lacks_the_symbols_has_letters(site):
    shown = check(site, LC_ALL="C", PYTHONIOENCODING="ascii", **WRONG)
    assert "x MISP login" in shown.text and "- MISP role" in shown.text and "+ state" in shown.text


def test_several_destinations_have_their_names_and_one_of_them_goes_into_the_next_command(site):
    azure = site.box.azure
    common = {"tenantId": azure.tenant, "id": azure.client_id, "secret": azure.client_secret, "workspaceId": WORKSPACE}
    tenants = [common | {"name": "paris"}, common | {"name": "lyon", "sourcesystem": "second", "secret": "wrong"}]
    shown = check(site, tenants=json.dumps(tenants))
    assert shown.exit_code == 4
    text = " ".join(shown.text.split())
    assert "✓ Microsoft upload paris may write" in text
    assert "– Microsoft upload lyon not tried, since there is no token" in text
    assert "Not ready (exit code 4): Microsoft token lyon. " in text
    paris = check(site, "--workspace", "paris", tenants=json.dumps(tenants)).lines
    assert paris[-1] == "✓ Ready. Next: misp2sentinel --dry-run --workspace paris"


def test_what_sentinel_holds_and_an_empty_ledger_does_not_know_is_for_adopt(site):
    names = {f"MISP2SENTINEL_MS_AUTH__{name}": value for name, value in NAMES.items()}
    names["MISP2SENTINEL_MS_ENDPOINTS__MANAGEMENT"] = site.box.azure_url
    assert check(site, **names).lines[-1] == "✓ Ready. Next: misp2sentinel --dry-run", "Sentinel holds nothing"
    site.script()
    assert check(site, **names).lines[-1] == "✓ Ready. Next: misp2sentinel --dry-run", "the ledger knows it"
    for file in site.state.glob("ledger.sqlite*"):
        file.unlink()
    text = " ".join(check(site, columns=160, **names).text.split())
    assert "! ledger empty, while Sentinel holds" in text
    assert text.endswith("Ready, but look at: ledger. Next: misp2sentinel adopt --dry-run")
    refused = {**names, "MISP2SENTINEL_MS_AUTH__RESOURCEGROUPNAME": "another"}
    assert "ledger empty, and what Sentinel holds is not known" in " ".join(check(site, **refused).text.split())


@pytest.mark.parametrize("ledger", ["", "none"])
def test_a_log_that_is_elsewhere_is_said_to_be_there(site, ledger):
    log = site.state.parent / "elsewhere.log"
    shown = check(site, columns=300, MISP2SENTINEL_LOG_FILE=str(log), MISP2SENTINEL_STATE_URL=ledger)
    kept = "lock" if ledger else "lock and ledger"
    (words,) = (line.split(maxsplit=2)[2] for line in shown.lines if line.startswith(("✓ state", "! state")))
    assert words == f"{kept} in {site.state}, log {log}"


def test_a_warning_does_not_hide_in_the_verdict(site):
    shown = check(site, MISP2SENTINEL_REFRESH_DAY="1")
    assert shown.exit_code == 0
    assert shown.lines[-1] == "! Ready, but look at: settings. Next: misp2sentinel --dry-run"
    assert shown.style_of("Ready, but") == {"bold", "yellow"}
    assert shown.style_of("! settings") == {"yellow"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("the key (misp_key) is refused", ["misp_key"]),
        ("no connection: is misp_domain right?", ["misp_domain"]),
        ("misp_key is not of the MISP that misp_domain names", ["misp_domain", "misp_key"]),
        ("it fell over", ["misp_domain", "misp_key"]),
        ("misp_keys and not_misp_domain", ["misp_domain", "misp_key"]),
    ],
)
def test_the_guilty_setting_is_the_one_that_the_words_name_else_all(words, named):
    origins = {"misp_domain": "default", "misp_key": "default"}
    (line,) = Result(State.FAIL, "MISP login", words, origins).lines(10, verbose=False)
    assert line.words == f"{words} [{'; '.join(f'{name} from default' for name in named)}]"


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([State.OK, State.OK], "ok   Ready. Next: run"),
        ([State.OK, State.WARN], "warn Ready, but look at: b. Next: run"),
        (
            [State.WARN, State.FAIL, State.FAIL],
            "FAIL Not ready (exit code 2): b, c. Do what is said there, then: check",
        ),
    ],
)
def test_the_verdict(states, verdict):
    results = [Result(state, name, "words") for state, name in zip(states, "abc", strict=False)]
    assert conclusion(results, 2, "run", "check").text() == verdict
