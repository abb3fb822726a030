"""Settings that are fine by themselves and do not go together, and files that they name and cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers.settings import clouds, credentials
from helpers.settings import validators as check

Problem = tuple[str, str]
CREDENTIAL = "ms_auth.credential"
SOURCE_SYSTEM = "MISP"
_TWO = "has two destinations"


def contradictions(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield (setting, what is wrong and the mend); ``values`` are what a site gives, by dotted name."""
    name = values.get(CREDENTIAL, credentials.DEFAULT)
    if credentials.chosen(name):
        keys = {known.removeprefix("ms_auth.") for known in values if known.startswith("ms_auth.")}
        yield from ((f"ms_auth.{key}", what) for key, what in credentials.foreign(name, keys))
    yield from clouds.problems(values)
    tenants = values.get("ms_tenants")
    if isinstance(tenants, list):
        yield from _of_destinations([each for each in tenants if isinstance(each, Mapping)], values)


def _of_destinations(tenants: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Find destinations without a workspace, and those that are one and the same.

    The Graph API needs no workspace, and has one destination in a tenant: it knows no source systems, so two would
    delete each other's indicators.
    """
    if values.get("ms_auth.graph_api") is True:
        if _twice(str(each.get("tenantId", "")).lower() for each in tenants):
            yield "ms_tenants", f"{_TWO} of the same tenantId, where the Graph API has one: name each once."
        return
    for number, tenant in enumerate(tenants):
        if not tenant.get("workspaceId"):
            yield f"ms_tenants[{number}]['workspaceId']", "must be given: write it."
    of_all = values.get("sourcesystem", SOURCE_SYSTEM)
    named = [(str(each["workspaceId"]).lower(), each) for each in tenants if each.get("workspaceId")]
    if _twice((workspace, each.get("sourcesystem") or of_all) for workspace, each in named):
        yield "ms_tenants", f"{_TWO} of the same workspace and sourcesystem: name each once."


def _twice(every: Iterable[object]) -> bool:
    listed = list(every)
    return any(each in listed[:position] for position, each in enumerate(listed))


def unusable_files(values: Mapping[str, Any], now: float) -> Iterator[Problem]:
    """Yield what is wrong with the certificate or the token's file, at ``now`` in seconds since 1970."""
    chosen = values.get(CREDENTIAL)
    if chosen == "certificate":
        path, password = _file(values.get("ms_auth.certificate_path")), values.get("ms_auth.certificate_password", "")
        if path and isinstance(password, str):
            from helpers.settings import certificates  # noqa: PLC0415  only where there is a certificate

            found = certificates.problem(path, password, now)
            yield from [(f"ms_auth.{found[0]}", found[1])] if found else []
    elif chosen == "workload_identity" and (path := _file(values.get("ms_auth.federated_token_file"))):
        words = check.unreadable(path)
        yield from [("ms_auth.federated_token_file", words)] if words else []


def _file(value: Any) -> Path | None:
    """Return the path, unless it is none, which has been told."""
    with suppress(ValueError):
        return check.absolute(check.path(value))
    return None
