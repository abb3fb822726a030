"""``explain``: where a value, an attribute, an event or an indicator stands, or why it is not there."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from helpers.commands.explain import advice
from helpers.commands.explain.ledger_view import Json, LedgerView
from helpers.errors import ExitCode, MispError, NoLedger
from helpers.ledger import Question, Stage, ledger_destinations
from helpers.microsoft import Clock
from helpers.settings import Settings
from helpers.text import printable

MOST_SHOWN = 20
_UNKNOWN = (
    "MISP shows the key (misp_key) no attribute with this value, nor an event or attribute of this UUID. Is its event "
    "shared with the key's organisation? See docs/troubleshoot.md#1-does-misp-deliver-it."
)
_UNKNOWN_OFFLINE = (
    "The ledger knows what runs have read: what is on a warninglist, in an event that the filters do not find, or not "
    "flagged in an event of more than 4,096 attributes, is not in it. Without --offline, MISP is asked too."
)
_NO_LEDGER = "There is no ledger yet: nothing has run with these settings."


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Say where something stands and return the exit code."""
    return explain(settings, arguments.what, say, offline=arguments.offline, as_json=arguments.json)


def explain(
    settings: Settings,
    what: str,
    say: Callable[[str], None],
    *,
    offline: bool,
    as_json: bool,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> int:
    """Say what the ledger and MISP know of something; nothing is written.

    ``what`` is a value, a UUID or a STIX id, ``now`` gives seconds since 1970.
    Returns 0 when one of them knows it, 1 when neither does, 3 when only MISP could say and did not answer.
    """
    asked, moment = Question.of(what), int(now())
    with ledger_destinations(settings) as destinations:
        views = [LedgerView(settings, destination, asked, moment) for destination in destinations]
        answer: Json = {"asked": what, "ledger": [view.answer() for view in views], "misp": None}
        if not offline:
            answer["misp"] = _ask_misp(settings, asked, views, moment, clock or Clock())
        known = any(view.matches for view in views)
    answer["exit_code"] = _exit_code(known, answer["misp"])
    no_ledger = _NO_LEDGER if settings.keeps_ledger else str(NoLedger())
    for line in [json.dumps(answer)] if as_json else map(printable, _lines(answer, no_ledger)):
        say(line)
    return int(answer["exit_code"])


def _ask_misp(settings: Settings, asked: Question, views: list[LedgerView], now: int, clock: Clock) -> Json:
    from helpers.commands.explain.misp_view import MispView  # noqa: PLC0415  the converter comes with it
    from helpers.misp import MispReader  # noqa: PLC0415  not needed offline

    in_ledger = sorted({attribute for view in views for attribute in view.attributes})
    in_settings = [view for view in views if view.destination.is_of(settings)]
    sent_events = frozenset(event for view in in_settings for event in view.sent_events)
    reader = MispReader(settings, clock.sleep)
    try:
        return MispView(settings, reader, asked, in_ledger, sent_events, datetime.fromtimestamp(now, UTC)).answer()
    except MispError as error:
        return {"error": str(error)}


def _exit_code(known: bool, misp: Json | None) -> int:
    if known or (misp and (misp.get("attributes") or misp.get("event"))):
        return ExitCode.DONE
    return ExitCode.MISP if misp and "error" in misp else ExitCode.UNFINISHED


# -- as text ------------------------------------------------------------------------------------------


def _lines(answer: Json, no_ledger: str) -> Iterator[str]:
    if not answer["ledger"]:
        yield no_ledger
    for destination in answer["ledger"]:
        yield from _destination(destination)
    yield from _misp(answer["misp"])
    if answer["exit_code"] == ExitCode.UNFINISHED:
        yield f"Nothing is known of {answer['asked']}."
        yield _UNKNOWN if answer["misp"] else _UNKNOWN_OFFLINE


def _row(name: str, words: object) -> str:
    return f"    {name:<11} {words}"


def _first(items: list[Json], lines: Callable[[Json], Iterator[str]]) -> Iterator[str]:
    for item in items[:MOST_SHOWN]:
        yield from lines(item)
    if len(items) > MOST_SHOWN:
        yield f"  … and {len(items) - MOST_SHOWN:,} more; --json shows them"


def _reason(item: Json) -> Iterator[str]:
    if item["why"]:
        yield _row("why", item["why"])
    if item["advice"]:
        yield _row("what to do", item["advice"])


def _held(item: Json) -> Iterator[str]:
    for hold in item["held"]:
        yield _row("held", f"event {hold['event']}, since {hold['since']}, until {hold['until']}")
        yield _row("", "it was edited and not published again, or is out of sight: nothing is sent or withdrawn")
        yield _row("what to do", hold["advice"])


# -- what the ledger knows ----------------------------------------------------------------------------


def _destination(destination: Json) -> Iterator[str]:
    name = f"{destination['name']}: " if destination["name"] else ""
    foreign = "" if destination["in_settings"] else " (the settings don't name it)"
    yield f"{name}Workspace {destination['workspace']}, source system {destination['sourcesystem']}{foreign}"
    if not any(destination[kind] for kind in ("objects", "skipped", "event", "halves_left_out")):
        yield "  the ledger does not know it"
    elif destination["refused_withdrawals"]:
        refusals = "; ".join(destination["refused_withdrawals"])
        yield f"  the last run was not let withdraw anything: {refusals}"
        yield _row("what to do", advice.REFUSED)
    if destination["event"]:
        yield from _event(destination["event"])
    yield from _first(destination["objects"], _object)
    yield from _first(destination["skipped"], _skipped)
    yield from _first(destination["halves_left_out"], _half)


def _object(object_: Json) -> Iterator[str]:
    yield f"  {object_['id']}: {object_['standing']}"
    if not object_["latest"]:
        yield _row("life", f"{object_['life']}, an earlier one")
        return
    yield from _reason(object_)
    if object_["microsoft"]:
        yield _row("Microsoft", object_["microsoft"])
    yield from (_row(name, time_) for name, time_ in _times(object_) if time_)
    yield _row("life", object_["life"])
    yield _row("pattern", object_["pattern"])
    yield _row("name", object_["name"])
    yield _row("confidence", f"{object_['confidence']}, TLP {object_['tlp'] or 'not given'}")
    if object_["labels"]:
        yield _row("labels", ", ".join(object_["labels"]))
    for origin in object_["from"]:
        yield _row("from", f"attribute {origin['attribute']} of event {origin['event']}")
        yield _row("", origin["url"])
    yield from _refused(object_)
    yield from _held(object_)


def _times(object_: Json) -> Iterator[tuple[str, str | None]]:
    yield "accepted", object_["accepted_at"]
    if object_["stage"] in (Stage.WITHDRAWING, Stage.WITHDRAWN):
        yield "withdrawn", object_["sent_at"]
    else:
        yield "sent", object_["sent_at"]
        yield "valid until", object_["valid_until"]


def _refused(object_: Json) -> Iterator[str]:
    for refused in object_["refused"]:
        yield _row("refused", f"event {refused['event']}: a guard held back the withdrawals of what it no longer has")
        yield _row("what to do", refused["advice"])


def _skipped(attribute: Json) -> Iterator[str]:
    yield f"  attribute {attribute['attribute']}, {attribute['type']} {attribute['value']}: not sent"
    yield from _reason(attribute)
    yield _row("event", attribute["event"])
    yield _row("", attribute["url"])
    yield from _held(attribute)


def _half(half: Json) -> Iterator[str]:
    yield f"  attribute {half['attribute']}, {half['value']}: one half is not sent"
    yield from _reason(half)


def _event(event: Json) -> Iterator[str]:
    counts = event["objects"]
    yield f"  event {event['event']}, as of its change at {event['as_of']}"
    yield _row("", event["url"])
    yield _row("live", counts["live"])
    yield from (_row(stage, count) for stage, count in counts.items() if stage not in ("live", "accepted"))
    for skip in event["skipped"].values():
        yield _row("not sent", f"{skip['count']}: {skip['why']}")
        yield _row("what to do", skip["advice"])
    if not event["settled"]:
        yield _row("unfinished", "the next run reads it again")
    yield from _held(event)


# -- what MISP shows now ------------------------------------------------------------------------------


def _misp(misp: Json | None) -> Iterator[str]:
    if misp is None:
        yield "MISP was not asked (--offline)."
    elif "error" in misp:
        yield f"MISP could not be asked: {misp['error']}"
    else:
        yield "MISP now"
        if misp["event"]:
            yield from _event_in_misp(misp["event"])
        yield from _first(misp["attributes"], _attribute_in_misp)
        yield from (f"  attribute {uuid}: deleted for good, or out of sight" for uuid in misp["not_shown"][:MOST_SHOWN])
        if not any(misp.values()):
            yield "  MISP does not show it"


def _event_in_misp(event: Json) -> Iterator[str]:
    yield f"  event {event['event']}, {event['attributes']} attributes, {_published(event)}"
    yield _row("", event["url"])
    yield from _in_the_way(event, "nothing stands in its way: what of it can be sent is, or will be by the next run")


def _attribute_in_misp(attribute: Json) -> Iterator[str]:
    flags = f"to_ids {'set' if attribute['to_ids'] else 'not set'}{', deleted' if attribute['deleted'] else ''}"
    yield f"  attribute {attribute['attribute']}, {attribute['type']} {attribute['value']}: {flags}"
    yield _row("event", f"{attribute['event']} {attribute['info']}, {_published(attribute)}")
    yield _row("", attribute["url"])
    yield from (_row("as", pattern) for pattern in attribute["would_send"])
    yield from _in_the_way(attribute, "nothing stands in its way: it is sent, or will be by the next run")
    for half in attribute["halves_left_out"]:
        yield _row("half of it", half["why"])
        yield _row("what to do", half["advice"])


def _in_the_way(item: Json, nothing: str) -> Iterator[str]:
    for obstacle in item["in_the_way"]:
        yield from _reason(obstacle)
    if not item["in_the_way"]:
        yield _row("", nothing)


def _published(item: Json) -> str:
    return "published" if item["published"] else "not published"
