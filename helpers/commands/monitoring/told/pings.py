"""Which addresses are pinged when a run begins and ends, and with what. Pure.

The protocol is that of Healthchecks (its documentation: Pinging API), which others speak too: a POST says that it
happened, and its body is what people look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from helpers.commands.monitoring.told.ending import Ending, RunEnding
from helpers.commands.monitoring.told.words import Sender, body_of
from helpers.settings import DESTINATION, EXIT_CODE

# What stands for the only destination, which needs no name.
_NAMELESS = "sentinel"
_NOT_IN_SLUG = re.compile(r"[^a-z0-9_-]+")


class Ping(NamedTuple):
    """An address, with the setting that it is from, and what it gets."""

    setting: str
    address: str
    body: str


def pings_of_start(address: str, names: Sequence[str]) -> list[Ping]:
    """Return what is pinged when a run begins at destinations of these names: each, or once."""
    begun = [Ending(name, 0) for name in names]
    groups = [[part] for part in begun] if DESTINATION in address else [begun]
    return [Ping("on_start", _filled(address, parts, 0), "The run has begun.\n") for parts in groups if address]


def pings_of_end(on_success: str, on_failure: str, ended: RunEnding, sender: Sender) -> list[Ping]:
    """Return what is pinged when a run has ended."""
    return [
        *_pings("on_success", on_success, ended, sender, well=True),
        *_pings("on_failure", on_failure, ended, sender, well=False),
    ]


def slug_of(name: str) -> str:
    """Return a destination's name as Healthchecks takes it in an address."""
    return _NOT_IN_SLUG.sub("-", name.lower()).strip("-") or _NAMELESS


def _pings(setting: str, address: str, ended: RunEnding, sender: Sender, *, well: bool) -> Iterator[Ping]:
    """Yield a ping for each destination that ended so, where the address names it, else one for all of them."""
    if not (address and ended.told):
        return
    if DESTINATION not in address:
        if ended.is_well is well:
            yield Ping(setting, _filled(address, ended.told, ended.exit_code), body_of(ended.told, sender))
        return
    for part in ended.told:
        if part.is_well is well:
            yield Ping(setting, _filled(address, [part], part.exit_code or 0), body_of([part], sender))


def _filled(address: str, parts: Sequence[Ending], exit_code: int) -> str:
    with_code = address.replace(EXIT_CODE, str(int(exit_code)))
    return with_code.replace(DESTINATION, slug_of(parts[0].name))
