"""How a request travels: certificate checks, proxies and timeouts as the settings say, and no other way.

requests lets REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, the proxy variables and ~/.netrc win over a session's
own settings; here they count only where the settings say nothing. The identity endpoint of an Azure host
is on that host, or link-local, and is asked without any proxy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, should_bypass_proxies

CONNECT_SECONDS = 15.0
IDENTITY_CONNECT_SECONDS = 2.0

_WRAPPED = ("ConnectionPool(", "Connection aborted")
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-f]+>(?:, |: )?")
_INNERMOST = re.compile(r"""^.*\b[A-Za-z]+\((?:\d+, )?(['"])(.*?)(?:\1\)*)?$""", re.DOTALL)
_CONNECTION = re.compile(r"^HTTPS?Connection(?:Pool)?\([^()]*\): ")


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
        """Send one request; what the caller or the environment say of verify, proxies and timeout is ignored."""
        self.last_headers = CaseInsensitiveDict()
        to_identity = _goes_to_identity_endpoint(request)
        response = super().send(
            request,
            stream=stream,
            timeout=(IDENTITY_CONNECT_SECONDS if to_identity else CONNECT_SECONDS, self.read_seconds),
            verify=self._verify,
            cert=options.get("cert"),
            proxies={} if to_identity else self._proxies_for(request.url or ""),
        )
        self.last_headers = response.headers
        return response

    def _proxies_for(self, url: str) -> Mapping[str, str]:
        if self._proxies is None:
            return get_environ_proxies(url)
        return {} if should_bypass_proxies(url, no_proxy=self._proxies.get("no_proxy", "")) else self._proxies


def _goes_to_identity_endpoint(request: requests.PreparedRequest) -> bool:
    """Say whether this goes to a host's own identity endpoint (Azure Instance Metadata Service)."""
    return "Metadata" in request.headers or (urlsplit(request.url or "").hostname or "").startswith("169.254.")


def session(adapter: HTTPAdapter, user_agent: str) -> requests.Session:
    """Return a session that sends every request through this adapter, and reads nothing from the environment."""
    pinned = requests.Session()
    pinned.trust_env = False
    pinned.headers["User-Agent"] = user_agent
    pinned.mount("https://", adapter)
    pinned.mount("http://", adapter)
    return pinned


def innermost_cause(error: object) -> str:
    """Return the innermost cause that an exception's text names: ``[Errno 111] Connection refused`` and the like.

    Text that neither requests nor urllib3 wrote is returned as it is.
    """
    text = str(error)
    if not any(mark in text for mark in _WRAPPED):
        return text
    without_objects = _OBJECT.sub("", text)
    innermost = _INNERMOST.match(without_objects)
    cause = _CONNECTION.sub("", innermost[2] if innermost else without_objects)
    return f"Unable to connect to proxy: {cause}" if "ProxyError(" in text else cause
