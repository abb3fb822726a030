"""What ``check`` says of actors, techniques and organisations: what of it is sent where."""

from __future__ import annotations

from collections.abc import Iterable

from helpers.context import NAMED_KINDS, ContextLevel, Kind
from helpers.settings import Settings
from helpers.text import listed

_ALONE = "indicators alone"
_IMPOSSIBLE = f"{_ALONE}; the rest needs the STIX API and a ledger"
WITHOUT_GALAXIES = "{}. Actors and techniques, and labels with names of actors, are not sent; nothing else fails"


def what_is_sent(destinations: Iterable[Settings]) -> str:
    """Say what goes out beside indicators; where destinations differ, at which of them."""
    places: dict[str, list[str]] = {}
    for destination in destinations:
        places.setdefault(_words(destination), []).append(destination.name)
    if len(places) == 1:
        return next(iter(places))
    return "; ".join(f"{words} at {listed(names)}" for words, names in places.items())


def needs_galaxies(settings: Settings) -> bool:
    """Say whether MISP has to know what tags name, for a destination or for the labels of indicators."""
    return settings.activity_group_labels or ContextLevel(settings.context_level).sends(Kind.THREAT_ACTOR)


def _words(settings: Settings) -> str:
    level = ContextLevel(settings.context_level)
    kinds = [kind.facts.several for kind in NAMED_KINDS if level.sends(kind)]
    if not kinds:
        return _ALONE if settings.may_have_context else _IMPOSSIBLE
    return f"indicators with {listed(kinds)}"
