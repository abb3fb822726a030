"""The parts of a destination's report: what is shown of its runs and of what it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from helpers.commands.explain.advice import skip_as_json
from helpers.commands.monitoring import sightings
from helpers.commands.monitoring.moments import Watch, seconds_of
from helpers.commands.monitoring.report import over_time
from helpers.commands.monitoring.report.blocks import Chart, Layer, Part, Share, Table
from helpers.commands.monitoring.report.charts import LOW, Said, areas, bars
from helpers.commands.monitoring.report.scale import at_some, once, thinned
from helpers.commands.monitoring.run_rows import Columns, cells, columns_in_use, ended, total
from helpers.commands.monitoring.verdict import cause_of, result_of
from helpers.context import Kind
from helpers.indicators import DAY
from helpers.text import counted, duration

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json
    from helpers.commands.monitoring.holdings import Holdings

_LABELS = 4
_BY_ORGANISATION = "Attributes that indicators are made of, by their event's organisation"
_HELD_OPEN, _RUNS_OPEN = 6, 10
_NUMBERS_OF_CONTEXT = frozenset(range(1, 7))
_DONE: Columns = {
    "sent": ("accepted",),
    "withdrawn": ("withdrawn",),
    "rejected": ("rejected", "withdrawals_rejected"),
}
_COLUMNS: Columns = {
    "new": ("new",),
    "changed": ("changed",),
    "renewed": ("renewed",),
    "again": ("again",),
    "withdrawn": ("withdrawn",),
    "rejected": ("rejected", "withdrawals_rejected"),
    "pending": ("pending", "withdrawals_pending"),
    "beside": ("beside_sent", "beside_withdrawn"),
}
_TLP = {"white": "TLP:CLEAR (white)", "green": "TLP:GREEN", "amber": "TLP:AMBER", "red": "TLP:RED", "": "unknown"}


class Most(NamedTuple):
    """How much of each thing is shown of a destination, and how many letters of a sentence."""

    points: int = 90
    kinds: int = 6
    runs: int = 30
    rows: int = 30
    held: int = 100
    days: int = 1  # of what expires, in one bar
    letters: int = 500


_LESS_AND_LESS = (Most(), Most(48, 6, 20, 10, 20, 1, 300), Most(12, 4, 6, 4, 4, 5, 160), Most(12, 3, 3, 2, 2, 10, 160))


def mosts_of(destinations: int) -> Sequence[Most]:
    """Return how much is shown of each of so many destinations, then what to do with where that is too much."""
    return _LESS_AND_LESS[0 if destinations <= 5 else 1 if destinations <= 15 else 2 :]


def parts_of(destination: Json, name: str, most: Most, watch: Watch) -> Iterator[Part]:
    """Yield what is shown of a destination; ``name`` sets the names of its charts apart from others' on the page."""
    holdings: Holdings = destination["holdings"]
    runs = destination["runs"]
    yield _live(runs, name, most, watch)
    yield _done(runs[: most.runs], name, watch)
    yield from _reasons(destination, most)
    yield from _context(destination["context"])
    yield from _sightings(destination["sightings"], watch)
    yield _skipped(holdings.skips, most)
    yield _expiring(holdings.expiring, name, most.days, watch)
    yield _held(holdings, destination["held_events"], most, watch)
    yield replace(_shares("Organisations", _BY_ORGANISATION, holdings.organisations, most), size="full")
    yield _shares("TLP", "Live indicators", _by_level(holdings.tlp), most)
    yield _confidence(holdings.confidence, name)
    yield _last_runs(runs[: most.runs], watch)


# -- runs ---------------------------------------------------------------------------------------------


def _live(runs: Sequence[Json], name: str, most: Most, watch: Watch) -> Part:
    title = "Live over time"
    known = over_time.counted_runs(runs, watch.now)
    kinds = over_time.kinds_of(known, most.kinds)
    if not kinds:
        return Part(title, [_no_runs(runs) or "No indicator was live at the end of any run until now."], size="half")
    last = over_time.by_kind(known[-1], kinds)
    legend = [Layer(place, _kind(kind), f"{last[place]:,}") for place, kind in enumerate(kinds)]
    numbers = _live_table(thinned(known, most.runs), kinds, watch)
    if known[0].at == known[-1].at:
        words = "All of it is of one moment so far. From the next run on, a chart shows how it goes up and down."
        return Part(title, [words], table=numbers, size="half")
    even = over_time.evenly(known, most.points)
    layers = [list(layer) for layer in zip(*(over_time.by_kind(one, kinds) for one in even), strict=True)]
    labels = _labels([one.at for one in even], watch)
    told = f"Indicators from {watch.day(known[0].at)} to {watch.day(known[-1].at)}; at the end {sum(last):,} were live."
    svg = areas(Said(f"{name}-live", title, told), layers, labels)
    return Part(
        title, ["Indicators at the end of each run, by kind."], charts=[Chart(svg, "", legend, numbers)], size="half"
    )


def _live_table(known: Sequence[over_time.Counted], kinds: Sequence[str], watch: Watch) -> Table:
    rows = [
        [watch.moment(one.at), *(f"{count:,}" for count in over_time.by_kind(one, kinds))] for one in reversed(known)
    ]
    return Table(["run", *map(_kind, kinds)], rows, frozenset(range(1, len(kinds) + 1)), frozenset({0}), len(rows))


def _kind(kind: str) -> str:
    return kind.replace("_", " ")


def _done(runs: Sequence[Json], name: str, watch: Watch) -> Part:
    title = "Sent, withdrawn, rejected"
    if not runs:
        return Part(title, [_no_runs(runs)], size="half")
    in_order = list(reversed(runs))
    labels = _labels([seconds_of(run["at"]) for run in in_order], watch)
    charts = []
    for what, fields in _DONE.items():
        values = [total(run, fields) for run in in_order]
        if not any(values):
            charts.append(Chart("", f"{what}: nothing"))
            continue
        told = f"{counted(len(values), 'run', 'runs')}, the last one on the right: {sum(values):,} {what} in all."
        charts.append(Chart(bars(Said(f"{name}-{what}", what, told), values, labels, LOW), f"{what}: {sum(values):,}"))
    last = f"the last {len(runs)} runs" if len(runs) > 1 else "the last run"
    words = f"What Microsoft took and did not take in {last}, one bar for each. Each chart has its "
    return Part(title, [f"{words}own scale; the numbers stand under “Last runs”."], charts=charts, size="half")


def _labels(moments: Sequence[int], watch: Watch) -> list[str]:
    """Label some of the moments with their day, or with the time where all are within one day; none twice in a row."""
    is_within_a_day = 0 < moments[-1] - moments[0] < DAY
    some = at_some([(watch.clock if is_within_a_day else watch.short_day)(at) for at in moments], _LABELS)
    return once(some)


def _last_runs(runs: Sequence[Json], watch: Watch) -> Part:
    title = "Last runs"
    if not runs:
        return Part(title, [_no_runs(runs)])
    counts = columns_in_use(runs, _COLUMNS)
    rows = [
        [watch.at(run["at"]), duration(run["seconds"]), *cells(run, _COLUMNS, counts), _ending(run)] for run in runs
    ]
    words = [] if len(counts) == len(_COLUMNS) else ["What is zero in all of them has no column."]
    head, numbers = ["run", "took", *counts, "ended"], frozenset(range(1, len(counts) + 2))
    return Part(title, words, table=Table(head, rows, numbers, frozenset({0}), _RUNS_OPEN))


def _ending(run: Json) -> str:
    cause = (run["cause"] or "").removeprefix(f"{result_of(run)}: ")
    return f"{ended(run)}: {cause}" if run["exit_code"] and cause else ended(run)


def _no_runs(runs: Sequence[Json]) -> str:
    return "" if runs else "The ledger has no run of this destination yet."


# -- what it holds ------------------------------------------------------------------------------------


def _reasons(destination: Json, most: Most) -> Iterator[Part]:
    """Say why Microsoft rejects indicators, and why others are to be withdrawn."""
    rows = [
        [what, words, f"{count:,}"]
        for what, reasons in (("rejected", destination["rejections"]), ("leaving", destination["leaving_reasons"]))
        for words, count in list(reasons.items())[: most.rows]
    ]
    if rows:
        table = Table(["what", "why", "indicators"], rows, frozenset({2}))
        yield Part("Rejected or leaving, and why", table=table)


def _context(kinds: Json) -> Iterator[Part]:
    """Say how much stands beside the indicators, by kind, where anything does or did."""
    rows = [
        [Kind(kind).facts.several, *(f"{count:,}" for count in counts.values())]
        for kind, counts in kinds.items()
        if any(counts.values())
    ]
    if rows:
        counts = next(iter(kinds.values()))
        table = Table(["beside indicators", *(name.replace("_", " ") for name in counts)], rows, _NUMBERS_OF_CONTEXT)
        yield Part("Actors, techniques, organisations and relationships", table=table)


def _sightings(known: Json | None, watch: Watch) -> Iterator[Part]:
    """Say how alerts were last read, and where the sightings stand, where they were ever read."""
    if known is None:
        return
    read = sightings.until(known, watch)
    words = [f"{read[0].upper()}{read[1:]}."]
    if reading := known["last_reading"]:
        cause = cause_of(reading)[1].sentence.rstrip(".")
        why = f": {cause}" if cause else ""
        words.append(f"The last reading was {watch.told(reading['at'])}: {result_of(reading)}{why}.")
        words += [f"It found {said}." for said in [sightings.counts_of(reading)] if said]
    states = known["states"]
    rows = [[what, f"{states[state]:,}"] for state, what in sightings.STATES.items() if states[state]]
    table = Table(["what became of them", "sightings"], rows, frozenset({1})) if rows else None
    yield Part("Seen in alerts", words, table=table)


def _skipped(skips: Mapping[str, int], most: Most) -> Part:
    title = "Why attributes are skipped"
    if not skips:
        return Part(title, ["No attribute that was read is skipped now."])
    rows = []
    for name, count in _most_first(skips)[: most.rows]:
        reason = skip_as_json(name, "")
        rows.append([reason["why"], f"{count:,}", reason["advice"]])
    words = f"{counted(sum(skips.values()), 'attribute', 'attributes')} of what was read stay in MISP."
    return Part(title, [words], table=Table(["why", "attributes", "what would bring it in"], rows, frozenset({1})))


def _expiring(days: Sequence[int], name: str, together: int, watch: Watch) -> Part:
    title = f"What expires in the next {len(days)} days"
    if not any(days):
        return Part(title, [f"No live indicator ends in the next {len(days)} days."], size="half")
    counts = [sum(days[first : first + together]) for first in range(0, len(days), together)]
    names = [watch.short_day(watch.now + place * together * DAY) for place in range(len(counts))]
    number = counted(sum(days), "indicator", "indicators")
    end = "ends" if sum(days) == 1 else "end"
    told = f"{number} {end} in {len(days)} days; most from {names[_largest(counts)]} on."
    svg = bars(Said(f"{name}-expiring", title, told), counts, at_some(names, _LABELS))
    rows = [[day, f"{count:,}"] for day, count in zip(names, counts, strict=True) if count]
    head = [f"{24 * together} hours from", "indicators"]
    numbers = Table(head, rows, frozenset({1}), frozenset({0}), len(rows))
    return Part(title, [told], charts=[Chart(svg, "", (), numbers)], size="half")


def _largest(numbers: Sequence[int]) -> int:
    return max(range(len(numbers)), key=numbers.__getitem__)


def _held(holdings: Holdings, number: int, most: Most, watch: Watch) -> Part:
    title = "Held events"
    held = holdings.held[: most.held]
    if not held:
        return Part(title, ["No event is held."], size="half")
    words = "They were edited and not published again, or are out of sight; what was sent of them stays for now."
    more = [f"These are the {len(held)} that wait the longest, of {number:,}."] if number > len(held) else []
    rows = [[event.uuid, event.organisation, watch.day(event.since) if event.since else "unknown"] for event in held]
    table = Table(["event", "organisation", "since"], rows, dates=frozenset({2}), open=_HELD_OPEN)
    return Part(title, [words, *more], table=table, size="half")


def _shares(title: str, words: str, counts: Mapping[str, int], most: Most) -> Part:
    """Show what a whole is made of, the largest first; what is too small to be shown counts as one."""
    ordered = [(name, count) for name, count in _most_first(counts) if count]
    if not ordered:
        return Part(title, ["Nothing is known yet."], size="half")
    shown, rest = ordered[: most.rows], ordered[most.rows :]
    if rest:
        shown.append((f"{len(rest):,} others", sum(count for _, count in rest)))
    largest = max(count for _, count in shown)
    shares = [Share(name or "unknown", f"{count:,}", round(count / largest, 3)) for name, count in shown]
    return Part(title, [f"{words}."], shares=shares, size="half")


def _by_level(tlp: Mapping[str, int]) -> dict[str, int]:
    return {_TLP.get(level, level): count for level, count in tlp.items()}


def _confidence(confidence: Mapping[int, int], name: str) -> Part:
    """Show confidence by tens: 0 to 9, 10 to 19, and so on; 100 stands alone."""
    title = "Confidence"
    known = [sum(count for at, count in confidence.items() if at >= 0 and at // 10 == ten) for ten in range(11)]
    if not any(known):
        return Part(title, ["Nothing is known yet."], size="half")
    names = [*(f"{ten * 10} to {ten * 10 + 9}" for ten in range(10)), "100"]
    told = f"Live indicators by confidence, 0 to 100; most have {names[_largest(known)]}."
    unknown = confidence.get(-1, 0)
    more = [f"The confidence of {unknown:,} is not known."] if unknown else []
    svg = bars(Said(f"{name}-confidence", title, told), known, ["0", *[""] * 4, "50", *[""] * 4, "100"])
    rows = [[name, f"{count:,}"] for name, count in zip(names, known, strict=True) if count]
    numbers = Table(["confidence", "indicators"], rows, frozenset({1}))
    return Part(title, [told, *more], charts=[Chart(svg, "", (), numbers)], size="half")


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
