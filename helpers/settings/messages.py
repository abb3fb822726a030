"""What is wrong with a value, in words: pydantic's errors as sentences, placeholders, Key Vault references.

No text here repeats a value that could hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr
from pydantic_core import ErrorDetails

from helpers.text import did_you_mean

_PLACEHOLDER = re.compile(r"\s*(?:(?:https?://)?<[^<>]*>/?|\.{3}|…)\s*")
_REFERENCE = "@microsoft.keyvault("
UNRESOLVED = (
    "holds a Key Vault reference that was not resolved: give the app's identity the role Key Vault Secrets User "
    "(or the secret permission Get), compare the names of vault and secret, let the app through the vault's "
    "firewall, then restart it; outside of App Service and Functions, use key_vault_name."
)
_DESTINATIONS = (
    'must be a list: write [{ "tenantId": …, "id": …, "secret": …, "workspaceId": … }], also for a single one.'
)
# What pydantic expected, by its type of error.
_EXPECTED = {
    "string_type": "text: put it in quotes",
    "int_type": "a whole number: write digits without quotes or a point",
    "float_type": "a number: write it without quotes",
    "finite_number": "a finite number: write it in digits",
    "bool_type": "True or False: write one of them without quotes",
    "dict_type": 'a dictionary: write { "key": value, … }',
    "model_type": 'a dictionary: write { "tenantId": …, "id": …, "secret": …, "workspaceId": … }',
    "list_type": 'a list: write ["…", "…"], also around a single one',
    "missing": "given: write it",
}
_BOUNDS = {
    "ge": ("at least", "larger"),
    "gt": ("more than", "larger"),
    "le": ("at most", "smaller"),
}


def sentences(details: ErrorDetails, destination_keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return one of pydantic's errors in words, without the value: (path below the setting, what is wrong).

    ``destination_keys`` has each key of a destination, by what people write for it in lower case.
    """
    problems: list[tuple[str, str]] = details.get("ctx", {}).get("problems", [])
    return problems or [("", _sentence(details, destination_keys))]


def _sentence(details: ErrorDetails, destination_keys: Mapping[str, str]) -> str:
    context = details.get("ctx", {})
    if "error" in context:
        return str(context["error"])
    if details["type"] == "extra_forbidden":
        return _no_such_key(str(details["loc"][-1]), destination_keys)
    if details["type"] == "list_type" and details["loc"][0] == "ms_tenants":  # a Function once had it by tenant
        return _DESTINATIONS
    if details["type"] in _EXPECTED:
        return f"must be {_EXPECTED[details['type']]}."
    for bound, (relation, other) in _BOUNDS.items():
        if bound in context:
            return f"must be {relation} {context[bound]}: write a {other} number."
    return f"must be {context.get('expected', 'of another kind')}: write one of these."


def _no_such_key(name: str, destination_keys: Mapping[str, str]) -> str:
    meant = did_you_mean(name, destination_keys)
    if meant:
        return f"is not a key of a destination: write {destination_keys[meant]!r}, if that is meant."
    return "is not a key of a destination: take it out, or look for a slip in its name."


def unreadable_file(error: OSError) -> str:
    """Say why a file cannot be read, and what to do."""
    return f"cannot be read ({error.strerror}): name a file that is there and that this user may read."


def texts_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path below the setting, text) for each text in ``value``, those in keys of dictionaries too."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts_in(key, path)
            yield from texts_in(inner, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts_in(inner, f"{path}[{index}]")


def is_placeholder(text: str) -> bool:
    """Say whether a placeholder like ``<tenant>`` was left."""
    return _PLACEHOLDER.fullmatch(text) is not None


def is_vault_reference(text: str) -> bool:
    """Say whether this is a Key Vault reference, which App Service leaves as it is when it cannot resolve it."""
    return text.strip().lower().startswith(_REFERENCE)
