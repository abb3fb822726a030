"""How one thing that a run needs was found, as a line for people, and what all of them together mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from helpers.commands.screen.line import Line, Tone

_LONGEST_NAME = 32
_INDENT = 5  # of what belongs to the line before


class State(Enum):
    """How it was found: the word that monitors look for, what a terminal shows in its place, and the colour."""

    OK = ("ok  ", "✓", Tone.GOOD)
    NOTE = ("note", "·", Tone.PLAIN)
    WARN = ("warn", "!", Tone.ODD)
    FAIL = ("FAIL", "✗", Tone.BAD)
    NOT_TRIED = ("--  ", "–", Tone.QUIET)

    def __init__(self, word: str, symbol: str, tone: Tone) -> None:
        self.word, self.symbol, self.tone = word, symbol, tone


@dataclass(frozen=True)
class Result:
    """What was tried, how it was found, and the settings that it depends on, by name, with where each comes from.

    ``particulars`` are ids, addresses and words of Microsoft's, by name, that a failure has.
    """

    state: State
    name: str
    words: str
    origins: Mapping[str, str] = field(default_factory=dict)
    particulars: Sequence[tuple[str, str]] = ()

    def lines(self, width: int, *, verbose: bool) -> list[Line]:
        """Return it as lines; names take so many columns in a terminal. ``verbose`` shows every origin.

        The particulars follow, each on a line of its own.
        """
        state = self.state
        origins = "; ".join(f"{name} from {origin}" for name, origin in self._shown(verbose=verbose).items())
        words = f"{self.words} [{origins}]" if origins else self.words
        symbol = f"{state.symbol} {self.name:<{min(width, _LONGEST_NAME)}} "
        first = Line(words, state.tone, mark=f"{state.word} {self.name}:", symbol=symbol)
        more = [Line(value, Tone.QUIET, f"{name}:", _INDENT) for name, value in self.particulars]
        return [first, *more]

    def _shown(self, *, verbose: bool) -> Mapping[str, str]:
        """Of what is well nothing, and of what is not the settings that its words name, or all where they name none."""
        if verbose:
            return self.origins
        if self.state in (State.OK, State.NOTE):
            return {}
        guilty = {name: origin for name, origin in self.origins.items() if _is_named(name, self.words)}
        return guilty or self.origins


def conclusion(results: Sequence[Result], exit_code: int, following: str, again: str) -> Line:
    """Return the last line: whether a run can start, and the command to type next (``following``, or ``again``)."""
    failed = _names(results, State.FAIL)
    if failed:
        words = f"Not ready (exit code {exit_code}): {failed}. Do what is said there, then: {again}"
        return _whole(State.FAIL, words)
    warned = _names(results, State.WARN)
    if warned:
        return _whole(State.WARN, f"Ready, but look at: {warned}. Next: {following}")
    return _whole(State.OK, f"Ready. Next: {following}")


def _whole(state: State, words: str) -> Line:
    return Line(words, state.tone, mark=state.word, symbol=state.symbol, whole=True)


def _names(results: Iterable[Result], state: State) -> str:
    return ", ".join(dict.fromkeys(result.name for result in results if result.state is state))


def _is_named(setting: str, words: str) -> bool:
    """Say whether words name a setting, which may be a key of one: ``ms_auth['client_id']``."""
    key = re.split(r"\W+", setting.rstrip("']"))[-1]
    return re.search(rf"\b{re.escape(key)}\b", words) is not None
