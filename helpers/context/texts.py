"""Descriptions of clusters as plain text, no longer than Sentinel's tables keep. Pure."""

from __future__ import annotations

import re
from html import unescape

from helpers.text import one_line

# Sentinel's tables keep so much of a description (learn.microsoft.com/azure/sentinel/stix-objects-api).
LONGEST_DESCRIPTION = 1_000
_LOOKED_AT = 20 * LONGEST_DESCRIPTION  # MITRE's longest are of 6,000
_NO_BREAK_WITHIN = 60
_NESTED = r"(?:[^()]|\([^()]{0,200}\))"
# MITRE's descriptions name their sources so, and are written in Markdown with some HTML.
_CITATION = re.compile(rf"\s*\(Citation:{_NESTED}{{0,300}}\)", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]{1,300})\]\((?:https?://|/)(?:[^()\s]|\([^()\s]{0,200}\)){0,2000}\)", re.IGNORECASE)
_IN_LINE = re.compile(r"</?(?:code|b|i|em|strong|sup|sub)>", re.IGNORECASE)
_BETWEEN_LINES = re.compile(r"</?(?:br|p|ul|ol|li|pre)\s*/?>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def on_one_line(text: str) -> str:
    """Return a text without control characters, with one space wherever there was white space."""
    return one_line(_CONTROL.sub(" ", text))


def description_of(text: str) -> str:
    """Return a description without citations, Markdown links and HTML, cut at a word where there is one."""
    text = _LINK.sub(r"\1", _CITATION.sub("", text[:_LOOKED_AT]))
    text = unescape(_BETWEEN_LINES.sub(" ", _IN_LINE.sub("", text)))
    return cut_at_a_word(on_one_line(text), LONGEST_DESCRIPTION)


def cut_at_a_word(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; "…" at its end says that more was cut off."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    words, _, rest = cut.rpartition(" ")
    whole = not text[most - 1].strip()
    return f"{(cut if whole or len(rest) > _NO_BREAK_WITHIN else words).rstrip()}…"
