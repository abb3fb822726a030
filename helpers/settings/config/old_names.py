"""Names that settings had in older versions, and that others have for them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

RENAMED = {
    "graph_auth": "ms_auth",
    "targetProduct": "ms_target_product",
    "action": "ms_action",
    "passiveOnly": "ms_passiveonly",
    "defaultConfidenceLevel": "default_confidence",
    "misp_ignore_localtags": "ignore_localtags",
}
NEEDLESS = {
    "remove_pipe_from_misp_attribute": "composite attributes are always taken apart",
    "ms_check_if_exist_in_sentinel": "ids are stable, so an upload replaces and there is nothing to check",
    "timeframe_toids_change": "to_ids is read again in each run",
}
# What others call a setting; no name of it is taken, the right one is named.
MEANT = {
    "mispurl": "misp_domain",
    "mispkey": "misp_key",
    "misp_url": "misp_domain",
    "misp_base_url": "misp_domain",
    "misp_host": "misp_domain",
    "misp_api_key": "misp_key",
    "misp_ssl_verify": "misp_verifycert",
    "misp_verify_tls": "misp_verifycert",
    "azure_tenant_id": "ms_auth.tenant",
    "azure_client_id": "ms_auth.client_id",
    "azure_client_secret": "ms_auth.client_secret",
    "sentinel_workspace_id": "ms_auth.workspace_id",
}
# What misp2sentinel's Function called its one destination, in config.py and in the environment, by dotted name.
FLAT = {
    "tenant_id": "ms_auth.tenant",
    "client_id": "ms_auth.client_id",
    "client_secret": "ms_auth.client_secret",
    "workspace_id": "ms_auth.workspace_id",
}
_OF_AZURE = re.compile("^(?:az|azure|sentinel|ms)_")
_OTHERS = {old.lower(): new for old, new in RENAMED.items()} | FLAT | MEANT


def meant_by(name: str, types: Iterable[str]) -> str | None:
    """Return the setting that a name means, in any letter case and as a variable is called; None if it is none's.

    Names are dotted (``ms_auth.tenant``). A key of ms_auth may stand by itself.
    """
    bare = name.lower().removeprefix("misp2sentinel_").replace("__", ".")
    of_azure = _OF_AZURE.sub("", bare)
    listed = [known for known in types if bare in (known.lower(), known.lower().removeprefix("ms_auth."))]
    return _OTHERS.get(bare) or next(iter(listed), None) or FLAT.get(of_azure)


def second_answers(
    old: Mapping[str, Any], current: Mapping[str, Any], tenants: Sequence[Any]
) -> Iterator[tuple[str, str]]:
    """Yield each old name that says something else than the settings do, and the setting that it is not like.

    ``old`` has values by names of ``FLAT``, ``current`` those of settings by dotted name, ``tenants`` the destinations.
    """
    listed = [tenant for tenant in tenants if isinstance(tenant, Mapping)]
    for name, value in old.items():
        new = FLAT[name]
        if listed and not any(_same(value, other) for tenant in listed for other in tenant.values()):
            yield name, "ms_tenants"
        elif not listed and new in current and not _same(value, current[new]):
            yield name, new


def _same(value: object, other: object) -> bool:
    """Say whether two values are one; GUIDs and domains have no letter case."""
    return isinstance(value, str) and isinstance(other, str) and value.strip().lower() == other.strip().lower()
