"""An answer as people read it: where something stands, then each event once with its indicators below it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from helpers.commands.explain import advice
from helpers.commands.explain.context.lines import (
    found_by_name,
    named_lines,
    named_sentence,
    named_tone,
    pointed_lines,
)
from helpers.commands.explain.items import Destination, Item, Json, destinations_of
from helpers.commands.explain.outlook import outlook
from helpers.commands.explain.sentences import at_destination, first_sentence, said, tail, tone
from helpers.commands.explain.sightings import seen_lines
from helpers.commands.explain.state import State
from helpers.commands.screen import Line, Tone, verdict
from helpers.errors import ExitCode, NoLedger
from helpers.text import counted, one_line

MOST_SHOWN = 20
_NO_LEDGER = "There is no ledger yet: nothing has run with these settings."
_UNKNOWN = (
    "MISP shows the key (misp_key) no attribute with this value, nor an event or attribute of this UUID. Is its event "
    "shared with the key's organisation? See docs/troubleshoot.md#1-does-misp-deliver-it."
)
_UNKNOWN_OFFLINE = (
    "The ledger knows what runs have read: what is on a warninglist, in an event that the filters do not find, or not "
    "flagged in an event of more than 4,096 attributes, is not in it. Without --offline, MISP is asked too."
)


class Most(NamedTuple):
    """How much is shown: lines about events, indicators of each, and lines about alerts."""

    lines: int
    rows: int
    seen: int

    def beside(self, seen: Sequence[Line]) -> Most:
        """Return what is left beside lines about alerts, of which each takes two of a screen."""
        return self._replace(lines=self.lines - 2 * min(len(seen), self.seen))


# A screen has 24 lines, and nobody reads them all; the rest is there with --verbose.
SCREEN = Most(lines=9, rows=5, seen=4)
ALL = Most(lines=10_000, rows=MOST_SHOWN, seen=10_000)


class Row(NamedTuple):
    """One indicator or attribute at one destination."""

    destination: Destination
    item: Item


def lines_of(answer: Json, *, detailed: bool = False) -> Iterator[Line]:
    """Yield what is said of an answer; ``detailed``: about more events and indicators than fit on a screen."""
    destinations, unknown, most = destinations_of(answer), unknown_words(answer), ALL if detailed else SCREEN
    is_context = bool(found_by_name(answer) or answer["tag_names_nothing"])
    yield verdict(named_tone(answer) if is_context else tone(destinations), sentence_of(answer, destinations))
    yield from named_lines(answer)
    if len(destinations) > 1 and not is_context:
        shown = destinations[:MOST_SHOWN]
        yield from (Line(at_destination(each, unknown), mark=f"{each.name}:", indent=2) for each in shown)
        yield from _more(len(destinations) - len(shown), "more destination", "more destinations")
    seen = [line for each in destinations for line in seen_lines(each)]
    yield from seen[: most.seen]
    yield from _more(len(seen) - most.seen, "more line about alerts", "more lines about alerts")
    yield from _event_lines(answer, destinations)
    rows = [Row(destination, item) for destination in destinations for item in destination.items]
    yield from _rows_by_event(rows, answer, destinations, most.beside(seen))
    yield from _halves(answer)
    yield from _guards(destinations)
    yield from _footer(answer, rows)


def sentence_of(answer: Json, destinations: Sequence[Destination]) -> str:
    """Return the first sentence of an answer: of actors and the like first, where one has the name."""
    if words := named_sentence(answer):
        return words
    asked, unknown = one_line(answer["asked"]), unknown_words(answer)
    if any(each.event or each.event_in_misp for each in destinations):
        asked = f"Event {asked}"
    if answer["recorded"]:
        return first_sentence(asked, destinations, unknown)
    known = "; ".join(dict.fromkeys(tail(each, unknown) for each in destinations))
    return f"{asked}: what Sentinel holds is not known, as no ledger is kept (state_url); {known}."


def unknown_words(answer: Json) -> str:
    """Say that nothing is known of what was asked, and who was asked."""
    misp = answer["misp"]
    if misp is None:
        return "not known to the ledger, and MISP was not asked"
    return "not known to the ledger, and MISP could not be asked" if "error" in misp else "known to no run nor to MISP"


# -- events and what is of them -------------------------------------------------------------------------


def _rows_by_event(
    rows: Sequence[Row], answer: Json, destinations: Sequence[Destination], most: Most
) -> Iterator[Line]:
    titles = _titles(answer)
    events = list(dict.fromkeys(event for row in rows for event in row.item.events))
    shown, written = 0, 0
    for event in events[:MOST_SHOWN]:
        title, url = titles.get(event, ("", ""))
        of_event = [row for row in rows if event in row.item.events]
        block = [Line(title or f"Event {event}", Tone.STRONG), Line(url, Tone.QUIET, indent=2)]
        block += _rows(of_event, destinations, most.rows)
        if shown and written + len(block) > most.lines:
            break
        yield from block
        shown, written = shown + 1, written + len(block)
    yield from _more(len(events) - shown, "more event", "more events")


def _rows(rows: Sequence[Row], destinations: Sequence[Destination], most: int) -> Iterator[Line]:
    by_label: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        by_label.setdefault((*row.item.attributes, row.item.label), []).append(row)
    for (*_, label), of_label in list(by_label.items())[:most]:
        if len(destinations) == 1:
            yield from _single(label, of_label[0])
        else:
            yield Line(label, indent=2)
            for row in of_label:
                yield Line(said(row.item, row.destination), mark=f"{row.destination.name}:", indent=4)
                yield from _to_do(row, indent=6)
                yield from pointed_lines(row.item, indent=6)
    yield from _more(len(by_label) - most, "more of this event", "more of this event")


def _single(label: str, row: Row) -> Iterator[Line]:
    """Show an item of the only destination; what the first sentence has said is not said twice."""
    words, first = said(row.item, row.destination), row.destination.items
    told = row.item.state is not State.LIVE and words == said(_foremost(first), row.destination)
    yield Line(label if told else f"{label}: {words}", indent=2)
    yield from _to_do(row, indent=4)
    yield from pointed_lines(row.item, indent=4)


def _foremost(items: Sequence[Item]) -> Item:
    return min(items, key=lambda item: list(State).index(item.state))


def _to_do(row: Row, indent: int) -> Iterator[Line]:
    if words := outlook(row.item, row.destination).advice:
        yield Line(words, mark="→", indent=indent)


def _titles(answer: Json) -> dict[str, tuple[str, str]]:
    """Return what each event is called, and its page, as far as the answer has them."""
    titles: dict[str, tuple[str, str]] = {}
    for known in answer["ledger"]:
        for skip in known["skipped"]:
            titles.setdefault(skip["event"], ("", skip["url"]))
        for object_ in known["objects"]:
            for position, origin in enumerate(object_["from"]):
                name = str(object_["name"] or "") if position == 0 else ""
                titles[origin["event"]] = (name or titles.get(origin["event"], ("", ""))[0], origin["url"])
    for attribute in (answer["misp"] or {}).get("attributes", ()):
        titles[attribute["event"]] = (attribute["info"], attribute["url"])
    return titles


# -- an event that was asked for ------------------------------------------------------------------------


def _event_lines(answer: Json, destinations: Sequence[Destination]) -> Iterator[Line]:
    events = [known for each in destinations for known in (each.event, each.event_in_misp) if known]
    if events:
        yield Line(events[0]["url"], Tone.QUIET, indent=2)
    for destination in destinations:
        yield from _event_at(destination, destination.name and f"{destination.name}: ")
    if shown := (answer["misp"] or {}).get("event"):
        published = "published" if shown["published"] else "not published"
        attributes = counted(shown["attributes"], "attribute", "attributes")
        yield Line(f"MISP shows it with {attributes}, {published}", indent=2)


def _event_at(destination: Destination, name: str) -> Iterator[Line]:
    event = destination.event or {"skipped": {}, "held": [], "settled": True}
    for skip in event["skipped"].values():
        yield Line(f"{name}{skip['count']} not sent: {skip['why']}", indent=2)
        yield Line(skip["advice"], mark="→", indent=4)
    if not event["settled"]:
        yield Line(f"{name}not all of it is settled: {advice.UNSETTLED}", indent=2)
    for hold in event["held"]:
        yield Line(f"{name}held since {hold['since']}, until {hold['until']}", indent=2)
        yield Line(hold["advice"], mark="→", indent=4)
    for obstacle in (destination.event_in_misp or {"in_the_way": []})["in_the_way"]:
        yield Line(f"{name}in MISP now: {obstacle['why']}", indent=2)
        yield Line(obstacle["advice"], mark="→", indent=4)


# -- what is left to say --------------------------------------------------------------------------------


def _halves(answer: Json) -> Iterator[Line]:
    halves = [half for known in answer["ledger"] for half in known["halves_left_out"]]
    for attribute in (answer["misp"] or {}).get("attributes", ()):
        halves += [{**half, "value": attribute["value"]} for half in attribute["halves_left_out"]]
    for value, why, what_to_do in dict.fromkeys((half["value"], half["why"], half["advice"]) for half in halves):
        yield Line(f"{value}: one half is not sent: {why}", indent=2)
        yield Line(what_to_do, mark="→", indent=4)


def _guards(destinations: Sequence[Destination]) -> Iterator[Line]:
    """Say what a guard held back, where something of it is to leave."""
    for destination in destinations:
        if destination.leaves and destination.guards and destination.in_settings:
            name = destination.name and f"{destination.name}: "
            yield Line(f"{name}a guard held withdrawals back in the last run: {'; '.join(destination.guards)}")
            yield Line(advice.REFUSED, mark="→", indent=2)


def _footer(answer: Json, rows: Sequence[Row]) -> Iterator[Line]:
    misp = answer["misp"]
    if not answer["recorded"]:
        yield Line(str(NoLedger()))
    elif not answer["ledger"]:
        yield Line(_NO_LEDGER)
    if misp is None and rows:
        yield Line("MISP was not asked (--offline).", Tone.QUIET)
    elif misp and "error" in misp:
        yield Line(f"MISP could not be asked: {misp['error']}")
    elif rows and all(row.item.state is State.LIVE and row.item.misp.wanted for row in rows):
        yield Line("MISP has it too, and nothing stands in its way.", Tone.QUIET)
    if answer["exit_code"] == ExitCode.UNFINISHED:
        yield Line(_UNKNOWN if misp else _UNKNOWN_OFFLINE)


def _more(number: int, one: str, several: str) -> Iterator[Line]:
    if number > 0:
        yield Line(f"… and {counted(number, one, several)}; --json shows them all", indent=2)
