"""What the page says, from the verdict to the last runs: the same for one destination and for fifty. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.report.blocks import Part, Section, Table
from helpers.commands.monitoring.report.glance import tiles_of
from helpers.commands.monitoring.report.parts import Most, mosts_of, parts_of
from helpers.commands.monitoring.verdict import Verdict, cause_of, has_failed, result_of
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

_NOT_IN_SETTINGS = "The settings don't name this destination: no run takes care of it."
_CUT_OFF = "A run that began {} was cut off. What it did by then is in the ledger, and the next run goes on from there."
_ACTIVE = "A run that began {} is active: what it does is not in here yet."
_AHEAD = "A clock was ahead: the ledger has a run of {}."
_TOGETHER = "At a glance"
_EACH = "An indicator counts once at each destination."
_ONLY_OURS = "Those of the settings alone."
_TOO_MANY = "There are too many destinations for a section each on one page."
_COLUMNS = ("live", "pending", "in_flight", "rejected", "leaving", "held_events")
_HEAD = ("destination", "last run", *(name.replace("_", " ") for name in _COLUMNS))


@dataclass(frozen=True)
class Contents:
    """All that a page says; ``state`` is the verdict's, and ``particulars`` are pairs of what is only looked up.

    Of a sentence in the sections so many ``letters`` are shown.
    """

    state: str
    words: Sequence[str]
    particulars: Sequence[Sequence[str]]
    made: str
    version: str
    sections: Sequence[Section]
    letters: int


def contents_of(answer: Json, verdict: Verdict, watch: Watch) -> Iterator[Contents]:
    """Say how it stands, then the same with less and less of it; every destination has its ``holdings``."""
    number = len(answer["destinations"])
    for most in mosts_of(number):
        contents = _contents(answer, verdict, watch, most)
        yield contents
    if number > 1:
        overview = replace(contents.sections[0], words=[_TOO_MANY])
        yield replace(contents, sections=[overview])


def _contents(answer: Json, verdict: Verdict, watch: Watch, most: Most) -> Contents:
    return Contents(
        state=verdict.state,
        words=[verdict.words, *verdict.more],
        particulars=[list(pair) for pair in verdict.failure.particulars],
        made=watch.moment_with_zone(watch.now),
        version=answer["version"],
        sections=list(_sections(answer["destinations"], answer["not_in_ledger"], most, watch)),
        letters=most.letters,
    )


def _sections(destinations: Sequence[Json], missing: Sequence[str], most: Most, watch: Watch) -> Iterator[Section]:
    """Yield what is said of all together, then of each; the ledger knows nothing of those that are ``missing``."""
    if len(destinations) + len(missing) > 1:
        yield Section("", [*_together(destinations, watch), _overview(destinations, missing, watch)])
    for number, destination in enumerate(destinations, 1):
        name = f"d{number}"
        glance = Part(_TOGETHER, tiles=list(tiles_of([destination], watch)))
        parts = [glance, *parts_of(destination, name, most, watch)]
        yield Section(_title(destination), parts, list(_notes(destination, most, watch)), name)


def _together(destinations: Sequence[Json], watch: Watch) -> Iterator[Part]:
    """Add up what may be added, of those that runs take care of, as the verdict does."""
    if ours := [destination for destination in destinations if destination["in_settings"]]:
        words = f"All {len(ours)} destinations together. {_EACH}" if len(ours) > 1 else _title(ours[0])
        more = [_ONLY_OURS] if len(ours) < len(destinations) else []
        yield Part(_TOGETHER, [words, *more], tiles=list(tiles_of(ours, watch)))


def _overview(destinations: Sequence[Json], missing: Sequence[str], watch: Watch) -> Part:
    rows = [
        [_title(destination), _last_run(destination, watch), *(f"{destination[name]:,}" for name in _COLUMNS)]
        for destination in destinations
    ]
    rows += [[name, "none yet", *("" for _ in _COLUMNS)] for name in missing]
    numbers = frozenset(range(2, len(_HEAD)))
    return Part("Destinations", table=Table(_HEAD, rows, numbers))


def _title(destination: Json) -> str:
    if destination["name"]:
        return str(destination["name"])
    return f"Workspace {destination['workspace']}"


def _last_run(destination: Json, watch: Watch) -> str:
    run = destination["last_run"]
    return f"{watch.ago(run['at'])}: {result_of(run)}" if run else "none yet"


def _notes(destination: Json, most: Most, watch: Watch) -> Iterator[str]:
    """Yield what is said of a destination before its numbers."""
    yield f"Workspace {destination['workspace']}, source system {destination['sourcesystem']}."
    if not destination["in_settings"]:
        yield _NOT_IN_SETTINGS
    if destination["unfinished_since"]:
        words = _CUT_OFF if destination["cut_off"] else _ACTIVE
        yield words.format(watch.told(destination["unfinished_since"]))
    if destination["in_the_future"]:
        yield _AHEAD.format(watch.at(destination["in_the_future"]))
    yield from _of_the_last_run(destination, most, watch)


def _of_the_last_run(destination: Json, most: Most, watch: Watch) -> Iterator[str]:
    run = destination["last_run"]
    if run is None:
        yield "There has been no run yet."
        return
    failed = cause_of(run)[1].sentence if has_failed(destination) else ""
    why = f": {failed.rstrip('.')}" if failed else ""
    yield f"The last run was {watch.told(run['at'])}: {result_of(run)}{why}."
    yield from _warnings(run, most)
    if refused := destination["refused_events"]:
        yield f"A guard holds back the withdrawals of {counted(refused, 'event', 'events')}."


def _warnings(run: Json, most: Most) -> Iterator[str]:
    """Yield what the last run warned of, each once, and how many more there are than are shown."""
    told = list(dict.fromkeys([*run.get("refused_withdrawals", []), *run.get("warnings", [])]))
    yield from told[: most.rows]
    if (more := len(told) - most.rows) > 0:
        yield f"{counted(more, 'more warning', 'more warnings')}: the log has all of them."
