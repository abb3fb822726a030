"""When alerts named something, and what of that stands in MISP: for programs, and in lines for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from helpers.commands.explain.dates import iso_time, minute
from helpers.commands.explain.items import Destination, Json
from helpers.commands.screen import Line
from helpers.ledger import Seen, SightingRecord, SightingStage
from helpers.text import counted, one_line, shorten

# What people read of each stage, in this order; of the last three they read why as well.
_STAGES = {
    SightingStage.WRITTEN: "written",
    SightingStage.THERE: "there already",
    SightingStage.WAITING: "waiting",
    SightingStage.WRITING: "in doubt",
    SightingStage.REFUSED: "refused",
    SightingStage.LEFT_OUT: "left out",
}
_EXPLAINED = (SightingStage.WRITING, SightingStage.REFUSED, SightingStage.LEFT_OUT)
_MOST_REASONS = 3
_LONGEST = 200


def seen_as_json(seen: Seen, source: str | None) -> Json:
    """Return when and how often something was seen, and each of its sightings, the newest first.

    ``source`` is what MISP shows beside them; None where the settings do not name the destination.
    """
    return {
        "last_seen": iso_time(seen.last or None),
        "alerts": seen.alerts,
        "days": len({record.occasion for record in seen.sightings if not record.is_false_positive}),
        "source": source,
        "in_misp": [_sighting(record) for record in seen.sightings],
    }


def _sighting(record: SightingRecord) -> Json:
    return {
        "attribute": record.attribute,
        "event": record.event,
        "occasion": record.occasion,
        "false_positive": record.is_false_positive,
        "at": iso_time(record.at),
        "state": str(record.stage),
        "words": record.words,
        "since": iso_time(record.settled_at or None),
    }


def seen_lines(destination: Destination) -> Iterator[Line]:
    """Yield when something was last seen at a destination, how often, and what of it MISP has; nothing if never."""
    known = destination.sightings
    if known:
        mark = f"seen in {destination.name}:" if destination.name else "seen:"
        yield Line("; ".join(filter(None, [_how_often(known), _in_misp(known)])), mark=mark, indent=2)
        yield from _reasons(known)


def _how_often(known: Json) -> str:
    if not known["last_seen"]:
        return ""
    alerts, days = counted(known["alerts"], "alert", "alerts"), counted(known["days"], "day", "days")
    return f"in {alerts} on {days}, last on {minute(known['last_seen'])}"


def _in_misp(known: Json) -> str:
    """Say where the sightings stand, false positives apart."""
    counts = Counter((each["state"], each["false_positive"]) for each in known["in_misp"])
    said = [
        f"{counted(count, 'false positive', 'false positives') if is_false else f'{count:,}'} {words}"
        for is_false in (False, True)
        for stage, words in _STAGES.items()
        if (count := counts[str(stage), is_false])
    ]
    source = f' as "{known["source"]}"' if known["source"] else ""
    return f"in MISP{source}: {', '.join(said)}" if said else ""


def _reasons(known: Json) -> Iterator[Line]:
    reasons = dict.fromkeys(
        (_STAGES[stage], shorten(one_line(each["words"]), _LONGEST))
        for stage in _EXPLAINED
        for each in known["in_misp"]
        if each["state"] == stage and each["words"]
    )
    yield from (Line(words, mark=f"{stage}:", indent=4) for stage, words in list(reasons)[:_MOST_REASONS])
