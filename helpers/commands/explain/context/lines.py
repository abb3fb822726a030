"""What is said of actors, techniques and organisations, asked for by name or beside an indicator. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from helpers.commands.explain.items import Item, Json
from helpers.commands.explain.state import State
from helpers.commands.screen import Line, Tone
from helpers.context import Kind, kinds_in_words
from helpers.text import counted, listed, one_line, shorten

_LIVE = "live"
_LONGEST = 200
_NAMES_NONE = (
    "{} names no cluster in MISP: nothing is sent of it beside its indicators. Update MISP's galaxies, or correct the "
    "tag; the next run asks again."
)
_LEFT_OUT = "left out, as its event has more than 2,000 relationships"


def named_sentence(answer: Json) -> str:
    """Return the first sentence about what was asked for by name, "" where nothing has it."""
    asked = one_line(answer["asked"])
    found = found_by_name(answer)
    if not found:
        return _NAMES_NONE.format(asked) if answer["tag_names_nothing"] else ""
    things = {each["id"]: each for _, each in found}
    kinds = _kinds(things.values())
    name = found[0][1]["name"]
    called = f" ({name})" if len(things) == 1 and name.lower() != asked.lower() else ""
    if len(found) == 1:
        return f"{asked} is {kinds}{called}: {_told(found[0][1])}."
    where = dict.fromkeys(each["standing"] for _, each in found)
    be = "names" if len(things) > 1 else "is"
    return f"{asked} {be} {kinds}{called}: {listed(list(where))}."


def named_tone(answer: Json) -> Tone:
    """Return the colour of that: good only where all of it is live."""
    found = found_by_name(answer)
    return Tone.GOOD if found and all(each["standing"] == _LIVE for _, each in found) else Tone.ODD


def found_by_name(answer: Json) -> list[tuple[str, Json]]:
    """Return what has the name that was asked for, each with the name of its destination."""
    several = len(answer["ledger"]) > 1
    return [
        (known["name"] or (f"workspace {known['workspace']}" if several else ""), each)
        for known in answer["ledger"]
        for each in known["context"]
    ]


def named_lines(answer: Json) -> Iterator[Line]:
    """Yield what is known of each thing of that name: where it stands, its other names, and who points to it."""
    found = found_by_name(answer)
    for place, each in found:
        title = f"{each['name']}, {_a(each['kind'])}" if len(found) > 1 else each["name"]
        yield Line(f"{place}: {title}" if place else title, Tone.STRONG)
        yield Line(each["id"], Tone.QUIET, indent=2)
        if len(found) > 1:
            yield Line(_told(each), indent=2)
        if each["advice"]:
            yield Line(each["advice"], mark="→", indent=4)
        names = [*each["aliases"], *each["numbers"], *each["tags"]]
        if names:
            yield Line(shorten(", ".join(names), _LONGEST), mark="also:", indent=2)
        yield from (Line(one["pattern"], mark="e.g.", indent=2) for one in each["examples"])


def pointed_lines(item: Item, indent: int) -> Iterator[Line]:
    """Yield what an indicator points to: those of a kind in one line, unless they stand otherwise."""
    alike: dict[tuple[str, str], list[str]] = {}
    times = Counter(each["name"] for each in item.context)
    for each in item.context:
        relationship = each["relationship"]
        why = f" ({relationship['why']})" if relationship["why"] else ""
        stands = "" if relationship["standing"] == _LIVE else f": {relationship['standing']}{why}"
        name = f"{each['name']} ({each['galaxy']})" if times[each["name"]] > 1 else each["name"]
        alike.setdefault((each["kind"], stands), []).append(name)
    for (kind, stands), names in alike.items():
        facts = Kind(kind).facts
        mark = facts.one if len(names) == 1 else facts.several
        yield Line(f"{shorten(', '.join(names), _LONGEST)}{shorten(stands, _LONGEST)}", mark=f"{mark}:", indent=indent)
    if item.left_out:
        yield Line(_LEFT_OUT, mark="more:", indent=indent)


def told_at(known: Json) -> str:
    """Say where what has the name stands at one destination, by what the ledger has of that; "" where nothing has."""
    return "; besides, ".join(_told(each) for each in known["context"])


def _told(each: Json) -> str:
    """Say where one thing stands, and how many indicators point to it."""
    why = each["microsoft"] or each["why"]
    stands = f"{each['standing']}{f' ({shorten(why, _LONGEST)})' if why else ''}"
    if each["kind"] == Kind.RELATIONSHIP or each["state"] == State.NOT_SENT:
        return stands
    indicators = counted(each["indicators"], "live indicator", "live indicators")
    verb = "made" if each["kind"] == Kind.IDENTITY else "points to it" if each["indicators"] == 1 else "point to it"
    return f"{stands}; it made {indicators}" if verb == "made" else f"{stands}; {indicators} {verb}"


def _kinds(things: Iterable[Json]) -> str:
    """Say what some things of one name are: an actor, or 2 actors and 1 technique."""
    counts = Counter(Kind(each["kind"]) for each in things)
    return kinds_in_words(counts) if counts.total() > 1 else _a(next(iter(counts)))


def _a(kind: str) -> str:
    facts = Kind(kind).facts
    return f"{facts.article} {facts.one}"
