"""A large event's slices: attributes that were read by themselves, put where an event has them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

Attribute = dict[str, Any]

# What the last slice says beside an event's own parts: how many attributes MISP was not asked for.
UNASKED = "_unasked"
FILE_NAME = "filename"
# The object id of an attribute that is no member of any.
_NO_OBJECT = "0"
_LONGEST_ID = 20


def split_open_object(attributes: list[Attribute]) -> tuple[list[Attribute], list[Attribute]]:
    """Hold back the members of the object that the page may have cut in two."""
    last = object_id(attributes[-1]) if attributes else _NO_OBJECT
    if last == _NO_OBJECT:
        return attributes, []
    cut = next(index for index, attribute in enumerate(attributes) if object_id(attribute) == last)
    return (attributes[:cut], attributes[cut:]) if cut else ([], attributes)


def as_event(attributes: Iterable[Attribute]) -> dict[str, list[Any]]:
    """Put attributes where an event has them: in itself, or as members of an object."""
    of_event: list[Attribute] = []
    members: list[Attribute] = []
    for attribute in attributes:
        (of_event if object_id(attribute) == _NO_OBJECT else members).append(attribute)
    members.sort(key=_by_object_and_id)
    objects = [{"Attribute": list(of_object)} for _, of_object in groupby(members, key=object_id)]
    return {"Attribute": of_event, "Object": objects}


class UnflaggedFileNames:
    """The names of files in an event's objects that are not flagged: as little of each as is needed, they may be many.

    A name of no object, or of one without a flagged member, is never taken.
    """

    def __init__(self, names: Iterable[Attribute]) -> None:
        """Keep the names, in their order."""
        self._lines_by_object: dict[int, str] = {}
        for name in names:
            if (id_ := object_id(name)) != _NO_OBJECT:
                line = json.dumps([name.get("id"), name.get("uuid"), name.get("value")])
                lines = self._lines_by_object.get(int(id_))
                self._lines_by_object[int(id_)] = line if lines is None else f"{lines}\n{line}"

    def take(self, attributes: Iterable[Attribute]) -> list[Attribute]:
        """Take out the names of the files whose other members are among these attributes."""
        objects = dict.fromkeys(map(object_id, attributes))
        return [name for id_ in objects if id_ != _NO_OBJECT for name in self._take_object(id_)]

    def _take_object(self, id_: str) -> Iterator[Attribute]:
        for line in self._lines_by_object.pop(int(id_), "").splitlines():
            attribute_id, uuid, value = json.loads(line)
            named = {"id": attribute_id, "uuid": uuid, "type": FILE_NAME, "value": value}
            yield {**named, "to_ids": False, "object_id": id_}


def object_id(attribute: Mapping[str, Any]) -> str:
    """Return the id of the object that an attribute is a member of; "0" for none."""
    return str(_number(attribute.get("object_id")))


def _by_object_and_id(attribute: Attribute) -> tuple[str, int]:
    return object_id(attribute), _number(attribute.get("id"))


def _number(id_: object) -> int:
    """Return one of MISP's ids as the number that it is; 0 for what is none."""
    text = str(id_)
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_ID else 0
