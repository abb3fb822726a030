"""The management API: every object that Sentinel holds for a source system, revoked and expired ones too.

Rules: Microsoft, operations ThreatIntelligence_Query and ThreatIntelligence_Count of version 2025-07-01-preview, and
the example of the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from helpers.context import Kind, Stix
from helpers.errors import KindNotListed, MicrosoftError
from helpers.http import same_origin, shown
from helpers.indicators import Indicator
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.rate_limit import Clock
from helpers.microsoft.reading.asking import Asking, Question
from helpers.microsoft.responses import Answer, NextStep, Verdict, interpret, parse_json_or_none, words_of
from helpers.settings import WORKSPACE_NAMES, Settings

VERSION = "2025-07-01-preview"
PER_PAGE = 100
# No workspace has so many objects of ours, and nothing gives so many empty pages.
MOST = 10_000_000
MOST_EMPTY = 1000
# What a workspace answers that does not list objects of a kind, or not to everybody.
_REFUSALS = (400, 403, 404, 405, 501)
_PATH = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}"
    "/providers/Microsoft.SecurityInsights/threatIntelligence/main/{}?api-version="
)
_WRONG_SCOPE = "the management API refuses a new token too: it wants ms_auth['scope'] of its own cloud."
_NO_ROLE = (
    "the app may not read what the workspace holds. Give it the role Microsoft Sentinel Contributor there; a new role "
    "takes some minutes to work."
)
_NO_WORKSPACE = (
    "there is no workspace of these names. Compare workspaceName, resourceGroupName and subscription_id in {} with the "
    "workspace's overview page."
)
_BUSY = "the management API allows no more requests for now: try again later."
NAMES = WORKSPACE_NAMES


class ManagementApi:
    """Reads one workspace, page by page."""

    def __init__(self, settings: Settings, clock: Clock, client: MicrosoftClient | None = None) -> None:
        self._settings = settings
        self._asking = Asking(client or MicrosoftClient(settings, clock), clock, _interpret)

    def count(self) -> int:
        """Return how many indicators there are, in one try. Raises MicrosoftError."""
        body = json.dumps({"condition": _condition(self._settings, Kind.INDICATOR)}).encode()
        answer, verdict = self._asking.once(Question("POST", address(self._settings, "count"), body))
        if answer.status != 200:
            raise MicrosoftError(_failure(self._settings, answer.status, verdict.words))
        counted = parse_json_or_none(answer.text)
        number = counted.get("count") if isinstance(counted, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise MicrosoftError("The management API answered with something that is no count of indicators.")
        return number

    def indicators(self) -> Iterator[Indicator]:
        """Yield each indicator as it was uploaded. Raises MicrosoftError with what to do."""
        for page in self._pages(Kind.INDICATOR):
            yield from _indicators(page)

    def objects(self, kind: Kind) -> Iterator[Stix]:
        """Yield each object of another kind as it was uploaded.

        Raises KindNotListed where the workspace refuses to list that kind, or does not know it, else MicrosoftError.
        """
        try:
            for page in self._pages(kind):
                yield from _objects(page, kind)
        except _Refused as error:
            raise KindNotListed(f"the workspace does not list {kind.facts.several}: {error.words}") from error

    def _pages(self, kind: Kind) -> Iterator[dict[str, Any]]:
        page = self._ask("POST", address(self._settings), json.dumps(_query(self._settings, kind)).encode())
        yield page
        pages = _Pages()
        while link := page.get("nextLink"):
            pages.leave(page, str(link))
            page = self._ask("GET", self._on_our_host(str(link)))
            yield page

    def _on_our_host(self, link: str) -> str:
        """Return the address of the next page if it is on the same host: the token goes there. Else MicrosoftError."""
        if not same_origin(link, self._settings.ms_endpoints.management):
            raise MicrosoftError(f"The management API names a next page on another host: {shown(link)}.")
        return link

    def _ask(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
        """Ask for a page until there is an answer, in bounded tries."""
        answer, verdict = self._asking.until_answered(Question(method, url, body))
        if answer.status != 200 or verdict.next_step is not NextStep.SETTLED:
            words = _failure(self._settings, answer.status, verdict.words)
            raise _Refused(words, verdict.words) if answer.status in _REFUSALS else MicrosoftError(words)
        return _page(answer.text)


class _Refused(MicrosoftError):
    """An answer after which asking the same again does not help; ``words`` are Microsoft's alone."""

    def __init__(self, text: str, words: str) -> None:
        self.words = words
        super().__init__(text)


@dataclass
class _Pages:
    """The pages so far: how many objects they ``gave``, and a number for each link to a further one."""

    gave: int = 0
    links: set[int] = field(default_factory=set)

    def leave(self, page: dict[str, Any], link: str) -> None:
        """Take note of a page and of where it leads. Raises MicrosoftError where there is no end in sight."""
        self.gave += len(page["value"])
        if hash(link) in self.links or self.gave > MOST or len(self.links) > self.gave + MOST_EMPTY:
            raise MicrosoftError(f"The management API gives pages without an end: it was left after {self.gave:,}.")
        self.links.add(hash(link))


def _interpret(answer: Answer) -> Verdict:
    """Say what an answer means: this API's success has a body, and one that is cut short may come whole again."""
    if answer.status != 200:
        return interpret(answer, PER_PAGE, datetime.now(UTC))
    if isinstance(parse_json_or_none(answer.text), dict):
        return Verdict(NextStep.SETTLED)
    return Verdict(NextStep.RETRY, f"an answer that is not Microsoft's (a proxy's page?): {words_of(answer)}")


def is_named(settings: Settings) -> bool:
    """Whether the settings have the names that this API needs."""
    return all(getattr(settings.ms_auth, name) for name in NAMES)


def address(settings: Settings, operation: str = "query") -> str:
    """Return the address of the query, or of another operation."""
    names = [quote(getattr(settings.ms_auth, name)) for name in NAMES]
    return f"{settings.ms_endpoints.management}{_PATH.format(*names, operation)}{VERSION}"


def _query(settings: Settings, kind: Kind) -> dict[str, Any]:
    return {"condition": _condition(settings, kind), "minPageSize": PER_PAGE, "maxPageSize": PER_PAGE}


def _condition(settings: Settings, kind: Kind) -> dict[str, Any]:
    source = {"field": "source", "operator": "Equals", "values": [settings.sourcesystem]}
    return {"stixObjectType": str(kind), "conditionConnective": "And", "clauses": [source]}


def _page(text: str) -> dict[str, Any]:
    page = parse_json_or_none(text)
    if not isinstance(page, dict) or not isinstance(page.get("value"), list):
        raise MicrosoftError("The management API answered with something that is no list of indicators.")
    return page


def _indicators(page: dict[str, Any]) -> Iterator[Indicator]:
    for record in page["value"]:
        properties = record.get("properties") if isinstance(record, dict) else None
        indicator = properties.get("data") if isinstance(properties, dict) else None
        if not isinstance(indicator, dict) or not all(isinstance(indicator.get(key), str) for key in ("id", "pattern")):
            raise MicrosoftError("The management API answered with a record that holds no indicator.")
        yield indicator


def _objects(page: dict[str, Any], kind: Kind) -> Iterator[Stix]:
    """Yield what of a page is of a kind, by its ids; whatever else is among it is nothing of ours."""
    for record in page["value"]:
        properties = record.get("properties") if isinstance(record, dict) else None
        object_ = properties.get("data") if isinstance(properties, dict) else None
        if isinstance(object_, dict) and str(object_.get("id")).startswith(f"{kind}--"):
            yield object_


def _failure(settings: Settings, status: int, words: str) -> str:
    """Say what an answer that is no success means, and what to do about it."""
    auth, where = settings.ms_auth, settings.ms_endpoints.management
    own = {"workspace": auth.workspaceName, "address": where}
    if status == 401:
        return with_particulars(_WRONG_SCOPE, words, scope=auth.scope, **own)
    if status == 403:
        return with_particulars(_NO_ROLE, words, app=auth.client_id, **own)
    if status == 404:
        names = {"resource_group": auth.resourceGroupName, "subscription": auth.subscription_id}
        return with_particulars(
            _NO_WORKSPACE.format("ms_tenants" if settings.name else "ms_auth"), words, **own, **names
        )
    sentence = _BUSY if status == 429 else "the management API does not answer the query for indicators."
    return with_particulars(sentence, words, **own)
