"""The one adapter that every request goes through.

requests lets REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, the proxy variables and ~/.netrc win over a session's
own settings; here they count only where the settings say nothing. The identity endpoint of an Azure host
is on that host, or link-local, and is asked without any proxy.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy, should_bypass_proxies

from helpers.http.connection import time_answers
from helpers.http.faults import AnswerTooLarge, AnswerTooSlow, ProxyFailed, Redirected, innermost_cause
from helpers.http.limits import MIB, Allowance, Limits, timed_by
from helpers.http.origin import joined, same_origin, shown

CONNECT_SECONDS = 15.0
IDENTITY_CONNECT_SECONDS = 2.0
# The redirects that keep method and body (RFC 9110, sections 15.4.8 and 15.4.9), and how many are followed in a row.
_KEEPS_REQUEST = frozenset({307, 308})
MOST_REDIRECTS = 5
_CHUNK = 65536


class PinnedHttpAdapter(HTTPAdapter):
    """An adapter for requests whose certificate check, proxies and timeouts are fixed when it is made.

    ``verify`` is True, False or the path of a CA bundle; ``proxies`` None means those of the environment.
    ``limits`` may be changed between requests; ``now`` is a clock in seconds.
    """

    def __init__(
        self,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        limits: Limits,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verify = verify
        self._proxies = proxies
        self._proxies_by_origin: dict[tuple[str, str], Mapping[str, str]] = {}
        self.limits = limits
        self._now = now
        if verify is False:  # the settings' own warning says it once; urllib3 would say it for each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.last_headers: Mapping[str, str] = CaseInsensitiveDict()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(*arguments, **options)
        time_answers(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Return the manager of the connections through a proxy. Raises InvalidProxyURL."""
        try:
            manager = super().proxy_manager_for(*arguments, **options)
        except ValueError as error:  # urllib3's own, about socks:// for instance
            raise requests.exceptions.InvalidProxyURL("its address is none: socks5h:// or http:// begin one") from error
        time_answers(manager)
        return manager

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Send one request and read its answer; what is said otherwise of verify, proxies and timeout is ignored.

        Requests carry secrets: a redirect is followed only where it keeps the request and leads to the same scheme,
        host and port; no session gets to see one. Raises Redirected for the others, AnswerTooLarge, AnswerTooSlow, and
        requests' own errors.
        """
        for _redirects in range(MOST_REDIRECTS + 1):
            response = self._send_once(request, options.get("cert"))
            if not response.is_redirect:
                return response
            request = _redirected(request, response)
        raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects, one after the other")

    def _send_once(self, request: requests.PreparedRequest, cert: Any) -> requests.Response:
        self.last_headers = CaseInsensitiveDict()
        allowance = Allowance(self.limits, self._now)
        try:
            with timed_by(allowance):
                return self._exchange(request, cert)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            proxy = self._proxy_at_fault(request, error)
            if allowance.used_up:
                seconds = min(self.limits.answer_seconds, self.limits.request_seconds)
                raise AnswerTooSlow(seconds, proxy and f"the proxy {proxy}") from error
            if proxy:
                raise ProxyFailed(proxy, innermost_cause(error)) from error
            if isinstance(error, requests.RequestException):
                raise
            raise requests.ConnectionError(error, request=request) from error  # requests lets some of urllib3's through

    def _exchange(self, request: requests.PreparedRequest, cert: Any) -> requests.Response:
        seconds = IDENTITY_CONNECT_SECONDS if goes_to_identity_endpoint(request) else CONNECT_SECONDS
        response = super().send(
            request,
            timeout=(seconds, self.limits.silence_seconds),
            verify=self._verify,
            cert=cert,
            proxies=self._proxies_for(request),
        )
        self.last_headers = response.headers
        # Who asks finds the content read. All of them speak JSON; what an answer calls its encoding may be anything.
        response._content, response.encoding = self._content_of(response), "utf-8"
        return response

    def _content_of(self, response: requests.Response) -> bytes:
        """Read and decode an answer, and count meanwhile. Raises AnswerTooLarge."""
        with io.BytesIO() as content:  # what is too large goes at once: the error's traceback would hold it
            for chunk in response.iter_content(_CHUNK):
                if content.tell() + len(chunk) > self.limits.most_bytes:
                    response.close()
                    raise AnswerTooLarge(self.limits.most_bytes / MIB)
                content.write(chunk)
            return content.getvalue()

    def _proxy_at_fault(self, request: requests.PreparedRequest, error: Exception) -> str:
        """Return the address of the proxy that an error is about, as people may see it; empty where it is none's."""
        if not isinstance(error, requests.exceptions.ProxyError | requests.exceptions.InvalidProxyURL):
            return ""
        proxy = select_proxy(request.url or "", self._proxies_for(request)) or ""
        return shown(proxy if "://" in proxy else f"http://{proxy}")  # as requests reads it

    def _proxies_for(self, request: requests.PreparedRequest) -> Mapping[str, str]:
        """Return the proxies for a request; for an origin they stay what they were when it was asked first."""
        if goes_to_identity_endpoint(request):
            return {}
        url = request.url or ""
        origin = urlsplit(url)[:2]
        if origin not in self._proxies_by_origin:
            self._proxies_by_origin[origin] = self._proxies_of(url)
        return self._proxies_by_origin[origin]

    def _proxies_of(self, url: str) -> Mapping[str, str]:
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
