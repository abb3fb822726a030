"""What a value of any kind has around it and in it that nobody sees, and defanging. Pure."""

from __future__ import annotations

import re

from constants import LONGEST_OTHER, LONGEST_VALUES, Skip
from helpers.indicators.values.value import Unsendable

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt): what is not shown. Left out of it are what shapes
# emoji, and the joiners, which count in names of some scripts (RFC 5892, appendix A).
_UNSEEN = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x200E, 0x200F, 0x3164, 0xFEFF, 0xFFA0),
    *(*range(0x180B, 0x1810), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFFF0, 0xFFFC)),
)
_JOINERS = "\u200c\u200d"
_WITHOUT_UNSEEN = dict.fromkeys(_UNSEEN)
_WITHOUT_JOINERS = dict.fromkeys(map(ord, _JOINERS))
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOUBLE, _SINGLE = '"“”„‟«»＂', "'‘’‚‛‹›`´"
# What closes what may stand around a value, by what opens it.
_CLOSING = {**dict.fromkeys(_DOUBLE, _DOUBLE), **dict.fromkeys(_SINGLE, _SINGLE), "<": ">"}
WRAPPING = "".join(_CLOSING) + ">"
_AROUND = _BLANKS + _JOINERS + "".join(map(chr, (*_UNSEEN, *range(0x20), *range(0x7F, 0xA0))))
EDGES = _AROUND + WRAPPING
_DEFANGED = re.compile(r"(?<![\[(])[\[(]+(\.|dot|:|@|at)[\])]+", re.IGNORECASE)
_READABLE = {"dot": ".", "at": "@"}


def text_in(value: object) -> str:
    """Return a text without what nobody sees at its ends. Raises Unsendable for what is none."""
    text = value.strip() if isinstance(value, str) else ""
    if not (text.isascii() and text.isprintable()):
        text = _storable_part(text).strip(_AROUND)
    if not text:
        raise Unsendable(Skip.BAD_VALUE, "the value is empty or not text")
    return text


def _storable_part(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Unsendable(Skip.BAD_VALUE, "the value holds half a character (a lone surrogate)")
    if "\0" in text:
        raise Unsendable(Skip.BAD_VALUE, "the value holds NUL, at which MISP's and PostgreSQL's texts end")
    return text


def visible(text: str, *, joiners: bool = True) -> str:
    """Return a value that no log has with characters that are not shown. Raises Unsendable for control characters.

    ``joiners`` stay where there is more than ASCII for them to join.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.translate(_WITHOUT_UNSEEN)
    if _CONTROL.search(text):
        raise Unsendable(Skip.BAD_VALUE, "the value holds a control character, such as a line's end")
    without = text.translate(_WITHOUT_JOINERS)
    return text if joiners and not without.isascii() else without


def unwrapped(text: str) -> str:
    """Take off quotes and angle brackets that stand around a whole value, however many there are."""
    while len(text) > 1 and text[-1] in _CLOSING.get(text[0], ""):
        text = text[1:-1].strip(_AROUND)
    return text


def opened(text: str) -> str:
    """Take off quotes and angle brackets as above, and those before a value that ends without one."""
    while text[:1] in _CLOSING:
        closed = len(text) > 1 and text[-1] in _CLOSING[text[0]]
        text = text[1 : -1 if closed else None].strip(_AROUND)
    return text


def plain(text: str) -> str:
    """Return what people typed without quotes, angle brackets and what nobody sees around it, or unseen within."""
    return text.translate(_WITHOUT_UNSEEN).strip(EDGES)


def refanged(text: str) -> str:
    """Take the brackets off what stands for a dot, a colon or an at sign, however many there are.

    What analysts type is taken apart further in ``helpers/ledger/spellings.py``: that is only compared, so braces,
    blanks and backslashes cost nothing there. This is sent, and must not change a value that means what it says.
    """
    return _DEFANGED.sub(lambda match: _READABLE.get(match[1].lower(), match[1]), text)


def no_longer(kind: str, text: str) -> str:
    """Return a value of a type, or raise Unsendable: what is too long costs no more than being counted."""
    longest = LONGEST_VALUES.get(kind, LONGEST_OTHER)
    if len(text) > longest:
        raise Unsendable(Skip.TOO_LONG, f"{len(text):,} characters, where {kind} has at most {longest:,}")
    return text


def storable(text: str) -> str:
    """Return a text that UTF-8 and PostgreSQL can hold: half characters (lone surrogates) and NUL become "?"."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "?")
