"""What parses the command line, and what it refuses."""

from __future__ import annotations

import argparse
from pathlib import Path
from uuid import UUID

from helpers.process import invocation

EXIT_CODES = """exit codes:
  0  done
  1  done, but some objects were rejected or are still pending, or withdrawals were refused
  2  settings or usage
  3  MISP failed
  4  Microsoft failed
  5  another run is active
  70  a fault of this program's own"""

# Option → what it does. The first ones go with every command.
_EVERYWHERE = {"verbose": "say more, on stderr and in the log"}
_REPORTS = {"json": "the summary as one JSON object on stdout"}
_PLANS = {
    "dry_run": "send nothing and remember nothing, show what would be done",
    "list": "with --dry-run: every line of the plan",
    "force_withdraw": "withdraw also what the guards hold back",
}
_RUNS = {
    "full": "read everything again, and send what differs",
    "retry_rejected": "send what Microsoft rejected once more",
}
_COMMANDS = {
    "check": ("try the settings, MISP, the token and the upload, read-only", {}),
    "convert": ("show, offline, what MISP event files would become", {}),
    "status": ("show each destination: what is live, held, pending, rejected; the last run", _REPORTS),
    "explain": ("show where a value, an attribute or an indicator stands, or why it is not there", _REPORTS),
    "adopt": ("fill an empty ledger from what Sentinel holds", {**_REPORTS, **_PLANS}),
    "share": ("share stories to MISP, each as an event", _REPORTS),
    "collect": (
        "write the stories found in MISP as JSON lines",
        {"full": "every story, not only what changed since the last collection"},
    ),
    "withdraw": ("empty a destination that is to be left", {**_REPORTS, **_PLANS}),
}

_ONE_DESTINATION = "one destination only, by its name or its workspace's id"
# Commands that can be told to keep to one destination; None is a run.
_FOR_ONE_DESTINATION = (None, "check", "adopt", "withdraw")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line; ends the process with code 2 and a sentence when it makes no sense."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    command = arguments.command
    allowed = {*_EVERYWHERE, *(_COMMANDS[command][1] if command else {**_REPORTS, **_PLANS, **_RUNS, "uuid": ""})}
    allowed |= {"workspace"} if command in _FOR_ONE_DESTINATION else set()
    present = [name for name in (*_REPORTS, *_PLANS, *_RUNS, "uuid", "workspace") if getattr(arguments, name)]
    odd = [_option(name) for name in present if name not in allowed]
    if odd:
        parser.error(f"{', '.join(odd)} does not go with {command}")
    if arguments.list and not arguments.dry_run:
        parser.error("--list goes with --dry-run")
    return arguments


def make_parser() -> argparse.ArgumentParser:
    """Return what parses a command line; which options go with which command, ``parse`` checks afterwards."""
    parser = argparse.ArgumentParser(
        prog=invocation.typed_name(),
        description="MISP2Sentinel: MISP events in, indicators in Microsoft Sentinel. Without a command: one run.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show which version this is")
    _add_options(parser, {**_EVERYWHERE, **_REPORTS, **_PLANS, **_RUNS}, in_command=False)
    subparsers = parser.add_subparsers(dest="command", title="commands (none: one run)")
    commands = {name: subparsers.add_parser(name, help=words) for name, (words, _) in _COMMANDS.items()}
    for name, command in commands.items():
        _add_options(command, {**_EVERYWHERE, **_COMMANDS[name][1]}, in_command=True)
    _add_own_arguments(commands)
    return parser


def _add_own_arguments(commands: dict[str, argparse.ArgumentParser]) -> None:
    """Add what goes with one command only."""
    commands["convert"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="MISP events as JSON")
    commands["explain"].add_argument(
        "what", type=_value, metavar="VALUE|UUID|STIX-ID", help="as analysts write it, defanged or not"
    )
    commands["explain"].add_argument("--offline", action="store_true", help="do not ask MISP")
    commands["status"].add_argument(
        "--max-age", type=_hours, metavar="HOURS", help="exit 1 when the last good run is older"
    )
    commands["adopt"].add_argument(
        "--withdraw-unmatched", action="store_true", help="withdraw what is in Sentinel and not in MISP"
    )
    commands["share"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="stories as JSON; - is stdin")
    commands["share"].add_argument("--publish", action="store_true", help="publish the events")
    commands["share"].add_argument("--to-ids", action="store_true", help="flag the indicators for detection")
    commands["share"].add_argument("--force", action="store_true", help="update although proposals are pending")
    commands["withdraw"].add_argument(
        "--workspace", required=True, metavar="NAME", help="a destination's name, or a workspace's id, as in status"
    )
    for name in ("check", "adopt"):
        commands[name].add_argument("--workspace", metavar="NAME", default=argparse.SUPPRESS, help=_ONE_DESTINATION)


def _add_options(parser: argparse.ArgumentParser, flags: dict[str, str], *, in_command: bool) -> None:
    """Add options; in a command they have no defaults, so that they may stand on either side of it."""
    suppressed = argparse.SUPPRESS
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=suppressed if in_command else None, help="settings file"
    )
    if not in_command:
        parser.add_argument("--uuid", type=_uuid, metavar="EVENT", help="one event only")
        parser.add_argument("--workspace", metavar="NAME", default="", help=_ONE_DESTINATION)
    for name, words in flags.items():
        default = suppressed if in_command else False
        parser.add_argument(_option(name), action="store_true", dest=name, default=default, help=words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: write a value, a UUID or a STIX id")
    return text


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1
    if not 0 <= hours < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of hours: write one from 0")
    return hours


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not the UUID of an event") from None
