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


def split_open_object(attributes: list[Attribute]) -> tuple[list[Attribute], list[Attribute]]:
    """Hold back the members of the object that the page may have cut in two."""
    last = object_id(attributes[-1]) if attributes else "0"
    if last == "0":
        return attributes, []
    cut = next(i for i, each in enumerate(attributes) if object_id(each) == last)
    return (attributes[:cut], attributes[cut:]) if cut else ([], attributes)


def as_event(attributes: Iterable[Attribute]) -> dict[str, list[Any]]:
    """Put attributes where an event has them: alone, or as members of an object."""
    every = list(attributes)
    alone = [each for each in every if object_id(each) == "0"]
    members = sorted((each for each in every if object_id(each) != "0"), key=_place)
    objects = [{"Attribute": list(of_object)} for _, of_object in groupby(members, key=object_id)]
    return {"Attribute": alone, "Object": objects}


class UnflaggedFileNames:
    """The names of files in an event's objects that are not flagged: as little of each as is needed, they may be many.

    A name of no object, or of one without a flagged member, is never taken.
    """

    def __init__(self, names: Iterable[Attribute]) -> None:
        """Keep the names, in their order."""
        self._of_object: dict[int, str] = {}
        for each in names:
            if (own := object_id(each)) != "0":
                line = json.dumps([each.get("id"), each.get("uuid"), each.get("value")])
                before = self._of_object.get(int(own))
                self._of_object[int(own)] = line if before is None else f"{before}\n{line}"

    def take(self, attributes: Iterable[Attribute]) -> list[Attribute]:
        """Take out the names of the files whose other members are among these attributes."""
        objects = dict.fromkeys(own for each in attributes if (own := object_id(each)) != "0")
        return [name for own in objects for name in self._names(own)]

    def _names(self, own: str) -> Iterator[Attribute]:
        for line in self._of_object.pop(int(own), "").splitlines():
            number, uuid, value = json.loads(line)
            of_name = {"id": number, "uuid": uuid, "type": FILE_NAME, "value": value}
            yield {**of_name, "to_ids": False, "object_id": own}


def object_id(attribute: Mapping[str, Any]) -> str:
    """Return the id of the object that an attribute is a member of; "0" for none."""
    found = str(attribute.get("object_id"))
    return found if found.isdecimal() else "0"


def _place(attribute: Attribute) -> tuple[str, int]:
    number = str(attribute.get("id"))
    return object_id(attribute), int(number) if number.isdecimal() else 0
