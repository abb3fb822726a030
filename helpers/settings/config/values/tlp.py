"""A level of the Traffic Light Protocol as people write it. Pure."""

from __future__ import annotations

import re

from constants import TLP_2_LEVELS

# ``tlp-white`` is how misp2sentinel's constants.py had it, ``TLP:RED`` how FIRST writes it.
_WRITTEN = re.compile(r"(?:tlp\s*[:_ -]\s*)?([a-z]+)(?:\s*[+_ -]\s*(strict))?", re.IGNORECASE)


def tlp_word(text: object) -> str:
    """Return the word of TLP 1.0 or 2.0 that a text means: ``"TLP:AMBER+STRICT"`` → ``amber+strict``.

    Raises ValueError where it means none.
    """
    match = _WRITTEN.fullmatch(text.strip()) if isinstance(text, str) else None
    word = "+".join(part.lower() for part in match.groups() if part) if match else ""
    if word not in TLP_2_LEVELS:
        raise ValueError(f"is not a TLP: write one of {', '.join(TLP_2_LEVELS)}.")
    return word
