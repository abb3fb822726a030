"""Why a request has no answer that can be used: faults of our own, and what others' say at their innermost. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

import requests

from helpers.http.origin import shown
from helpers.text import counted

_WRAPPED = ("ConnectionPool(", "Connection aborted")
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-f]+>(?:, |: )?")
_INNERMOST = re.compile(r"""^.*\b[A-Za-z]+\((?:\d+, )?(['"])(.*?)(?:\1\)*)?$""", re.DOTALL)
_CONNECTION = re.compile(r"^[A-Za-z]*HTTPS?Connection(?:Pool)?\([^()]*\): ")

Fault = TypeVar("Fault", bound=BaseException)


class Unacceptable(requests.RequestException):
    """An answer that is not taken; the same question would get another one like it."""


class Redirected(Unacceptable):
    """The answer, with this ``status``, leads from the address that was ``asked`` to a ``target`` that gets nothing."""

    def __init__(self, status: int, asked: str, target: str) -> None:
        self.status, self.asked, self.target = status, asked, target
        super().__init__(f"a redirect to {shown(target)}, which is not followed")


class ForeignAddress(Unacceptable):
    """An answer names an address at another origin for what is for one origin alone."""

    def __init__(self, address: str, origin: str) -> None:
        super().__init__(f"it names an address that is not at {shown(origin)} and gets nothing: {shown(address)}")


class AnswerTooLarge(Unacceptable):
    """The answer has more than so many ``mib`` when it is decoded."""

    def __init__(self, mib: float) -> None:
        super().__init__(f"the answer is larger than {mib:g} MiB")


class AnswerTooSlow(Unacceptable):
    """The answer was not complete in its time, in ``seconds``; ``of`` says whose it was where it was a proxy's."""

    def __init__(self, seconds: float, of: str = "") -> None:
        time = counted(seconds / 60, "minute", "minutes")
        super().__init__(f"the answer {of and f'of {of} '}was not complete after {time}")


class ProxyFailed(requests.RequestException):
    """The ``proxy`` with this address gave no connection, for this cause."""

    def __init__(self, proxy: str, cause: str) -> None:
        super().__init__(f"the proxy {proxy} gives no connection: {cause}")


def innermost_cause(error: object) -> str:
    """Return the innermost cause that an exception's text names: ``[Errno 111] Connection refused`` and the like.

    Text that neither requests nor urllib3 wrote is returned as it is.
    """
    text = str(error)
    if not any(mark in text for mark in _WRAPPED):
        return text
    without_objects = _OBJECT.sub("", text)
    innermost = _INNERMOST.match(without_objects)
    return _CONNECTION.sub("", innermost[2] if innermost else without_objects)


def found_in(error: BaseException, kind: type[Fault]) -> Fault | None:
    """Return the fault of a kind that an error is, or was raised from; None where there is none."""
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from: libraries raise one from another while a third is handled."""
    found: list[BaseException | None] = [error]
    for cause in found:
        if cause is not None:
            yield cause
            found += [other for other in (cause.__cause__, cause.__context__) if other not in found]
