"""What an answer of the Graph API means for each item of a request. Pure.

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
from helpers.microsoft.batch import Batch
from helpers.microsoft.responses import Answer, NextStep, Verdict, own_words, parse_json_or_none, words_of


class Operation(StrEnum):
    """What is done with an object at Graph; each has an address of its own."""

    SUBMIT = "submitTiIndicators"
    UPDATE = "updateTiIndicators"
    DELETE = "deleteTiIndicators"
    DELETE_BY_EXTERNAL_ID = "deleteTiIndicatorsByExternalId"


_GONE = re.compile(r"not\s*found|doesn.t exist|does not exist|no such", re.IGNORECASE)
_SERVER_ERROR = re.compile("5[0-9]{2}")
# An id of Graph's, which the ledger keeps; 36 characters at the time of writing.
_REMOTE_ID = re.compile(r"[\w.~=+/-]{1,200}", re.ASCII)
_SUCCESS = frozenset({"", "0", "200", "201", "202", "204", "ok", "success", "succeeded", "none", "noerror"})
_PASSING = frozenset({"408", "425", "429", "toomanyrequests", "serviceunavailable", "gatewaytimeout", "timeout"})
_DELETIONS = frozenset({Operation.DELETE, Operation.DELETE_BY_EXTERNAL_ID})


def interpret_items(answer: Answer, batch: Batch) -> Verdict:
    """Read a 200 or 206: what became of each object of the batch.

    A 206 that does not say so of every one is SPLIT: sent singly, an object has the whole answer to itself.
    """
    words = words_of(answer)
    items = _items(answer.text)
    if items is None:
        empty = answer.status == 200 and not answer.text.strip()
        return Verdict(NextStep.SETTLED) if empty else Verdict(NextStep.RETRY, f"an answer without items: {words}")
    by_position = _by_position(items, batch)
    if answer.status == 206 and len(by_position) < len(batch.objects):
        return Verdict(NextStep.SPLIT, words)
    failures: dict[_Result, dict[int, str]] = {result: {} for result in _Result}
    for position, item in by_position.items():
        code, message = _error(item, batch.operation)
        failures[_result(code, message, batch.operation)][position] = message
    return Verdict(
        NextStep.SETTLED,
        words,
        rejected=failures[_Result.REJECTED],
        failed=failures[_Result.FAILED],
        remote_ids={position: id_ for position, item in by_position.items() if (id_ := _remote_id(item))},
        lost=frozenset(failures[_Result.LOST]),
    )


class _Result(Enum):
    DONE = auto()
    REJECTED = auto()
    FAILED = auto()
    LOST = auto()


def _result(code: str, message: str, operation: str) -> _Result:
    """Say what became of one item; what is not there under Graph's id may be there under another."""
    if not message:
        return _Result.DONE
    if operation in (*_DELETIONS, Operation.UPDATE) and (code == "404" or _GONE.search(message)):
        return _Result.DONE if operation == Operation.DELETE_BY_EXTERNAL_ID else _Result.LOST
    passing = code in _PASSING or _SERVER_ERROR.fullmatch(code)
    return _Result.FAILED if passing else _Result.REJECTED


def _items(text: str) -> list[Any] | None:
    body = parse_json_or_none(text)
    value = body.get("value") if isinstance(body, dict) else None
    return value if isinstance(value, list) else None


def _by_position(items: Sequence[Any], batch: Batch) -> dict[int, Mapping[str, Any]]:
    """Return the items by the position of the object that each is about: by our id where it says it, else in order."""
    positions = {external_id(object_.id): position for position, object_ in enumerate(batch.objects)}
    in_order = len(items) == len(batch.objects)
    by_position: dict[int, Mapping[str, Any]] = {}
    for number, item in enumerate(items):
        if not isinstance(item, Mapping):
            continue
        our_id = str(item.get("externalId") or "")
        position = positions.get(our_id) if our_id else (number if in_order else None)
        if position is not None:
            by_position[position] = item
    return by_position


def _remote_id(item: Mapping[str, Any]) -> str:
    """Return Graph's id of an item; empty where it is none that could be kept and asked for again."""
    id_ = str(item.get("id") or "")
    return id_ if _REMOTE_ID.fullmatch(id_) else ""


def _error(item: Mapping[str, Any], operation: str) -> tuple[str, str]:
    """Return code and words of a failure; no words where the item speaks of none."""
    error = item.get("error")
    details = error if isinstance(error, Mapping) else item
    code = "" if details.get("code") is None else str(details["code"]).strip().lower()
    message = str(details.get("message") or (error if isinstance(error, str) else ""))
    # A message is no failure in itself: a deletion's success may have one, and so may an item that has an id.
    without_id = operation not in _DELETIONS and not (item.get("id") or item.get("externalId"))
    if not error and code.replace(" ", "") in _SUCCESS and not (message and without_id):
        return "", ""
    sub_code = str(details.get("subCode") or details.get("subcode") or "").removeprefix("0")
    words = ": ".join(filter(None, [str(details.get("code") or ""), message, sub_code])) or "no reason given"
    return code, own_words(words)
