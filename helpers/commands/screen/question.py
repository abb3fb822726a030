"""The question before indicators are withdrawn: what it says, and who is asked it."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from helpers.commands.screen.line import Line, Tone, columns, verdict
from helpers.commands.screen.terminal import Screen
from helpers.context import Kind, kinds_in_words
from helpers.errors import Declined
from helpers.text import counted, shorten

if TYPE_CHECKING:
    from argparse import Namespace

    from helpers.settings import Settings
    from helpers.sync import Report

logger = logging.getLogger(__name__)

EXAMPLES = 3
_LONGEST_EXAMPLE = 120
_PROMPT = "Withdraw them? [y/N] "
_YES = ("y", "yes")


@dataclass(frozen=True)
class Withdrawn:
    """What would be withdrawn at one destination: how many indicators for which reason, and examples.

    ``beside`` counts by kind what stands beside indicators and leaves, ``beside_counts`` by the reason, and
    ``beside_examples`` are some of it.
    ``comes_back``: the settings still have runs send there, and the next one sends all of it again.
    """

    place: str
    counts: Mapping[str, int]
    examples: Sequence[str] = ()
    comes_back: bool = False
    beside: Mapping[Kind, int] = field(default_factory=dict)
    beside_counts: Mapping[str, int] = field(default_factory=dict)
    beside_examples: Sequence[str] = ()

    @classmethod
    def of(cls, report: Report, settings: Settings, *, comes_back: bool = False) -> Withdrawn:
        """Return what a dry run at one destination would withdraw."""
        name = f"{settings.name}: " if settings.name else ""
        place = f"{name}workspace {settings.workspace_key}, sourcesystem {settings.sourcesystem}"
        examples = (example for kind, found in report.plan_examples.items() for example in found if "withdraw" in kind)
        patterns = [shorten(example.partition(" ")[2], _LONGEST_EXAMPLE) for example in islice(examples, EXAMPLES)]
        context = report.context
        beside = [shorten(example, 2 * _LONGEST_EXAMPLE) for example in islice(context.leaving_examples(), EXAMPLES)]
        counts = dict(report.withdrawals)
        return cls(place, counts, patterns, comes_back, context.leaving, dict(context.to_leave), beside)


def is_to_be_asked(settings: Settings, arguments: Namespace) -> bool:
    """Say whether somebody sits there who can be asked, and who has not said before that nobody is to be."""
    if settings.dry_run or arguments.yes:
        return False
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def say_that_it_reads_twice() -> None:
    """Say what takes the time until the question."""
    words = "Looking first at what would be withdrawn, to ask about it: MISP is read twice, now and by the run itself."
    logger.info(words)
    Screen(sys.stderr).show(Line(words, Tone.QUIET))


def ask(withdrawn: Sequence[Withdrawn], answer: Callable[[], str] | None = None) -> None:
    """Ask whether to withdraw all of it, on stderr; where there is nothing, nobody is asked.

    Raises Declined at anything but a yes; ``answer`` reads a line where that is not stdin's.
    """
    some = [each for each in withdrawn if any(each.counts.values()) or any(each.beside.values())]
    if not some:
        return
    for line in lines(some):
        Screen(sys.stderr).show(line)
    print(_PROMPT, end="", file=sys.stderr, flush=True)
    reply = _reply(answer or sys.stdin.readline)
    logger.info("Asked whether to withdraw %s: %s", _what(some), "yes" if reply in _YES else "no")
    if reply not in _YES:
        raise Declined


def lines(withdrawn: Sequence[Withdrawn]) -> list[Line]:
    """Return what is asked about: how many, that it is for ever, where, why and for example."""
    what = _indicators(withdrawn) or _beside(withdrawn)
    first = f"{what} would be withdrawn from Microsoft Sentinel, for ever: what comes back later, does under a new id."
    return [verdict(Tone.ODD, first), *(line for each in withdrawn for line in _of_one(each))]


def _of_one(withdrawn: Withdrawn) -> Iterable[Line]:
    yield Line(withdrawn.place, Tone.STRONG, indent=2)
    yield from _reasons(withdrawn.counts, withdrawn.examples)
    if beside := _beside([withdrawn]):
        yield Line(f"and beside them {beside}" if _indicators([withdrawn]) else beside, indent=4)
        yield from _reasons(withdrawn.beside_counts, withdrawn.beside_examples)
    if withdrawn.comes_back:
        words = (
            "The settings still name this workspace: the next run sends all of it again, under new ids. Stop the runs, "
            "or take it out of the settings, before."
        )
        yield Line(words, Tone.ODD, mark="!", indent=4)


def _reasons(counts: Mapping[str, int], examples: Sequence[str]) -> Iterable[Line]:
    rows = sorted(counts.items(), key=lambda row: -row[1])
    yield from columns([(f"{count:,}", reason) for reason, count in rows], indent=4, right=(0,))
    yield from columns([("" if n else "such as", words) for n, words in enumerate(examples)], indent=4)


def _what(withdrawn: Sequence[Withdrawn]) -> str:
    """Say what would leave, of every kind."""
    return " and beside them ".join(filter(None, [_indicators(withdrawn), _beside(withdrawn)]))


def _indicators(withdrawn: Iterable[Withdrawn]) -> str:
    count = sum(count for each in withdrawn for count in each.counts.values())
    return counted(count, "indicator", "indicators") if count else ""


def _beside(withdrawn: Iterable[Withdrawn]) -> str:
    kinds = Counter[Kind]()
    for each in withdrawn:
        kinds.update(each.beside)
    return kinds_in_words(kinds)


def _reply(answer: Callable[[], str]) -> str:
    """Return what was answered, in lower case; nothing where the input has ended or is no text."""
    try:
        reply = answer()
    except (OSError, UnicodeDecodeError):
        reply = ""
    if not reply.endswith("\n"):
        print(file=sys.stderr)
    return reply.strip().lower()
