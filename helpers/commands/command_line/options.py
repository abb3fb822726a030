"""What can be typed: the commands, and the options of each."""

from __future__ import annotations

from typing import NamedTuple

RUN = "run"

# Option → what it does; those of EVERYWHERE go with every command.
EVERYWHERE = {"verbose": "say more, on stderr and in the log"}
REPORTS = {"json": "the summary as one JSON object on stdout"}
PLANS = {
    "dry_run": "send nothing and remember nothing, show what would be done",
    "list": "with --dry-run: every line of the plan",
    "force_withdraw": "withdraw also what the guards hold back",
    "yes": "in a terminal, do not ask before something is withdrawn for ever",
}
RUNS = {
    "full": "read everything again, and send what differs",
    "retry_rejected": "send what Microsoft rejected once more",
    "quiet": "in a terminal too, say only what went wrong",
}
OF_A_RUN = {**REPORTS, **PLANS, **RUNS}
OF_SIGHTINGS = {
    **REPORTS,
    "dry_run": "write nothing and remember nothing, show what would be written",
    "list": "with --dry-run: every sighting",
}
SHORT = {"dry_run": "-n", "quiet": "-q", "verbose": "-v"}


class CommandOptions(NamedTuple):
    """What a command does, its options that other commands have too, and whether it can keep to one destination."""

    words: str
    flags: dict[str, str] = {}  # noqa: RUF012  nothing changes it
    one_destination: bool = False


COMMANDS = {
    RUN: CommandOptions("bring Sentinel in step with MISP, as without a command", OF_A_RUN, True),
    "init": CommandOptions("ask for the six values that a run needs, write the settings file and check it"),
    "check": CommandOptions("try the settings, MISP, the token and the upload, read-only", one_destination=True),
    "convert": CommandOptions("show, offline, what MISP event files would become"),
    "status": CommandOptions("show each destination: what is live, held, pending, rejected; the last run", REPORTS),
    "report": CommandOptions("write how it stands, and how it came to be, into one HTML page", REPORTS),
    "metrics": CommandOptions("write what status knows into a file for Prometheus"),
    "explain": CommandOptions("show where a value, an indicator or an actor stands, or why it is not there", REPORTS),
    "adopt": CommandOptions("fill an empty ledger from what Sentinel holds", {**REPORTS, **PLANS}, True),
    "share": CommandOptions("share stories to MISP, each as an event", REPORTS),
    "collect": CommandOptions(
        "write the stories found in MISP as JSON lines",
        {"full": "every story, not only what changed since the last collection"},
    ),
    "sightings": CommandOptions("write what Sentinel's alerts matched into MISP, as sightings", OF_SIGHTINGS, True),
    "withdraw": CommandOptions("empty a destination that is to be left", {**REPORTS, **PLANS}, True),
}

EXIT_CODES = {
    0: "done",
    1: "done, but some objects were rejected or are still pending, or withdrawals were refused",
    2: "settings or usage",
    3: "MISP failed",
    4: "Microsoft failed",
    5: "another run is active",
    70: "a fault of this program's own",
    130: "stopped from outside, by Ctrl-C or SIGTERM",
}


def option(name: str) -> str:
    """Return a name as it is typed: ``dry_run`` → ``--dry-run``."""
    return f"--{name.replace('_', '-')}"
