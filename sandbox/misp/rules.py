"""Rules: what the sandbox's MISP takes of what it is sent, and how it keeps it (measured on MISP 2.5.1)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from pymisp.tools.attributevalidationtool import AttributeValidationTool

from sandbox.misp.records import Record

TEMPLATE = ("template_uuid", "template_version", "description", "meta-category")
DUPLICATE = "A similar attribute already exists for this event."


class InternalError(Exception):
    """MISP answers 500: a character that its database does not take."""


@cache
def defaults() -> dict[str, Record]:
    """Give for each type its default category and whether it is for detection."""
    text = (files("pymisp") / "data" / "describeTypes.json").read_text(encoding="utf-8")
    by_type: dict[str, Record] = json.loads(text)["result"]["sane_defaults"]
    return by_type


def refuse_wide(*texts: object) -> None:
    """Raise InternalError for a character above U+FFFF in a text that is no attribute's value."""
    if any(ord(letter) > 0xFFFF for text in texts for letter in str(text or "")):
        raise InternalError


def attribute(fields: Record) -> tuple[Record, str]:
    """Give an attribute as it is kept, and what is wrong with it; characters above U+FFFF in a value become ``?``."""
    kind = str(fields.get("type"))
    if kind not in defaults():
        return fields, "Options depend on the selected category and type."
    usual = defaults()[kind]
    value = "".join(letter if ord(letter) <= 0xFFFF else "?" for letter in str(fields.get("value") or ""))
    rules: Any = AttributeValidationTool
    kept = {"category": usual["default_category"], "to_ids": bool(usual["to_ids"]), **fields}
    try:
        kept["value"] = rules.modifyBeforeValidation(kind, value)
        verdict = (
            rules.validate(kind, kept["value"]) if kept["value"] else "Value not set or expected attribute not found."
        )
    except UnicodeError:
        verdict = "Value cannot be converted."
    if len(str(kept["value"]).encode()) > 65535:
        verdict = "The entered string is too long and would get truncated."
    return kept, "" if verdict is True else str(verdict)


def same(first: Record, second: Record) -> bool:
    """Say whether two attributes are the same to MISP, whatever their comments."""
    return all(first.get(name) == second.get(name) for name in ("type", "value", "category"))


def has_template(object_: Record) -> bool:
    """Say whether an object brings what MISP needs to know of a template that it lacks."""
    return all(object_.get(name) for name in TEMPLATE)


def moment(value: object) -> str | None:
    """Write first_seen and last_seen as MISP shows them."""
    if not value:
        return None
    return datetime.fromisoformat(str(value)).astimezone(UTC).isoformat(timespec="microseconds")


def day(seconds: float) -> str:
    """Give the day of a time, as events are dated."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
