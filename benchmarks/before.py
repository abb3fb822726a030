"""What an indicator of a first run costs, by this tree and by an earlier commit: processor time, end to end.

    python -m benchmarks.before 12a9ee8
    python -m benchmarks.before 12a9ee8 --events ../events/*.json

The commit is put into a directory of its own while this runs, and its ``script.py`` is run against the same sandbox
with the same packages, in turns with this tree's. The start is left out: a run over the smallest MISP is taken off.
``microseconds`` are those of the processor for an indicator, the least of ``--repeats``, and ``ratio`` is their part of
what the commit takes. Events in files are repeated to the number of indicators, with other UUIDs and values each time.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.repeated import Json, repeated
from benchmarks.sandboxed import ROOT, VALUES, Measured, events, measured, parser, script, show, site
from helpers.commands.convert import events_in
from helpers.indicators import ConversionRules, convert_event
from helpers.settings import Settings
from sandbox.serve import Sandbox

PER_EVENT = 50
SHOWN = ("indicators", "start_seconds", "processor_seconds", "microseconds", "ratio")
Events = Callable[[], Iterable[Json]]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Give a directory with the files of a commit, for as long as it is used."""
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)  # noqa: S603, S607  git, wherever it is


def measure(before: Path, events_of: Events, repeats: int) -> dict[str, Measured]:
    """Compare both trees' first runs over the same events; raises AssertionError where they sent different numbers."""
    trees = {"before": before, "now": ROOT}
    turns = [{title: first_run(tree, events_of) for title, tree in trees.items()} for _ in range(repeats)]
    columns = {title: _least([turn[title] for turn in turns]) for title in trees}
    then, now = columns.values()
    if then["indicators"] != now["indicators"]:
        raise AssertionError(f"the two differ: {then} and {now}")
    return {title: {**taken, "ratio": _ratio(taken, then)} for title, taken in columns.items()}


def first_run(tree: Path, events_of: Events) -> Measured:
    """Run a tree's program to an empty workspace, over the smallest MISP and over these events."""
    start, whole = (_taken(tree, those) for those in (events(1, len(VALUES)), events_of()))
    indicators = whole["accepted"] - start["accepted"]
    seconds = whole["processor_seconds"] - start["processor_seconds"]
    return {
        "indicators": whole["accepted"],
        "start_seconds": start["processor_seconds"],
        "processor_seconds": whole["processor_seconds"],
        "microseconds": round(seconds / indicators * 1_000_000, 1),
    }


def _taken(tree: Path, those: Iterable[Json]) -> Measured:
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load({**event, "published": True} for event in those)
        return measured(box, [script(tree), "--json"], site(box, Path(folder)))


def _least(tries: Sequence[Measured]) -> Measured:
    return min(tries, key=lambda taken: taken["microseconds"])


def _ratio(taken: Measured, then: Measured) -> float:
    return round(taken["microseconds"] / then["microseconds"], 3)


def enough(once: Sequence[Json], indicators: int) -> Events:
    """Return what makes these events so often that they have so many indicators."""
    now, rules = datetime.now(UTC), ConversionRules.of(Settings())
    each = sum(len(part.indicators) for event in once for part in convert_event(event, rules, now))
    return lambda: repeated(once, -(-indicators // each))


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("commit", help="what this tree is compared with")
    command_line.add_argument("--indicators", type=int, default=100_000)
    command_line.add_argument("--repeats", type=int, default=1)
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of made-up ones")
    options = command_line.parse_args()
    read = [event for path in options.events or [] for event in events_in(path)]
    made_up = (options.indicators // PER_EVENT, PER_EVENT)
    events_of = enough(read, options.indicators) if read else lambda: events(*made_up)
    with checked_out(options.commit) as tree:
        show(measure(tree, events_of, options.repeats), options.json, SHOWN)


if __name__ == "__main__":
    main()
