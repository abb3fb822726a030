"""One STIX pattern, taken apart into the single observables that Sentinel can match. Pure.

Sentinel fills ObservableKey and ObservableValue only from a pattern with one comparison; what has
AND, OR or a list is stored and matches nothing (Azure-Sentinel issue 12075).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
# The URL in a pattern, as STIX writes it and as it is recorded of a tiIndicator.
_URL = re.compile(r"\[url(?::value)? = '([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL)
_PLAIN_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ENDS = ("", "Source", "Destination")  # of a connection, as Graph's properties name them
_EMAIL_ADDRESS_REFS = frozenset({"from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs"})

LONGEST_PATH = 64
OTHER = "other"
# What people call kinds of indicators, by what begins the first path in a pattern: STIX's, or a property of Graph's.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "domain": ("domain-name:", "domainName"),
    "address": ("ipv4-addr:", "ipv6-addr:", *(f"network{end}{what}" for end in _ENDS for what in ("IPv", "Cidr"))),
    "url": ("url",),
    "hash": ("file:hashes.", "fileHash"),
    "file": ("file",),
    "email": ("email",),
    "certificate": ("x509-certificate:",),
    "registry_key": ("windows-registry-key:",),
    "mutex": ("mutex:",),
    "autonomous_system": ("autonomous-system:", "networkSourceAsn", "networkDestinationAsn"),
    "network_traffic": ("network", "userAgent"),
    "mac_address": ("mac-addr:",),
}


class Observable(NamedTuple):
    """One comparison: ``path`` as STIX writes it (``file:hashes.'SHA-256'``), ``value`` unescaped."""

    path: str
    value: str

    @property
    def pattern(self) -> str:
        """The STIX pattern of this observable alone, with quotes and backslashes escaped."""
        escaped = self.value.replace("\\", "\\\\").replace("'", "\\'")
        return f"[{self.path} = '{escaped}']"


@dataclass(frozen=True)
class _Comparison:
    kind: str
    steps: tuple[str, ...]
    value: str

    @property
    def path(self) -> str:
        return self.kind + ":" + _written(self.steps)


def observables(pattern: str) -> list[Observable]:
    """Return what Sentinel can match of a STIX 2.1 pattern, in the pattern's order, each once.

    Raises ValueError when the pattern cannot be parsed.
    """
    comparisons = list(_comparisons(pattern))
    single = len(comparisons) == 1
    matchable = filter(None, (_observable(comparison, single) for comparison in comparisons))
    return list(dict.fromkeys(_without_file_names(matchable)))


def compared_values(pattern: str) -> list[str]:
    """Return every text that a STIX 2.1 pattern compares anything with. Raises ValueError when it cannot be parsed."""
    by_kind = _by_kind(pattern).values()
    literals = (str(literal) for tests in by_kind for *_, literal in tests)
    return list(dict.fromkeys(_unescaped(text) for literal in literals for text in _LITERAL.findall(literal)))


def first_path(pattern: str) -> str:
    """Return the path that a pattern compares first, however the pattern was made: as much of it as tells the kind."""
    return pattern[1:].partition(" ")[0][:LONGEST_PATH]


def in_small_letters(pattern: str) -> str:
    """Return the pattern of a URL with that in small letters; empty where it has no capital ones, or is no URL."""
    found = _URL.match(pattern)
    if not found or found[1] == (small := found[1].lower()):
        return ""
    return f"{pattern[: found.start(1)]}{small}{pattern[found.end(1) :]}"


def kind_of(path: str) -> str:
    """Return what people call an indicator whose pattern compares this path first."""
    kinds = (kind for kind, begins in _KINDS.items() if path.startswith(begins))
    return next(kinds, OTHER)


def address_path(value: str) -> str:
    """Return the path under which Sentinel knows an IP address or block; ValueError if it is neither."""
    version = ipaddress.ip_network(value, strict=False).version
    return f"ipv{version}-addr:value"


def _by_kind(pattern: str) -> Mapping[str, Iterable[Any]]:
    """Return the comparisons of a pattern, each with its path, operator and literal."""
    from stix2patterns.exceptions import ParseException  # noqa: PLC0415  ANTLR's grammar is slow to import
    from stix2patterns.v21.pattern import Pattern  # noqa: PLC0415

    try:
        comparisons: Mapping[str, Iterable[Any]] = Pattern(pattern).inspect().comparisons
    except ParseException as error:
        raise ValueError(f"not a STIX pattern: {error}") from error
    return comparisons


def _comparisons(pattern: str) -> Iterator[_Comparison]:
    for kind, tests in _by_kind(pattern).items():
        for steps, operator, literal in tests:
            if operator == "=" and literal.startswith("'"):
                yield _Comparison(kind, tuple(map(_step, steps)), _unescaped(literal))


def _step(step: object) -> str:
    return f"[{step}]" if isinstance(step, int) else step if isinstance(step, str) else "[*]"


def _written(steps: Iterable[str]) -> str:
    parts = [step if _PLAIN_STEP.match(step) or step.startswith("[") else f"'{step}'" for step in steps]
    return ".".join(parts).replace(".[", "[")


def _unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1], flags=re.DOTALL)


def _observable(comparison: _Comparison, single: bool) -> Observable | None:
    """Return what Sentinel matches of one comparison; ``single`` says that the pattern has no other."""
    kind, steps = comparison.kind, comparison.steps
    if any(step.startswith("x_misp_") for step in steps):
        return None
    if kind == "network-traffic" and steps[0] != "extensions":
        return _traffic(comparison, single)
    if kind == "email-message" and steps[-1] == "value" and steps[0] in _EMAIL_ADDRESS_REFS:
        return Observable("email-addr:value", comparison.value)
    if kind == "domain-name" and steps[0] == "resolves_to_refs":
        return _address(comparison.value)
    if kind == "windows-registry-key" and steps[0] != "key":
        return None
    return Observable(comparison.path, comparison.value)


def _traffic(comparison: _Comparison, single: bool) -> Observable | None:
    """Return an address or a name at either end; a port or protocol counts only where nothing else is said."""
    if comparison.steps[-1] == "value":
        return _address(comparison.value) or Observable("domain-name:value", comparison.value)
    return Observable(comparison.path, comparison.value) if single else None


def _address(value: str) -> Observable | None:
    try:
        return Observable(address_path(value), value)
    except ValueError:
        return None


def _without_file_names(matchable: Iterable[Observable]) -> list[Observable]:
    """Leave out a file's name where its hashes are known: a name by itself also matches other files."""
    observables_ = list(matchable)
    if any(observable.path.startswith("file:hashes") for observable in observables_):
        return [observable for observable in observables_ if observable.path != "file:name"]
    return observables_
