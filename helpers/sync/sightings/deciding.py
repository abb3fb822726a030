"""Which attributes were seen, on which days, and what becomes of that. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from constants import TLP_LEVELS, NotSighted
from helpers.ledger import MatchRecord, Occasion, SightingRecord, SightingStage
from helpers.sync.sightings.naming import ID, Named, compared

if TYPE_CHECKING:
    from helpers.ledger import Origin
    from helpers.microsoft import FalsePositive

# A value may be of many attributes; so many of them, of the newest events, are sighted for one alert.
MOST_ATTRIBUTES = 20
SEEN, FALSE_POSITIVE = 0, 1
STRICTEST = "red"


class Match(NamedTuple):
    """What an alert named, and an attribute that it came from."""

    named: Named
    origin: Origin


@dataclass(frozen=True)
class Matches:
    """What alerts matched, what of it is too much (alert and attribute), and how many ids and values nobody knows."""

    matches: tuple[Match, ...] = ()
    too_many: frozenset[tuple[str, str]] = frozenset()
    unknown: int = 0


@dataclass
class Decided:
    """What is to be written down: matches, and the sightings that are new or decided anew.

    ``there`` counts the matches whose sighting was there, by where it stands; ``left_out`` those that lead to none.
    """

    matches: list[MatchRecord] = field(default_factory=list)
    sightings: dict[Occasion, SightingRecord] = field(default_factory=dict)
    there: Counter[SightingStage] = field(default_factory=Counter)
    left_out: Counter[NotSighted] = field(default_factory=Counter)


@dataclass(frozen=True)
class Rules:
    """What decides whether a match is sighted: the strictest TLP, and the values that are on a warninglist."""

    max_tlp: str
    listed: Collection[str] = ()

    def why_not(self, match: Match) -> NotSighted | None:
        """Return why a match leads to no sighting."""
        if match.named.kind != ID and match.named.value in self.listed:
            return NotSighted.WARNINGLIST
        return None if is_allowed(match.origin.tlp, self.max_tlp) else NotSighted.TLP


def matches_of(named: Iterable[Named], origins: Sequence[Origin]) -> Matches:
    """Put what was named together with the attributes that it came from, of each the newest first."""
    by_value: dict[str, list[Origin]] = {}
    for origin in origins:
        for name in {origin.id, origin.value, *(value for _, value in compared(origin.pattern))}:
            by_value.setdefault(name, []).append(origin)
    matches: list[Match] = []
    too_many, unknown = set[tuple[str, str]](), set[tuple[str, str]]()
    for each in named:
        found = _newest(origin for origin in by_value.get(each.value, ()) if each.is_it(origin))
        matches += (Match(each, origin) for origin in found[:MOST_ATTRIBUTES])
        too_many |= {(each.alert, origin.attribute) for origin in found[MOST_ATTRIBUTES:]}
        if not found:
            unknown.add((each.kind, each.value))
    taken = {(match.named.alert, match.origin.attribute) for match in matches}
    return Matches(tuple(matches), frozenset(too_many - taken), len(unknown))


def _newest(origins: Iterable[Origin]) -> list[Origin]:
    """Return each attribute once, those of the newest events first; where it has several indicators, the strictest."""
    strictest: dict[str, Origin] = {}
    for origin in origins:
        known = strictest.setdefault(origin.attribute, origin)
        if _strictness(origin) > _strictness(known):
            strictest[origin.attribute] = origin
    return sorted(strictest.values(), key=lambda origin: (-origin.newness, origin.attribute))


def is_allowed(tlp: str, limit: str) -> bool:
    """Say whether a marking is not stricter than a limit; one that is unknown may be any."""
    return TLP_LEVELS.get(tlp, TLP_LEVELS[STRICTEST]) <= TLP_LEVELS[limit]


def _strictness(origin: Origin) -> int:
    return TLP_LEVELS.get(origin.tlp, TLP_LEVELS[STRICTEST])


# -- what was seen --------------------------------------------------------------------------------------


def occasions_of(matches: Iterable[Match], now: int) -> set[Occasion]:
    """Return the sightings that matches lead to, by name."""
    return {_occasion(match, now) for match in matches}


def decide(
    matches: Sequence[Match],
    rules: Rules,
    known: Mapping[Occasion, SightingRecord],
    again: Collection[tuple[str, str]],
    now: int,
) -> Decided:
    """Return what is to be written down of matches, with one sighting for each attribute and day.

    ``known`` are the sightings of those days that are there already; ``again`` the matches, by alert and attribute,
    that an earlier reading found: they count for nothing, unless what they were left out for is over.
    """
    decided = Decided()
    for match in sorted(_once(matches), key=lambda match: (match.named.at, match.named.alert)):
        name = _occasion(match, now)
        _decide_one(decided, match, name, rules.why_not(match), known, again, now)
    return decided


def retried(known: Mapping[Occasion, SightingRecord]) -> dict[Occasion, SightingRecord]:
    """Return known sightings with those that MISP refused as left out, so that they are decided anew."""
    refused, left_out = SightingStage.REFUSED, SightingStage.LEFT_OUT
    return {name: replace(one, stage=left_out) if one.stage is refused else one for name, one in known.items()}


def _once(matches: Iterable[Match]) -> Iterable[Match]:
    """Return one match for each alert and attribute: by the strictest indicator, and rather by its id than its value.

    Rules put the id into an alert's custom details, and the value among its entities.
    """
    ordered = sorted(matches, key=lambda match: (_strictness(match.origin), match.named.kind == ID))
    return {(match.named.alert, match.origin.attribute): match for match in ordered}.values()


def _decide_one(
    decided: Decided,
    match: Match,
    name: Occasion,
    why: NotSighted | None,
    known: Mapping[Occasion, SightingRecord],
    again: Collection[tuple[str, str]],
    now: int,
) -> None:
    there = decided.sightings.get(name) or known.get(name)
    is_again = (match.named.alert, name.attribute) in again
    if is_again and (why or not there or there.stage is not SightingStage.LEFT_OUT):
        return
    decided.matches.append(_record(match, name, now))
    if why:
        decided.left_out[why] += 1
    elif there and there.stage is not SightingStage.LEFT_OUT:
        decided.there[there.stage] += 1
        return
    if not (why and there):
        decided.sightings[name] = _sighting(match, name, why, now)


def day_of(at: int) -> str:
    """Return the UTC day of a moment in seconds since 1970, as ISO 8601 has it."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _occasion(match: Match, now: int) -> Occasion:
    return Occasion(match.origin.attribute, day_of(min(match.named.at, now)))


def _record(match: Match, name: Occasion, now: int) -> MatchRecord:
    named = match.named
    return MatchRecord(named.alert, name.attribute, name.occasion, named.kind, min(named.at, now))


def _sighting(match: Match, name: Occasion, why: NotSighted | None, now: int) -> SightingRecord:
    record = SightingRecord(
        attribute=name.attribute,
        occasion=name.occasion,
        event=match.origin.event,
        type=SEEN,
        at=min(match.named.at, now),
        value=match.origin.value,
    )
    return replace(record, stage=SightingStage.LEFT_OUT, words=why.value) if why else record


# -- what turned out to be nothing ----------------------------------------------------------------------


def false_positives(
    verdicts: Iterable[FalsePositive],
    seen: Mapping[str, Collection[SightingRecord]],
    known: Collection[Occasion],
    now: int,
) -> Iterator[SightingRecord]:
    """Yield a sighting of type 1 for each attribute that an alert of such an incident matched, unless it is ``known``.

    ``seen`` has the sightings of the attributes that each alert matched.
    """
    names = set(known)
    for verdict in verdicts:
        for record in seen.get(verdict.alert, ()):
            name = Occasion(record.attribute, incident_name(verdict.incident))
            if name not in names and record.stage is not SightingStage.LEFT_OUT:
                names.add(name)
                at = min(verdict.at, now)
                yield SightingRecord(*name, record.event, FALSE_POSITIVE, at, record.value)


def incident_name(incident: str) -> str:
    """Return what the sightings of an incident are called."""
    return f"incident {incident}"


# -- how much of it ---------------------------------------------------------------------------------------


def shares(wanted: Sequence[int], most: int) -> list[int]:
    """Return how many of ``most`` each gets: all that it wants, or as much as everybody else who wants more."""
    given = [0] * len(wanted)
    in_order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    for rank, number in enumerate(in_order):
        given[number] = min(wanted[number], (most - sum(given)) // (len(wanted) - rank))
    return given
