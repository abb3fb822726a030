#!/usr/bin/env python3
"""MISP2Sentinel: MISP events in, indicators in Microsoft Sentinel. See README.md."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING

from helpers import interrupts
from helpers.commands.arguments import parse
from helpers.errors import ExitCode, SyncError
from helpers.log import is_kept, redact
from helpers.text import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from helpers.settings import Settings
    from helpers.sync.report import Report

logger = logging.getLogger("misp2sentinel")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = parse(argv)
    interrupts.end_on_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a title may have letters that the locale lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _command(arguments)
    except ModuleNotFoundError as error:
        print(
            f"The package {error.name} is missing: run .venv/bin/python script.py (docs/install.md).", file=sys.stderr
        )
        return ExitCode.SETTINGS
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.UNFINISHED
    except SyncError as error:
        text = redact(str(error))
        print(printable(text, keep="\n"), file=sys.stderr)
        if arguments.json:
            print(json.dumps({"error": text, "exit_code": error.exit_code}))
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("Stopped from outside")
        print("Stopped from outside; what was not finished is taken up by the next run.", file=sys.stderr)
        return ExitCode.STOPPED
    except Exception as error:  # the front door: nobody else can say it
        return _own_fault(error, as_json=arguments.json)


def _own_fault(error: Exception, *, as_json: bool) -> int:
    """Say that the fault is ours, with the traceback in the log or, where there is none, on stderr."""
    logger.critical("MISP2Sentinel stumbled", exc_info=error)
    if not is_kept():
        print(printable(redact("".join(traceback.format_exception(error))), keep="\n\t"), file=sys.stderr)
    where = " (the log has more)" if is_kept() else ""
    text = _shown(f"A fault of MISP2Sentinel's own, please report it{where}: {type(error).__name__}: {error}")
    print(text, file=sys.stderr)
    if as_json:
        print(json.dumps({"error": text, "exit_code": ExitCode.OWN_FAULT}))
    return ExitCode.OWN_FAULT


def _shown(line: str) -> str:
    """Return a line as people may see it: what MISP and Microsoft say may hold anything."""
    return printable(redact(line))


def _command(arguments: Namespace) -> int:
    from helpers.settings import load  # noqa: PLC0415  --help must not wait for pydantic
    from helpers.settings.filter_names import odd_filters  # noqa: PLC0415

    loaded = load(
        arguments.config,
        os.environ,
        offline=arguments.command == "convert",
        stories=arguments.command in ("share", "collect"),
    )
    settings = loaded.settings
    if arguments.dry_run:
        settings = settings.model_copy(update={"dry_run": True})
    _prepare_log(settings, arguments)
    loud = odd_filters(settings.misp_event_filters, settings.source_of("misp_event_filters"))
    for warning in loaded.warnings:
        logger.warning("%s", warning)
        if arguments.command or warning in loud or sys.stderr.isatty():  # cron mails what would send everything
            print(_shown(f"warning: {warning}"), file=sys.stderr)
    if settings.vault_secrets and _reaches_out(arguments):
        from helpers.microsoft.key_vault import with_secrets  # noqa: PLC0415

        settings = with_secrets(settings)
    if arguments.command is None:
        return _run(settings, arguments)
    return _ask(settings, arguments)


def _reaches_out(arguments: Namespace) -> bool:
    """Say whether MISP or Microsoft will be asked; ``check`` reads a key vault itself, to say how it went."""
    if arguments.command == "explain":
        return not arguments.offline
    return arguments.command in (None, "adopt", "withdraw")


def _ask(settings: Settings, arguments: Namespace) -> int:
    """Carry out a command that is not a run; each writes its lines through ``say``."""

    def say(line: str) -> None:
        print(_shown(line))

    if arguments.command == "convert":
        from helpers.commands.convert import convert_files  # noqa: PLC0415

        return convert_files(arguments.files, settings, sys.stdout, sys.stderr)
    if arguments.command == "check":
        from helpers.commands.check import Preflight  # noqa: PLC0415

        return Preflight(settings, say).run(arguments.workspace)
    if arguments.command == "status":
        from helpers.commands.status import status  # noqa: PLC0415

        return status(settings, say, max_age_hours=arguments.max_age, as_json=arguments.json)
    if arguments.command == "explain":
        from helpers.commands.explain import explain  # noqa: PLC0415

        return explain(settings, arguments.what, say, offline=arguments.offline, as_json=arguments.json)
    if arguments.command == "share":
        from helpers.commands.share import share  # noqa: PLC0415
        from helpers.stories import ShareOptions  # noqa: PLC0415

        terms = ShareOptions(arguments.publish, arguments.to_ids, arguments.force)
        return share(settings, arguments.files, say, terms, as_json=arguments.json)
    if arguments.command == "collect":
        from helpers.commands.collect import collect  # noqa: PLC0415

        return collect(settings, sys.stdout, lambda line: print(_shown(line), file=sys.stderr), full=arguments.full)
    if arguments.command == "adopt":
        from helpers.commands.adopt import adopt  # noqa: PLC0415

        report = adopt(
            settings.destinations(arguments.workspace),
            withdraw_unmatched=arguments.withdraw_unmatched,
            force_withdraw=arguments.force_withdraw,
            line=say if arguments.list else None,
        )
    else:
        from helpers.commands.withdraw import withdraw_all  # noqa: PLC0415

        report = withdraw_all(
            settings,
            arguments.workspace,
            force_withdraw=arguments.force_withdraw,
            line=say if arguments.list else None,
        )
    _show(report, settings, arguments.json)
    return report.exit_code


def _prepare_log(settings: Settings, arguments: Namespace) -> None:
    from helpers import log  # noqa: PLC0415

    redact.add(settings.secret_values())
    if arguments.command not in (None, "adopt", "withdraw"):
        logging.getLogger().addHandler(logging.NullHandler())
        log.silence_libraries()
        return
    from helpers.sync.run import make_state_dir  # noqa: PLC0415

    make_state_dir(settings)
    detailed = settings.verbose_log or arguments.verbose
    log.set_up(settings.log_path, detailed=detailed, on_terminal=arguments.verbose)


def _run(settings: Settings, arguments: Namespace) -> int:
    from helpers.commands.progress import progress  # noqa: PLC0415
    from helpers.sync import run as sync  # noqa: PLC0415
    from helpers.sync.destination import RunOptions  # noqa: PLC0415

    options = RunOptions(arguments.uuid or "", arguments.full, arguments.retry_rejected, arguments.force_withdraw)
    line = (lambda text: print(_shown(text))) if arguments.list else None
    with progress() as bar:
        report = sync.run(settings, options, workspace=arguments.workspace, progress=bar, line=line)
    _show(report, settings, arguments.json)
    return report.exit_code


def _show(report: Report, settings: Settings, as_json: bool) -> None:
    """JSON where asked for, a table in a terminal, and on stderr only what went wrong."""
    summary = json.dumps(redact.within(report.as_json()))
    logger.info("Summary: %s", summary)
    if as_json:
        print(summary)
    elif sys.stdout and (report.dry_run or sys.stdout.isatty()):
        from rich.console import Console  # noqa: PLC0415  only for a terminal

        from helpers.sync.report import table  # noqa: PLC0415

        Console().print(table(report))
    for trouble in report.troubles():
        print(_shown(trouble), file=sys.stderr)
    if report.exit_code:
        print(f"Exit code {report.exit_code}; the log is {settings.log_path}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
