"""Which directory the ledger, the lock and the log are in where ``state_dir`` is not set. Pure.

A ledger that is there wins, so that no second one is begun beside it; then what holds other files of ours, so that
the place stays the same from run to run.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEDGER = "ledger.sqlite"
VARIABLE = "MISP2SENTINEL_STATE_DIR"
_NOT_SET = "state_dir is not set, and"


class Kind(Enum):
    """Why a directory may be it: the user has it, it was made for this program, or it is beside config.py."""

    OF_USER = 1
    OF_PROGRAM = 2
    BESIDE_CONFIG = 3


@dataclass(frozen=True)
class Candidate:
    """A directory, and what the disk says of it.

    ``owner`` is the name of the user that it belongs to or, where this user may write in it, its ledger; "" where it is
    not there.
    ``is_usable``: this user may write in it, or make it. ``is_closed``: this user may not see what is in it.
    ``has_files``: there is a log, a lock or the like of ours in it.
    """

    path: Path
    kind: Kind
    owner: str = ""
    is_usable: bool = False
    is_closed: bool = False
    has_ledger: bool = False
    has_files: bool = False


@dataclass(frozen=True)
class Asker:
    """The name of the user that this runs as, the config.py if there is one, and the directory made for the program."""

    user: str
    config: Path | None
    of_program: Path


@dataclass(frozen=True)
class Place:
    """The directory, and why it may be it; or the ``problem``, a sentence with what to do."""

    path: Path | None = None
    kind: Kind | None = None
    problem: str = ""


NOT_DECIDED = Place(problem="state_dir is not set: name a directory.")


def decide(candidates: Sequence[Candidate], asker: Asker, *, for_ledger: bool) -> Place:
    """Return the directory to use, of those in the order in which they are wanted.

    ``for_ledger``: the ledger is to be in it too, and not only the lock, the log and the dumps.
    """
    ledgers = _ledgers(candidates, asker) if for_ledger else []
    if len(ledgers) > 1:
        return Place(problem=_two_ledgers(ledgers, asker))
    if ledgers:
        (found,) = ledgers
        return _taken(found) if found.is_usable else Place(problem=_unusable_ledger(found, asker))
    own = [place for place in candidates if _is_for(asker, place)]
    closed = [place for place in own if place.is_closed]
    if for_ledger and closed:
        return Place(problem=_closed(closed[0], asker))
    usable = sorted((place for place in own if place.is_usable), key=lambda place: not place.has_files)
    return _taken(usable[0]) if usable else Place(problem=_nowhere(candidates, asker, for_ledger=for_ledger))


def _ledgers(candidates: Sequence[Candidate], asker: Asker) -> list[Candidate]:
    """Return those with a ledger; one of another user's installation counts only where this user has none."""
    ledgers = [place for place in candidates if place.has_ledger]
    return [place for place in ledgers if _is_for(asker, place)] or ledgers


def _is_for(asker: Asker, place: Candidate) -> bool:
    return place.kind is not Kind.OF_PROGRAM or place.owner == asker.user


def _taken(place: Candidate) -> Place:
    return Place(place.path, place.kind)


# -- in words -----------------------------------------------------------------------------------------


def _two_ledgers(places: Sequence[Candidate], asker: Asker) -> str:
    named = " and one in ".join(str(place.path) for place in places)
    files = _quoted(*(place.path / LEDGER for place in places))
    return (
        f"{_NOT_SET} there is a ledger in {named}. Name the directory of the one that runs wrote to last (ls -l "
        f"{files}): {_line(places[0].path, asker)}; or move the other ledger away."
    )


def _unusable_ledger(place: Candidate, asker: Asker) -> str:
    return (
        f"{_NOT_SET} there is a ledger in {place.path}, which {asker.user} may not write. {_help(place, asker)}. For "
        f"another ledger, which begins empty, name its directory: {_line(_of_their_own(asker), asker)}."
    )


def _closed(place: Candidate, asker: Asker) -> str:
    return (
        f"{_NOT_SET} {asker.user} may not look into {place.path}, where a ledger may be. {_help(place, asker)}. If "
        f"there is none, name another directory: {_line(_of_their_own(asker), asker)}."
    )


def _help(place: Candidate, asker: Asker) -> str:
    if place.owner == asker.user:
        return "It is this user's own: see its mode, and whether its disk is mounted read-only"
    return (
        f"It belongs to {place.owner}: run this as {place.owner}, or, if {asker.user} is to run it from now on, as "
        f"root, chown -R {_quoted(asker.user, place.path)}"
    )


def _nowhere(candidates: Sequence[Candidate], asker: Asker, *, for_ledger: bool) -> str:
    whys = [f"{place.path} {_why_not(place, asker)}" for place in candidates]
    own, what = _of_their_own(asker, candidates), "the ledger, the lock and the log" if for_ledger else "lock and log"
    return (
        f"{_NOT_SET} there is no place for {what}: {', '.join(whys)}. As root, install -d -o {_quoted(asker.user)} "
        f"-m 700 {_quoted(own)}; then name it: {_line(own, asker)}."
    )


def _why_not(place: Candidate, asker: Asker) -> str:
    if place.kind is Kind.OF_PROGRAM and not _is_for(asker, place):
        return f"belongs to {place.owner}" if place.owner else "is not there"
    return f"cannot be {'written' if place.owner else 'made'} by {asker.user}"


def _of_their_own(asker: Asker, candidates: Sequence[Candidate] = ()) -> Path:
    """Return a directory to be made for this user."""
    free = [place for place in candidates if place.kind is Kind.OF_PROGRAM and not place.owner]
    return asker.of_program if free else asker.of_program.with_name(f"{asker.of_program.name}-{asker.user}")


def _line(path: Path, asker: Asker) -> str:
    """Return what names a directory: the line for config.py, or the variable."""
    variable = f"{VARIABLE}={path}"
    return f'state_dir = "{path}" in {asker.config} (or {variable})' if asker.config else variable


def _quoted(*words: object) -> str:
    return " ".join(shlex.quote(str(word)) for word in words)
