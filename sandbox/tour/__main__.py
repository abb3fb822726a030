"""Play the tour: ``python -m sandbox.tour [--dir DIR]``, which ``make tour`` calls.

Each step is one sentence, the command as one would type it, and what that really shows: the program runs as processes
of its own, in a pseudo-terminal. Exit code 0 only when each step did what its sentence says.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sandbox import place
from sandbox.azure.app import AzureState
from sandbox.samples import demo_misp
from sandbox.serve import Sandbox
from sandbox.terminal import Shown, in_terminal
from sandbox.tour.analyst import Analyst
from sandbox.tour.steps import PAGE, STEPS, Outcome, Step, troubles

DIRECTORY = Path(".sandbox/tour")
INTERRUPTED = 130  # as a shell ends with after Ctrl-C
COLUMNS = 80
IN_DIRECTORY = ("sh", "-c", 'cd "$0" && exec "$@"')
FIRST = "A MISP and an Azure of its own start on this machine; both are gone at the end."
LAST = """
That was the tour; each step did what it says. Beside it:

  {page:<38} the page of the last step
  {state:<38} log and ledger
  .venv/bin/python -m sandbox            the same to try by hand
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play every step, up to the first that did something else than it says; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.tour", description="What a site sees, night by night.")
    parser.add_argument("--dir", type=Path, default=DIRECTORY, help="where its files go (default: %(default)s)")
    shown_directory = parser.parse_args(arguments).dir
    directory = shown_directory.resolve()
    try:
        with place.held(directory):
            if not _toured(directory):
                return 1
    except place.Taken as error:
        print(error, file=sys.stderr)
        return place.TAKEN
    except KeyboardInterrupt:
        return INTERRUPTED
    print(LAST.format(page=str(shown_directory / PAGE), state=str(shown_directory / place.STATE)))
    return 0


def _toured(directory: Path) -> bool:
    """Play the steps against a sandbox of their own, and say whether each did what it says."""
    shutil.rmtree(directory / place.STATE, ignore_errors=True)
    print(textwrap.fill(FIRST, _columns()), flush=True)
    with Sandbox(AzureState(), demo_misp(time.time), directory=directory) as box:
        place.furnish(box, directory)
        return all(_played(number, step, box, directory) for number, step in enumerate(STEPS, 1))


def _played(number: int, step: Step, box: Sandbox, directory: Path) -> bool:
    """Play a step, and say whether it did what it says."""
    sentence = textwrap.fill(f"{number}. {step.sentence}", min(COLUMNS, _columns()), subsequent_indent="   ")
    print(f"\n{_bold(sentence)}\n", flush=True)
    if step.edit:
        value, changes = step.edit
        Analyst(box).change(value, changes)
    if step.alert:
        rule, kind, value = step.alert
        box.azure.raise_alert(rule, entities=[(kind, value)])
    before, uploaded, sightings = _patterns(box), _uploaded(box), len(box.misp.sightings)
    print(f"$ {shlex.join([place.COMMAND, *step.words])}", flush=True)
    shown = _typed(step.words, directory)
    files = [path.name for path in directory.iterdir()]
    arrived, seen = _uploaded(box) - uploaded, _seen(box)[sightings:]
    outcome = Outcome(shown.exit_code, shown.text, before, _patterns(box), arrived, seen, files)
    wrong = list(troubles(step, outcome))
    for words in wrong:
        print(f"\nStep {number} did not do what it says: {words}.", flush=True)
    return not wrong


def _typed(words: Sequence[str], directory: Path) -> Shown:
    """Run the program as somebody would who is in the directory, and show what it shows."""
    in_a_terminal = sys.stdout.isatty()
    environ = place.without_settings(os.environ)
    environ["PATH"] = f"{directory / 'bin'}:{environ['PATH']}"
    command = [*IN_DIRECTORY, str(directory), place.COMMAND, *words]
    shown = in_terminal(command, columns=_columns(), env=environ, echo=_echo if in_a_terminal else len)
    if not in_a_terminal:
        print(shown.text, flush=True)
    return shown


def _columns() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS


def _echo(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _patterns(box: Sandbox) -> Counter[str]:
    return Counter(str(indicator["pattern"]) for indicator in box.azure.live(kind="indicator").values())


def _uploaded(box: Sandbox) -> int:
    return sum(upload["kinds"]["indicator"] for upload in box.azure.uploads)


def _seen(box: Sandbox) -> list[str]:
    """Return the value of each attribute that was sighted in MISP, one for each sighting."""
    found = (box.misp.find_attribute(sighting["attribute_id"]) for sighting in box.misp.sightings)
    return [attribute["value"] for _, attribute in filter(None, found)]


def _bold(words: str) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR")
    return words if plain else f"\x1b[1m{words}\x1b[0m"


if __name__ == "__main__":
    sys.exit(main())
