"""Where a workspace's logs are asked: the management API, or Log Analytics' own; and why one of them refuses. Pure.

Rules: Microsoft, "Access the Azure Monitor Log Analytics API" (both addresses; the management API wants the names of
the workspace, the other one its id and an application permission), "Prefer options", "Timeouts" (``wait``), "Errors".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from helpers.errors import SettingsError
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.reading.logs_answers import Refusal
from helpers.settings import WORKSPACE_NAMES, Settings, clouds

MANAGEMENT, LOG_ANALYTICS = "management", "log_analytics"
NEEDS = {MANAGEMENT: WORKSPACE_NAMES, LOG_ANALYTICS: ("workspace_id",)}
# Microsoft's default, in seconds; 600 at most.
WAIT = 180
VERSION = "2017-01-01-preview"
_SETTING = {MANAGEMENT: "ms_auth['scope']", LOG_ANALYTICS: "ms_endpoints['log_analytics']"}
# Of the public cloud. Elsewhere it is the host itself, as in the environments of Azure PowerShell.
SCOPE = "https://api.loganalytics.io/.default"
_PATH = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}/api/query"
_WRONG_CLOUD = "the workspace's logs refuse a new token too: is it the one of the workspace's cloud (ms_cloud, {})?"
_NO_ROLE = (
    "the app may not read the workspace's alerts. Give it the role Microsoft Sentinel Reader there, or Microsoft "
    "Sentinel Contributor, which uploading needs; a new role takes some minutes to work."
)
_NO_PERMISSION = (
    "the app may not read the workspace's alerts at Log Analytics. Give it the application permission Data.Read of the "
    "Log Analytics API, with an administrator's consent, and the role Microsoft Sentinel Reader on the workspace; or "
    "write \"management\" for misp_sightings['endpoint'], which needs no such permission."
)
_NOT_FROM_HERE = "the workspace takes no queries from this host's network: let it in, under Network isolation there."
_NO_WORKSPACE = "there is no such workspace. Compare {} with the workspace's overview page."
_NO_SENTINEL = "the workspace has no table of alerts: is Microsoft Sentinel on it, and is it the right one?"
_REFUSED = "the workspace refuses the query for alerts, which is this program's own: report it."
_BUSY = "the workspace's logs allow no more requests for now: try again later."
_NO_ANSWER = "the workspace's logs do not answer the query for alerts."
_TOO_MUCH = "the workspace does not give all of {} in one answer, and for less than that it is not asked."


@dataclass(frozen=True)
class Endpoint:
    """One of the two: its ``name`` in the settings, where and how it is asked, and what a token is for."""

    name: str
    address: str
    prefer: str
    scope: str

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes along with each query."""
        return {"Prefer": self.prefer}


def endpoint_of(settings: Settings) -> Endpoint:
    """Return the endpoint that the settings choose. Raises SettingsError where what it needs is not there."""
    name = settings.misp_sightings.endpoint
    if missing := [key for key in NEEDS[name] if not getattr(settings.ms_auth, key)]:
        keys = settings.in_own_words(_written(missing))
        raise SettingsError([f"{keys} must be given to read alerts: copy it from the workspace's overview page."])
    return _management(settings) if name == MANAGEMENT else _log_analytics(settings)


def _management(settings: Settings) -> Endpoint:
    names = [quote(getattr(settings.ms_auth, key)) for key in NEEDS[MANAGEMENT]]
    address = f"{settings.ms_endpoints.management}{_PATH.format(*names)}?api-version={VERSION}"
    scope = clouds.CLOUDS[settings.ms_cloud].scope if settings.graph else settings.ms_auth.scope
    return Endpoint(MANAGEMENT, address, f"response-v1=true,wait={WAIT}", scope)


def _log_analytics(settings: Settings) -> Endpoint:
    host = settings.ms_endpoints.log_analytics
    address = f"{host}/v1/workspaces/{settings.ms_auth.workspace_id}/query"
    scope = SCOPE if settings.ms_cloud == clouds.DEFAULT else f"{host}/.default"
    return Endpoint(LOG_ANALYTICS, address, f"wait={WAIT}", scope)


def failure(settings: Settings, endpoint: Endpoint, status: int, refusal: Refusal, words: str) -> str:
    """Say what an answer that is no success means, and what to do about it; ``status`` 401 is of any refused token."""
    auth, own = settings.ms_auth, {}
    if status == 401:
        own = {"scope": endpoint.scope}
    elif status == 403:
        own = {"app": auth.client_id}
    elif status == 404 and endpoint.name == MANAGEMENT:
        own = {"resource_group": auth.resourceGroupName, "subscription": auth.subscription_id}
    return _told(settings, endpoint, _sentence(endpoint, status, refusal), words, own)


def too_much(settings: Settings, endpoint: Endpoint, when: str, words: str) -> str:
    """Say that even a small window has more than one answer can."""
    return _told(settings, endpoint, _TOO_MUCH.format(when), words, {})


def _told(settings: Settings, endpoint: Endpoint, sentence: str, words: str, own: Mapping[str, str]) -> str:
    auth, hosts = settings.ms_auth, settings.ms_endpoints
    workspace = auth.workspaceName or auth.workspace_id
    host = hosts.management if endpoint.name == MANAGEMENT else hosts.log_analytics
    return with_particulars(settings.in_own_words(sentence), words, workspace=workspace, address=host, **own)


def _sentence(endpoint: Endpoint, status: int, refusal: Refusal) -> str:
    if status == 400:
        return _NO_SENTINEL if "Failed to resolve table" in refusal.words else _REFUSED
    if status == 401:
        return _WRONG_CLOUD.format(_SETTING[endpoint.name])
    if status == 403:
        no_access = _NO_ROLE if endpoint.name == MANAGEMENT else _NO_PERMISSION
        return _NOT_FROM_HERE if "NspValidationFailedError" in refusal.codes else no_access
    if status == 404:
        return _NO_WORKSPACE.format(_written(NEEDS[endpoint.name]))
    return _BUSY if status == 429 else _NO_ANSWER


def _written(keys: Iterable[str]) -> str:
    return ", ".join(f"ms_auth['{key}']" for key in keys)
