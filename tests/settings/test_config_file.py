"""config.py as a file: what it is written in, what it prints, and what it asks Azure for."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import MicrosoftError, SettingsError
from helpers.settings import load
from helpers.settings.config import execution, source_text
from tests.settings.test_settings import ENVIRON, KEY, ROOT, SECRET

TEXT = "misp_timeout = 10  # Sekunden, höchstens\ndays_to_expire = 7\n"
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.fixture
def settings_in(tmp_path):
    """A function that writes a config.py as bytes and loads it."""

    def write_and_load(source):
        path = tmp_path / "config.py"
        path.write_bytes(source)
        return load(path, ENVIRON)

    return write_and_load


def problem_with(settings_in, source):
    with pytest.raises(SettingsError) as caught:
        settings_in(source)
    (problem,) = caught.value.problems
    assert KEY not in problem
    return problem.partition("config.py ")[2]


# --- the encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", WIDE)
def test_other_encodings_are_named(settings_in, encoding):
    problem = problem_with(settings_in, TEXT.encode(encoding))
    assert problem.startswith(f"is {encoding[:6].upper()}: save it as UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_utf8_is_read_as_it_is_saved(settings_in, encoding, newline):
    settings = settings_in(TEXT.replace("\n", newline).encode(encoding)).settings
    assert (settings.misp_timeout, settings.days_to_expire) == (10, 7)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_no_text_in_utf8_is_taken_for_another_encoding(text):
    problem = source_text.problem_of(text.encode())
    assert problem is None or "UTF-" not in problem


def test_another_encoding_is_named_where_python_does_not_take_it(settings_in):
    problem = problem_with(settings_in, 'x = 1\nsourcesystem = "Größe"'.encode("latin-1"))
    assert problem.startswith("is not UTF-8 (line 2): save it as UTF-8")


def test_an_encoding_that_the_file_names_is_read(settings_in):
    source = '# -*- coding: latin-1 -*-\nsourcesystem = "Größe"'.encode("latin-1")
    assert settings_in(source).settings.sourcesystem == "Größe"


def test_a_null_byte_is_named_with_its_line(settings_in):
    assert problem_with(settings_in, b"x = 1\ny = '\0'").startswith("has a null byte in line 2")


# --- other languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is HTML or XML"),
        ('\n{"misp_domain": "https://misp.example.org", "misp_timeout": 10}', "is JSON: write Python"),
        ('{"dry_run": true}', "is JSON: write Python"),
        (f"misp_domain: https://misp.example.org\nmisp_key: {KEY}", "this looks like YAML"),
        (f"---\nms_auth:\n  client_secret: {KEY}", "this looks like YAML"),
        (f"MISP2SENTINEL_MISP_KEY={KEY}\n# comment\nMISP2SENTINEL_DRY_RUN=true", "file of environment variables"),
        (f"export mispkey={KEY}\nexport mispurl=https://misp.example.org", "file of environment variables"),
        (f"misp_key = “{KEY}”", "line 1: invalid character '“' (U+201C); write straight quotes"),
        ("misp_domain = ‘https://misp.example.org’", "write straight quotes"),
        ("x = 1\nmisp_timeout\u00a0= 10", "line 2: invalid non-printable character U+00A0; fix that line"),
        ("if True:\n\tx = 1\n        y = 2", "line 3: inconsistent use of tabs and spaces in indentation"),
        ("try:\n    x = 1\n", "line 2: expected 'except' or 'finally' block; fix that line"),
        ("filters = {\n  'max_tlp': 'green'\n", "fix that line"),
    ],
)
def test_what_is_no_python_is_named(settings_in, text, words):
    assert words in problem_with(settings_in, text.encode())


def test_a_setting_with_a_type_alone_has_no_value(settings_in):
    with pytest.raises(SettingsError) as caught:
        settings_in(b"x: int\nmisp_timeout: 10\ndays_to_expire: int = 7")
    (problem,) = caught.value.problems
    assert problem.startswith("misp_timeout (") and "has no value in line 2: write misp_timeout = " in problem


# --- what it prints ----------------------------------------------------------------------------------

PRINTS = """
import logging, os, subprocess, sys, warnings
print('key_vault_name is not set, taking variables')
print('to stderr', file=sys.stderr)
os.write(1, b'by number\\n')
os.write(2, b'by number to stderr\\n')
subprocess.run([sys.executable, '-c', 'import sys; print("a program"); print("its error", file=sys.stderr)'])
subprocess.run([sys.executable, '-c', 'print("handed over")'], stdout=sys.stdout)
sys.__stdout__.write('the first stdout\\n')
sys.stdout.buffer.write(b'bytes\\n')
sys.stdout.reconfigure(encoding='utf-8')
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
logging.warning('logged')
logging.getLogger('azure').addHandler(logging.StreamHandler(sys.stdout))
warnings.warn('a warning')
logging.disable(logging.CRITICAL)
"""
EVENT = '{"Event": {"uuid": "10000000-0000-4000-8000-000000000001", "info": "x", "Attribute": []}}'


@pytest.fixture
def script(tmp_path):
    """A function that runs the script with a config.py of this text, and returns what it printed."""
    event = tmp_path / "event.json"
    event.write_text(EVENT)

    def run_script(text, *arguments, **streams):
        config = tmp_path / "config.py"
        config.write_text(text, encoding="utf-8")
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        command = [sys.executable, ROOT / "script.py", "--config", config, *(arguments or ("convert", event))]
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(command, env=environ, text=True, check=False, **streams)

    return run_script


def test_what_it_prints_is_on_neither_stream(script):
    quiet = script("")
    loud = script(PRINTS)
    assert quiet.returncode == loud.returncode == 0
    assert (loud.stdout, loud.stderr) == (quiet.stdout, quiet.stderr)
    assert json.loads(loud.stdout) == []


def test_a_config_that_prints_as_misp2sentinels_function_did(script):
    printed = script("print('key_vault_name is not set, taking variables')", "status", "--json")
    assert json.loads(printed.stdout)["exit_code"] == 2
    assert "key_vault_name" not in printed.stderr


def test_in_a_terminal_what_it_prints_is_on_stderr(script):
    controller, terminal = os.openpty()
    printed = script(PRINTS, stderr=terminal)
    os.close(terminal)
    assert json.loads(printed.stdout) == []
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    lines = ["key_vault_name is not set", "to stderr", "by number", "a program", "its error", "handed over", "bytes"]
    assert [line for line in [*lines, "the first stdout", "logged", "a warning"] if line not in shown] == []


def test_the_programs_own_log_stays_what_it_was(settings_in):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    source = "import logging\nlogging.basicConfig(level=1, force=True)\nlogging.disable(50)\nmisp_timeout = 3"
    assert settings_in(source.encode()).settings.misp_timeout == 3
    assert (root.handlers, root.level) == before
    assert root.isEnabledFor(logging.CRITICAL)


def test_a_stream_that_it_keeps_takes_what_is_written_later(settings_in, capfd):
    settings_in(b"import sys\nsys.kept_by_config = sys.stdout, sys.stderr\nsys.stdout.close()")
    for stream in sys.__dict__.pop("kept_by_config")[1:]:
        stream.closed or stream.write("later\n")
    assert capfd.readouterr() == ("", "")


# --- Azure, asked by it ------------------------------------------------------------------------------

ASKS = """
from azure.core import exceptions
client_secret = '{secret}'
auth = {{'client_secret': 'an0ther~secret', 'key_vault_name': 'soc-vault'}}
def ask():
    raise exceptions.{error}
{call}
"""


def failure_of(settings_in, error, call="ask()"):
    pytest.importorskip("azure.core")
    with pytest.raises(MicrosoftError) as caught:
        settings_in(ASKS.format(secret=SECRET, error=error, call=call).encode())
    assert caught.value.exit_code == 4
    assert SECRET not in str(caught.value) and "an0ther~secret" not in str(caught.value)
    return str(caught.value).partition("config.py ")[2]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ServiceRequestError('no route to soc-vault')", "Azure did not answer (ServiceRequestError). Is the vault's"),
        ("ServiceResponseTimeoutError('silence of soc-vault')", "Azure did not answer (ServiceResponseTimeoutError)"),
        ("HttpResponseError('503 of soc-vault')", "Azure refused (HttpResponseError): docs/identities.md"),
        ("ClientAuthenticationError('AADSTS7000215 of soc-vault')", "Azure refused (ClientAuthenticationError)"),
        ("ResourceNotFoundError('soc-vault has no MISP-Key')", "Azure refused (ResourceNotFoundError)"),
        (f"AzureError('soc-vault {SECRET} an0ther~secret')", "Microsoft's words: soc-vault [secret] [secret]"),
    ],
)
def test_a_vault_that_gives_nothing_is_microsofts_failure(settings_in, error, words):
    failure = failure_of(settings_in, error)
    assert failure.startswith("stopped in line 6, since ")
    assert words in failure and "soc-vault" in failure


def test_no_identity_for_the_vault_is_microsofts_failure(settings_in):
    identity = pytest.importorskip("azure.identity")
    assert issubclass(identity.CredentialUnavailableError, sys.modules["azure.core.exceptions"].AzureError)


@pytest.mark.parametrize(
    "call",
    [
        "try:\n    ask()\nexcept Exception:\n    raise SystemExit(1)",
        "try:\n    ask()\nexcept Exception as error:\n    raise RuntimeError('no vault') from error",
    ],
)
def test_azures_failure_is_found_under_an_error_of_the_sites_own(settings_in, call):
    assert "Azure refused (HttpResponseError)" in failure_of(settings_in, "HttpResponseError('503')", call)


def test_long_words_are_cut(settings_in):
    assert len(failure_of(settings_in, "HttpResponseError('x' * 9999)")) < 700


def test_what_else_is_wrong_comes_along_as_an_error_of_the_settings(tmp_path):
    pytest.importorskip("azure.core")
    (tmp_path / "config.py").write_text("from azure.core.exceptions import AzureError\nraise AzureError('gone')")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "config.py", {**ENVIRON, "MISP2SENTINEL_DRY_RUN": "maybe"})
    first, second = caught.value.problems
    assert first.startswith("dry_run (environment") and "Azure refused (AzureError)" in second


@pytest.mark.parametrize("module", ["azure.keyvault.secrets.missing", "azure.nothing"])
def test_a_missing_package_of_azures_names_the_file_of_requirements(settings_in, module):
    problem = problem_with(settings_in, f"x = 1\nfrom {module} import Client".encode())
    assert problem.startswith("stopped in line 2, since the package azure")
    assert problem.endswith("is not installed: run .venv/bin/pip install -r requirements-keyvault.txt.")


def test_a_missing_package_is_found_under_an_error_of_the_sites_own(settings_in):
    source = b"try:\n    import azure.nothing\nexcept ImportError as error:\n    raise SystemExit(1) from error"
    assert "the package azure" in problem_with(settings_in, source)


def test_a_real_vault_that_refuses(settings_in):
    pytest.importorskip("azure.keyvault.secrets")
    source = """
from azure.keyvault.secrets import SecretClient
class Identity:
    def get_token(self, *scopes, **options):
        raise AssertionError
misp_key = SecretClient("https://127.0.0.1:9", Identity(), retry_total=0).get_secret("MISP-Key").value
"""
    with pytest.raises(MicrosoftError, match=r"stopped in line 6, since Azure did not answer"):
        settings_in(source.encode())


def test_what_does_not_end_is_ended(settings_in, monkeypatch):
    monkeypatch.setattr(execution, "LONGEST", 0.01)
    before = signal.getsignal(signal.SIGALRM)
    problem = problem_with(settings_in, b"import threading\nthreading.Event().wait()")
    assert problem.startswith("stopped in line 2, since it took more than")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_azures_sdk_that_waits_for_ever_is_microsofts_failure(settings_in, monkeypatch):
    pytest.importorskip("azure.core")
    monkeypatch.setattr(execution, "LONGEST", 0.01)
    source = b"""
from azure.core.pipeline.transport import RequestsTransport
import threading, time
time.sleep = lambda seconds: threading.Event().wait()
RequestsTransport().sleep(900)
"""
    monkeypatch.setattr("time.sleep", time.sleep)  # config.py's is taken back
    with pytest.raises(MicrosoftError, match="Azure did not answer in time"):
        settings_in(source)
