"""What misp-stix makes of a plain value, asked of it once for each type and filled in from then on. Pure.

misp-stix needs more than a millisecond for an attribute, most of it to check again a pattern that differs from the
last one of its type in the value alone. A value is plain when neither PyMISP nor a STIX pattern would write it in
another way; all others, and all objects, go through misp-stix itself. What the pinned version answers is in
``known.py``: so it is not even imported, which takes half a second, where all values are plain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

from helpers.indicators import misp_stix
from helpers.indicators.patterns import observables
from helpers.indicators.templates import known
from helpers.indicators.templates.template import FilledTemplate, PatternTemplate, Question
from helpers.indicators.values import Value

# Printable ASCII without what a STIX pattern escapes and without MISP's mark between the halves of a composite.
_PLAIN = re.compile(r"[!-&(-\[\]-{}~]+")
# The same of types whose values have blanks and backslashes; misp-stix escapes the latter, and rewrites % in keys.
_PLAIN_TEXT = re.compile(r"[ -$&(-{}~]+")
_TEXTS = ("filename", "mutex", "regkey")
ADDRESSES = ("192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32")
_HASH = "0123456789abcdef" * 8
_DIGITS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha512/224": 56}
_DIGITS |= {"sha512/256": 64, "imphash": 32, "authentihash": 64, "pehash": 40}
_DIGITS |= {"x509-fingerprint-md5": 32, "x509-fingerprint-sha1": 40, "x509-fingerprint-sha256": 64}
# A value of each type that there may be a template for.
EXAMPLES: Mapping[str, str] = {
    **{kind: _HASH[:digits] for kind, digits in _DIGITS.items()},
    "domain": "example.org",
    "hostname": "www.example.org",
    "url": "https://example.org/a",
    "email": "someone@example.org",
    "email-src": "someone@example.org",
    "email-dst": "someone@example.org",
    "filename": "example.exe",
    "mutex": "example",
    "regkey": "HKEY_CURRENT_USER",
}
# What PyMISP takes as it is, of plain values of these types, so that it need not be asked. Addresses are canonical.
_EMAIL = re.compile(r"[^A-Z\[(@]+@[^A-Z\[(@.]+\.[^A-Z\[(]+")
TAKEN: Mapping[str, re.Pattern[str]] = {
    **{kind: re.compile(f"[0-9a-f]{{{digits}}}") for kind, digits in _DIGITS.items()},
    **dict.fromkeys(("domain", "hostname"), re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.[a-z0-9-]{2,}")),
    **dict.fromkeys(("email", "email-src", "email-dst"), _EMAIL),
    **dict.fromkeys((*_TEXTS, "ip-src", "ip-dst"), re.compile(r"\S(?:.*\S)?")),
    "url": re.compile(r"(?:https?|ftp)://[^\[(]+"),
}
# misp-stix wants the attribute that it is shown to have a UUID.
_UUID = "00000000-0000-4000-8000-000000000001"
# What of an indicator does not depend on its attribute's UUID, value and time.
_KEPT = ("type", "pattern_type", "kill_chain_phases")


def from_template(uuid: str, value: Value) -> FilledTemplate | None:
    """Return what misp-stix would make of a plain value; None for all that has to go through misp-stix itself."""
    typed_parts = value.typed_parts
    examples = tuple([_example(kind, part) for kind, part in typed_parts])
    if "" in examples or not (all(_is_surely_taken(*part) for part in typed_parts) or _is_taken(value)):
        return None
    template = template_of(value.type, examples)
    return template.filled(uuid, value.parts) if template else None


def _example(kind: str, part: str) -> str:
    """Return the value that stands for all plain ones of its type; empty for one that is not plain."""
    if not (_PLAIN_TEXT if kind in _TEXTS else _PLAIN).fullmatch(part):
        return ""
    if kind in ("ip-src", "ip-dst"):
        return ADDRESSES[(":" in part) * 2 + ("/" in part)]
    return EXAMPLES.get(kind, "")


def _is_surely_taken(kind: str, part: str) -> bool:
    return kind in TAKEN and TAKEN[kind].fullmatch(part) is not None


def _is_taken(value: Value) -> bool:
    kind, text = value.type, value.text
    return misp_stix.as_rewritten(kind, text) == text and not misp_stix.refusal(kind, text)


@cache
def template_of(kind: str, examples: tuple[str, ...]) -> PatternTemplate | None:
    """Return the template of such values; None where there can be none."""
    question = (kind, examples)
    return known.TEMPLATES[question] if question in _known() else ask(question)


@cache
def _known() -> Collection[Question]:
    """Return of what the template is known that the misp-stix that is installed would give."""
    return known.TEMPLATES.keys() if misp_stix.version() == known.VERSION else ()


def ask(question: Question) -> PatternTemplate | None:
    """Ask misp-stix what it makes of examples; None where its pattern does not hold each of them once."""
    kind, examples = question
    attribute = {"uuid": _UUID, "type": kind, "value": "|".join(examples), "to_ids": True, "timestamp": "1"}
    stix = misp_stix.convert([{**attribute, "object_relation": kind}]).indicators.get(_UUID)
    literals = [f"'{example}'" for example in examples]
    if not stix or stix["pattern_type"] != "stix" or any(stix["pattern"].count(literal) != 1 for literal in literals):
        return None
    pieces = re.split(f"({'|'.join(map(re.escape, literals))})", stix["pattern"])
    positions = [(observable.path, examples.index(observable.value)) for observable in observables(stix["pattern"])]
    return PatternTemplate(
        {name: stix[name] for name in _KEPT if name in stix},
        (f"{pieces[0]}'", *(f"'{piece}'" for piece in pieces[2:-1:2]), f"'{pieces[-1]}"),
        tuple(literals.index(piece) for piece in pieces[1::2]),
        tuple(positions),
    )


def questions() -> list[Question]:
    """Return all that there may be a template of."""
    single = [(kind, (example,)) for kind, example in EXAMPLES.items()]
    addresses = [(kind, (address,)) for kind in ("ip-src", "ip-dst") for address in ADDRESSES]
    return [*single, *addresses, *(("domain|ip", (EXAMPLES["domain"], address)) for address in ADDRESSES)]
