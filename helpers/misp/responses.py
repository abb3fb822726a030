"""What PyMISP gives back, read: an answer that can be used, or an error that says what to do. Pure.

PyMISP returns MISP's errors as dictionaries as often as it raises, and what it raises may hold the
whole body; the words are cut here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from helpers.errors import MispBusy, MispDeclined, MispError, MispRefused
from helpers.http import innermost_cause
from helpers.indicators import dicts, read_tags

_WORDS = 500
_LONGEST_WAIT = 900
_LARGEST = 2**63 - 1
_MAINTENANCE = "MISP sends every request to its login page: it is in maintenance, or the key belongs to no API user"
_KEY_REFUSED = "Authentication failed"
KEY_REFUSED = "the key (misp_key) is refused (make one in MISP: your profile, Auth keys)"
# MISP, AppController: the key is right, and its allowed IPs do not hold the address that the request came from.
_ADDRESS_REFUSED = "from your IP address"
ADDRESS_REFUSED = (
    "MISP knows the key (misp_key) and refuses it from this machine's address, or its proxy's (allow the address in "
    "MISP: your profile, Auth keys, edit the key, Allowed IPs)"
)
_HINTS = {
    "redirects": _MAINTENANCE,
    _KEY_REFUSED: KEY_REFUSED,
    _ADDRESS_REFUSED: ADDRESS_REFUSED,
    "NO_CERTIFICATE_OR_CRL_FOUND": "the file that misp_verifycert names holds no certificate",
    "PermissionError": "the file that misp_verifycert names may not be read by this user",
    "CERTIFICATE_VERIFY_FAILED": "the certificate is not trusted (misp_verifycert can name a CA bundle)",
    "certificate verify failed": "the certificate is not trusted (misp_verifycert can name a CA bundle)",
    "ProxyError": "the proxy does not answer (misp_proxies, or HTTPS_PROXY of the environment)",
    "Not Found": "misp_domain must be the address of MISP itself, without a page behind it",
}
_SAID = re.compile(r"Unable to get the user settings: \(\d+, \{.*'message': (?P<quote>['\"])(?P<words>.*?)(?P=quote)")
_FORBIDDEN = (401, 403)
_TOO_MANY = 429


@dataclass(frozen=True)
class ListedEvent:
    """An event's row as MISP shows it now; ``listing`` prints its publishing and its tags."""

    uuid: str
    id: str
    timestamp: int
    published: bool
    organisation: str = ""
    attributes: int = 0
    listing: str = ""


def usable(question: Callable[[], Any], headers: Callable[[], Mapping[str, str]], given: str = "") -> Any:
    """Ask PyMISP a question and return the answer; ``headers`` are those of the last response.

    ``given`` is the setting that is part of the question, if one is.

    Raises MispBusy for what may pass, MispRefused for what will not, MispError for the rest.
    """
    from pymisp import PyMISPError  # noqa: PLC0415  takes 0.2 s to import

    try:
        answer = question()
    except requests.TooManyRedirects as error:
        raise MispRefused(_MAINTENANCE) from error
    except requests.RequestException as error:
        raise MispBusy(f"no answer from MISP: {_cut(innermost_cause(error))}") from error
    except PyMISPError as error:
        raise _raised(_cut(error)) from error
    except (ValueError, TypeError) as error:
        raise MispRefused(f"PyMISP does not take {given or 'what it was asked'}: {_cut(error)}") from error
    except (LookupError, AttributeError, RecursionError) as error:
        raise MispBusy(f"an answer that PyMISP cannot read: {_cut(repr(error))}") from error
    if isinstance(answer, dict) and "errors" in answer:
        raise _returned(answer["errors"], headers())
    return answer


def declined(answer: Any) -> Any:
    """Return what PyMISP answered, or a MispDeclined in the place of a refusal that concerns this request alone.

    A list of attributes of which MISP took some comes back as it is, with what it said of the others.
    """
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not isinstance(errors, tuple) or errors[0] == _TOO_MANY:
        return {**answer, "errors": None} if isinstance(errors, dict) and "Attribute" in answer else answer
    status, body = errors
    said = body.get("errors") or body.get("message") or body.get("name") if isinstance(body, dict) else body
    words = _cut(said if isinstance(said, str) else json.dumps(said))
    if _KEY_REFUSED in words or _ADDRESS_REFUSED in words:
        return answer
    return MispDeclined(status, f"MISP answered {status}: {words}")


def events(answer: Any) -> list[dict[str, Any]]:
    """Return the events of a search, without the ``Event`` around each."""
    found = [each.get("Event", each) for each in records(answer)]
    return [each for each in found if isinstance(each, dict)]


def whole_event(answer: Any) -> dict[str, Any]:
    """Return the event of an answer, in which everything has its number and UUID. Raises MispBusy when it is none."""
    found: dict[str, Any] = _with_lists(part(answer, "Event"))
    if not _is_whole(found):
        raise MispBusy(f"MISP answered with something that is no event: {_cut(answer)}")
    return found


_HOLD_OTHERS = ("Attribute", "Object", "EventReport")
_HELD = (*_HOLD_OTHERS, "Tag", "ShadowAttribute")


def _with_lists(record: Any) -> Any:
    """Return a record in which each list is one: PHP writes a list with gaps as an object, and an empty one as null."""
    if not isinstance(record, dict):
        return record
    lists = {name: record[name] or [] for name in _HELD if name in record}
    lists = {name: list(each.values()) if isinstance(each, dict) else each for name, each in lists.items()}
    every = {name: [*map(_with_lists, each)] if isinstance(each, list) else each for name, each in lists.items()}
    return record | every


def _is_whole(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("uuid"), str):
        return False
    lists = {name: record.get(name, []) for name in _HELD}
    if not str(record.get("id")).isdecimal() or not all(isinstance(each, list) for each in lists.values()):
        return False
    if not all(isinstance(each, dict) for name in ("Tag", "ShadowAttribute") for each in lists[name]):
        return False
    return all(_is_whole(each) for name in _HOLD_OTHERS for each in lists[name])


def seen(event: Mapping[str, Any]) -> ListedEvent:
    """Return what MISP's index, or its listing, shows of an event."""
    organisation = event.get("Orgc") if isinstance(event.get("Orgc"), Mapping) else {}
    return ListedEvent(
        uuid=str(event.get("uuid")).lower(),
        id=str(event.get("id")),
        timestamp=number(event.get("timestamp")),
        published=event.get("published") in (True, 1, "1"),
        organisation=str(event.get("orgc_uuid") or (organisation or {}).get("uuid") or ""),
        attributes=number(event.get("attribute_count")),
        listing=listing_fingerprint(event),
    )


def listing_fingerprint(event: Mapping[str, Any]) -> str:
    """Print what moves without moving the index: when it was published, and its tags, local ones too."""
    tags = sorted(f"{tag.name}{'*' * tag.local}" for tag in read_tags(event.get("Tag")))
    text = "\n".join([str(event.get("publish_timestamp")), *tags])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def attributes_in(found: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the attributes of whole events, those of their objects too."""
    for event in found:
        for holder in (event, *dicts(event.get("Object"))):
            yield from dicts(holder.get("Attribute"))


def attributes(answer: Any) -> list[dict[str, Any]]:
    """Return the attributes of a search, without the event that MISP repeats in each."""
    listed = rows(answer.get("Attribute", []) if isinstance(answer, dict) else answer)
    return [{key: value for key, value in each.items() if key != "Event"} for each in listed if isinstance(each, dict)]


def attributes_of_events(answer: Any) -> list[dict[str, Any]]:
    """Return the attributes of a search, each with the ``event_uuid`` of its event."""
    listed = rows(answer.get("Attribute", []) if isinstance(answer, dict) else answer)
    return [{**each, "event_uuid": str(each["Event"]["uuid"]).lower()} for each in listed if _has_event(each)]


def _has_event(attribute: Any) -> bool:
    return isinstance(attribute, dict) and isinstance(attribute.get("Event"), dict) and "uuid" in attribute["Event"]


def skipped(headers: Mapping[str, str]) -> int | None:
    """Return how many attributes the warninglists took from the page; None when MISP does not say."""
    value = headers.get("X-Skipped-Elements-Count")
    return number(value) if value is not None and value.isdecimal() else None


def total(headers: Mapping[str, str]) -> int:
    """Return how many events a search found in all; a page of them is shorter by what MISP takes out after cutting it.

    0 when MISP does not say.
    """
    return number(headers.get("X-Result-Count"))


def number(value: object) -> int:
    """Return one of MISP's counters or times, which may be anything, as a number from 0 that a ledger can hold."""
    try:
        found = int(str(value))
    except ValueError:
        return 0
    return found if 0 <= found <= _LARGEST else 0


def rows(answer: Any) -> list[Any]:
    """Return an answer that is a list. Raises MispBusy when it is none."""
    if not isinstance(answer, list):
        raise MispBusy(f"MISP answered with something that is no list: {_cut(answer)}")
    return answer


def records(answer: Any) -> list[dict[str, Any]]:
    """Return the dictionaries in an answer that is a list. Raises MispBusy when it is a list of something else."""
    every = rows(answer)
    found = [each for each in every if isinstance(each, dict)]
    if every and not found:
        raise MispBusy(f"MISP answered with a list of something else than was asked for: {_cut(answer)}")
    return found


def part(answer: Any, name: str) -> dict[str, Any]:
    """Return a dictionary in an answer; empty where there is none, or the answer itself is none."""
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _raised(words: str) -> MispError:
    """Tell PyMISP's exceptions apart by their text: it has one class for most of them."""
    words = words.partition("(http/https is required): ")[2] or words
    if said := _SAID.search(words):
        words = said["words"]
    if words.startswith(tuple(f"Error code {code}" for code in _FORBIDDEN)):
        return MispRefused(f"a proxy or firewall in front of MISP refuses the request: {words}")
    for mark, mend in _HINTS.items():
        if mark in words:
            return MispRefused(f"{mend}: {innermost_cause(words)}")
    if "Max retries exceeded" in words:
        return MispBusy(
            f"no connection: is it up, is misp_domain right, may this host reach it? {innermost_cause(words)}"
        )
    return MispBusy(f"no usable answer: {innermost_cause(words)}")


def _returned(errors: Any, headers: Mapping[str, str]) -> MispError:
    code, body = errors if isinstance(errors, tuple) and len(errors) == 2 else (0, errors)
    said = body.get("message") or body.get("name") if isinstance(body, dict) else None
    words = _cut(said or body)
    if code == _TOO_MANY:
        wait = min(number(headers.get("X-Rate-Limit-Reset")), _LONGEST_WAIT)
        return MispBusy(f"MISP's rate limit for this key is reached: {words}", wait=wait)
    if code in _FORBIDDEN:
        return MispRefused(f"{ADDRESS_REFUSED if _ADDRESS_REFUSED in words else KEY_REFUSED}: {words}")
    return MispError(f"MISP answered {code or 'an error'}: {words}")


def _cut(words: object) -> str:
    text = " ".join(str(words).split())
    return text if len(text) <= _WORDS else text[:_WORDS] + "…"
