"""``explain``: where a value, an attribute, an event or an indicator stands, or why it is not there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from helpers.commands import advice
from helpers.commands.explain_ledger import LedgerView
from helpers.errors import ExitCode, MispError, NoLedger
from helpers.ledger import Question, Stage, ledger_destinations
from helpers.microsoft import Clock
from helpers.settings import Settings

Json = dict[str, Any]

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

    Returns 0 when one of them knows it, 1 when neither does, 3 when only MISP could say and did not answer.
    """
    asked, moment = Question.of(what), int(now())
    with ledger_destinations(settings) as every:
        views = [LedgerView(settings, place, asked, moment) for place in every]
        answer: Json = {"asked": what, "ledger": [view.answer() for view in views], "misp": None}
        if not offline:
            answer["misp"] = _misp(settings, asked, views, moment, clock or Clock())
        known = any(view.found for view in views)
    answer["exit_code"] = _exit_code(known, answer["misp"])
    no_ledger = _NO_LEDGER if settings.remembers else str(NoLedger())
    for line in [json.dumps(answer)] if as_json else map(_printable, _lines(answer, no_ledger)):
        say(line)
    return int(answer["exit_code"])


def _misp(settings: Settings, asked: Question, views: list[LedgerView], now: int, clock: Clock) -> Json:
    from helpers.commands.explain_misp import MispView  # noqa: PLC0415  the converter comes with it
    from helpers.misp.reader import MispReader  # noqa: PLC0415  not needed offline

    named = {attribute for view in views for attribute in view.attributes}
    known = frozenset(event for view in views if view.place.is_of(settings) for event in view.sent_events)
    reader = MispReader(settings, clock.sleep)
    try:
        return MispView(settings, reader, asked, sorted(named), known, datetime.fromtimestamp(now, UTC)).answer()
    except MispError as error:
        return {"error": str(error)}


def _exit_code(known: bool, misp: Json | None) -> int:
    if known or (misp and (misp.get("attributes") or misp.get("event"))):
        return ExitCode.DONE
    return ExitCode.MISP if misp and "error" in misp else ExitCode.UNFINISHED


def _printable(line: str) -> str:
    """Keep what others wrote from moving a terminal's cursor."""
    return "".join(each if each.isprintable() else " " for each in line)


# -- as text ------------------------------------------------------------------------------------------


def _lines(answer: Json, no_ledger: str) -> Iterator[str]:
    if not answer["ledger"]:
        yield no_ledger
    for place in answer["ledger"]:
        yield from _place(place)
    yield from _misp_lines(answer["misp"])
    if answer["exit_code"] == ExitCode.UNFINISHED:
        yield f"Nothing is known of {answer['asked']}."
        yield _UNKNOWN if answer["misp"] else _UNKNOWN_OFFLINE


def _place(place: Json) -> Iterator[str]:
    named = "" if place["in_settings"] else " (the settings don't name it)"
    name = f"{place['name']}: " if place["name"] else ""
    yield f"{name}Workspace {place['workspace']}, source system {place['sourcesystem']}{named}"
    if not (place["objects"] or place["skipped"] or place["event"] or place["halves_left_out"]):
        yield "  the ledger does not know it"
    elif place["refused_withdrawals"]:
        yield f"  the last run was not let withdraw anything: {'; '.join(place['refused_withdrawals'])}"
        yield _row("what to do", advice.REFUSED)
    if place["event"]:
        yield from _event(place["event"])
    yield from _some(place["objects"], _object)
    yield from _some(place["skipped"], _skipped)
    yield from _some(place["halves_left_out"], _half)


def _some(every: list[Json], lines: Callable[[Json], Iterator[str]]) -> Iterator[str]:
    for each in every[:MOST_SHOWN]:
        yield from lines(each)
    if len(every) > MOST_SHOWN:
        yield f"  … and {len(every) - MOST_SHOWN:,} more; --json shows them"


def _row(name: str, words: object) -> str:
    return f"    {name:<11} {words}"


def _object(each: Json) -> Iterator[str]:
    yield f"  {each['id']}: {each['standing']}"
    if not each["latest"]:
        yield _row("life", f"{each['life']}, an earlier one")
        return
    yield from _reason(each)
    if each["microsoft"]:
        yield _row("Microsoft", each["microsoft"])
    yield from (_row(name, moment) for name, moment in _times(each) if moment)
    yield _row("life", each["life"])
    yield _row("pattern", each["pattern"])
    yield _row("name", each["name"])
    yield _row("confidence", f"{each['confidence']}, TLP {each['tlp'] or 'not given'}")
    yield _row("labels", ", ".join(each["labels"]))
    for origin in each["from"]:
        yield _row("from", f"attribute {origin['attribute']} of event {origin['event']}")
        yield _row("", origin["url"])
    yield from _refused(each)
    yield from _held(each)


def _refused(each: Json) -> Iterator[str]:
    for refused in each["refused"]:
        yield _row("refused", f"event {refused['event']}: a guard held back the withdrawals of what it no longer has")
        yield _row("what to do", refused["advice"])


def _times(each: Json) -> Iterator[tuple[str, str | None]]:
    yield "accepted", each["accepted_at"]
    if each["stage"] in (Stage.WITHDRAWING, Stage.WITHDRAWN):
        yield "withdrawn", each["sent_at"]
    else:
        yield "sent", each["sent_at"]
        yield "valid until", each["valid_until"]


def _reason(each: Json) -> Iterator[str]:
    if each["why"]:
        yield _row("why", each["why"])
    if each["advice"]:
        yield _row("what to do", each["advice"])


def _held(each: Json) -> Iterator[str]:
    for held in each["held"]:
        yield _row("held", f"event {held['event']}, since {held['since']}, until {held['until']}")
        yield _row("", "it was edited and not published again, or is out of sight: nothing is sent or withdrawn")
        yield _row("what to do", held["advice"])


def _skipped(each: Json) -> Iterator[str]:
    yield f"  attribute {each['attribute']}, {each['type']} {each['value']}: not sent"
    yield from _reason(each)
    yield _row("event", each["event"])
    yield _row("", each["url"])
    yield from _held(each)


def _half(each: Json) -> Iterator[str]:
    yield f"  attribute {each['attribute']}, {each['value']}: one half is not sent"
    yield from _reason(each)


def _event(each: Json) -> Iterator[str]:
    counts = each["objects"]
    yield f"  event {each['event']}, as of its change at {each['as_of']}"
    yield _row("", each["url"])
    yield _row("live", counts["live"])
    yield from (_row(stage, count) for stage, count in counts.items() if stage not in ("live", "accepted"))
    for skip in each["skipped"].values():
        yield _row("not sent", f"{skip['count']}: {skip['why']}")
        yield _row("what to do", skip["advice"])
    if not each["settled"]:
        yield _row("unfinished", "the next run reads it again")
    yield from _held(each)


def _misp_lines(misp: Json | None) -> Iterator[str]:
    if misp is None:
        yield "MISP was not asked (--offline)."
    elif "error" in misp:
        yield f"MISP could not be asked: {misp['error']}"
    else:
        yield "MISP now"
        if misp["event"]:
            yield from _event_in_misp(misp["event"])
        yield from _some(misp["attributes"], _attribute_in_misp)
        yield from (f"  attribute {uuid}: deleted for good, or out of sight" for uuid in misp["not_shown"][:MOST_SHOWN])
        if not any(misp.values()):
            yield "  MISP does not show it"


def _event_in_misp(each: Json) -> Iterator[str]:
    yield f"  event {each['event']}, {each['attributes']} attributes, {_published(each)}"
    yield _row("", each["url"])
    yield from _in_the_way(each, "nothing stands in its way: what of it can be sent is, or will be by the next run")


def _attribute_in_misp(each: Json) -> Iterator[str]:
    flags = f"to_ids {'set' if each['to_ids'] else 'not set'}{', deleted' if each['deleted'] else ''}"
    yield f"  attribute {each['attribute']}, {each['type']} {each['value']}: {flags}"
    yield _row("event", f"{each['event']} {each['info']}, {_published(each)}")
    yield _row("", each["url"])
    yield from (_row("as", pattern) for pattern in each["would_send"])
    yield from _in_the_way(each, "nothing stands in its way: it is sent, or will be by the next run")
    for half in each["halves_left_out"]:
        yield _row("half of it", half["why"])
        yield _row("what to do", half["advice"])


def _in_the_way(each: Json, nothing: str) -> Iterator[str]:
    for way in each["in_the_way"]:
        yield from _reason(way)
    if not each["in_the_way"]:
        yield _row("", nothing)


def _published(each: Json) -> str:
    return "published" if each["published"] else "not published"
