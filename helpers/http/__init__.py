"""How a request travels: certificate checks, proxies, timeouts and redirects as the settings say."""

from helpers.http.adapter import CONNECT_SECONDS, PinnedHttpAdapter
from helpers.http.certificate_faults import certificate_words
from helpers.http.faults import (
    AnswerTooLarge,
    AnswerTooSlow,
    ForeignAddress,
    ProxyFailed,
    Redirected,
    Unacceptable,
    found_in,
    innermost_cause,
)
from helpers.http.limits import MIB, Limits
from helpers.http.origin import same_origin, shown
from helpers.http.sessions import OneOriginSession, session
from helpers.http.waits import asked_for_in_header, asked_for_in_words

__all__ = [
    "CONNECT_SECONDS",
    "MIB",
    "AnswerTooLarge",
    "AnswerTooSlow",
    "ForeignAddress",
    "Limits",
    "OneOriginSession",
    "PinnedHttpAdapter",
    "ProxyFailed",
    "Redirected",
    "Unacceptable",
    "asked_for_in_header",
    "asked_for_in_words",
    "certificate_words",
    "found_in",
    "innermost_cause",
    "same_origin",
    "session",
    "shown",
]
