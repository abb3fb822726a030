"""What an answer of Microsoft's upload APIs means for the batch that was sent. Pure.

Rules: Microsoft, "Reference the STIX objects upload API" and the OpenAPI file of version
2024-02-01-preview. A success has an empty body; 200 with ``errors`` took all objects but those named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from html import unescape
from typing import Any

from helpers.http import asked_for_in_header, asked_for_in_words
from helpers.ledger import Blocked
from helpers.text import excerpt

# How much of Microsoft's own words is kept and shown.
_MOST_WORDS = 500
# Where a web page has its title; no more of it is looked at.
_BEGINNING = 4096
_TITLE = re.compile(r"<title[^>]*>\s*([^<]*[^<\s])", re.IGNORECASE)
# Of the 4xx, those that say that the same request may be taken later.
_PASSING = frozenset({408, 425})
# One object that Microsoft does not take, or too much of them: smaller requests show which.
_REFUSED = frozenset({400, 413, 422})
# The answers by which it is known that nothing of a request was taken, and what has to be mended then.
_NOT_TAKEN = {401: Blocked.SIGN_IN, 403: Blocked.ROLE, 404: Blocked.ADDRESS}


class NextStep(Enum):
    """What to do after an answer."""

    SETTLED = auto()  # every object of the batch is accepted or rejected
    SPLIT = auto()  # the batch was refused as a whole: halve it until bad objects are sent singly
    THROTTLED = auto()  # wait as long as Microsoft says, then send the same batch again
    RETRY = auto()  # send the same batch again after a while
    NEW_TOKEN = auto()  # the token is not accepted
    STOP = auto()  # nothing will be accepted here
    FAILED = auto()  # this batch cannot be sent now
    TIME_UP = auto()  # it would be sent too late


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, or none: then ``status`` is 0, ``text`` says what happened, ``may_pass`` that it may come yet.

    One that was ``too_large`` was not taken: it would be so again, and one to a smaller question may not be.
    """

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = True
    too_large: bool = False


@dataclass(frozen=True)
class Verdict:
    """What an answer means: ``wait`` in seconds where Microsoft named it, ``rejected`` words by position.

    ``failed`` has words about objects that may be taken another time, ``remote_ids`` what Microsoft calls objects,
    ``lost`` those that it no longer has; each by position too. ``blocked`` is what has to be mended first.
    """

    next_step: NextStep
    words: str = ""
    wait: float | None = None
    rejected: Mapping[int, str] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    remote_ids: Mapping[int, str] = field(default_factory=dict)
    lost: frozenset[int] = frozenset()
    blocked: Blocked | None = None

    @property
    def success(self) -> bool:
        """Whether every object was taken."""
        return self.next_step is NextStep.SETTLED and not (self.rejected or self.failed)


def interpret(answer: Answer, size: int, now: datetime) -> Verdict:
    """Say what an answer to a batch of ``size`` objects means."""
    words = words_of(answer)
    if answer.status == 200:
        return _success(answer, size, words)
    if answer.status == 429:
        return Verdict(NextStep.THROTTLED, words, wait_asked_for(answer, now))
    if answer.status == 401:
        return Verdict(NextStep.NEW_TOKEN, words)
    # No role, no workspace, another address: no other batch fares better until somebody acts.
    if answer.status in (403, 404) or 300 <= answer.status < 400:
        return Verdict(NextStep.STOP, words)
    if answer.status in _REFUSED:
        return _refused_whole(answer, size, words)
    if not answer.may_pass:
        return Verdict(NextStep.FAILED, words, blocked=blocked_by(answer))
    # What had no answer may have arrived; an upload that is repeated replaces what is there.
    if answer.status == 0 or answer.status in _PASSING or answer.status >= 500:
        return Verdict(NextStep.RETRY, words, wait_asked_for(answer, now))
    return Verdict(NextStep.FAILED, words)


def took_nothing(answer: Answer) -> bool:
    """Whether an answer says that nothing of a request was taken: 401, 403 or 404, in a form of Microsoft's.

    Its errors are JSON, or have no body. A page may be a proxy's, which may have passed the request on and kept the
    answer to it back.
    """
    of_microsoft = not answer.text.strip() or isinstance(parse_json_or_none(answer.text), dict)
    return answer.status in _NOT_TAKEN and of_microsoft


def blocked_by(answer: Answer) -> Blocked:
    """Return what has to be mended before an answer that stops the upload becomes another one."""
    if answer.status in _NOT_TAKEN:
        return _NOT_TAKEN[answer.status] if took_nothing(answer) else Blocked.CONNECTION
    return Blocked.ADDRESS if answer.status else Blocked.CONNECTION


def own_words(words: object) -> str:
    """Return words of Microsoft's as they are kept, in the ledger too, and shown."""
    return excerpt(words, _MOST_WORDS, "")


def words_of(answer: Answer) -> str:
    """Return Microsoft's own words in any of its envelopes, on one line and not too many; of a page its title."""
    body = parse_json_or_none(answer.text)
    message: Any = body.get("message") if isinstance(body, dict) else None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        message = f"{body['error'].get('code', '')}: {body['error'].get('message', '')}"
    text = own_words(message or _title(answer.text) or answer.text)
    return f"{answer.status} {text}".strip() if answer.status else text


def _title(page: str) -> str:
    """Return what a web page, as a proxy gives it, calls itself; empty for what is none."""
    found = _TITLE.search(page[:_BEGINNING]) if page.lstrip().startswith("<") else None
    return f"a web page: {unescape(found[1])}" if found else ""


def _success(answer: Answer, size: int, words: str) -> Verdict:
    if not answer.text.strip():
        return Verdict(NextStep.SETTLED)
    body = parse_json_or_none(answer.text)
    if not isinstance(body, dict) or (body and "errors" not in body) or _names_errors_otherwise(body):
        return Verdict(NextStep.RETRY, f"an answer that is not Microsoft's (a proxy's page?): {words}")
    return _by_record(body, size, words) or Verdict(NextStep.SETTLED)


def _names_errors_otherwise(body: Mapping[str, Any]) -> bool:
    """Whether a 200 says no in another form than the documented list."""
    known = isinstance(body.get("errors", []), list)
    return not known or any(name.lower() in ("error", "errors", "statuscode") for name in body if name != "errors")


def _refused_whole(answer: Answer, size: int, words: str) -> Verdict:
    """A refusal that names every object settles the batch; else only halving finds the bad ones."""
    body = parse_json_or_none(answer.text)
    verdict = _by_record(body, size, words) if isinstance(body, dict) else None
    if verdict and len(verdict.rejected) == size:
        return verdict
    return Verdict(NextStep.SPLIT, words)


def _by_record(body: Mapping[str, Any], size: int, words: str) -> Verdict | None:
    """Read ``errors``: rejections by position. None when there are none; SPLIT when one has no place."""
    errors = body.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    rejected: dict[int, str] = {}
    for error in errors:
        index = error.get("recordIndex") if isinstance(error, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < size:
            return Verdict(NextStep.SPLIT, words)
        rejected[index] = own_words("; ".join(filter(None, [rejected.get(index, ""), _messages(error)])))
    return Verdict(NextStep.SETTLED, rejected=rejected)


def _messages(error: Mapping[str, Any]) -> str:
    """The documentation says errorMessages, the OpenAPI file validationErrorMessages."""
    messages = error.get("errorMessages") or error.get("validationErrorMessages") or "no reason given"
    return "; ".join(map(str, messages)) if isinstance(messages, list) else str(messages)


def wait_asked_for(answer: Answer, now: datetime) -> float | None:
    """Return the seconds that the header asks for, else the text, else None."""
    in_header = asked_for_in_header(answer.headers, now)
    return asked_for_in_words(answer.text) if in_header is None else in_header


def parse_json_or_none(text: str) -> Any:
    """Return the JSON of an answer; None for what is none, or is nested deeper than anything of Microsoft's."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
