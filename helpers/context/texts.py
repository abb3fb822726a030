"""Descriptions of clusters as plain text, no longer than Sentinel's tables keep. Pure.

However a text is made, the time for it grows as its length does: nothing that is looked for has two parts of any length
that may hold the same characters, and what may begin inside itself has a bound.
"""

from __future__ import annotations

import re
from html import unescape

from helpers.text import one_line

# Sentinel's tables keep so much of a description (learn.microsoft.com/azure/sentinel/stix-objects-api).
LONGEST_DESCRIPTION = 1_000
_LOOKED_AT = 20 * LONGEST_DESCRIPTION  # MITRE's longest are of 6,000
_NO_BREAK_WITHIN = 60
# MITRE's descriptions name their sources so, and are written in Markdown with some HTML; all is on one line by then.
_CITATION = re.compile(r" ?\(Citation:(?:[^()]|\([^()]{0,200}\)){0,300}\)", re.IGNORECASE)
_ADDRESS = r"(?:https?://|/)(?:[^() ]|\([^() ]{0,200}\)){0,2000}"
_TITLE = r"(?:\"[^\"]{0,300}\"|'[^']{0,300}'|\([^()]{0,300}\))"
# CommonMark 0.31, sections 6.3 and 6.4; brackets before an address that is none of these are often code.
_LINKS_TO = rf"\]\( ?(?:<(?:https?://|/)[^<>]{{0,2000}}>|{_ADDRESS})(?: {_TITLE})? ?\)"
_LINK_MARKS = re.compile(rf"(!?\[|{_LINKS_TO}|\])", re.IGNORECASE)
_LOOKS_LIKE_A_LINK = re.compile(r"\]\((?= ?<?(?:https?://|/))", re.IGNORECASE)
_BARE_LINK = re.compile(r"<(https?://[^<> ]+)>", re.IGNORECASE)
# What formats a text. Of other elements, a description may tell: "a hidden <iframe>", "run it with <path>".
_ATTRIBUTES = r"(?: [^<>=]*=[^<>]*)? ?/?"
_IN_LINE = re.compile(
    r"</?(?:a|abbr|b|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|tt|u)"
    rf"{_ATTRIBUTES}>",
    re.IGNORECASE,
)
_BETWEEN_LINES = re.compile(
    r"</?(?:blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|table|tbody|td|tfoot|th|thead|tr|ul)" rf"{_ATTRIBUTES}>",
    re.IGNORECASE,
)
# CommonMark 0.31, section 2.5; unescape itself takes numbers of any length, and fails at those of thousands of digits.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def on_one_line(text: str) -> str:
    """Return a text without control characters, with one space wherever there was white space."""
    return one_line(_CONTROL.sub(" ", text))


def description_of(text: str) -> str:
    """Return a description without citations, Markdown links and HTML, cut at a word where there is one."""
    text = _without_links(_CITATION.sub("", on_one_line(text[:_LOOKED_AT])))
    text = _BARE_LINK.sub(r"\1", _BETWEEN_LINES.sub(" ", _IN_LINE.sub("", text)))
    text = on_one_line(_REFERENCE.sub(lambda found: unescape(found[0]), text))
    return cut_at_a_word(_LOOKS_LIKE_A_LINK.sub("] (", text), LONGEST_DESCRIPTION)


def _without_links(text: str) -> str:
    """Return a text with the words of its links alone, whatever brackets or images these have."""
    kept, opened = list[str](), list[int]()
    for part in _LINK_MARKS.split(text):
        if part.startswith("](") and opened:
            kept[opened.pop()] = ""
            continue
        if part in ("[", "!["):
            opened.append(len(kept))
        elif part == "]" and opened:
            opened.pop()
        kept.append(part)
    return "".join(kept)


def cut_at_a_word(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; "…" at its end says that more was cut off."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    words, _, rest = cut.rpartition(" ")
    whole = not text[most - 1].strip()
    return f"{(cut if whole or len(rest) > _NO_BREAK_WITHIN else words).rstrip()}…"
