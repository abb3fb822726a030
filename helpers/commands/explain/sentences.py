"""Where something stands, as sentences: the first one of an answer, and one for each indicator. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from helpers.commands.explain.dates import day
from helpers.commands.explain.items import Destination, Item, Json
from helpers.commands.explain.outlook import is_held, outlook
from helpers.commands.explain.state import NewerForm, NextRun, State
from helpers.commands.screen import Tone
from helpers.microsoft import taken_apart

_WHERE = "Sentinel"
# How "is … in Sentinel" goes on for each state.
_HEADS = {
    State.LIVE: "live",
    State.LEAVING: "live",
    State.PERHAPS_LEAVING: "perhaps live",
    State.WITHDRAWING: "perhaps live",
    State.UNKNOWN: "perhaps live",
    State.WAITING: "not yet",
    State.TO_COME: "not yet",
    State.REJECTED: "not",
    State.NOT_SENT: "not",
    State.NOT_WANTED: "not",
    State.REVOKED: "not",
    State.NOWHERE: "not",
    State.EXPIRED: "no longer live",
    State.WITHDRAWN: "no longer live",
}
_SHORT = {"not": "not there", "not yet": "not there yet"}
_NEWER = {
    NewerForm.WAITING: "a newer form waits to be sent",
    NewerForm.UNKNOWN: "whether Microsoft took a newer form is not known",
    NewerForm.REJECTED: "Microsoft rejected a newer form",
}
_TONES = {State.LIVE: Tone.GOOD, State.REJECTED: Tone.BAD}
_MOST_NAMES = 5
_FROM_ALERTS = "known from alerts alone"
_LIVE_STAGES = ("live", "accepted")


# -- one indicator or attribute -------------------------------------------------------------------------


def standing(item: Item) -> str:
    """Say where an item stands, and why."""
    return _STANDING[item.state](item)


def said(item: Item, destination: Destination) -> str:
    """Say where an item stands, and what comes next."""
    return "; ".join(filter(None, [standing(item), outlook(item, destination).words]))


def _newer(item: Item) -> str:
    return _with(f"; {_NEWER[item.newer_form]}", item.microsoft) if item.newer_form else ""


def _withdrawing(item: Item) -> str:
    return f"its withdrawal of {day(item.since)} has no answer: {_why(item)}"


def _unknown(item: Item) -> str:
    if item.newer_form is NewerForm.REJECTED:
        return f"whether Microsoft has it is not known: one upload had no answer, another was {_rejected(item)}"
    return _with("whether Microsoft took it is not known", item.microsoft)


def _why(item: Item) -> str:
    return _with(item.why, item.microsoft)


def _rejected(item: Item) -> str:
    return f"rejected by Microsoft{f': {_sentence(item.microsoft)}' if item.microsoft else ''}"


def _withdrawn(item: Item) -> str:
    when = f" on {day(item.since)}" if item.since else ""
    return f"withdrawn{when}{f': {item.why}' if item.why else ''}"


def _not_sent(item: Item) -> str:
    return ", and ".join(said["why"] for said in item.misp.in_the_way) or item.why


def _with(words: str, microsoft: str) -> str:
    return f"{words} ({_sentence(microsoft).rstrip('.')})" if microsoft else words


def _sentence(microsoft: str) -> str:
    """Return Microsoft's words without what only its support can do something with."""
    return taken_apart(microsoft).sentence


_STANDING: dict[State, Callable[[Item], str]] = {
    State.LIVE: lambda item: f"live until {day(item.until)}{_newer(item)}",
    State.LEAVING: lambda item: f"live until it is withdrawn: {_why(item)}",
    State.PERHAPS_LEAVING: lambda item: f"{_unknown(item)}; it is to be withdrawn: {item.why}",
    State.NOT_WANTED: lambda item: f"Microsoft never took it, and it is not wanted any more: {_why(item)}",
    State.WITHDRAWING: _withdrawing,
    State.UNKNOWN: _unknown,
    State.WAITING: lambda item: _with("it waits to be sent, as Microsoft has not taken it", item.microsoft),
    State.REJECTED: _rejected,
    State.REVOKED: lambda item: _with("revoked at Microsoft, by another hand than this program's", item.microsoft),
    State.EXPIRED: lambda item: f"expired on {day(item.until)}",
    State.WITHDRAWN: _withdrawn,
    State.NOT_SENT: _not_sent,
    State.TO_COME: lambda _item: "",
}


# -- one destination ------------------------------------------------------------------------------------


def head(destination: Destination) -> str:
    """Say in few words whether it is there."""
    return _HEADS[state_of(destination)]


def state_of(destination: Destination) -> State:
    """Return what matters most at a destination, of an event what its counts say."""
    event = destination.event
    if destination.items or event is None:
        shown = destination.event_in_misp
        if destination.items or shown is None:
            return destination.state
        return State.NOT_SENT if shown["in_the_way"] else State.TO_COME
    return State.LIVE if event["objects"]["live"] else State.NOT_SENT


def tail(destination: Destination, unknown: str) -> str:
    """Say what there is, or why not; ``unknown`` where nothing is known."""
    if not destination.items and (destination.event or destination.event_in_misp):
        return _of_event(destination)
    foremost = [item for item in destination.items if item.state is destination.state]
    if not foremost:
        return _FROM_ALERTS if destination.sightings else unknown
    words = _live(foremost) if destination.state is State.LIVE else said(foremost[0], destination)
    rest = _besides(destination, foremost)
    return "; ".join(filter(None, [words, *_holds(foremost), rest]))


def _live(items: Sequence[Item]) -> str:
    until = sorted({item.until for item in items})
    days = f"until {day(until[0])}" if day(until[0]) == day(until[-1]) else f"the last one until {day(until[-1])}"
    events = {event for item in items for event in item.events}
    return f"{_count(len(items), 'indicator')}, {days}, from {_count(len(events), 'event')}"


def _holds(items: Sequence[Item]) -> list[str]:
    """Say what keeps live indicators from staying as they are; for others, what comes next has said it."""
    live = [item for item in items if item.state is State.LIVE]
    held = [item for item in live if is_held(item) and not item.held[-1]["over"]]
    if held:
        return [f"held until {day(held[0].held[-1]['until'])}"]
    unwanted = [item for item in live if item.misp.unwanted]
    return ["but MISP does not want it now"] if unwanted else []


def _besides(destination: Destination, foremost: Sequence[Item]) -> str:
    alike = {id(item) for item in foremost if item.state is State.LIVE or _same(item, foremost[0], destination)}
    states = Counter(str(item.state) for item in destination.items if id(item) not in alike)
    return f"besides, {', '.join(f'{count} {state}' for state, count in states.items())}" if states else ""


def _same(item: Item, other: Item, destination: Destination) -> bool:
    return said(item, destination) == said(other, destination)


def _of_event(destination: Destination) -> str:
    if destination.event:
        return ", ".join(_counts(destination.event)) or "no attribute of it is known"
    shown = destination.event_in_misp or {"in_the_way": [], "next_run": ""}
    if shown["in_the_way"]:
        return "; ".join(obstacle["why"] for obstacle in shown["in_the_way"])
    reads = shown["next_run"] == NextRun.READS
    return f"nothing stands in its way: {'the next run' if reads else 'a full run'} sends what of it can be sent"


def _counts(event: Json) -> list[str]:
    objects = event["objects"]
    counts = [_count(objects["live"], "indicator")] if objects["live"] else []
    counts += [f"{count} {stage}" for stage, count in objects.items() if stage not in _LIVE_STAGES]
    expired = objects.get("accepted", 0) - objects["live"]
    counts += [f"{expired} expired"] if expired > 0 else []
    skipped = sum(skip["count"] for skip in event["skipped"].values())
    return counts + ([f"{_count(skipped, 'attribute')} not sent"] if skipped else [])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# -- the whole answer -----------------------------------------------------------------------------------


def first_sentence(asked: str, destinations: Sequence[Destination], unknown: str) -> str:
    """Say where something stands; ``unknown`` where nothing is known of it."""
    if all(state_of(destination) is State.NOWHERE for destination in destinations):
        return f"{asked} is {_FROM_ALERTS if any(each.sightings for each in destinations) else unknown}."
    if len(destinations) == 1:
        (only,) = destinations
        return f"{asked} is {head(only)} in {_WHERE}: {tail(only, unknown).rstrip('.')}."
    heads: dict[str, list[str]] = {}
    for destination in destinations:
        heads.setdefault(head(destination), []).append(destination.name)
    return f"{asked} is {', and '.join(f'{words} in {_listed(names)}' for words, names in heads.items())}."


def at_destination(destination: Destination, unknown: str) -> str:
    """Say where something stands at one destination of several."""
    words = head(destination)
    return f"{_SHORT.get(words, words)}: {tail(destination, unknown)}"


def tone(destinations: Iterable[Destination]) -> Tone:
    """Return the colour of an answer: good only where it is live everywhere."""
    tones = {_tone(destination) for destination in destinations}
    return next((worst for worst in (Tone.BAD, Tone.ODD) if worst in tones), Tone.GOOD) if tones else Tone.ODD


def _tone(destination: Destination) -> Tone:
    odd = any(item.newer_form or _holds([item]) for item in destination.items)
    return Tone.ODD if odd else _TONES.get(state_of(destination), Tone.ODD)


def _listed(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMES:
        return f"{len(names):,} destinations"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
