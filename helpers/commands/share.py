"""``share``: stories out of files to MISP, and what became of each."""

from __future__ import annotations

import errno
import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from constants import VERSION
from helpers.commands.screen import Line, Say, Tone, verdict
from helpers.errors import ExitCode, MispDeclined, MispError, SettingsError, StoryStopped
from helpers.process import interrupts
from helpers.settings import Settings
from helpers.stories import KeyOwner, MispWriter, ParsedStory, ShareOptions, ShareOutcome, StoryShare, read_story

FAILURES_IN_A_ROW = 3
STATES = ("created", "updated", "unchanged", "proposed", "blocked", "failed")
_TROUBLE = ("blocked", "failed")
_TONES = {"unchanged": Tone.PLAIN, **dict.fromkeys(_TROUBLE, Tone.BAD)}
_COLUMN = 10  # where words begin, after the state
STDIN = Path("-")


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Share the stories in files and return the exit code."""
    options = ShareOptions(arguments.publish, arguments.to_ids, arguments.force)
    return share(settings, arguments.files, say, options, as_json=arguments.json)


def share(
    settings: Settings,
    files: Sequence[Path],
    say: Say,
    options: ShareOptions,
    *,
    as_json: bool = False,
    stdin: TextIO | None = None,
    sleep: Callable[[float], None] = interrupts.sleep,
) -> int:
    """Share each story and say what became of it; return 0 when none failed or is blocked, else 1.

    Raises SettingsError when the key is another organisation's, MispError when MISP cannot be asked at all.
    """
    writer = MispWriter(settings, sleep)
    sharing = Sharing(settings, writer, key_owner(writer, settings), options)
    outcomes = []
    for story in stories_in(files, stdin):
        outcomes.append(sharing.outcome(story))
        if not as_json:
            for line in lines_of(outcomes[-1]):
                say(line)
    code = ExitCode.UNFINISHED if any(outcome.state in _TROUBLE for outcome in outcomes) else ExitCode.DONE
    counts = Counter(outcome.state for outcome in outcomes)
    if as_json:
        by_state = {state: counts[state] for state in STATES}
        say(
            json.dumps(
                {
                    "version": VERSION,
                    "stories": [outcome.as_json() for outcome in outcomes],
                    **by_state,
                    "exit_code": code,
                }
            )
        )
    else:
        summary = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        say(verdict(Tone.BAD if code else Tone.GOOD, summary or "no story"))
    return code


def lines_of(outcome: ShareOutcome) -> Iterator[Line]:
    """Say to people what became of a story."""
    words = " ".join(filter(None, [outcome.title or outcome.id or "(no story)", outcome.url]))
    yield Line(words, _TONES.get(outcome.state, Tone.GOOD), mark=outcome.state, column=_COLUMN)
    yield from (Line(words, indent=_COLUMN) for words in (outcome.reason, *outcome.notes) if words)


def key_owner(writer: MispWriter, settings: Settings) -> KeyOwner:
    """Return whose key it is. Raises SettingsError when it is not the organisation that the settings name."""
    owner, ours = writer.key_owner(), str(settings.misp_stories.organisation_id)
    if owner.organisation_id != ours:
        origin = settings.source_of("misp_stories.organisation_id")
        raise SettingsError(
            [
                f"misp_stories.organisation_id ({origin}) is {ours}, but the key in misp_stories.api_key is of "
                f"organisation {owner.organisation_id} ({owner.organisation}): whose an event is depends on it, so "
                "write the one that is meant, or use the other organisation's key."
            ]
        )
    return owner


@dataclass
class Sharing:
    """Shares one story after the other."""

    settings: Settings
    writer: MispWriter
    owner: KeyOwner
    options: ShareOptions
    _failures: int = 0

    def outcome(self, story: ParsedStory) -> ShareOutcome:
        """Share one story. What goes wrong with it is its outcome, and costs no other."""
        outcome = ShareOutcome(story.id, story.title, notes=list(story.notes))
        if story.story is None:
            outcome.state, outcome.reason = "failed", "; ".join(story.problems)
            return outcome
        # So many in a row say more of MISP than of the stories; each would wait for the retries to end.
        if self._failures >= FAILURES_IN_A_ROW:
            outcome.state, outcome.reason = "failed", f"not tried: MISP failed for {FAILURES_IN_A_ROW} stories in a row"
            return outcome
        try:
            StoryShare(self.settings, self.writer, self.owner, self.options, story.story, outcome).share()
            self._failures = 0
        except StoryStopped as stopped:
            outcome.state, outcome.reason = stopped.state, str(stopped)
        except MispError as error:
            outcome.state, outcome.reason = "failed", str(error)
            self._failures += not isinstance(error, MispDeclined)
        return outcome


# -- stories out of files: one JSON object, a list of them, or one on each line -------------------------------


def stories_in(files: Iterable[Path], stdin: TextIO | None = None) -> Iterator[ParsedStory]:
    """Read each story; what cannot be read is one with a problem, and costs only itself."""
    for file in files:
        try:
            text = _text_of(stdin or sys.stdin) if file == STDIN else file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            yield _broken(f"{_name(file)} is not text in UTF-8")
        except OSError as error:
            yield _broken(f"{_name(file)} cannot be read ({error.strerror})")
        else:
            yield from _stories(_name(file), text)


def _name(file: Path) -> str:
    return "stdin" if file == STDIN else str(file)


def _text_of(stdin: TextIO | None) -> str:
    if stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return stdin.read().removeprefix("\ufeff")


def _stories(name: str, text: str) -> Iterator[ParsedStory]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        yield from _stories_by_line(name, text)
        return
    yield from map(read_story, content if isinstance(content, list) else [content])


def _stories_by_line(name: str, text: str) -> Iterator[ParsedStory]:
    lines = [(number, *_parsed(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines and all(problem for _, _, problem in lines):
        number, _, problem = lines[0]
        yield _broken(f"{name} holds no story: {problem} (line {number})")
        return
    for number, content, problem in lines:
        yield _broken(f"{name}, line {number}: {problem}") if problem else read_story(content)


def _parsed(line: str) -> tuple[Any, str]:
    """Return what a line says, and why it cannot be read."""
    try:
        return json.loads(line), ""
    except json.JSONDecodeError as error:
        return None, f"it is not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError):
        return None, "it is not JSON that can be read: too deep, or too long a number"


def _broken(problem: str) -> ParsedStory:
    return ParsedStory("", "", problems=(problem,))
