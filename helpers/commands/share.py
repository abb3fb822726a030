"""``share``: stories out of files to MISP, and what became of each."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from helpers.commands.story_files import stories_in
from helpers.errors import ExitCode, MispDeclined, MispError, SettingsError, StoryStopped
from helpers.settings import Settings
from helpers.stories import KeyOwner, MispWriter, ParsedStory, ShareOptions, ShareOutcome, StoryShare

FAILURES_IN_A_ROW = 3
STATES = ("created", "updated", "unchanged", "proposed", "blocked", "failed")
_TROUBLE = ("blocked", "failed")


def share(
    settings: Settings,
    files: Sequence[Path],
    say: Callable[[str], None],
    terms: ShareOptions,
    *,
    as_json: bool = False,
    stdin: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Share each story and say what became of it; return 0 when none failed or is blocked, else 1.

    Raises SettingsError when the key is another organisation's, MispError when MISP cannot be asked at all.
    """
    writer = MispWriter(settings, sleep)
    sharing = Sharing(settings, writer, who(writer, settings), terms)
    outcomes = []
    for each in stories_in(files, stdin):
        outcomes.append(sharing.outcome(each))
        if not as_json:
            for line in outcomes[-1].lines():
                say(line)
    code = ExitCode.UNFINISHED if any(each.state in _TROUBLE for each in outcomes) else ExitCode.DONE
    counts = Counter(each.state for each in outcomes)
    if as_json:
        counted = {state: counts[state] for state in STATES}
        say(json.dumps({"stories": [each.as_json() for each in outcomes], **counted, "exit_code": code}))
    else:
        say(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "no story")
    return code


def who(writer: MispWriter, settings: Settings) -> KeyOwner:
    """Return whose key it is. Raises SettingsError when it is not the organisation that the settings name."""
    me, ours = writer.key_owner(), str(settings.misp_stories.organisation_id)
    if me.organisation_id != ours:
        origin = settings.source_of("misp_stories.organisation_id")
        raise SettingsError(
            [
                f"misp_stories.organisation_id ({origin}) is {ours}, but the key in misp_stories.api_key is of "
                f"organisation {me.organisation_id} ({me.organisation}): whose an event is depends on it, so write "
                "the one that is meant, or use the other organisation's key."
            ]
        )
    return me


@dataclass
class Sharing:
    """Shares one story after the other."""

    settings: Settings
    writer: MispWriter
    me: KeyOwner
    terms: ShareOptions
    _failures: int = 0

    def outcome(self, given: ParsedStory) -> ShareOutcome:
        """Share one story. What goes wrong with it is its outcome, and costs no other."""
        made = ShareOutcome(given.id, given.title, notes=list(given.notes))
        if given.story is None:
            made.state, made.reason = "failed", "; ".join(given.problems)
            return made
        if self._failures >= FAILURES_IN_A_ROW:
            made.state, made.reason = "failed", f"not tried: MISP failed for {FAILURES_IN_A_ROW} stories in a row"
            return made
        try:
            StoryShare(self.settings, self.writer, self.me, self.terms, given.story, made).share()
            self._failures = 0
        except StoryStopped as stopped:
            made.state, made.reason = stopped.state, str(stopped)
        except MispError as error:
            made.state, made.reason = "failed", str(error)
            self._failures += not isinstance(error, MispDeclined)
        return made
