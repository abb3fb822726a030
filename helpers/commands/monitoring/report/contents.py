"""What the page says, from the verdict to the last runs: the same for one destination and for fifty. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.report.blocks import Part, Section, Table
from helpers.commands.monitoring.report.glance import tiles_of
from helpers.commands.monitoring.report.parts import most_of, parts_of
from helpers.commands.monitoring.verdict import Verdict, cause_of, has_failed, result_of
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

_NOT_IN_SETTINGS = "The settings don't name this destination: no run takes care of it."
_CUT_OFF = "A run that began {} was cut off. What it did by then is in the ledger, and the next run goes on from there."
_ACTIVE = "A run that began {} is active: what it does is not in here yet."
_AHEAD = "A clock was ahead: the ledger has a run of {}."
_TOGETHER = "At a glance"
_COLUMNS = ("live", "pending", "in_flight", "rejected", "leaving", "held_events")
_HEAD = ("destination", "last run", *(name.replace("_", " ") for name in _COLUMNS))


@dataclass(frozen=True)
class Contents:
    """All that a page says; ``state`` is the verdict's, and ``particulars`` are pairs of what is only looked up."""

    state: str
    words: Sequence[str]
    particulars: Sequence[Sequence[str]]
    made: str
    version: str
    sections: Sequence[Section]


def contents_of(answer: Json, verdict: Verdict, watch: Watch) -> Contents:
    """Say how it stands; every destination of the answer has its ``holdings``."""
    return Contents(
        state=verdict.state,
        words=[verdict.words, *verdict.more],
        particulars=[list(pair) for pair in verdict.failure.particulars],
        made=watch.moment_with_zone(watch.now),
        version=answer["version"],
        sections=list(_sections(answer["destinations"], watch)),
    )


def _sections(destinations: Sequence[Json], watch: Watch) -> Iterator[Section]:
    most = most_of(len(destinations))
    if len(destinations) > 1:
        yield Section("", [_together(destinations, watch), _overview(destinations, watch)])
    for number, destination in enumerate(destinations, 1):
        name = f"d{number}"
        glance = Part(_TOGETHER, tiles=list(tiles_of([destination], watch)))
        parts = [glance, *parts_of(destination, name, most, watch)]
        yield Section(_title(destination), parts, list(_notes(destination, watch)), name)


def _together(destinations: Sequence[Json], watch: Watch) -> Part:
    """Add up what may be added: each indicator counts at each destination that it is at."""
    words = f"All {len(destinations)} destinations together; an indicator counts once at each."
    return Part(_TOGETHER, [words], tiles=list(tiles_of(destinations, watch)))


def _overview(destinations: Sequence[Json], watch: Watch) -> Part:
    rows = [
        [_title(destination), _last_run(destination, watch), *(f"{destination[name]:,}" for name in _COLUMNS)]
        for destination in destinations
    ]
    numbers = frozenset(range(2, len(_HEAD)))
    return Part("Destinations", table=Table(_HEAD, rows, numbers))


def _title(destination: Json) -> str:
    if destination["name"]:
        return str(destination["name"])
    return f"Workspace {destination['workspace']}"


def _last_run(destination: Json, watch: Watch) -> str:
    run = destination["last_run"]
    return f"{watch.ago(run['at'])}: {result_of(run)}" if run else "none yet"


def _notes(destination: Json, watch: Watch) -> Iterator[str]:
    """Yield what is said of a destination before its numbers."""
    yield f"Workspace {destination['workspace']}, source system {destination['sourcesystem']}."
    if not destination["in_settings"]:
        yield _NOT_IN_SETTINGS
    if destination["unfinished_since"]:
        words = _CUT_OFF if destination["cut_off"] else _ACTIVE
        yield words.format(watch.told(destination["unfinished_since"]))
    if destination["in_the_future"]:
        yield _AHEAD.format(watch.at(destination["in_the_future"]))
    yield from _of_the_last_run(destination, watch)


def _of_the_last_run(destination: Json, watch: Watch) -> Iterator[str]:
    run = destination["last_run"]
    if run is None:
        yield "There has been no run yet."
        return
    failed = has_failed(destination) and cause_of(run)[1].sentence
    yield f"The last run was {watch.told(run['at'])}: {result_of(run)}{f'. {failed}' if failed else ''}."
    yield from dict.fromkeys([*run.get("refused_withdrawals", []), *run.get("warnings", [])])
    if refused := destination["refused_events"]:
        yield f"A guard holds back the withdrawals of {counted(refused, 'event', 'events')}."
