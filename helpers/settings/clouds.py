"""Azure's clouds: the hosts of each, the scope of its tokens, and what it lacks. Pure.

Microsoft: National clouds (Entra ID), National cloud deployments (Graph), Cloud feature availability for
Microsoft Sentinel; the upload host and the scope of the US Government cloud are those of its data connector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT = "public"


@dataclass(frozen=True)
class Cloud:
    """One cloud; ``upload_legacy`` and ``log_analytics`` are empty where Microsoft documents none."""

    title: str
    authority: str
    upload: str
    upload_legacy: str
    graph: str
    management: str
    log_analytics: str
    vault: str
    indicators_in_graph: bool

    @property
    def scope(self) -> str:
        """What a token for the upload APIs is asked for."""
        return f"{self.management}/.default"

    @property
    def graph_scope(self) -> str:
        """What a token for the Graph API is asked for."""
        return f"{self.graph.rpartition('/')[0]}/.default"

    def scope_of(self, *, graph_api: bool) -> str:
        """Return the scope of the API that is used."""
        return self.graph_scope if graph_api else self.scope

    @property
    def endpoints(self) -> dict[str, str]:
        """The defaults of ``ms_endpoints``."""
        names = ("authority", "upload", "upload_legacy", "graph", "management", "log_analytics")
        return {name: getattr(self, name) for name in names}


CLOUDS = {
    DEFAULT: Cloud(
        title="the public cloud",
        authority="https://login.microsoftonline.com",
        upload="https://api.ti.sentinel.azure.com",
        upload_legacy="https://sentinelus.azure-api.net",
        graph="https://graph.microsoft.com/beta",
        management="https://management.azure.com",
        log_analytics="https://api.loganalytics.azure.com",
        vault="vault.azure.net",
        indicators_in_graph=True,
    ),
    "usgov": Cloud(
        title="Azure US Government",
        authority="https://login.microsoftonline.us",
        upload="https://api.ti.sentinel.azure.us",
        upload_legacy="",
        graph="https://graph.microsoft.us/beta",
        management="https://management.usgovcloudapi.net",
        log_analytics="",
        vault="vault.usgovcloudapi.net",
        indicators_in_graph=False,
    ),
}
# Microsoft: Sentinel in Azure operated by 21Vianet was retired on 18 August 2026.
RETIRED = ("china", "21vianet", "mooncake")


def find(name: Any) -> Cloud | None:
    """Return the cloud of that name, or None."""
    return CLOUDS.get(name) if isinstance(name, str) else None


def check(name: str) -> str:
    """Accept the name of a cloud that Sentinel is in; ValueError says which there are."""
    if any(word in name.lower() for word in RETIRED):
        raise ValueError("is Azure in China, where Sentinel was retired on 18 August 2026: write public or usgov.")
    if name not in CLOUDS:
        raise ValueError(
            "is not a known cloud: write public (GCC too), or usgov for Azure US Government (GCC High, DoD)."
        )
    return name


def with_defaults(values: Any) -> Any:
    """Return settings with the hosts and the scope of their cloud where they have none themselves."""
    cloud = find(values.get("ms_cloud", DEFAULT)) if isinstance(values, Mapping) else None
    if cloud is None:
        return values
    endpoints, auth = values.get("ms_endpoints", {}), values.get("ms_auth", {})
    complete = dict(values)
    if isinstance(endpoints, Mapping):
        complete["ms_endpoints"] = {**cloud.endpoints, **endpoints}
    if isinstance(auth, Mapping):
        complete["ms_auth"] = {"scope": cloud.scope_of(graph_api=auth.get("graph_api") is True), **auth}
    return complete


def problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong and how to fix it) where settings ask a cloud for what it does not have.

    ``values`` are what a site sets, by dotted name.
    """
    cloud = find(values.get("ms_cloud", DEFAULT))
    if cloud is None:
        return
    yield from _graph_problems(cloud, values)
    yield from _legacy_problems(cloud, values)
    if "ms_cloud" in values:
        yield from _hosts_of_another_cloud(cloud, values)


def _legacy_problems(cloud: Cloud, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find clouds without a legacy API; ``ms_endpoints`` may name its host, but not for a destination elsewhere."""
    if values.get("ms_auth.new_upload_api") is not False:
        return
    problem = "is False, but Microsoft documents no host of the legacy API for"
    others = [other for other in _clouds_of_destinations(values) if other is not cloud and not other.upload_legacy]
    if not (cloud.upload_legacy or values.get("ms_endpoints.upload_legacy")):
        yield (
            "ms_auth.new_upload_api",
            f"{problem} {cloud.title}: write True, or its address in ms_endpoints['upload_legacy'].",
        )
    elif others:
        yield (
            "ms_auth.new_upload_api",
            f"{problem} {others[0].title}: write True, or run that destination by itself.",
        )


def _clouds_of_destinations(values: Mapping[str, Any]) -> list[Cloud]:
    """Return the clouds that destinations name themselves."""
    tenants = values.get("ms_tenants")
    if not isinstance(tenants, list):
        return []
    names = [tenant.get("cloud") for tenant in tenants if isinstance(tenant, Mapping)]
    return [cloud for name in names if (cloud := find(name))]


def _graph_problems(cloud: Cloud, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find clouds whose Graph API has no indicators, and a scope of another API than the one that is used."""
    graph_api, scope = values.get("ms_auth.graph_api") is True, str(values.get("ms_auth.scope", "")).lower()
    clouds = (cloud, *_clouds_of_destinations(values))
    without = [candidate for candidate in clouds if not candidate.indicators_in_graph]
    if graph_api and without:
        yield "ms_auth.graph_api", f"is True, but the Graph API has no indicators in {without[0].title}: write False."
    if scope and graph_api is not ("graph" in scope):
        right_scope = cloud.scope_of(graph_api=graph_api)
        problem = "not Graph's, but graph_api is True" if graph_api else "Graph's, which graph_api = False does not use"
        yield "ms_auth.scope", f"is {problem}: write {right_scope}, or leave it out."


def _hosts_of_another_cloud(cloud: Cloud, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find hosts that are another cloud's: they were copied from there, and no token would be accepted."""
    for other in CLOUDS.values():
        if other is cloud:
            continue
        defaults = {f"ms_endpoints.{key}": host for key, host in other.endpoints.items() if key != "upload_legacy"}
        for name, value in (defaults | {"ms_auth.scope": other.scope}).items():
            if value and str(values.get(name, "")).rstrip("/") == value:
                yield name, f"is that of {other.title}, but ms_cloud is {cloud.title}: take it out, or change ms_cloud."
