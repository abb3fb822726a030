"""Events repeated as often as a measurement wants: of the same types and shapes, with other UUIDs and other values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

Json = dict[str, Any]
# What a repetition keeps as it is: who made the event, and what its tags mean.
_KEPT = ("Org", "Orgc", "Tag", "Galaxy")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def repeated(events: Iterable[Json], times: int) -> Iterator[Json]:
    """Yield every event so many times."""
    once = list(events)
    for number in range(times):
        for event in once:
            yield _repetition(event, number)


def _repetition(event: Json, number: int) -> Json:
    """Return an event's repetition of this number, with UUIDs of its own that refer to each other as they did."""
    kept = {name: event[name] for name in _KEPT if name in event}
    text = _UUID.sub(lambda match: _other_uuid(match[0], number), json.dumps(event))
    repetition: Json = {**json.loads(text), **kept}
    for attribute in _attributes(repetition):
        attribute["value"] = other_value(attribute["type"], attribute["value"], number)
    return repetition


def _attributes(event: Json) -> Iterator[Json]:
    yield from event.get("Attribute", [])
    for object_ in event.get("Object", []):
        yield from object_["Attribute"]


def other_value(kind: str, value: str, number: int) -> str:
    """Return another value of the same type and shape; of a type that has no indicators here, the same one."""
    kinds = kind.split("|")
    parts = zip(kinds, value.split("|", len(kinds) - 1), strict=False)
    return "|".join(_WAYS.get(part, _same)(text, number) for part, text in parts)


def _other_uuid(uuid: str, number: int) -> str:
    return str(UUID(bytes=_digest(uuid, number).digest()[:16], version=4))


def _digest(text: str, number: int) -> hashlib._Hash:
    return hashlib.sha512(f"{text} {number}".encode())


def _same(value: str, _number: int) -> str:
    return value


def _hash(value: str, number: int) -> str:
    return _digest(value, number).hexdigest()[: len(value)]


def _address(value: str, number: int) -> str:
    """Return an address of the same network of 16 bits; one that is no IPv4 address stays."""
    try:
        network = int(IPv4Address(value)) & 0xFFFF0000
    except ValueError:
        return value
    return str(IPv4Address(network | int.from_bytes(_digest(value, number).digest()[:2])))


def _before(value: str, number: int) -> str:
    return f"r{number}.{value}"


def _behind(value: str, number: int) -> str:
    return f"{value}.r{number}"


def _in_host(value: str, number: int) -> str:
    return value.replace("://", f"://r{number}.", 1)


_WAYS: Mapping[str, Callable[[str, int], str]] = {
    **dict.fromkeys(("md5", "sha1", "sha224", "sha256", "sha384", "sha512"), _hash),
    **dict.fromkeys(("ip", "ip-dst", "ip-src"), _address),
    **dict.fromkeys(("domain", "hostname", "email", "email-dst", "email-src"), _before),
    **dict.fromkeys(("filename", "regkey"), _behind),
    "url": _in_host,
}
