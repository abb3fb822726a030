"""A large event's slices: attributes that were read by themselves, put where an event has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

Attribute = dict[str, Any]

# What the last slice says beside an event's own parts: how many attributes MISP was not asked for.
UNASKED = "_unasked"


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


def take_names(names: dict[str, list[Attribute]], attributes: Iterable[Attribute]) -> list[Attribute]:
    """Take out the names of the files whose other members are among these attributes, by the id of their object."""
    objects = dict.fromkeys(object_id(each) for each in attributes)
    return [name for each in objects if each != "0" for name in names.pop(each, [])]


def by_object(attributes: Iterable[Attribute]) -> dict[str, list[Attribute]]:
    """Return attributes by the id of their object; "0" for those that are in none."""
    found: dict[str, list[Attribute]] = {}
    for each in attributes:
        found.setdefault(object_id(each), []).append(each)
    return found


def object_id(attribute: Mapping[str, Any]) -> str:
    """Return the id of the object that an attribute is a member of; "0" for none."""
    return str(attribute.get("object_id") or "0")


def _place(attribute: Attribute) -> tuple[str, int]:
    number = str(attribute.get("id"))
    return object_id(attribute), int(number) if number.isdecimal() else 0
