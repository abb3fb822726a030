"""What can go wrong, and who is told what.

    SyncError                     a sentence for the operator, never a traceback
    ├── SettingsError             exit 2: every problem at once, each with how to fix it
    ├── UsageError                exit 2: the command line makes no sense
    ├── InputError                exit 2: a file named to convert cannot be read
    ├── OutputError               exit 2: a file that was asked for cannot be written
    ├── EventNotFound             exit 2: the one event that a run was asked for is not there, or not to be sent
    ├── Declined                  exit 2: whoever was asked whether to withdraw something did not say yes
    ├── LedgerError               exit 2: the ledger cannot be used
    │   └── NoLedger              … since state_url is "none"
    ├── LedgerRefusal             exit 2: the ledger takes one row of many not, which costs a run only its event
    ├── MispError                 exit 3: MISP gave no usable answer
    │   ├── MispRefused           … and asking again will not help (key, role, address)
    │   │   ├── MispDeclined      … one write or question of several, in MISP's own words
    │   │   └── MispMoved         exit 2: it answers at another address
    │   └── MispBusy              … and asking again, later or for less, may help
    │       └── MispTooMuch       … and only asking for less: the answer has no end, or is too large
    ├── StoryStopped              never ends the process: the outcome of one story, blocked or failed
    ├── TimeUp                    never ends the process: a run stops in good order, and the next one continues
    ├── MicrosoftError            exit 4: no token, no answer or a refusal, in check, adopt and the like
    │   └── KindNotListed         never ends the process: adopt takes over indicators alone
    └── RunActive                 exit 5: another run holds the lock

``exit_code`` is what the process ends with when the error reaches ``script.py``. Any other exception is a fault
of ours and ends it with ``ExitCode.OWN_FAULT``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a process ends with, for monitors; docs/operate.md says what to do about each."""

    DONE = 0
    UNFINISHED = 1
    SETTINGS = 2
    MISP = 3
    MICROSOFT = 4
    RUN_ACTIVE = 5
    OWN_FAULT = 70  # EX_SOFTWARE of BSD's sysexits: an internal software error
    STOPPED = 130  # what a shell reports for a process that SIGINT ended: 128 + 2


class SyncError(Exception):
    """Something the operator can act on; its text is the whole message."""

    exit_code = ExitCode.UNFINISHED


class SettingsError(SyncError):
    """The settings cannot be used; ``problems`` holds one sentence each."""

    exit_code = ExitCode.SETTINGS

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UsageError(SyncError):
    """The command line makes no sense, or not together."""

    exit_code = ExitCode.SETTINGS


class InputError(SyncError):
    """A file given on the command line cannot be read or is not a MISP event."""

    exit_code = ExitCode.SETTINGS


class OutputError(SyncError):
    """A file that was asked for, by an argument or by a setting, cannot be written."""

    exit_code = ExitCode.SETTINGS


class EventNotFound(SyncError):
    """The event that ``--uuid`` names is not there, not published or outside of the site's filters."""

    exit_code = ExitCode.SETTINGS


class Declined(SyncError):
    """A question before what cannot be undone was not answered with yes: nothing was done."""

    exit_code = ExitCode.SETTINGS

    def __init__(self) -> None:
        super().__init__("Nothing was done: the answer was not yes. With --yes nobody is asked.")


class LedgerError(SyncError):
    """The ledger cannot be opened or went away, is damaged, or newer than this program; its destinations share that."""

    exit_code = ExitCode.SETTINGS


class NoLedger(LedgerError):
    """``state_url`` is "none": there is nothing to ask or to change."""

    def __init__(self) -> None:
        super().__init__(
            'There is no ledger, since state_url is "none": what was sent is not known. Name a database in state_url, '
            "and runs remember from then on."
        )


class LedgerRefusal(SyncError):
    """The ledger does not take a row: a number too large for it, for instance."""

    exit_code = ExitCode.SETTINGS


class MispError(SyncError):
    """MISP could not be reached or gave an answer that cannot be used."""

    exit_code = ExitCode.MISP


class MispRefused(MispError):
    """MISP understood and refused; the same request would be refused again."""


class MispDeclined(MispRefused):
    """MISP declined one request, with ``status`` and these words; the next may well be taken."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


class MispMoved(MispRefused):
    """MISP's address leads to another one, where no request follows."""

    exit_code = ExitCode.SETTINGS


class MispBusy(MispError):
    """MISP failed for now; ``wait`` is how many seconds it asked us to wait (0: it did not say)."""

    def __init__(self, words: str, wait: float = 0) -> None:
        self.wait = wait
        super().__init__(words)


class MispTooMuch(MispBusy):
    """MISP's answer is larger, or takes longer, than the settings allow."""


class StoryStopped(SyncError):
    """A story goes no further, in this ``state`` and for this reason; other stories go on."""

    def __init__(self, state: str, reason: str) -> None:
        self.state = state
        super().__init__(reason)


class TimeUp(SyncError):
    """A run's time for reading is used up (``max_run_minutes``); what was not read is read by the next one."""


class MicrosoftError(SyncError):
    """Microsoft could not be reached, or refused.

    In a run it ends no process: uploads turn it into why a destination is given up (``Report.given_up``, exit 4 too).
    """

    exit_code = ExitCode.MICROSOFT


class KindNotListed(MicrosoftError):
    """A workspace refuses to list the objects of another kind than indicators, or does not know that kind."""


class RunActive(SyncError):
    """Another run is active on the same state directory."""

    exit_code = ExitCode.RUN_ACTIVE
