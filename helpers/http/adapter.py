"""The one adapter that every request goes through.

requests lets REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, the proxy variables and ~/.netrc win over a session's
own settings; here they count only where the settings say nothing. The identity endpoint of an Azure host
is on that host, or link-local, and is asked without any proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, should_bypass_proxies

from helpers.http.faults import Redirected
from helpers.http.origin import joined, same_origin

CONNECT_SECONDS = 15.0
IDENTITY_CONNECT_SECONDS = 2.0
# The redirects that keep method and body (RFC 9110, sections 15.4.8 and 15.4.9), and how many are followed in a row.
_KEEPS_REQUEST = frozenset({307, 308})
MOST_REDIRECTS = 5


class PinnedHttpAdapter(HTTPAdapter):
    """An adapter for requests whose certificate check, proxies and timeouts are fixed when it is made.

    ``verify`` is True, False or the path of a CA bundle; ``proxies`` None means those of the environment.
    ``read_seconds`` is how long the other side may be silent; it may be changed between requests.
    """

    def __init__(self, verify: bool | str, proxies: Mapping[str, str] | None, read_seconds: float) -> None:
        self._verify = verify
        self._proxies = proxies
        self.read_seconds = read_seconds
        if verify is False:  # the settings' own warning says it once; urllib3 would say it for each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.last_headers: Mapping[str, str] = CaseInsensitiveDict()
        super().__init__()

    def send(
        self, request: requests.PreparedRequest, *_: Any, stream: bool = False, **options: Any
    ) -> requests.Response:
        """Send one request; what the caller or the environment say of verify, proxies and timeout is ignored.

        Requests carry secrets: a redirect is followed only where it keeps the request and leads to the same scheme,
        host and port; no session gets to see one. Raises Redirected for the others, and requests' own errors.
        """
        for _redirects in range(MOST_REDIRECTS + 1):
            response = self._send_once(request, stream=stream, cert=options.get("cert"))
            if not response.is_redirect:
                return response
            response.close()
            request = _redirected(request, response)
        raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects, one after the other")

    def _send_once(self, request: requests.PreparedRequest, *, stream: bool, cert: Any) -> requests.Response:
        self.last_headers = CaseInsensitiveDict()
        to_identity = goes_to_identity_endpoint(request)
        response = super().send(
            request,
            stream=stream,
            timeout=(IDENTITY_CONNECT_SECONDS if to_identity else CONNECT_SECONDS, self.read_seconds),
            verify=self._verify,
            cert=cert,
            proxies={} if to_identity else self._proxies_for(request.url or ""),
        )
        self.last_headers = response.headers
        return response

    def _proxies_for(self, url: str) -> Mapping[str, str]:
        if self._proxies is None:
            return get_environ_proxies(url)
        return {} if should_bypass_proxies(url, no_proxy=self._proxies.get("no_proxy", "")) else self._proxies


def goes_to_identity_endpoint(request: requests.PreparedRequest) -> bool:
    """Say whether this goes to a host's own identity endpoint (Azure Instance Metadata Service)."""
    return "Metadata" in request.headers or (urlsplit(request.url or "").hostname or "").startswith("169.254.")


def _redirected(request: requests.PreparedRequest, response: requests.Response) -> requests.PreparedRequest:
    """Return the request for the address that a redirect names. Raises Redirected when it must not go there."""
    asked = request.url or ""
    target = joined(asked, response.headers["Location"])
    if response.status_code not in _KEEPS_REQUEST or not same_origin(asked, target):
        raise Redirected(response.status_code, asked, target)
    moved = request.copy()
    moved.prepare_url(target, None)
    return moved
