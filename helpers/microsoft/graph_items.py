"""What the Graph API says of each item of a request. Pure.

Microsoft documents that a 200 or 206 has success or error data for each indicator, and not its fields: an
``id`` or our ``externalId`` speaks of success, an ``error`` or a ``code`` of failure. Deleting is answered with
``resultInfo`` (code, message, subCode), one for each item in their order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum, auto
from typing import Any

from helpers.indicators import external_id
from helpers.microsoft.api import Batch
from helpers.microsoft.responses import Answer, NextStep, Verdict, parsed, words_of


class Operation(StrEnum):
    """What is done with an object at Graph; each has an address of its own."""

    SUBMIT = "submitTiIndicators"
    UPDATE = "updateTiIndicators"
    DELETE = "deleteTiIndicators"
    DELETE_BY_EXTERNAL_ID = "deleteTiIndicatorsByExternalId"


_WORDS = 500
_GONE = re.compile(r"not\s*found|doesn.t exist|does not exist|no such", re.IGNORECASE)
_FINE = frozenset({"", "0", "200", "201", "202", "204", "ok", "success", "succeeded", "none", "noerror"})
_PASSING = frozenset({"408", "425", "429", "toomanyrequests", "serviceunavailable", "gatewaytimeout", "timeout"})
_DELETIONS = frozenset({Operation.DELETE, Operation.DELETE_BY_EXTERNAL_ID})


def by_item(answer: Answer, part: Batch) -> Verdict:
    """Read a 200 or 206: what became of each object of the part.

    A 206 that does not say so of every one is SPLIT: alone, an object has the whole answer to itself.
    """
    words = words_of(answer)
    items = _items(answer.text)
    if items is None:
        whole = answer.status == 200 and not answer.text.strip()
        return Verdict(NextStep.SETTLED) if whole else Verdict(NextStep.RETRY, f"an answer without items: {words}")
    placed = _placed(items, part)
    if answer.status == 206 and len(placed) < len(part.objects):
        return Verdict(NextStep.SPLIT, words)
    troubles = {position: _trouble(item, part.operation) for position, item in placed.items()}
    sorted_: dict[_Fate, dict[int, str]] = {fate: {} for fate in _Fate}
    for position, (code, said) in troubles.items():
        sorted_[_fate(code, said, part.operation)][position] = said
    return Verdict(
        NextStep.SETTLED,
        words,
        rejected=sorted_[_Fate.REJECTED],
        failed=sorted_[_Fate.FAILED],
        remote_ids={position: str(item["id"]) for position, item in placed.items() if item.get("id")},
        lost=frozenset(sorted_[_Fate.LOST]),
    )


class _Fate(Enum):
    DONE = auto()
    REJECTED = auto()
    FAILED = auto()
    LOST = auto()


def _fate(code: str, said: str, operation: str) -> _Fate:
    """Say what became of one item; what is not there under Graph's id may be there under another."""
    if not said:
        return _Fate.DONE
    if operation in (*_DELETIONS, Operation.UPDATE) and (code == "404" or _GONE.search(said)):
        return _Fate.DONE if operation == Operation.DELETE_BY_EXTERNAL_ID else _Fate.LOST
    passing = code in _PASSING or (code.isdigit() and 500 <= int(code) < 600)
    return _Fate.FAILED if passing else _Fate.REJECTED


def _items(text: str) -> list[Any] | None:
    body = parsed(text)
    value = body.get("value") if isinstance(body, dict) else None
    return value if isinstance(value, list) else None


def _placed(items: Sequence[Any], part: Batch) -> dict[int, Mapping[str, Any]]:
    """Return the items by the position of the object that each is about: by our id where it says it, else in order."""
    positions = {external_id(each["id"]): position for position, each in enumerate(part.objects)}
    in_order = len(items) == len(part.objects)
    placed: dict[int, Mapping[str, Any]] = {}
    for number, item in enumerate(items):
        if not isinstance(item, Mapping):
            continue
        named = str(item.get("externalId") or "")
        position = positions.get(named) if named else (number if in_order else None)
        if position is not None:
            placed[position] = item
    return placed


def _trouble(item: Mapping[str, Any], operation: str) -> tuple[str, str]:
    """Return code and words of a failure; no words where the item speaks of none."""
    error = item.get("error")
    found = error if isinstance(error, Mapping) else item
    code = "" if found.get("code") is None else str(found["code"]).strip().lower()
    message = str(found.get("message") or (error if isinstance(error, str) else ""))
    without_id = operation not in _DELETIONS and not (item.get("id") or item.get("externalId"))
    if not error and code.replace(" ", "") in _FINE and not (message and without_id):
        return "", ""
    below = str(found.get("subCode") or found.get("subcode") or "").removeprefix("0")
    said = ": ".join(filter(None, [str(found.get("code") or ""), message, below])) or "no reason given"
    return code, " ".join(said.split())[:_WORDS]
