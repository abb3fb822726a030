"""How a request travels: certificate checks, proxies, timeouts and redirects as the settings say."""

from helpers.http.adapter import CONNECT_SECONDS, PinnedHttpAdapter
from helpers.http.faults import ForeignAddress, Redirected, found_in, innermost_cause
from helpers.http.origin import same_origin, shown
from helpers.http.sessions import OneOriginSession, session

__all__ = [
    "CONNECT_SECONDS",
    "ForeignAddress",
    "OneOriginSession",
    "PinnedHttpAdapter",
    "Redirected",
    "found_in",
    "innermost_cause",
    "same_origin",
    "session",
    "shown",
]
