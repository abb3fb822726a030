"""PyMISP's errors as ours, each with words that say what to do. Pure.

PyMISP returns MISP's errors as dictionaries as often as it raises, and what it raises may hold the
whole body; the words are cut here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from helpers.errors import MispBusy, MispDeclined, MispError, MispMoved, MispRefused, MispTooMuch
from helpers.http import (
    AnswerTooLarge,
    AnswerTooSlow,
    ProxyFailed,
    Redirected,
    Unacceptable,
    asked_for_in_header,
    asked_for_in_words,
    certificate_words,
    found_in,
    innermost_cause,
    same_origin,
    shown,
)
from helpers.misp.responses import excerpt, whole_number

_LONGEST_WAIT = 900
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_MAINTENANCE = "MISP sends every request to its login page: it is in maintenance, or the key belongs to no API user"
_LOGIN_PAGE = "/users/login"
_KEY_REFUSED = "Authentication failed"
# MISP, AppController: the key is right, and its allowed IPs do not hold the address that the request came from.
_ADDRESS_REFUSED = "from your IP address"
_TOO_MUCH: dict[type[Unacceptable], str] = {AnswerTooLarge: "misp_answer_mib", AnswerTooSlow: "misp_answer_minutes"}
_ASK_FOR_LESS = "misp_event_limit_per_page and misp_event_filters ask for less"
_USER_SETTINGS_MESSAGE = re.compile(
    r"Unable to get the user settings: \(\d+, \{.*'message': (?P<quote>['\"])(?P<words>.*?)(?P=quote)"
)


class SettingNames(NamedTuple):
    """What the settings of a connection are called, for messages that say which one to change."""

    url: str = "misp_domain"
    key: str = "misp_key"
    verify: str = "misp_verifycert"
    proxies: str = "misp_proxies"

    @property
    def key_refused(self) -> str:
        """What to say when MISP does not know the key."""
        return f"the key ({self.key}) is refused (make one in MISP: your profile, Auth keys)"

    @property
    def address_refused(self) -> str:
        """What to say when MISP knows the key, but takes it from other addresses only."""
        return (
            f"MISP knows the key ({self.key}) and refuses it from this machine's address, or its proxy's (allow the "
            "address in MISP: your profile, Auth keys, edit the key, Allowed IPs)"
        )

    @property
    def not_misp(self) -> str:
        """What to say when there is no MISP at the address."""
        return (
            f"{self.url} must be the address of MISP itself, without a page behind it, and with the path that MISP is "
            "under, if there is one"
        )

    @property
    def hints(self) -> dict[str, str]:
        """What to say by a piece of what PyMISP raised; the first piece that is in it decides."""
        return {
            _KEY_REFUSED: self.key_refused,
            _ADDRESS_REFUSED: self.address_refused,
            "NO_CERTIFICATE_OR_CRL_FOUND": f"the file that {self.verify} names holds no certificate",
            "PermissionError": f"the file that {self.verify} names may not be read by this user",
            "Not Found": self.not_misp,
        }


def checked_answer(
    question: Callable[[], Any],
    headers: Callable[[], Mapping[str, str]],
    names: SettingNames,
    address: str,
    setting: str = "",
) -> Any:
    """Ask PyMISP a question and return the answer; ``headers`` are those of the last response.

    ``address`` is MISP's, ``setting`` the name of the setting that is part of the question, if one is.

    Raises MispBusy for what may pass, MispRefused for what will not, MispError for the rest.
    """
    from pymisp import PyMISPError  # noqa: PLC0415  takes 0.2 s to import

    try:
        answer = question()
    except (requests.RequestException, PyMISPError) as error:  # what PyMISP raises at its login may hide requests' own
        raise _of_transport(error, names, address) or _raised(excerpt(error), headers(), names) from error
    except (ValueError, TypeError) as error:
        raise MispRefused(f"PyMISP does not take {setting or 'what it was asked'}: {excerpt(error)}") from error
    except (LookupError, AttributeError, RecursionError) as error:
        raise MispBusy(f"an answer that PyMISP cannot read: {excerpt(repr(error))}") from error
    if isinstance(answer, dict) and "errors" in answer:
        raise _returned(answer["errors"], headers(), names)
    return answer


def _of_transport(error: Exception, names: SettingNames, address: str) -> MispError | None:
    """Return what a fault on the way to MISP means; None for one of PyMISP's own."""
    redirected = found_in(error, Redirected)
    if redirected:
        return _moved(redirected, names, address)
    for kind, setting in _TOO_MUCH.items():
        if fault := found_in(error, kind):
            return MispTooMuch(f"{fault} ({setting} allows no more; {_ASK_FOR_LESS})")
    if proxy := found_in(error, ProxyFailed):
        words = f"{proxy} ({names.proxies}, or HTTPS_PROXY and ALL_PROXY of the environment)"
        return MispBusy(words) if isinstance(error, requests.RequestException) else MispRefused(words)
    if words := certificate_words(error, names.verify, names.url):
        return MispRefused(words)
    if isinstance(error, requests.RequestException):
        return MispBusy(f"no answer from MISP: {excerpt(innermost_cause(error))}")
    return None


def _moved(redirected: Redirected, names: SettingNames, address: str) -> MispError:
    """Say which address to write, or that MISP shows its login page to whoever asks."""
    if same_origin(redirected.asked, redirected.target) and _LOGIN_PAGE in redirected.target:
        return MispRefused(_MAINTENANCE)
    new_address = moved_address(address, redirected.asked, redirected.target)
    return MispMoved(
        f"{names.url} is redirected to {new_address}, where the key does not follow: write that in {names.url}. (If it "
        "is a gateway's login page, let the gateway pass this program.)"
    )


def moved_address(address: str, asked: str, target: str) -> str:
    """Return the address that MISP has now: where the request was led to, without what was asked for there."""
    asked_for = urlsplit(asked).path.removeprefix(urlsplit(address).path.rstrip("/"))
    return shown(target).removesuffix(asked_for)


def declined(answer: Any) -> MispDeclined | None:
    """Return the refusal that an answer of PyMISP's holds, if it concerns this request alone."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not isinstance(errors, tuple) or errors[0] == _TOO_MANY:
        return None
    status, body = errors
    message = body.get("errors") or body.get("message") or body.get("name") if isinstance(body, dict) else body
    words = excerpt(message if isinstance(message, str) else json.dumps(message))
    if _KEY_REFUSED in words or _ADDRESS_REFUSED in words:
        return None
    return MispDeclined(status, f"MISP answered {status}: {words}")


def is_taken_in_part(answer: Any) -> bool:
    """Whether MISP took some attributes of a list, and says of the others what is wrong with them."""
    return isinstance(answer, dict) and "Attribute" in answer and isinstance(answer.get("errors"), dict)


def _raised(words: str, headers: Mapping[str, str], names: SettingNames) -> MispError:
    """Tell PyMISP's exceptions apart by their text: it has one class for most of them."""
    _, at_login, cause = words.partition("(http/https is required): ")
    words = cause or words
    if message := _USER_SETTINGS_MESSAGE.search(words):
        words = message["words"]
    if words.startswith(f"Error code {_TOO_MANY}"):  # with a page of a gateway's, and not in MISP's own form
        return _rate_limited(words, headers)
    if words.startswith((f"Error code {_UNAUTHORISED}", f"Error code {_FORBIDDEN}")):
        return MispRefused(f"a proxy or firewall in front of MISP refuses the request: {words}")
    if words.startswith(f"Error code {_NOT_FOUND}") and "Not Found" not in words:  # MISP's own, cut short, may pass
        return MispBusy(f"{names.not_misp}: {words}")
    for piece, hint in names.hints.items():
        if piece in words:
            return MispRefused(f"{hint}: {innermost_cause(words)}")
    if "Max retries exceeded" in words:
        return MispBusy(
            f"no connection: is it up, is {names.url} right, may this host reach it? {innermost_cause(words)}"
        )
    doubt = f" (is {names.url} the address of MISP itself?)" if at_login and "Error code" not in words else ""
    return MispBusy(f"no usable answer{doubt}: {innermost_cause(words)}")


def _returned(errors: Any, headers: Mapping[str, str], names: SettingNames) -> MispError:
    code, body = errors if isinstance(errors, tuple) and len(errors) == 2 else (0, errors)
    message = body.get("message") or body.get("name") if isinstance(body, dict) else None
    words = excerpt(message or body)
    if code == _TOO_MANY:
        return _rate_limited(words, headers)
    if code in (_UNAUTHORISED, _FORBIDDEN):
        hint = names.address_refused if _ADDRESS_REFUSED in words else names.key_refused
        return MispRefused(f"{hint}: {words}")
    return MispError(f"MISP answered {code or 'an error'}: {words}")


def _rate_limited(words: str, headers: Mapping[str, str]) -> MispBusy:
    wait = whole_number(headers.get("X-Rate-Limit-Reset")) or asked_for_in_header(headers)
    wait = min(wait or asked_for_in_words(words) or 0, _LONGEST_WAIT)
    return MispBusy(f"MISP's rate limit for this key is reached: {words}", wait=wait)
