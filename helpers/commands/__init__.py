"""One module or package for each command of ``script.py``; each is imported when it is chosen."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """What ``script.py`` knows of a command before it imports the command's module.

    ``module`` has ``main(settings, arguments, say)``, which returns the exit code; ``say`` writes a line to stdout.
    """

    module: str
    offline: bool = False  # it needs none of the settings that are there to reach MISP or Microsoft
    stories: bool = False  # it needs what stories need, and not what a run needs
    keeps_log: bool = False  # it writes into the log, and not only for whoever typed it
    makes_settings: bool = False  # its main returns the path of the file that it made, which check is to read then
    reads_vault: bool = False  # its secrets may be in a key vault; check and run read that themselves


# By the name that is typed; without one it is a run.
COMMANDS = {
    "run": Command("helpers.commands.run", keeps_log=True),
    "init": Command("helpers.commands.init", makes_settings=True),
    "check": Command("helpers.commands.check"),
    "convert": Command("helpers.commands.convert", offline=True),
    "status": Command("helpers.commands.monitoring.status"),
    "report": Command("helpers.commands.monitoring.report"),
    "metrics": Command("helpers.commands.monitoring.metrics"),
    "explain": Command("helpers.commands.explain.command", reads_vault=True),
    "adopt": Command("helpers.commands.adopt", keeps_log=True, reads_vault=True),
    "share": Command("helpers.commands.share", stories=True),
    "collect": Command("helpers.commands.collect", stories=True),
    "sightings": Command("helpers.commands.sightings", keeps_log=True, reads_vault=True),
    "withdraw": Command("helpers.commands.withdraw", keeps_log=True, reads_vault=True),
}
