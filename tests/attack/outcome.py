"""What came of a part of the attack: how much was tried, and what must never be, counted and shown by example."""

from __future__ import annotations

import json
import signal
import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from helpers.errors import ExitCode, SyncError

LOST, STALE, TWICE, TAKEN, FAULT, LATE = NEVER = (
    *("lost", "stale", "live twice", "taken over", "exit 70", "above its time"),
)
MOST_FINDINGS = 60
LONGEST_FINDING = 400
ROOT = Path(__file__).resolve().parents[2]


class AboveItsTime(BaseException):
    """What ends a run that takes longer than it may; nothing of the program's catches it."""


class Outcome:
    """The figures of a part, written to a file after each try, so that they outlive a part that hangs."""

    def __init__(self, file):
        self.file = file
        self.tried = 0
        self.codes = Counter()
        self.counts = Counter()
        self.findings = []
        self.now = ""

    def note(self, kind, what):
        """Count what must never be."""
        self.counts[kind] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(f"{kind}: {what}".encode(errors="backslashreplace").decode()[:LONGEST_FINDING])

    def attempt(self, what, call, seconds):
        """Do what gives an exit code, within so many seconds; the code, or None when it took longer."""
        self.begin(what)
        try:
            with limited(seconds):
                code = int(call())
        except SyncError as error:
            code = int(error.exit_code)
        except AboveItsTime as late:
            self.note(LATE, f"{what}: more than {seconds} s, in {_place(late)}")
            code = None
        except Exception as error:  # what script.py calls a fault of the program's own
            self.note(FAULT, f"{what}: {type(error).__name__}: {error}, in {_place(error)}")
            code = int(ExitCode.OWN_FAULT)
        self.codes[str(code)] += 1
        return code

    def begin(self, what, count=1):
        """Say what is tried now."""
        self.tried += count
        self.now = what
        self.save()

    def save(self):
        """Write the figures down."""
        figures = {
            "tried": self.tried,
            "counts": {kind: self.counts[kind] for kind in NEVER},
            "exit codes": dict(self.codes),
            "findings": self.findings,
            "now": self.now,
        }
        self.file.write_text(json.dumps(figures, indent=1), encoding="utf-8")


@contextmanager
def limited(seconds):
    """Raise AboveItsTime in the main thread after so many seconds, and again until it is heard."""

    def ring(*_):
        raise AboveItsTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(error):
    """Where in the program an exception came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT / "helpers")] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"
