"""Answer what was asked, one value after another: as JSON, or as people read it."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from constants import VERSION
from helpers.commands.explain.context.lines import told_at
from helpers.commands.explain.details import details_of
from helpers.commands.explain.items import Destination, Json, destinations_of
from helpers.commands.explain.ledger_view import LedgerView
from helpers.commands.explain.lines import lines_of, sentence_of, unknown_words
from helpers.commands.explain.next_run import Place, places_of
from helpers.commands.explain.sentences import at_destination, state_of
from helpers.commands.screen import Line, Say
from helpers.errors import ExitCode, MispError, SettingsError
from helpers.ledger import ClusterLookup, LedgerDestination, Question, ledger_destinations
from helpers.microsoft import Clock
from helpers.settings import Settings

if TYPE_CHECKING:
    from helpers.misp import MispReader

STDIN = "-"
# From the best to the worst, of what explain ends with.
_WORST_LAST = (ExitCode.DONE, ExitCode.UNFINISHED, ExitCode.MISP)


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Say where each thing stands that was asked for, and return the exit code: the worst of them."""
    asked = list(asked_for(arguments.what, sys.stdin))
    if not asked:
        raise SettingsError(["There is nothing on stdin to explain: write a value, a UUID or a STIX id on each line."])
    options = Options(arguments.offline, arguments.json, arguments.verbose)
    return explain(settings, asked, say, options)


def asked_for(what: Iterable[str], stdin: TextIO) -> Iterator[str]:
    """Yield what was asked for; - stands for the lines of ``stdin``, of which empty ones ask nothing."""
    for text in what:
        lines = (line.strip() for line in stdin) if text == STDIN else [text]
        yield from filter(None, lines)


@dataclass(frozen=True)
class Options:
    """How to answer: without MISP, as JSON, with every detail."""

    offline: bool = False
    as_json: bool = False
    detailed: bool = False


def explain(
    settings: Settings,
    asked: Sequence[str],
    say: Say,
    options: Options,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> int:
    """Say what the ledger and MISP know of some things; nothing is written.

    Each is a value, a UUID or a STIX id, ``now`` gives seconds since 1970. Returns 0 when one of the two knows each of
    them, 3 when only MISP could say and did not answer, else 1.
    """
    codes = []
    with _opened(settings, options, clock or Clock(), int(now())) as explainer:
        for number, text in enumerate(asked):
            answer = explainer.answer(text)
            codes.append(int(answer["exit_code"]))
            if number and not options.as_json:
                say(Line(""))
            _show(answer, say, options)
    return max(codes, key=_WORST_LAST.index)


def _show(answer: Json, say: Say, options: Options) -> None:
    if options.as_json:
        say(json.dumps(answer))
        return
    for line in lines_of(answer, detailed=options.detailed):
        say(line)
    for line in details_of(answer) if options.detailed else ():
        say(line)


@contextmanager
def _opened(settings: Settings, options: Options, clock: Clock, now: int) -> Iterator[_Explainer]:
    with ledger_destinations(settings) as in_ledger:
        yield _Explainer(settings, options, clock, now, in_ledger, places_of(settings, in_ledger, now))


@dataclass
class _Explainer:
    """Answers questions, with one ledger and one reader of MISP for all of them."""

    settings: Settings
    options: Options
    clock: Clock
    now: int
    in_ledger: Sequence[LedgerDestination]
    places: Sequence[Place]

    def answer(self, text: str) -> Json:
        """Return all that is known of what was asked."""
        asked = Question.of(text)
        views = [
            LedgerView(self.settings, destination, asked, self.now, self._clusters) for destination in self.in_ledger
        ]
        misp = None if self.options.offline else self._ask_misp(asked, views)
        answer: Json = {
            "version": VERSION,
            "asked": text,
            "ledger": [view.answer() for view in views],
            "tag_names_nothing": any(view.context.tag_names_nothing for view in views),
            "misp": misp,
            "exit_code": _exit_code(any(_knows(view) for view in views), misp),
            "recorded": self.settings.keeps_ledger,
            "destinations": [{**place.name, "in_settings": True} for place in self.places],
        }
        return _with_sentences(answer)

    def _ask_misp(self, asked: Question, views: Sequence[LedgerView]) -> Json:
        from helpers.commands.explain.misp_view import MispView  # noqa: PLC0415  the converter comes with it

        in_ledger = sorted({attribute for view in views for attribute in view.attributes})
        moment = datetime.fromtimestamp(self.now, UTC)
        try:
            return MispView(self.settings, self._reader, asked, in_ledger, self.places, moment).answer()
        except MispError as error:
            return {"error": str(error)}

    @cached_property
    def _clusters(self) -> ClusterLookup | None:
        """What the ledger has of MISP's clusters, once for all destinations and questions."""
        return next((ClusterLookup(known.ledger.database) for known in self.in_ledger), None)

    @cached_property
    def _reader(self) -> MispReader:
        from helpers.misp import MispReader  # noqa: PLC0415  not needed offline

        return MispReader(self.settings, self.clock.sleep)


def _with_sentences(answer: Json) -> Json:
    """Return an answer with the words that say where it stands, as people read them."""
    destinations, unknown = destinations_of(answer), unknown_words(answer)
    known = {(each["workspace"], each["sourcesystem"]): each for each in answer["ledger"] if each["context"]}
    each = [
        {
            **destination.key,
            "in_settings": destination.in_settings,
            **_at(destination, known.get((destination.key["workspace"], destination.key["sourcesystem"])), unknown),
        }
        for destination in destinations
    ]
    return {**answer, "sentence": sentence_of(answer, destinations), "destinations": each}


def _at(destination: Destination, named: Json | None, unknown: str) -> Json:
    """Say where something stands at a destination; ``named`` where an actor or the like has its name there."""
    if named:
        return {"state": named["context"][0]["state"], "sentence": told_at(named)}
    return {"state": str(state_of(destination)), "sentence": at_destination(destination, unknown)}


def _knows(view: LedgerView) -> bool:
    context = view.context
    return bool(view.matches or view.sightings or context.named or context.not_sent or context.tag_names_nothing)


def _exit_code(known: bool, misp: Json | None) -> int:
    if known or (misp and (misp.get("attributes") or misp.get("event"))):
        return ExitCode.DONE
    return ExitCode.MISP if misp and "error" in misp else ExitCode.UNFINISHED
