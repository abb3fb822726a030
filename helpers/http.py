"""How a request travels: certificate checks, proxies and timeouts as the settings say, and no other way.

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

CONNECT_SECONDS = 15.0
NEARBY_CONNECT_SECONDS = 2.0


class PinnedHttpAdapter(HTTPAdapter):
    """An adapter that no caller overrides.

    ``verify`` is True, False or the path of a CA bundle; ``proxies`` None means those of the
    environment; ``read_seconds`` is how long the other side may be silent, and may be set anew.
    """

    def __init__(self, verify: bool | str, proxies: Mapping[str, str] | None, read_seconds: float) -> None:
        self._verify = verify
        self._proxies = proxies
        self.read_seconds = read_seconds
        if verify is False:  # the settings' own warning says it once; urllib3 would say it for each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.last_headers: Mapping[str, str] = CaseInsensitiveDict()
        super().__init__()

    def send(self, request: requests.PreparedRequest, *_: Any, stream: bool = False, **given: Any) -> requests.Response:
        """Send one request; what caller or environment say of verify, proxies and timeout is dropped."""
        self.last_headers = CaseInsensitiveDict()
        nearby = _is_nearby(request)
        proxies = {} if nearby else self._proxies_for(request.url or "")
        response = super().send(
            request,
            stream=stream,
            timeout=(NEARBY_CONNECT_SECONDS if nearby else CONNECT_SECONDS, self.read_seconds),
            verify=self._verify,
            cert=given.get("cert"),
            proxies=proxies,
        )
        self.last_headers = response.headers
        return response

    def _proxies_for(self, url: str) -> Mapping[str, str]:
        if self._proxies is None:
            return get_environ_proxies(url)
        return {} if should_bypass_proxies(url, no_proxy=self._proxies.get("no_proxy", "")) else self._proxies


def _is_nearby(request: requests.PreparedRequest) -> bool:
    """Say whether this goes to a host's own identity endpoint (Azure Instance Metadata Service)."""
    return "Metadata" in request.headers or (urlsplit(request.url or "").hostname or "").startswith("169.254.")


def session(adapter: HTTPAdapter, user_agent: str) -> requests.Session:
    """Return a session on which the adapter carries everything."""
    made = requests.Session()
    made.trust_env = False
    made.headers["User-Agent"] = user_agent
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made
