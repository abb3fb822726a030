"""Sessions whose requests all go through one adapter."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from helpers.http.adapter import goes_to_identity_endpoint
from helpers.http.faults import ForeignAddress
from helpers.http.origin import same_origin


class OneOriginSession(requests.Session):
    """A session that sends bodies to one origin only, since they hold a secret, whatever address an answer names.

    A host's own identity endpoint gets none.
    """

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request. Raises ForeignAddress."""
        address = request.url or ""
        if request.body and not goes_to_identity_endpoint(request) and not same_origin(address, self._origin):
            raise ForeignAddress(address, self._origin)
        return super().send(request, **options)


def session(adapter: HTTPAdapter, user_agent: str, bodies_to: str = "") -> requests.Session:
    """Return a session that sends every request through this adapter, and reads nothing from the environment.

    ``bodies_to`` is an address whose origin alone gets bodies; without it, any does.
    """
    pinned = OneOriginSession(bodies_to) if bodies_to else requests.Session()
    pinned.trust_env = False
    pinned.headers["User-Agent"] = user_agent
    pinned.mount("https://", adapter)
    pinned.mount("http://", adapter)
    return pinned
