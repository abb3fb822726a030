"""The ids of Azure, all of which look alike: one that was copied into two places, and two that were exchanged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from helpers.settings import validators

_IN_AUTH = ("tenant", "client_id", "workspace_id", "subscription_id")
_IN_TENANT = ("tenantId", "id", "workspaceId", "subscription_id")


def problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong and how to fix it); ``values`` are what a site sets, by dotted name."""
    tenants = values.get("ms_tenants")
    if not tenants:  # else each destination has its own
        auth = {key: values.get(f"ms_auth.{key}") for key in _IN_AUTH}
        yield from _of_one(auth, {key: (f"ms_auth.{key}", f"ms_auth['{key}']") for key in _IN_AUTH})
    elif isinstance(tenants, list):
        for number, tenant in enumerate(tenants):
            if isinstance(tenant, Mapping):
                names = {key: f"ms_tenants[{number}]['{key}']" for key in _IN_TENANT}
                yield from _of_one(tenant, {key: (name, name) for key, name in names.items()})


def _of_one(values: Mapping[str, Any], names: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Look at the ids of one destination; ``names`` has each as a problem names it, and as it is written."""
    given = {key: value.lower() for key in names if isinstance(value := values.get(key), str)}
    for first, second in combinations(given, 2):
        if given[first] == given[second] and validators.GUID.fullmatch(given[first]):
            yield names[second][0], f"is the same GUID as {names[first][1]}, which cannot be: copy both of them again."
    tenant, client = (given.get(key, "") for key in list(names)[:2])
    if validators.GUID.fullmatch(tenant) and validators.DOMAIN.fullmatch(client):
        (name, _), (_, other) = list(names.values())[:2]
        yield name, f"and {other} are exchanged, since a domain name is a tenant's: exchange them."
