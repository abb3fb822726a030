"""The Azure Function: the archive that is deployed, unpacked and imported as Azure's worker does, and what it does."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from azure_function import build
from constants import VERSION
from helpers.commands.azure_timer import RunFailed, run_on_timer
from helpers.errors import MispError, SettingsError
from helpers.microsoft.batch import OutcomeState
from helpers.process import log
from helpers.process.log import redact
from helpers.settings import WORKSPACE_NAMES, environment
from helpers.settings.loading import load
from helpers.sync.report import Report
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.serve import Sandbox
from tests.project.deploy.azure import arm
from tests.project.deploy.azure.site import settings_of_the_template
from tests.support import hosts, misp_event
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
ROOT = Path(__file__).resolve().parents[2]
FUNCTION = {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_INSTANCE_ID": "0123456789abcdef"}
# As azure_functions_worker does it: the app's directory in front, a handler of its own at the root of the log,
# the one app found in the module, its functions with their bindings, the trigger's data decoded.
WORKER = """
import importlib, json, logging, sys
folder, times = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, folder)
logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
from azure.functions import FunctionRegister, meta, timer
module = importlib.import_module("function_app")
(app,) = {id(value): value for value in vars(module).values() if isinstance(value, FunctionRegister)}.values()
(function,) = app.get_functions()
imported = sorted(name for name in ("pymisp", "msal", "sqlalchemy", "helpers.settings.model") if name in sys.modules)
data = meta.Datum(json.dumps({"IsPastDue": False, "Schedule": {"AdjustForDST": True}}), "json")
ended = []
for _ in range(times):
    request = timer.TimerRequestConverter.decode(data, trigger_metadata=None)
    try:
        function.get_user_function()(request)
    except Exception as error:
        assert error.__context__ is None, "the first error would be written down too"
        ended.append(f"{type(error).__name__}: {error}")
    else:
        ended.append("")
ours = [name for name in sys.modules if name.partition(".")[0] in ("helpers", "constants", "config")]
print(json.dumps({
    "name": function.get_function_name(),
    "bindings": function.get_bindings_dict(),
    "imported": imported,
    "from": sorted({sys.modules[name].__file__ for name in ours}),
    "ended": ended,
}, default=str))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The archive that ``make function-zip`` builds, unpacked."""
    folder = tmp_path_factory.mktemp("wwwroot")
    build.build(folder / "archive" / "function.zip")
    with zipfile.ZipFile(folder / "archive" / "function.zip") as archive:
        archive.extractall(folder / "app")
    return folder / "app"


@pytest.fixture
def box():
    with Sandbox() as running:
        running.misp.load([misp_event(1, hosts(3))])
        yield running


@pytest.fixture
def app_settings(box, tmp_path):
    """A function that gives the application settings of a Function for the sandbox; None leaves one out."""

    def environ_with(**more):
        azure = box.azure
        tenant = {
            "tenantId": azure.tenant,
            "id": azure.client_id,
            "secret": azure.client_secret,
            "workspaceId": azure.workspace_id,
        }
        own = {
            "MISP_VERIFYCERT": box.ca_file,
            "MS_VERIFYCERT": box.ca_file,
            "STATE_DIR": str(tmp_path / "state"),
            **{f"MS_ENDPOINTS__{name}": box.azure_url for name in ("AUTHORITY", "UPLOAD")},
        }
        named = {f"MISP2SENTINEL_{name}": value for name, value in own.items()}
        environ = {
            **FUNCTION,
            "timerTriggerSchedule": "0 0 */2 * * *",
            "tenants": json.dumps([tenant]),
            "mispkey": box.misp.readonly_key,
            "mispurl": box.misp_url,
            "misp_event_filters": '{"published": 1}',
            **named,
            **more,
        }
        return {name: value for name, value in environ.items() if value is not None}

    return environ_with


def fire(folder, environ, times=1):
    """Fire the trigger of the unpacked archive so often; what the worker saw, and the log."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", WORKER, str(folder), str(times)],
        env={**environ, "PATH": os.environ["PATH"]},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), process.stderr


# --- the archive -----------------------------------------------------------------------------------


def test_the_same_files_give_the_same_archive(tmp_path):
    archives = [tmp_path / name for name in ("a.zip", "b.zip")]
    build.build(archives[0])
    os.utime(ROOT / "constants.py")
    build.build(archives[1])
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_it_holds_the_program_itself_and_nothing_of_the_sites(unpacked):
    files = {path.relative_to(unpacked).as_posix(): path for path in unpacked.rglob("*") if path.is_file()}
    helpers = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("helpers/**/*.*") if path.suffix != ".pyc"}
    own = {"function_app.py", "host.json", "requirements.txt", "constants.py", "LICENSE"}
    assert files.keys() == helpers | own
    for name in [*helpers, "constants.py"]:
        assert files[name].read_bytes() == (ROOT / name).read_bytes()


def test_its_requirements_are_the_programs_and_the_workers_library_for_each_python(unpacked):
    text = (unpacked / "requirements.txt").read_text()
    assert text == (ROOT / "azure_function/requirements.txt").read_text()
    lines = text.splitlines()
    assert not [line for line in lines if line.startswith("-")], "it names no file that is not there"
    assert [line for line in lines if line.startswith("azure-functions")] == [
        "azure-functions==1.26.0 ; python_full_version < '3.13' \\",
        "azure-functions==2.3.0 ; python_full_version >= '3.13' \\",
    ]


def test_the_host_gives_a_consumption_plan_its_ten_minutes_and_the_run_fewer(unpacked):
    host = json.loads((unpacked / "host.json").read_text())
    assert host["version"] == "2.0"
    assert host["functionTimeout"] == "00:10:00"
    assert environment.FUNCTION_DEFAULTS["max_run_minutes"] == 9
    assert host["extensionBundle"] == {
        "id": "Microsoft.Azure.Functions.ExtensionBundle",
        "version": "[4.*, 5.0.0)",
    }


# --- the trigger -----------------------------------------------------------------------------------


def test_the_worker_finds_one_timer_and_starts_a_run_each_time(unpacked, box, app_settings):
    """Without a ledger: all is sent each time, and the log, which is Azure's, shows no secret."""
    seen, log_text = fire(unpacked, app_settings(MISP2SENTINEL_STATE_URL="none"), times=2)
    assert seen["name"] == "misp2sentinel"
    ((name, binding),) = [(binding["name"], binding) for binding in seen["bindings"]["bindings"]]
    assert (name, binding["type"], binding["schedule"]) == ("timer", "timerTrigger", "%timerTriggerSchedule%")
    assert (binding["runOnStartup"], binding["useMonitor"]) == (False, True)
    assert seen["imported"] == [], "the host waits for its functions"
    assert all(Path(file).is_relative_to(unpacked) for file in seen["from"])
    assert seen["ended"] == ["", ""]
    assert [upload["kinds"]["indicator"] for upload in box.azure.uploads] == [3, 3]
    assert len(box.azure.live()) == 3
    assert log_text.count("a run remembers nothing") == 2
    assert log_text.count("INFO helpers.commands.azure_timer Summary: ") == 2
    secrets = (box.misp.readonly_key, box.azure.client_secret)
    assert not any(secret in log_text for secret in secrets)


def test_it_runs_with_the_settings_and_the_identity_that_the_template_gives_it(unpacked, box, app_settings):
    box.azure.identities[arm.CLIENT] = arm.CLIENT
    assert box.azure.workspace_id == arm.WORKSPACE
    of_the_sandbox = {name: value for name, value in app_settings().items() if name.startswith("MISP2SENTINEL_")}
    values = {"mispUrl": box.misp_url, "mispKey": box.misp.readonly_key, "stateUrl": "none"}
    values |= {"mispEventFilters": {"published": 1}, "settings": of_the_sandbox}
    environ = {**FUNCTION, **settings_of_the_template(**values)}
    place = {"IDENTITY_ENDPOINT": f"{box.identity_url}/msi/token", "IDENTITY_HEADER": box.azure.identity_header}
    seen, log_text = fire(unpacked, environ | place)
    assert seen["ended"] == [""], log_text
    assert len(box.azure.live()) == 3


def test_a_config_py_beside_host_json_counts_where_no_variable_does(box, app_settings, tmp_path):
    text = (ROOT / "docs" / "azure-function.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^zip --junk-paths .*$", text, re.MULTILINE)
    config = tmp_path / "config.py"
    config.write_text(f"misp_domain = {box.misp_url!r}\nmisp_event_filters = {{'published': 0}}\nstate_url = 'none'\n")
    build.build(tmp_path / "dist" / "misp2sentinel-function.zip")
    subprocess.run(command.replace("/etc/misp2sentinel/", f"{tmp_path}/").split(), cwd=tmp_path, check=True)
    with zipfile.ZipFile(tmp_path / "dist" / "misp2sentinel-function.zip") as archive:
        archive.extractall(tmp_path / "app")
    seen, log_text = fire(tmp_path / "app", app_settings(mispurl=None, misp_event_filters='{"published": 1}'))
    assert seen["ended"] == [""] and len(box.azure.live()) == 3
    assert f"state_url ({tmp_path}/app/config.py) is" in log_text, "from the file, while the filters are the variable's"


def test_with_postgresql_a_run_knows_what_the_one_before_sent(unpacked, box, app_settings, postgres_url):
    settings = app_settings(MISP2SENTINEL_STATE_URL=postgres_url)
    assert fire(unpacked, settings)[0]["ended"] == [""]
    box.misp.unpublish(misp_event(1)["uuid"])
    assert fire(unpacked, settings)[0]["ended"] == [""]
    assert [upload["kinds"]["indicator"] for upload in box.azure.uploads] == [3, 3]
    assert box.azure.live() == {}


@pytest.mark.parametrize(
    ("url", "signs"),
    [(None, FUNCTION), ("sqlite:////tmp/ledger.sqlite", FUNCTION), (None, dict.fromkeys(FUNCTION))],
    ids=["default", "named", "no sign of a Function"],
)
def test_an_sqlite_file_is_refused_before_anybody_is_asked(unpacked, box, app_settings, url, signs):
    seen, _ = fire(unpacked, app_settings(MISP2SENTINEL_STATE_URL=url, **signs))
    (ended,) = seen["ended"]
    assert ended.startswith("RunFailed: state_url")
    assert "on a disk that a Function does not keep" in ended
    assert '"none"' in ended and "postgresql://" in ended
    assert box.azure.uploads == []


def test_a_run_that_fails_is_a_failed_invocation(unpacked, box, app_settings):
    key = "wrong" * 8
    seen, log_text = fire(unpacked, app_settings(MISP2SENTINEL_STATE_URL="none", mispkey=key))
    assert re.match("RunFailed: Exit code 3: FAILED at MISP: ", seen["ended"][0])
    assert key not in json.dumps(seen) + log_text


def test_a_reference_that_azure_could_not_resolve_says_so(unpacked, app_settings):
    settings = app_settings(MISP2SENTINEL_STATE_URL="none", mispkey="@Microsoft.KeyVault(VaultName=v;SecretName=s)")
    (ended,) = fire(unpacked, settings)[0]["ended"]
    assert "misp_key (environment mispkey) holds a Key Vault reference that was not resolved" in ended


# --- how a run ends --------------------------------------------------------------------------------


@pytest.fixture
def own_logging():
    """What the host's logging was is as before afterwards."""
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)
    logging.getLogger("helpers").setLevel(logging.NOTSET)


@pytest.fixture
def hosts_log(own_logging):
    """What the handler of the host writes, message by message."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def environ(app_settings, own_logging):
    return app_settings(MISP2SENTINEL_STATE_URL="none")


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report(), 0),
        (Report(stopped=True), 1),
        (Report(states=Counter({OutcomeState.PENDING: 2})), 1),
        (Report(given_up="no answer"), 4),
        (Report(misp_error="no answer"), 3),
    ],
)
def test_what_is_left_for_the_next_run_is_a_warning_and_a_failure_is_raised(report, code, environ, monkeypatch, caplog):
    monkeypatch.setattr("helpers.sync.run.run", lambda _settings, **_: report)
    assert report.exit_code == code
    caplog.set_level(logging.INFO)
    if code > 1:
        with pytest.raises(RunFailed, match=f"Exit code {code}: .*no answer"):
            run_on_timer(environ)
    else:
        run_on_timer(environ)
    warnings = [
        record for record in caplog.records if record.levelno == logging.WARNING and "remembers" not in record.message
    ]
    assert bool(warnings) == bool(code)


def test_what_alerts_matched_is_a_part_of_the_run_where_a_setting_says_so(box, app_settings, own_logging, postgres_url):
    (tenant,) = json.loads(app_settings()["tenants"])
    names = zip(WORKSPACE_NAMES, (SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE_NAME), strict=True)
    settings = {"STATE_URL": postgres_url, "MS_ENDPOINTS__MANAGEMENT": box.azure_url}
    settings |= {"MISP_SIGHTINGS__IN_RUN": "true", "MISP_SIGHTINGS__API_KEY": box.misp.add_user("User")}
    named = {f"MISP2SENTINEL_{name}": value for name, value in settings.items()}
    environ = app_settings(tenants=json.dumps([tenant | dict(names)]), **named)
    box.misp.load([misp_event(1, hosts(3), distribution="3")])
    run_on_timer(environ)
    box.azure.add_alert(indicators=box.azure.objects(), generated=time.time() - 60)
    box.azure.readable.clear()
    with pytest.raises(RunFailed, match="Exit code 4: FAILED: sightings: the app may not read the workspace's alerts"):
        run_on_timer(environ)
    box.azure.readable.add(box.azure.workspace_id)
    run_on_timer(environ)
    assert len(box.misp.sightings) == 3


def test_a_fault_of_ours_shows_no_secret(environ, monkeypatch, caplog):
    """Neither in the invocation's error nor in the log's traceback."""
    secret = environ["mispkey"]

    def broken(_settings, **_more):
        raise RuntimeError(f"with {secret} in it")

    monkeypatch.setattr("helpers.sync.run.run", broken)
    handled = sys.exc_info()[1]  # an earlier test may have left one to this thread
    with pytest.raises(RunFailed, match=r"RuntimeError: with \[secret\] in it") as caught:
        run_on_timer(environ)
    assert caught.value.__context__ is handled
    assert "Traceback" in caplog.text
    assert secret not in caplog.text


def test_the_hosts_log_begins_with_the_version_and_ends_with_the_verdict(environ, hosts_log, monkeypatch):
    monkeypatch.setattr("helpers.sync.run.run", lambda _, **_more: Report())
    run_on_timer(environ)
    first, *_, last = hosts_log.getvalue().splitlines()
    assert first.startswith(f"MISP2Sentinel {VERSION} begins: a run on Azure's timer (settings ")
    assert last.startswith("Verdict: ")
    hosts_log.truncate(0)

    def broken(_settings, **_more):
        raise MispError("no answer")

    monkeypatch.setattr("helpers.sync.run.run", broken)
    with pytest.raises(RunFailed):
        run_on_timer(environ)
    assert hosts_log.getvalue().splitlines()[-1] == "Verdict: FAILED: no answer"


def test_the_hosts_log_gets_each_line_once_and_what_our_own_would_get(hosts_log):
    """No secret, nothing that a terminal obeys, and no line that only looks like one."""
    redact.add(["a-secret-of-the-hosts-test"])
    log.leave_to_host(detailed=False)
    log.leave_to_host(detailed=False)
    own = logging.getLogger("helpers.sync.run")
    own.info("%s is %s", "the key", "a-secret-of-the-hosts-test")
    own.debug("not shown")
    own.warning("Event %s", "\x1b[2J\r\nINFO forged\u2028")
    own.error("broken", exc_info=RuntimeError("a-secret-of-the-hosts-test\nINFO forged"))
    assert hosts_log.getvalue().splitlines() == [
        "the key is [secret]",
        r"Event \x1b[2J\r\nINFO forged\u2028",
        "broken",
        "  RuntimeError: [secret]",
        "  INFO forged",
    ]


def test_a_failed_invocation_says_why_on_one_line(environ, monkeypatch):
    def broken(_settings, **_more):
        raise MispError("MISP says \x1b]0;pwn\x07\nINFO forged")

    monkeypatch.setattr("helpers.sync.run.run", broken)
    with pytest.raises(RunFailed) as caught:
        run_on_timer(environ)
    assert str(caught.value) == r"MISP says \x1b]0;pwn\x07 INFO forged"


# --- settings --------------------------------------------------------------------------------------


def settings(environ):
    return load(Path(os.devnull), environ).settings


def test_the_names_of_misp2sentinels_function_are_settings(box, environ):
    loaded = settings(environ)
    assert loaded.misp_domain == box.misp_url
    assert loaded.misp_key.get_secret_value() == box.misp.readonly_key
    assert loaded.misp_event_filters == {"published": 1}
    assert [tenant.workspaceId for tenant in loaded.ms_tenants] == [box.azure.workspace_id]
    assert loaded.source_of("misp_key") == "environment mispkey"


@pytest.mark.parametrize(
    ("alias", "name"),
    [("mispkey", "MISP_KEY"), ("mispurl", "MISP_DOMAIN"), ("misp_event_filters", "MISP_EVENT_FILTERS")],
)
def test_a_setting_by_both_of_its_names_is_a_problem(environ, alias, name):
    both = {**environ, f"MISP2SENTINEL_{name}": environ[alias]}
    with pytest.raises(SettingsError, match=f"is set by {alias} and MISP2SENTINEL_{name}: keep one"):
        settings(both)


def test_a_function_has_defaults_of_its_own_which_a_setting_overrides(environ):
    without = {name: value for name, value in environ.items() if name != "MISP2SENTINEL_STATE_DIR"}
    loaded = settings(without)
    assert (loaded.max_run_minutes, str(loaded.state_path)) == (9, "/tmp/misp2sentinel")
    assert loaded.source_of("max_run_minutes") == "default in a Function"
    assert settings({**without, "MISP2SENTINEL_MAX_RUN_MINUTES": "25"}).max_run_minutes == 25
    elsewhere = {name: value for name, value in without.items() if name not in FUNCTION}
    assert settings(elsewhere).max_run_minutes == 0


@pytest.mark.parametrize("sign", FUNCTION)
def test_each_sign_of_a_function_counts_and_only_there_is_a_file_refused(environ, sign, tmp_path):
    elsewhere = {name: value for name, value in environ.items() if name not in (*FUNCTION, "MISP2SENTINEL_STATE_URL")}
    assert settings(elsewhere).keeps_ledger
    with pytest.raises(SettingsError, match=r"state_url .*a disk that a Function does not keep"):
        settings({**elsewhere, sign: FUNCTION[sign]})
