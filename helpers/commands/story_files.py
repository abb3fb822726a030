"""Stories out of files: one JSON object, a list of them, or one on each line."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from helpers.stories import ParsedStory, read_story

STDIN = Path("-")


def stories_in(files: Iterable[Path], stdin: TextIO | None = None) -> Iterator[ParsedStory]:
    """Read each story; what cannot be read is one with a problem, and costs only itself."""
    for file in files:
        try:
            text = _stdin(stdin or sys.stdin) if file == STDIN else file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            yield _broken(f"{_name(file)} is not text in UTF-8")
        except OSError as error:
            yield _broken(f"{_name(file)} cannot be read ({error.strerror})")
        else:
            yield from _stories(_name(file), text)


def _name(file: Path) -> str:
    return "stdin" if file == STDIN else str(file)


def _stdin(stdin: TextIO | None) -> str:
    if stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return stdin.read().removeprefix("\ufeff")


def _stories(name: str, text: str) -> Iterator[ParsedStory]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from _lines(name, text)
        return
    yield from map(read_story, whole if isinstance(whole, list) else [whole])


def _lines(name: str, text: str) -> Iterator[ParsedStory]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    read_ = [(number, *_parsed(line)) for number, line in lines]
    if read_ and not any(words == "" for _, _, words in read_):
        number, _, words = read_[0]
        yield _broken(f"{name} holds no story: {words} (line {number})")
        return
    for number, value, words in read_:
        yield _broken(f"{name}, line {number}: {words}") if words else read_story(value)


def _parsed(text: str) -> tuple[Any, str]:
    try:
        return json.loads(text), ""
    except json.JSONDecodeError as error:
        return None, f"it is not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError):
        return None, "it is not JSON that can be read: too deep, or too long a number"


def _broken(words: str) -> ParsedStory:
    return ParsedStory("", "", problems=(words,))
