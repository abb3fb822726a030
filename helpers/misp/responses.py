"""What MISP's answers hold, as plain dictionaries, whatever else is in them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from helpers import text
from helpers.errors import MispBusy, MispError
from helpers.indicators import dicts, is_true, read_tags

Event = dict[str, Any]
Attribute = dict[str, Any]

_LONGEST_WORDS = 500
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class ListedEvent:
    """An event's row as MISP shows it now; ``listing`` is a fingerprint of its publishing and its tags."""

    uuid: str
    id: str
    timestamp: int
    published: bool
    organisation: str = ""
    attributes: int = 0
    listing: str = ""


def listed_event(row: Mapping[str, Any]) -> ListedEvent:
    """Return what MISP's index, or its listing, shows of an event."""
    organisation = row.get("Orgc") if isinstance(row.get("Orgc"), Mapping) else {}
    return ListedEvent(
        uuid=_encodable(row.get("uuid")).lower(),
        id=_encodable(row.get("id")),
        timestamp=whole_number(row.get("timestamp")),
        published=is_true(row.get("published")),
        organisation=_encodable(row.get("orgc_uuid") or (organisation or {}).get("uuid") or ""),
        attributes=whole_number(row.get("attribute_count")),
        listing=listing_fingerprint(row),
    )


def _encodable(value: object) -> str:
    """Return a text that a ledger can hold: JSON may name half a character (RFC 8259, section 8.2)."""
    return str(value).encode(errors="replace").decode()


def listing_fingerprint(row: Mapping[str, Any]) -> str:
    """Digest what changes without changing the index: when it was published, and its tags, local ones too."""
    tags = sorted(f"{tag.name}{'*' * tag.local}" for tag in read_tags(row.get("Tag")))
    text = "\n".join([str(row.get("publish_timestamp")), *tags])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


# -- answers of searches -------------------------------------------------------------------------------


def events_in(answer: Any) -> list[Event]:
    """Return the events of a search, without the ``Event`` around each. Raises MispBusy when it is no list of any."""
    return records_in(answer, "Event")


def records_in(answer: Any, name: str) -> list[dict[str, Any]]:
    """Return the records of an answer, without what is called ``name`` around each. Raises MispBusy as above."""
    rows = [row.get(name, row) for row in dictionaries_in(answer)]
    return [record for record in _checked_records(rows) if isinstance(record, dict)]


def listed_events(answer: Any) -> list[ListedEvent]:
    """Return the rows of a search for events. Raises MispBusy when it is no list of any."""
    return [listed_event(event) for event in events_in(answer)]


def attributes_in(answer: Any) -> list[Attribute]:
    """Return the attributes of a search, without the event that MISP repeats in each."""
    attributes = filter(_is_row, _attribute_list(answer))
    return [{name: value for name, value in attribute.items() if name != "Event"} for attribute in attributes]


def damaged_rows(answer: Any) -> int:
    """Return how many rows of a search for attributes are no attributes: they may be anything that was there before."""
    return sum(not _is_row(attribute) for attribute in _attribute_list(answer))


def attributes_of_events(answer: Any) -> list[Attribute]:
    """Return the attributes of a search, each with the ``event_uuid`` of its event."""
    attributes = [attribute for attribute in _attribute_list(answer) if "uuid" in dictionary_in(attribute, "Event")]
    return [{**attribute, "event_uuid": str(attribute["Event"]["uuid"]).lower()} for attribute in attributes]


def attributes_with_context(answer: Any) -> list[Attribute]:
    """Return the attributes of a search as they are. Raises MispBusy when it is a list of something else."""
    return dictionaries_in(_attribute_list(answer))


def _attribute_list(answer: Any) -> list[Any]:
    found = _checked_list(answer["Attribute"] if isinstance(answer, dict) and "Attribute" in answer else answer)
    _checked_records([*filter(_is_row, found)])
    return found


def attributes_of(events: Iterable[Mapping[str, Any]]) -> Iterator[Attribute]:
    """Yield the attributes of whole events, those of their objects too."""
    for event in events:
        for holder in (event, *dicts(event.get("Object"))):
            yield from dicts(holder.get("Attribute"))


def damage_of(event: Event) -> str:
    """Say what of an event that was read whole is no list, or no attribute or object; empty when all of it is.

    MISP writes an empty list where there is nothing. What is damaged may be what was sent before.
    """
    if "Attribute" not in event:
        return "MISP answered without a list of its attributes"
    holders = [event, *dicts(event.get("Object"))]
    lists = [holder.get(name) for holder in holders for name in ("Attribute", "Object")]
    if not all(rows is None or isinstance(rows, list | dict) for rows in lists):
        return "MISP answered with something else in the place of its attributes or objects"
    rows = [row for rows in lists for row in (rows.values() if isinstance(rows, dict) else rows or ())]
    damaged = sum(not _is_row(row) for row in rows)
    return damage_in_words(damaged) if damaged else ""


def damage_in_words(damaged: int) -> str:
    """Say that so many rows of an event are damaged."""
    return f"MISP answered with rows that are no attributes or objects ({damaged:,}); the others were taken"


def _is_row(row: Any) -> TypeGuard[Attribute]:
    """Whether this is a row of MISP's, which may have no UUID, but none that is no text."""
    return isinstance(row, dict) and isinstance(row.get("uuid"), str | None)


# -- one event whole -----------------------------------------------------------------------------------


def whole_event(answer: Any) -> Event:
    """Return the event of an answer, in which everything has its number and UUID. Raises MispBusy when it is none."""
    event: Event = _with_lists(dictionary_in(answer, "Event"))
    if not _is_whole(event):
        raise MispBusy(f"MISP answered with something that is no event: {excerpt(answer)}")
    return event


_HOLDERS = ("Attribute", "Object", "EventReport")
_LISTS = (*_HOLDERS, "Tag", "ShadowAttribute")


def _with_lists(record: Any) -> Any:
    """Return a record in which each list is one: PHP writes a list with gaps as an object, and an empty one as null."""
    if not isinstance(record, dict):
        return record
    lists = {name: record[name] or [] for name in _LISTS if name in record}
    lists = {name: list(items.values()) if isinstance(items, dict) else items for name, items in lists.items()}
    whole = {name: [*map(_with_lists, items)] if isinstance(items, list) else items for name, items in lists.items()}
    return record | whole


def _is_whole(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("uuid"), str):
        return False
    lists = {name: record.get(name, []) for name in _LISTS}
    if not str(record.get("id")).isdecimal() or not all(isinstance(items, list) for items in lists.values()):
        return False
    if not all(isinstance(item, dict) for name in ("Tag", "ShadowAttribute") for item in lists[name]):
        return False
    return all(_is_whole(item) for name in _HOLDERS for item in lists[name])


# -- parts of answers ----------------------------------------------------------------------------------


def hidden_count(headers: Mapping[str, str]) -> int | None:
    """Return how many attributes the warninglists took from the page; None when MISP does not say."""
    value = headers.get("X-Skipped-Elements-Count")
    return whole_number(value) if value is not None and value.isdecimal() else None


def result_count(headers: Mapping[str, str]) -> int:
    """Return how many events a search found in all; a page of them is shorter by what MISP takes out after cutting it.

    0 when MISP does not say.
    """
    return whole_number(headers.get("X-Result-Count"))


def whole_number(value: object) -> int:
    """Return one of MISP's counters or times, which may be anything, as a number from 0 that a ledger can hold."""
    try:
        number = int(str(value))
    except ValueError:
        return 0
    return number if 0 <= number <= _LARGEST else 0


def dictionaries_in(answer: Any) -> list[dict[str, Any]]:
    """Return the dictionaries in an answer that is a list. Raises MispBusy when it is a list of something else."""
    items = _checked_list(answer)
    dictionaries = [item for item in items if isinstance(item, dict)]
    if items and not dictionaries:
        raise MispBusy(f"MISP answered with a list of something else than was asked for: {excerpt(answer)}")
    return dictionaries


def _checked_records(rows: list[Any]) -> list[Any]:
    """Return the rows of an answer. Raises MispBusy when there are some and not one has a UUID: they are of no use."""
    if rows and not any(isinstance(row.get("uuid"), str) for row in rows if isinstance(row, dict)):
        raise MispBusy(f"MISP answered with a list of something else than was asked for: {excerpt(rows)}")
    return rows


def dictionary_in(answer: Any, name: str) -> dict[str, Any]:
    """Return a dictionary in an answer; empty where there is none, or the answer itself is none."""
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, dict) else {}


def _checked_list(answer: Any) -> list[Any]:
    """Return an answer that is a list. Raises MispBusy when it is none."""
    if not isinstance(answer, list):
        raise MispBusy(f"MISP answered with something that is no list: {excerpt(answer)}")
    return answer


def excerpt(words: object) -> str:
    """Return somebody's words, and not the whole body that an error may hold."""
    return text.excerpt(words, _LONGEST_WORDS)


def warninglists_in(answer: Any) -> dict[str, str]:
    """Return value → name of the first list that it is on; MISP answers [] where none is on any. Raises MispBusy."""
    if answer == []:
        return {}
    if not isinstance(answer, dict) or not all(isinstance(lists, list) for lists in answer.values()):
        raise MispBusy(f"MISP does not say what is on its warninglists: {excerpt(answer)}")
    return {value: str(lists[0].get("name")) for value, lists in answer.items() if lists}


def organisation_id_in(answer: Any, key: str) -> str:
    """Return the number of the organisation that a user is of, from users/view. Raises MispError where it is not there.

    ``key`` is the setting of the key that asked.
    """
    number = dictionary_in(answer, "Organisation").get("id") or dictionary_in(answer, "User").get("org_id")
    if not number:
        raise MispError(f"MISP does not say whose key ({key}) it is: its answer about the user is of no use")
    return str(number)
