"""The command line: what can be asked for, and which options go with what."""

from __future__ import annotations

import argparse
from pathlib import Path
from uuid import UUID

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
    "full": "read everything anew, and send what differs",
    "retry_rejected": "send what Microsoft rejected once more",
}
_COMMANDS = {
    "check": ("try the settings, MISP, the token and the upload, read-only", {}),
    "convert": ("show, offline, what MISP event files would become", {}),
    "status": ("show each destination: what is live, held, pending, rejected; the last run", _REPORTS),
    "explain": ("say where a value, an attribute or an indicator stands, or why it is not there", _REPORTS),
    "adopt": ("fill an empty ledger from what Sentinel holds", {**_REPORTS, **_PLANS}),
    "share": ("share stories to MISP, each as an event", _REPORTS),
    "collect": (
        "write the stories found in MISP as JSON lines",
        {"full": "every story, not only what changed since the last collection"},
    ),
    "withdraw": ("empty a destination that is to be left", {**_REPORTS, **_PLANS}),
}

_ONE = "one destination only, by its name or its workspace's id"
# Commands that can be told to keep to one destination; None is a run.
_OF_ONE = (None, "check", "adopt", "withdraw")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line; ends the process with code 2 and a sentence when it makes no sense."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    command = arguments.command
    allowed = {**_EVERYWHERE, **(_COMMANDS[command][1] if command else {**_REPORTS, **_PLANS, **_RUNS})}
    given = [name for name in {**_REPORTS, **_PLANS, **_RUNS} if getattr(arguments, name)]
    given += ["uuid"] if arguments.uuid else []
    given += ["workspace"] if arguments.workspace else []
    allowed |= dict.fromkeys(("workspace",), "") if command in _OF_ONE else {}
    odd = [_option(name) for name in given if name not in allowed and (command or name != "uuid")]
    if odd:
        parser.error(f"{', '.join(odd)} does not go with {command}")
    if arguments.list and not arguments.dry_run:
        parser.error("--list goes with --dry-run")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script.py",
        description="MISP2Sentinel: MISP events in, indicators in Microsoft Sentinel. Without a command: one run.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    every = {**_EVERYWHERE, **_REPORTS, **_PLANS, **_RUNS}
    _add(parser, every, hidden=False)
    commands = parser.add_subparsers(dest="command", title="commands (none: one run)")
    made = {name: commands.add_parser(name, help=words) for name, (words, _) in _COMMANDS.items()}
    for name, command in made.items():
        _add(command, {**_EVERYWHERE, **_COMMANDS[name][1]}, hidden=True)
    made["convert"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="MISP events as JSON")
    made["explain"].add_argument(
        "what", type=_value, metavar="VALUE|UUID|STIX-ID", help="as analysts write it, defanged or not"
    )
    made["explain"].add_argument("--offline", action="store_true", help="do not ask MISP")
    made["status"].add_argument(
        "--max-age", type=_hours, metavar="HOURS", help="exit 1 when the last good run is older"
    )
    made["adopt"].add_argument(
        "--withdraw-unmatched", action="store_true", help="withdraw what is in Sentinel and not in MISP"
    )
    made["share"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="stories as JSON; - is stdin")
    made["share"].add_argument("--publish", action="store_true", help="publish the events")
    made["share"].add_argument("--to-ids", action="store_true", help="flag the indicators for detection")
    made["share"].add_argument("--force", action="store_true", help="update although proposals are pending")
    made["withdraw"].add_argument(
        "--workspace", required=True, metavar="NAME", help="a destination's name, or a workspace's id, as in status"
    )
    for name in ("check", "adopt"):
        made[name].add_argument("--workspace", metavar="NAME", default=argparse.SUPPRESS, help=_ONE)
    return parser


def _add(parser: argparse.ArgumentParser, flags: dict[str, str], *, hidden: bool) -> None:
    """Add options; a command gives them no defaults, so that they may stand on either side of it."""
    nothing = argparse.SUPPRESS
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=nothing if hidden else None, help="settings file"
    )
    if not hidden:
        parser.add_argument("--uuid", type=_uuid, metavar="EVENT", help="one event only")
        parser.add_argument("--workspace", metavar="NAME", default="", help=_ONE)
    for name, words in flags.items():
        default = nothing if hidden else False
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
        raise argparse.ArgumentTypeError(f"{text} is no number of hours: write one from 0")
    return hours


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not the UUID of an event") from None
