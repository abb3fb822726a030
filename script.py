#!/usr/bin/env python3
"""MISP2Sentinel: MISP events in, indicators in Microsoft Sentinel. See README.md."""

from __future__ import annotations

import errno
import gc
import importlib
import json
import logging
import os
import sys
from contextlib import nullcontext
from traceback import extract_tb
from typing import TYPE_CHECKING

from helpers.commands import COMMANDS
from helpers.commands.command_line import RUN, parse
from helpers.commands.screen import Line, LogLines, Screen, Service, Tone, looked_up, service_line, verdict
from helpers.errors import ExitCode, SettingsError, SyncError, UsageError
from helpers.process import installation, interrupts, invocation, streams
from helpers.process.log import is_kept, redact, safe_to_show, traceback_to_show
from helpers.text import one_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    from helpers.settings import Settings

logger = logging.getLogger("misp2sentinel")

# A run makes much and hardly a cycle: to look for some after every 700 objects takes a twentieth of its time.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000

STOPPED = "Stopped from outside; what was not finished is taken up by the next run."

STOPPED_BY_MONITOR = "It was stopped from outside before it knew; a monitor does that when its timeout is over."
_OWN_FAULT = "A fault of MISP2Sentinel's own, please report it"
# What a monitor reads travels on, and the text of an exception may have a value in it.
_SAID_WITHOUT = " (the same command without --nagios says more)"
# The next run goes on, and nobody needs to do anything.
_NO_FAILURE = (ExitCode.RUN_ACTIVE, ExitCode.STOPPED)
STDOUT_LOST = "What there was to say could not be written to stdout (%s); what was done is done."


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    streams.guard()
    try:
        arguments = parse(argv)
    except SystemExit as ended:  # --help
        return _printed(int(ended.code or ExitCode.DONE))
    except UsageError as error:
        words = sys.argv if argv is None else argv
        if "--nagios" in words:
            return _printed(_unknown(str(error)))
        _say_error([str(error)], error.exit_code, as_json="--json" in words)
        return _printed(error.exit_code)
    interrupts.end_on_signals()
    if getattr(arguments, "nagios", False):
        return _printed(_outcome_for_nagios(arguments))
    return _printed(_outcome(arguments))


def _outcome_for_nagios(arguments: Namespace) -> int:
    """Run a command that a monitor reads: what goes wrong is a line on stdout too, and never a traceback."""
    try:
        return _run_command(arguments)
    except SyncError as error:
        return _unknown(str(error))
    except KeyboardInterrupt:
        return _unknown(STOPPED_BY_MONITOR)
    except Exception as error:  # the front door: nobody else can say it
        return _unknown(_missing(error) or f"{_OWN_FAULT}: {type(error).__name__}{_SAID_WITHOUT}")


def _unknown(words: str) -> int:
    """Say that the state is not known, and why."""
    print(service_line(Service.UNKNOWN, words))
    return Service.UNKNOWN


def _outcome(arguments: Namespace) -> int:
    """Run a command and return its exit code; what goes wrong is said."""
    try:
        return _run_command(arguments)
    except streams.StdoutLost:
        return ExitCode.UNFINISHED
    except SyncError as error:
        problems = error.problems if isinstance(error, SettingsError) else [str(error)]
        _say_error(problems, error.exit_code, as_json=arguments.json)
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("Stopped from outside")
        _say_error([STOPPED], ExitCode.STOPPED, as_json=arguments.json)
        return ExitCode.STOPPED
    except Exception as error:  # the front door: nobody else can say it
        if words := _missing(error):
            _say_error([words], ExitCode.SETTINGS, as_json=arguments.json)
            return ExitCode.SETTINGS
        _say_own_fault(error, as_json=arguments.json)
        return ExitCode.OWN_FAULT


def _run_command(arguments: Namespace) -> int:
    """Load the settings and import what the command needs, in this order: errors in settings must be quick."""
    if arguments.version:
        return _show_version()
    command = COMMANDS[arguments.command]
    if command.makes_settings:
        return _make_settings(arguments)
    settings = _settings(arguments)
    if command.reads_vault and settings.vault_secrets and not getattr(arguments, "offline", False):
        from helpers.microsoft.key_vault import with_secrets  # noqa: PLC0415

        settings = with_secrets(settings)
    return importlib.import_module(command.module).main(settings, arguments, _say)


def _make_settings(arguments: Namespace) -> int:
    """Have a file of settings made, then check what it says, as somebody would who types that."""
    _import_constants()
    path = importlib.import_module(COMMANDS[arguments.command].module).main(None, arguments, _say)
    return _run_command(parse(["--config", str(path), "check"])) if path else ExitCode.DONE


def _show_version() -> int:
    _say(f"MISP2Sentinel {_import_constants().VERSION}")
    return ExitCode.DONE


def _missing(error: Exception) -> str:
    """Say what cannot be imported and what to do about it; nothing where that is a fault of this program's own."""
    if not isinstance(error, ImportError):
        return ""
    if isinstance(error, ModuleNotFoundError):
        return installation.missing(error.name)
    if error.name == "constants":
        return f"A name is missing ({error}): take constants.py as it was shipped, and change it again."
    return ""


def _import_constants() -> ModuleType:
    """Import what a site may have edited, before anything else does. Raises SettingsError."""
    try:
        return importlib.import_module("constants")
    except Exception as error:  # whatever a slip in it leads to
        line = error.lineno if isinstance(error, SyntaxError) else extract_tb(error.__traceback__)[-1].lineno
        words = f"constants.py stopped in line {line} with {type(error).__name__} ({one_line(error)}): fix that line"
        if line is None:  # null bytes, which UTF-16 has
            words = f"constants.py is no text in UTF-8 ({one_line(error)}): save it as UTF-8"
        raise SettingsError([f"{words}, or take the file as it was shipped."]) from None


def _settings(arguments: Namespace) -> Settings:
    """Load the settings, prepare the log and say what the settings are warned of. Raises SettingsError."""
    _import_constants()
    from helpers.settings import load  # noqa: PLC0415  --help must not wait for pydantic
    from helpers.settings.filter_names import odd_filters  # noqa: PLC0415

    command = COMMANDS[arguments.command]
    loaded = load(arguments.config, os.environ, offline=command.offline, stories=command.stories)
    settings = loaded.settings
    if arguments.dry_run:
        settings = settings.model_copy(update={"dry_run": True})
    with _failure_told(settings, arguments):
        _prepare_log(settings, arguments)
    loud = odd_filters(settings.misp_event_filters, settings.source_of("misp_event_filters"))
    for warning in loaded.warnings:
        logger.warning("%s", warning)
        if warning in loud or _is_looked_at(arguments):  # cron mails what would send everything
            Screen(sys.stderr).show(Line(warning, Tone.ODD, mark="warning:"))
    return settings


def _is_looked_at(arguments: Namespace) -> bool:
    """Say whether somebody reads what is no trouble: not in cron, where a plain run is silent when all is well."""
    return arguments.command != RUN or (sys.stderr.isatty() and not arguments.quiet)


def _failure_told(settings: Settings, arguments: Namespace) -> AbstractContextManager[object]:
    """Tell those outside when a run fails before it begins."""
    if arguments.command != RUN:
        return nullcontext()
    from helpers.commands.monitoring.told.telling import telling  # noqa: PLC0415

    return telling(settings, arguments.workspace, arguments.part, uuid=arguments.uuid)


def _prepare_log(settings: Settings, arguments: Namespace) -> None:
    from helpers.process import log  # noqa: PLC0415

    redact.add(settings.secret_values())
    if not COMMANDS[arguments.command].keeps_log:
        logging.getLogger().addHandler(logging.NullHandler())
        log.silence_libraries()
        return
    from helpers.sync import make_state_dir  # noqa: PLC0415

    make_state_dir(settings)
    detailed = settings.verbose_log or arguments.verbose
    log.set_up(settings.log_path, detailed=detailed, beside=LogLines() if arguments.verbose else None)
    log.note_beginning(_import_constants().VERSION, invocation.to_type(*sys.argv[1:]), settings.config_file)


def _say(line: Line | str) -> None:
    Screen(sys.stdout).show(line)
    streams.end_if_lost()


def _printed(code: int) -> int:
    """Return the exit code, which is none of success where stdout was lost; what was done by then stays done."""
    trouble = streams.stdout_trouble()
    if trouble is None:
        return code
    if is_kept():
        logger.error(STDOUT_LOST, trouble.strerror)
    if trouble.errno != errno.EPIPE:  # whoever read it has seen enough
        Screen(sys.stderr).show(verdict(Tone.BAD, STDOUT_LOST % trouble.strerror))
    return code or ExitCode.UNFINISHED


def _say_error(lines: Sequence[str], exit_code: int, *, as_json: bool) -> None:
    """Say why a command ended early: on stderr, as an object where that is wanted, and as the log's last line."""
    screen = Screen(sys.stderr)
    for shown in [line for problem in lines for line in _error_lines(problem, exit_code)]:
        screen.show(shown)
    if is_kept():
        failed = "" if exit_code in _NO_FAILURE else "FAILED: "
        logger.error("Verdict: %s%s", failed, one_line(" ".join(lines)))
    if as_json:
        print(json.dumps({**_version(), "error": redact("\n".join(lines)), "exit_code": exit_code}))


def _version() -> dict[str, str]:
    """Return the version under its name; nothing where ``constants.py``, which has it, is what is wrong."""
    try:
        return {"version": _import_constants().VERSION}
    except (SettingsError, AttributeError):
        return {}


def _error_lines(problem: str, exit_code: int) -> list[Line]:
    """Return a problem as it is shown: what it is and what to do first, and last what is only looked up."""
    tone = Tone.ODD if exit_code in _NO_FAILURE else Tone.BAD
    if "Microsoft" not in problem:
        return [verdict(tone, problem)]
    from helpers.microsoft import taken_apart  # noqa: PLC0415  errors in settings must be quick

    failure = taken_apart(problem)
    return [verdict(tone, failure.sentence), *looked_up(failure.particulars)]


def _say_own_fault(error: Exception, *, as_json: bool) -> None:
    """Say that the fault is ours, with the traceback in the log or, where there is none, on stderr."""
    logger.critical("MISP2Sentinel stumbled", exc_info=error)
    if not is_kept():
        print(traceback_to_show(error), file=sys.stderr)
    where = " (the log has more)" if is_kept() else ""
    words = safe_to_show(f"{_OWN_FAULT}{where}: {type(error).__name__}: {error}")
    _say_error([words], ExitCode.OWN_FAULT, as_json=as_json)


if __name__ == "__main__":
    raise SystemExit(main())
