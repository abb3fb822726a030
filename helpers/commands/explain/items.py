"""What an answer has of each indicator and attribute at each destination, from the ledger and from MISP. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.commands.explain.state import LEAVING, MAY_BE_LIVE, NewerForm, NextRun, State, foremost
from helpers.indicators import in_small_letters
from helpers.ledger import Blocked

Json = dict[str, Any]
_KIND = re.compile(r"\[([a-z0-9-]+):")


@dataclass(frozen=True)
class InMisp:
    """What MISP shows of an item now, at one destination; nothing of it is known where it was not ``asked``.

    ``in_the_way`` are reasons and advice; ``changed`` says that another indicator would be made of it, ``twinless``
    that this is only since URLs are not sent in small letters as well.
    """

    asked: bool = False
    shown: bool = False
    in_the_way: tuple[Json, ...] = ()
    changed: bool = False
    twinless: bool = False
    next_run: NextRun = NextRun.PASSES_OVER

    @property
    def wanted(self) -> bool:
        """Whether it is to be in Sentinel, by what MISP shows now."""
        return self.shown and not (self.in_the_way or self.changed)

    @property
    def unwanted(self) -> bool:
        """Whether it is not to be there, by what MISP shows now."""
        return self.asked and not self.wanted


@dataclass(frozen=True)
class Item:
    """One indicator, or one attribute of which there is none, at one destination.

    ``events`` are those that it comes from, the first one owns it; ``why`` it is not there or leaves, ``microsoft``
    are Microsoft's words. ``since`` is when what its state says happened, ``until`` when it ends, in ISO 8601.
    ``context`` are the actors and techniques that an indicator points to; ``left_out`` says that there are more, in
    an event that has too many.
    """

    label: str
    state: State
    events: tuple[str, ...]
    attributes: tuple[str, ...]
    newer_form: NewerForm = NewerForm.NONE
    why: str = ""
    microsoft: str = ""
    advice: str = ""
    since: str = ""
    until: str = ""
    held: tuple[Json, ...] = ()
    refused: bool = False
    misp: InMisp = InMisp()
    context: tuple[Json, ...] = ()
    left_out: bool = False

    @property
    def leaves(self) -> bool:
        """Whether it, or a relationship of it, is to leave."""
        beside = any(each["relationship"]["state"] in LEAVING for each in self.context)
        return self.state in LEAVING or self.refused or beside


@dataclass(frozen=True)
class Destination:
    """What an answer has of one destination.

    ``key`` are its workspace, its source system and its name in the settings; ``name`` is what people read, empty where
    it is the only one. ``blocked`` is what keeps Microsoft from taking anything, ``guards`` why the last run was not
    let withdraw anything, ``named`` the actors and the like of the name that was asked for. ``sightings`` is when
    alerts there named it, if they ever did.
    """

    key: Mapping[str, str]
    name: str
    in_settings: bool
    items: tuple[Item, ...]
    event: Json | None = None
    event_in_misp: Json | None = None
    blocked: Blocked | None = None
    guards: tuple[str, ...] = ()
    named: tuple[Json, ...] = ()
    sightings: Json | None = None

    @property
    def leaves(self) -> bool:
        """Whether something of it is to leave."""
        return any(item.leaves for item in self.items) or any(each["state"] in LEAVING for each in self.named)

    @property
    def state(self) -> State:
        """What matters most of it."""
        return foremost(item.state for item in self.items)


def destinations_of(answer: Json) -> list[Destination]:
    """Return every destination that the settings name, and each other one that knows what was asked for."""
    ledger = {(known["workspace"], known["sourcesystem"]): known for known in answer["ledger"]}
    places = (place for place in answer["destinations"] if place["in_settings"])
    wanted = {(place["workspace"], place["sourcesystem"]): place for place in places}
    others = [key for key, known in ledger.items() if key not in wanted and _knows(known)]
    single = len(wanted) + len(others) == 1
    return [
        _destination(key, ledger.get(key), wanted.get(key), answer["misp"], single=single) for key in (*wanted, *others)
    ]


def _knows(known: Json) -> bool:
    return any(known[part] for part in ("objects", "skipped", "event", "halves_left_out", "sightings"))


def _destination(
    key: tuple[str, str], known: Json | None, place: Json | None, misp: Json | None, *, single: bool
) -> Destination:
    known = known or {}
    name = (place or known)["name"]
    shown = _Shown(key, misp if place else None)
    return Destination(
        key={"workspace": key[0], "sourcesystem": key[1], "name": name},
        name="" if single else name or f"workspace {key[0]} ({key[1]})",
        in_settings=place is not None,
        items=tuple(_items(known, shown)),
        event=known.get("event"),
        event_in_misp=shown.event,
        blocked=Blocked(known["blocked"]) if known.get("blocked") else None,
        guards=tuple(known.get("refused_withdrawals", ())),
        named=tuple(known.get("context", ())),
        sightings=known.get("sightings"),
    )


class _Shown:
    """What MISP shows, for one destination; ``key`` are its workspace and its source system."""

    def __init__(self, key: tuple[str, str], misp: Json | None) -> None:
        answered = misp is not None and "error" not in misp
        self.asked = answered
        attributes = misp["attributes"] if misp and answered else []
        event = misp["event"] if misp and answered else None
        # Asked for an event, MISP shows its attributes too: its counts are enough.
        others = (attribute for attribute in attributes if not event or attribute["event"] != event["event"])
        self.attributes = {attribute["attribute"]: attribute for attribute in others}
        self.here = {uuid: _here(key, attribute) for uuid, attribute in self.attributes.items()}
        self.event = {**event, **_here(key, event)} if event else None

    def of(self, attributes: Sequence[str], pattern: str = "") -> InMisp:
        """Return what is shown of an item: any of its attributes may want it."""
        each = [self._of_one(uuid, pattern) for uuid in attributes]
        return next((one for one in each if one.wanted), each[0] if each else InMisp(self.asked))

    def _of_one(self, uuid: str, pattern: str) -> InMisp:
        here = self.here.get(uuid)
        if here is None:
            return InMisp(self.asked)
        in_the_way = tuple(here["in_the_way"])
        changed = bool(pattern) and not in_the_way and pattern not in here["would_send"]
        twinless = changed and pattern in map(in_small_letters, here["would_send"])
        return InMisp(True, True, in_the_way, changed, twinless, NextRun(here["next_run"]))


def _here(key: tuple[str, str], shown: Json) -> Json:
    return next(place for place in shown["destinations"] if (place["workspace"], place["sourcesystem"]) == key)


def _items(known: Mapping[str, Any], shown: _Shown) -> Iterator[Item]:
    objects = [object_ for object_ in known.get("objects", ()) if object_["latest"] or _may_be_live(object_)]
    skips = {skip["attribute"]: skip for skip in known.get("skipped", ())}
    mentioned: set[str] = set()
    for object_ in objects:
        attributes = [origin["attribute"] for origin in object_["from"]]
        mentioned.update(attributes)
        yield _of_object(object_, attributes, shown)
    for uuid, skip in skips.items():
        if uuid not in mentioned:
            mentioned.add(uuid)
            yield _of_skip(skip, shown)
    yield from (_only_in_misp(uuid, shown) for uuid in shown.attributes if uuid not in mentioned)


def _may_be_live(object_: Json) -> bool:
    return State(object_["state"]) in MAY_BE_LIVE


def _of_object(object_: Json, attributes: Sequence[str], shown: _Shown) -> Item:
    state = State(object_["state"])
    return Item(
        label=_label(object_),
        state=state,
        events=tuple(dict.fromkeys(origin["event"] for origin in object_["from"])),
        attributes=tuple(attributes),
        newer_form=NewerForm(object_["newer_form"]),
        why=object_["why"],
        microsoft=object_["microsoft"],
        advice=object_["advice"],
        since=object_["sent_at"] or "",
        until=object_["live_until"] or object_["valid_until"],
        held=tuple(object_["held"]),
        refused=bool(object_["refused"]),
        context=tuple(object_.get("context", ())),
        left_out=bool(object_.get("context_left_out")),
        # What MISP shows now is said of the latest life; an earlier one leaves, whatever that is.
        misp=shown.of(attributes, object_["pattern"]) if object_["latest"] else InMisp(),
    )


def _label(object_: Json) -> str:
    kind = _KIND.match(object_["pattern"])
    label = f"{kind[1]} {_as_sent(object_)}" if kind and object_["value"] else object_["pattern"]
    return f"{label} (twin in small letters)" if object_["lowercase_twin"] else label


def _as_sent(object_: Json) -> str:
    """Return the value in the letters of the pattern; the ledger finds it in small ones."""
    value, pattern = str(object_["value"]), str(object_["pattern"])
    begin = pattern.lower().find(value)
    spelled = pattern[begin : begin + len(value)] if begin >= 0 else value
    return spelled if spelled.lower() == value else value


def _of_skip(skip: Json, shown: _Shown) -> Item:
    misp = shown.of([skip["attribute"]])
    return Item(
        label=f"{skip['type']} {skip['value']}",
        state=State.TO_COME if misp.wanted else State.NOT_SENT,
        events=(skip["event"],),
        attributes=(skip["attribute"],),
        why=skip["why"],
        advice=skip["advice"],
        held=tuple(skip["held"]),
        misp=misp,
    )


def _only_in_misp(uuid: str, shown: _Shown) -> Item:
    attribute, misp = shown.attributes[uuid], shown.of([uuid])
    return Item(
        label=f"{attribute['type']} {attribute['value']}",
        state=State.TO_COME if misp.wanted else State.NOT_SENT,
        events=(attribute["event"],),
        attributes=(uuid,),
        misp=misp,
    )
