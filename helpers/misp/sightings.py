"""Writes sightings to MISP, and asks which of them it has: with the key of ``misp_sightings``.

Measured on MISP 2.5.1: the same sighting once more is another one, so it is asked for before it is written again. A
search by source, ``from`` and ``to``, both inclusive, has all of them on one page, whatever ``limit`` and ``page`` say;
``includeUuid`` adds the attribute's UUID, which is null for one that the key may not see. Numbers of organisations
filter everything out in that search. A sighting that MISP does not take is answered with 200 and a message, for
whatever reason, a UUID in capital letters or a timestamp of 0 among them; a 500 says nothing about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from helpers.errors import MispBusy, MispDeclined, MispError, MispRefused
from helpers.misp.client import MispClient, MispConnection, print_waiting
from helpers.misp.pymisp_errors import SettingNames
from helpers.misp.responses import dictionary_in, excerpt, organisation_id_in, records_in, warninglists_in, whole_number
from helpers.process import interrupts
from helpers.settings import Settings
from helpers.text import batched

KEY = 'misp_sightings["api_key"]'
# What no attribute has, to see whether a key may add sightings: nothing is written (RFC 9562, section 5.9).
_NOBODY = "00000000-0000-4000-8000-000000000000"
_FORBIDDEN = 403
_MAY_NOT = (
    f"the key ({KEY}) may not add sightings (take one of a user whose role has perm_sighting and is not read-only: "
    "MISP's role User will do)"
)
_VALUES_AT_ONCE = 500


class SightingInMisp(NamedTuple):
    """A sighting that MISP has: of which attribute, of which type, and when, in seconds since 1970."""

    attribute: str
    type: int
    at: int


def sightings_connection(settings: Settings) -> MispConnection:
    """Return the connection that sightings go through: that of events, with another key."""
    key = settings.misp_sightings.api_key
    return replace(MispConnection.of(settings), key=key, setting_names=SettingNames(key=KEY))


class SightingWriter:
    """Adds sightings, one at a time. Methods raise MispError; what MISP declines is MispDeclined."""

    def __init__(
        self,
        settings: Settings,
        sleep: Callable[[float], None] = interrupts.sleep,
        seconds_left: Callable[[], float] = lambda: math.inf,
        waiting: Callable[[str, float], None] = print_waiting,
    ) -> None:
        """Prepare a client with the key for sightings; nothing is asked yet. ``MispClient`` says what is what."""
        connection = sightings_connection(settings)
        self._client = MispClient(connection, sleep, seconds_left, waiting, declines=True)
        self._organisation = ""

    def organisation(self) -> str:
        """Return the number of the organisation that the key belongs to, asked for once."""
        if not self._organisation:
            answer = self._client.ask(lambda pymisp: pymisp.get_user(expanded=False))
            self._organisation = organisation_id_in(answer, KEY)
        return self._organisation

    def there(self, source: str, first: int, last: int) -> list[SightingInMisp]:
        """Return the own organisation's sightings of a source between two moments, in seconds since 1970."""
        organisation = self.organisation()
        wanted = {"returnFormat": "json", "source": source, "from": first, "to": last, "includeUuid": True}
        rows = self._client.ask(
            lambda pymisp: pymisp.direct_call("sightings/restSearch", data=wanted), read=_sightings_in
        )
        ours = [row for row in rows if row.get("source") == source and str(row.get("org_id")) == organisation]
        return [_sighting(row) for row in ours if _attribute_of(row)]

    def add(self, attribute: str, kind: int, source: str, at: int) -> str:
        """Add a sighting of a type to an attribute, by its UUID; return "" or why MISP does not take it.

        Raises MispRefused where the key may not, MispError where it is not known what became of it.
        """
        sighting = {"type": str(kind), "source": source, "timestamp": at}
        try:
            return _refusal(self._client.write(lambda pymisp: pymisp.add_sighting(sighting, attribute=attribute)))
        except MispDeclined as error:
            if error.status == _FORBIDDEN:
                raise MispRefused(f"{_MAY_NOT}: {error}") from error
            raise

    def check(self, source: str, now: int) -> None:
        """Find out whether the key may add sightings, by one that MISP cannot take. Raises MispError.

        A role says that it may also where the key is read-only.
        """
        words = self.add(_NOBODY, 0, source, now)
        if not words:
            raise MispError("MISP took a sighting of an attribute that does not exist: is it MISP?")

    def on_warninglists(self, values: Iterable[str]) -> set[str]:
        """Return which of these values are on an enabled warninglist."""
        wanted, listed = sorted(values), set[str]()
        for batch in batched(wanted, _VALUES_AT_ONCE):
            listed |= self._client.ask(partial(_ask_warninglists, batch), read=_listed)
        return listed


def _ask_warninglists(values: list[str], pymisp: Any) -> Any:
    return pymisp.values_in_warninglist(values)


def _listed(answer: Any) -> set[str]:
    return set(warninglists_in(answer))


def _sightings_in(answer: Any) -> list[dict[str, Any]]:
    found = answer.get("response") if isinstance(answer, dict) else answer
    return records_in(found, "Sighting")


def _attribute_of(row: dict[str, Any]) -> str:
    """Return an attribute's UUID; "" for one that the key may not see any more, of which MISP takes no sighting."""
    if "attribute_uuid" not in row:
        raise MispBusy("MISP does not say which attributes its sightings are of (includeUuid)")
    return str(row["attribute_uuid"] or "").lower()


def _sighting(row: dict[str, Any]) -> SightingInMisp:
    at = whole_number(row.get("date_sighting"))
    return SightingInMisp(_attribute_of(row), whole_number(row.get("type")), at)


def _refusal(answer: Any) -> str:
    """Return MISP's words where an answer holds no sighting."""
    if isinstance(answer, dict) and dictionary_in(answer, "Sighting"):
        return ""
    words = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(words, str) or not words.strip():
        raise MispBusy(f"MISP does not say what became of a sighting: {excerpt(answer)}")
    return excerpt(words)
