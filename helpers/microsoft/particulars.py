"""What of a failure only somebody looks up who searches for it: ids, addresses, Microsoft's own words. Pure.

In the log, the ledger and JSON a failure is one text: a sentence, the particulars that are ours in brackets, and
Microsoft's words. A screen shows the sentence first and everything else last, each on a line of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WORDS = "Microsoft's words"
# What ours may be called; nothing else in brackets is taken for them.
_NAMES = ("app", "workspace", "resource group", "subscription", "scope", "login", "address")
_OWN = re.compile(rf"(?P<head>.*) \((?P<own>(?:{'|'.join(_NAMES)}): .*)\)", re.DOTALL)
_NAME = re.compile(rf"(?:^|; )({'|'.join(_NAMES)}): ")
# Microsoft, "AADSTS error codes": a description ends with these; other services word and set them otherwise.
_NUMBER = re.compile(
    r"[ ,;.]*[(\[]?\b(?P<name>(?:trace|correlation|(?:client[ -])?request|activity)[ -]?id|timestamp)"
    r"['\"]?\s*[:=]\s*['\"]?(?P<value>[0-9a-z-]{8,}(?:[ t]\d\d:\d\d:\d\d(?:\.\d+)?z?)?)['\"]?[)\]]?",
    re.IGNORECASE,
)


class Failure(NamedTuple):
    """A failure taken apart: what went wrong and what to do, and the particulars, as (name, value)."""

    sentence: str
    particulars: tuple[tuple[str, str], ...] = ()


def with_particulars(sentence: str, words: str = "", **own: str) -> str:
    """Return a failure as one text; ``own`` are particulars under one of ``_NAMES``, left out where empty."""
    named = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in own.items() if value)
    return " ".join(filter(None, [sentence, f"({named})" if named else "", f"{_WORDS}: {words}" if words else ""]))


def taken_apart(text: str) -> Failure:
    """Return a failure's sentence and its particulars; a text without any is the sentence."""
    head, _, words = text.partition(f" {_WORDS}: ")
    own = _OWN.fullmatch(head)
    sentence, in_sentence = _without_numbers(own["head"] if own else head)
    words, in_words = _without_numbers(words)
    particulars = [*_named(own["own"] if own else ""), *([(_WORDS, words)] if words else []), *in_sentence, *in_words]
    return Failure(sentence, tuple(dict.fromkeys(particulars)))


def _named(own: str) -> list[tuple[str, str]]:
    _, *parts = _NAME.split(own)  # the name of each, and its value, in turn
    return list(zip(parts[::2], parts[1::2], strict=True))


def _without_numbers(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a text without what only Microsoft's support can do something with, and these numbers."""
    numbers = [(number["name"], number["value"]) for number in _NUMBER.finditer(text)]
    return (_NUMBER.sub("", text).strip(), numbers) if numbers else (text, [])
