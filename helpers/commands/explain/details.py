"""The details of an answer, for --verbose: ids, times, lives, patterns, labels. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.commands.explain.items import Json
from helpers.commands.explain.lines import MOST_SHOWN
from helpers.commands.screen import Line
from helpers.context import Kind
from helpers.ledger import Stage

_COLUMN = 12


def details_of(answer: Json) -> Iterator[Line]:
    """Yield every detail that an answer has, destination by destination, then MISP's."""
    for destination in answer["ledger"]:
        yield _title(destination)
        for object_ in destination["objects"][:MOST_SHOWN]:
            yield from _object(object_)
        for skip in destination["skipped"][:MOST_SHOWN]:
            yield Line(f"attribute {skip['attribute']} of event {skip['event']}: not sent, {skip['skip']}", indent=2)
        if destination["event"]:
            yield from _event(destination["event"])
    yield from _misp(answer["misp"])


def _title(destination: Json) -> Line:
    name = f"{destination['name']}: " if destination["name"] else ""
    foreign = "" if destination["in_settings"] else " (the settings don't name it)"
    return Line(f"{name}Workspace {destination['workspace']}, source system {destination['sourcesystem']}{foreign}")


def _row(name: str, words: object) -> Line:
    return Line(str(words), mark=name, indent=4, column=_COLUMN)


def _object(object_: Json) -> Iterator[Line]:
    yield Line(f"{object_['id']}: {object_['standing']}", indent=2)
    if not object_["latest"]:
        yield _row("life", f"{object_['life']}, an earlier one")
        return
    yield from (_row(name, time_) for name, time_ in _times(object_) if time_)
    yield _row("life", object_["life"])
    yield _row("pattern", object_["pattern"])
    yield _row("name", object_["name"])
    yield _row("confidence", f"{object_['confidence']}, TLP {object_['tlp'] or 'not given'}")
    if object_["labels"]:
        yield _row("labels", ", ".join(object_["labels"]))
    for each in object_.get("context", ()):
        kind, stands = Kind(each["kind"]).facts.one, each["relationship"]["standing"]
        yield _row("points to", f"{kind} {each['name']}, {each['id']}: {stands}")
    for origin in object_["from"]:
        yield _row("from", f"attribute {origin['attribute']} of event {origin['event']}")
    for hold in object_["held"]:
        yield _row("held", f"event {hold['event']}, since {hold['since']}, until {hold['until']}")


def _times(object_: Json) -> Iterator[tuple[str, str | None]]:
    yield "accepted", object_["accepted_at"]
    if object_["stage"] in (Stage.WITHDRAWING, Stage.WITHDRAWN):
        yield "withdrawn", object_["sent_at"]
    else:
        yield "sent", object_["sent_at"]
        yield "valid until", object_["valid_until"]


def _event(event: Json) -> Iterator[Line]:
    yield Line(f"event {event['event']}, as of its change at {event['as_of']}", indent=2)
    yield from (_row(stage, count) for stage, count in event["objects"].items())
    for hold in event["held"]:
        yield _row("held", f"event {hold['event']}, since {hold['since']}, until {hold['until']}")


def _misp(misp: Json | None) -> Iterator[Line]:
    if misp is None or "error" in misp:
        return
    yield Line("MISP now")
    for attribute in misp["attributes"][:MOST_SHOWN]:
        flags = f"to_ids {'set' if attribute['to_ids'] else 'not set'}{', deleted' if attribute['deleted'] else ''}"
        kind = f"{attribute['type']} {attribute['value']}"
        yield Line(f"attribute {attribute['attribute']}, {kind}: {flags}", indent=2)
        yield from (_row("as", pattern) for pattern in attribute["would_send"])
    for uuid in misp["not_shown"][:MOST_SHOWN]:
        yield Line(f"attribute {uuid}: deleted for good, or out of sight", indent=2)
