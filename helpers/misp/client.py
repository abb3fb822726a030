"""The only module that talks to MISP: it asks through PyMISP, asks again, waits, and raises our errors."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import requests
import tenacity
from pydantic import SecretStr

from helpers.errors import MispBusy, MispDeclined, MispError, MispRefused, MispTooMuch, TimeUp
from helpers.http import CONNECT_SECONDS, MIB, Limits, PinnedHttpAdapter
from helpers.misp.detours import FEW, Detours
from helpers.misp.pymisp_errors import SettingNames, checked_answer, declined, is_taken_in_part
from helpers.process import interrupts
from helpers.settings import Settings

# What asks one question, given the PyMISP client.
PyMispCall = Callable[[Any], Any]

logger = logging.getLogger(__name__)

TRIES = 3
LONGEST_WAIT = 30


@dataclass(frozen=True)
class MispConnection:
    """Which MISP is asked, as whom, how a request gets there, and what an answer may take.

    ``verify`` is True, False or the path of a CA bundle; without ``proxies``, those of the environment count.
    """

    url: str
    key: SecretStr
    verify: bool | str
    proxies: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    limits: Limits
    user_agent: str
    setting_names: SettingNames = field(default_factory=SettingNames)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the connection that events are read through."""
        return cls(
            url=settings.misp_domain,
            key=settings.misp_key,
            verify=settings.misp_verifycert,
            proxies=settings.misp_proxies,
            headers=settings.misp_headers,
            limits=limits_of(settings, settings.misp_timeout),
            user_agent=settings.ms_useragent,
        )


def limits_of(settings: Settings, silence_seconds: float) -> Limits:
    """Return what an answer of MISP's may take."""
    return Limits(silence_seconds, 60 * settings.misp_answer_minutes, settings.misp_answer_mib * MIB)


def print_waiting(words: str, seconds: float) -> None:
    """Say what a command waits for, which may be minutes; a run has its log and its progress bar for it."""
    print(f"{words}, {seconds:.0f} s", file=sys.stderr)


def _unread(answer: Any) -> Any:
    return answer


@dataclass
class MispClient:
    """Asks MISP, in order, one question at a time.

    ``seconds_left`` says how many seconds there are for asking: no question takes longer, and none is asked when there
    are none; then TimeUp is raised. ``waiting`` is told what is waited for at length, and the seconds that it takes.
    ``detours`` counts requests that failed, and the time waited. With ``declines``, what MISP refuses about one
    request alone is a MispDeclined. Requests travel through ``adapter``, by default one that goes by the connection.
    """

    connection: MispConnection
    sleep: Callable[[float], None] = interrupts.sleep
    seconds_left: Callable[[], float] = lambda: math.inf
    waiting: Callable[[str, float], None] = print_waiting
    detours: Detours = field(default_factory=Detours)
    declines: bool = False
    adapter: PinnedHttpAdapter | None = None
    _pymisp: Any = None

    def __post_init__(self) -> None:
        """Prepare the transport; nothing is asked yet."""
        connection = self.connection
        proxies = connection.proxies or None
        self._adapter = self.adapter or PinnedHttpAdapter(connection.verify, proxies, connection.limits)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """The headers of MISP's last response."""
        return self._adapter.last_headers

    def connect(self) -> Any:
        """Return PyMISP's client, logged in. Raises MispRefused or MispError."""
        if self._pymisp is None:
            try:
                self._pymisp = self._ask(self._log_in, TRIES)
            except MispTooMuch:
                raise
            except MispBusy as error:
                if self.connection.url.lower().startswith("http://"):
                    name = self.connection.setting_names.url
                    raise MispBusy(f"{name} is http: does MISP want https? {error}") from error
                raise
        return self._pymisp

    def ask(
        self,
        question: PyMispCall,
        tries: int = TRIES,
        *,
        read: Callable[[Any], Any] = _unread,
        setting: str = "",
    ) -> Any:
        """Ask until there is an answer that can be used, and return what ``read`` makes of it.

        Only what may pass is asked again: also an answer of which ``read`` says so, by MispBusy. ``setting`` is the
        name of the setting that is part of the question, if one is. Raises MispError.
        """
        pymisp = self.connect()
        return self._ask(lambda: self._read_answer(question(pymisp), read), tries, setting)

    def write(self, question: PyMispCall) -> Any:
        """Ask once what changes something; again only when MISP said that it did not even begin: its rate limit.

        After a timeout nobody knows whether it was carried out. Raises MispError.
        """
        pymisp = self.connect()
        retrying = self._retrying(TRIES, _is_rate_limited)
        return retrying(self._ask_in_time, lambda: self._read_answer(question(pymisp), _unread), "")

    # -- one question --------------------------------------------------------------------------------

    def _ask(self, question: Callable[[], Any], tries: int, setting: str = "") -> Any:
        try:
            return self._retrying(tries, _is_busy)(self._ask_once, question, setting)
        except MispError as error:
            if error.__cause__:  # the error itself has the innermost words only
                level = logging.WARNING if self.detours.failed <= FEW else logging.DEBUG  # the first ones say it
                logger.log(level, "No usable answer from MISP: %.2000s", error.__cause__)
            if _is_rate_limited(error):  # asking for less does not help against a limit on asking
                raise MispRefused(str(error)) from error
            raise

    def _ask_once(self, question: Callable[[], Any], setting: str) -> Any:
        """Ask; count what failed, but not what MISP's rate limit held up, or what MISP declined in so many words."""
        try:
            return self._ask_in_time(question, setting)
        except MispError as error:
            if not isinstance(error, MispDeclined) and not _is_rate_limited(error):
                self.detours.fail(str(error))
            raise

    def _ask_in_time(self, question: Callable[[], Any], setting: str) -> Any:
        """Ask, if there is time; what is not answered by its end is not waited for."""
        interrupts.end_if_stopped()
        seconds_left = self.seconds_left()
        if seconds_left <= 0:
            raise TimeUp("there was no time left to ask MISP")
        self._adapter.limits = replace(self.connection.limits, request_seconds=seconds_left)
        names, address = self.connection.setting_names, self.connection.url
        try:
            return checked_answer(question, lambda: self.last_headers, names, address, setting)
        except MispTooMuch as error:
            if self.seconds_left() <= 0:
                raise TimeUp("there was no time left for MISP's answer") from error
            raise

    def _read_answer(self, answer: Any, read: Callable[[Any], Any]) -> Any:
        """Read an answer, but leave one that says that something went wrong to ``checked_answer``."""
        refusal = declined(answer) if self.declines else None
        if refusal is not None:
            raise refusal
        if self.declines and is_taken_in_part(answer):  # who wrote looks what MISP has, and sees what is missing
            answer = {name: value for name, value in answer.items() if name != "errors"}
        return answer if isinstance(answer, dict) and "errors" in answer else read(answer)

    # -- again ---------------------------------------------------------------------------------------

    def _retrying(self, tries: int, may_retry: Callable[[BaseException], bool]) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_retry),
            stop=tenacity.stop_after_attempt(tries),
            wait=_seconds_to_wait,
            before_sleep=self._announce,
            sleep=self.sleep,
            reraise=True,
        )

    def _announce(self, state: tenacity.RetryCallState) -> None:
        """Say what is waited for when MISP asked for it, which may be minutes; not when the time ends before that."""
        seconds = state.next_action.sleep if state.next_action else 0
        if seconds >= self.seconds_left():
            raise TimeUp("there was no time left to ask MISP again")
        error = state.outcome.exception() if state.outcome else None
        if _is_rate_limited(error):
            self.detours.waited += seconds
            logger.warning("%s: waiting %.0f s, as MISP asks", error, seconds)
            self.waiting("MISP's rate limit asks to wait", seconds)

    def _log_in(self) -> Any:
        from pymisp import PyMISP  # noqa: PLC0415  takes 0.2 s to import

        connection, adapter = self.connection, self._adapter

        class PinnedPyMISP(PyMISP):
            """PyMISP mounts an adapter for https alone, and asks while it is made; ours is for every request."""

            def _prepare_request(self, *arguments: Any, **options: Any) -> requests.Response:
                vars(self)["_PyMISP__session"].mount("http://", adapter)
                return super()._prepare_request(*arguments, **options)

        return PinnedPyMISP(
            f"{connection.url}/",  # PyMISP joins addresses as a browser does: without the slash, MISP's path is lost
            connection.key.get_secret_value(),
            ssl=connection.verify,
            proxies=dict(connection.proxies) or None,
            timeout=(CONNECT_SECONDS, connection.limits.silence_seconds),
            http_headers=dict(connection.headers) or None,
            https_adapter=adapter,
            auth=_KeepKey(),
            tool=connection.user_agent,
        )


class _KeepKey(requests.auth.AuthBase):
    """Any authentication at all keeps requests from putting ~/.netrc's in the place of MISP's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, MispBusy) and not isinstance(error, MispTooMuch)


def _is_rate_limited(error: BaseException | None) -> bool:
    return isinstance(error, MispBusy) and error.wait > 0


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as MISP asked for, else longer each time, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked_for = error.wait if isinstance(error, MispBusy) else 0
    return asked_for or tenacity.wait_random_exponential(multiplier=1, max=LONGEST_WAIT)(state)
