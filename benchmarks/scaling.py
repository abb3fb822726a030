"""How processor time grows with what a stranger writes: for twice as much, how many times as long.

    python -m benchmarks.scaling

Each case is a text, a list of tags or a number of values that somebody outside decides about; where a length limit ends
the growth of one value, there are more values. Sizes grow until one takes long enough to be measured.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from benchmarks.sandboxed import Measured, parser, show
from constants import LONGEST_VALUES
from helpers.indicators import ConversionRules, convert_event
from helpers.process.log import silence_libraries
from helpers.settings import Settings
from helpers.stories import read_story
from helpers.stories.indicators import indicators_in

# Seconds of processor time: less says more of the machine than of the program.
LONG_ENOUGH = 0.2
REPEATS = 5
SHOWN = ("size", "seconds", "seconds_of_twice", "times")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = ConversionRules.of(Settings())
Work = Callable[[], object]


class Case(NamedTuple):
    """What to do with so much of something: it is made ready by ``of``, and only what that returns is measured.

    ``at_first`` is the size to begin with, ``at_most`` the largest, as some limit of the program's ends the growth.
    """

    of: Callable[[int], Work]
    at_first: int
    at_most: int


def values(kind: str, piece: str) -> Callable[[int], Work]:
    """Convert so many attributes, each with the longest value that its type may have, and one that is longer."""
    longest = LONGEST_VALUES[kind]

    def of(count: int) -> Work:
        text = piece * longest
        return converted([attribute(number, kind, text[: longest + number % 2]) for number in range(count)])

    return of


def tags(count: int) -> Work:
    """Convert a few attributes of an event with so many tags."""
    attributes = [attribute(number, "domain", f"{number}.example.org") for number in range(50)]
    return converted(attributes, Tag=[{"name": f"taxonomy:{number}"} for number in range(count)])


def converted(attributes: list[dict[str, Any]], **fields: Any) -> Work:
    """Return the conversion of an event."""
    event = {"uuid": "cccccccc-0000-4000-8000-000000000001", "info": "x", "Attribute": attributes, **fields}
    return lambda: list(convert_event(event, RULES, NOW))


def attribute(number: int, kind: str, value: str) -> dict[str, Any]:
    """Return an attribute that is to be sent."""
    uuid = f"aaaaaaaa-0000-4000-8000-{number:012d}"
    return {"uuid": uuid, "type": kind, "value": value, "to_ids": True, "timestamp": "1790000000"}


def story(piece: str) -> Callable[[int], Work]:
    """Read and search a story with a news item of so many characters."""

    def of(length: int) -> Work:
        item = {"id": "x", "content": (piece * length)[: length - 1] + "x"}
        fields = {"id": "11111111-0000-4000-8000-000000000001", "title": "x", "news_items": [item]}
        return lambda: indicators_in(_whole(fields))

    return of


def _whole(fields: Mapping[str, Any]) -> Any:
    parsed = read_story(fields)
    if parsed.story is None:
        raise ValueError(f"no story: {parsed.problems}")
    return parsed.story


CASES = {
    "email of @": Case(values("email", "@"), 100, 100_000),
    "user agents": Case(values("user-agent", "Mozilla/5.0 (é) "), 4, 10_000),
    "tags on an event": Case(tags, 10_000, 1_000_000),
    "( in a story": Case(story("("), 100_000, 1_900_000),
    "[ in a story": Case(story("["), 100_000, 1_900_000),
    "brackets around words in a story": Case(story("([a]) "), 10_000, 1_900_000),
    "spaces in a story": Case(story(" "), 100_000, 1_900_000),
    "a@ in a story": Case(story("a@ "), 20_000, 1_900_000),
    "addresses in a story": Case(story("a@example.org "), 10_000, 1_900_000),
}


def measure(case: Case, repeats: int = REPEATS) -> Measured:
    """Return a size that takes long enough, its time, and that of twice as much, each the best of some repeats.

    What a limit ends before it takes long enough is done as often as is long enough.
    """
    size, times = long_enough(case)
    once, twice = case.of(size), case.of(2 * size)
    pairs = [(seconds_of(once, times), seconds_of(twice, times)) for _ in range(repeats)]
    seconds, seconds_of_twice = (min(measured) for measured in zip(*pairs, strict=True))
    rounded = {"seconds": round(seconds, 3), "seconds_of_twice": round(seconds_of_twice, 3)}
    return {"size": size, **rounded, "times": round(seconds_of_twice / seconds, 2)}


def long_enough(case: Case) -> tuple[int, int]:
    """Return a size of which twice as much is still possible, and how often to do it so that it takes long enough."""
    size = case.at_first
    while (seconds := seconds_of(case.of(size))) < LONG_ENOUGH and 2 * size < case.at_most:
        size = min(case.at_most // 2, int(size * min(8, 1.1 * LONG_ENOUGH / seconds)) + 1)
    return size, max(1, round(1.1 * LONG_ENOUGH / seconds))


def seconds_of(work: Work, times: int = 1) -> float:
    """Return the processor time of this process that something takes, done so many times.

    The garbage collector waits, as timeit has it: what it costs goes by what else is in memory.
    """
    collects = gc.isenabled()
    gc.disable()
    begin = time.process_time()
    try:
        for _ in range(times):
            work()
        return time.process_time() - begin
    finally:
        if collects:
            gc.enable()


def main() -> None:
    """Measure what the command line asks for."""
    command_line: argparse.ArgumentParser = parser(__doc__)
    options = command_line.parse_args()
    silence_libraries()
    for work in (case.of(1) for case in CASES.values()):
        work()  # what is imported and built once counts for none
    show({name: measure(case) for name, case in CASES.items()}, options.json, SHOWN)


if __name__ == "__main__":
    main()
