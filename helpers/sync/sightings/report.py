"""What became of what alerts matched, at one destination or at several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from constants import VERSION, NotSighted
from helpers.errors import ExitCode, MispError, SyncError
from helpers.ledger import SightingRecord, SightingStage
from helpers.text import moment_text

EXAMPLES = 5
# What is added up of several destinations.
_COUNTED = ("alerts", "other_rules", "matches", "written", "there", "waiting", "in_doubt", "unknown", "unreadable")


@dataclass
class SightingsReport:
    """How alerts were read and sightings written.

    ``alerts`` name something that may be an indicator; ``matches`` are those of them, each with an attribute, that no
    earlier reading had found. A match ends as ``written``, as ``there`` already, as ``waiting``, as refused or as left
    out. ``written`` and ``refused`` count what waited before, too; ``waiting`` is what does now, ``in_doubt`` those of
    it of which MISP did not say whether it has them. ``since`` and ``until`` are what was read, by the time at which
    Sentinel got it, in seconds since 1970; 0 where nothing was.
    """

    name: str = ""
    dry_run: bool = False
    line: Callable[[str], None] | None = None
    since: int = 0
    until: int = 0
    alerts: int = 0
    other_rules: int = 0
    matches: int = 0
    written: int = 0
    there: int = 0
    waiting: int = 0
    in_doubt: int = 0
    unknown: int = 0
    unreadable: int = 0
    refused: int = 0
    false_positives: int = 0
    left_out: Counter[NotSighted] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    misp_error: str = ""
    failure: str = ""
    error_code: int = 0
    seconds: float = 0.0
    parts: Sequence[SightingsReport] = ()

    def fail(self, error: SyncError) -> None:
        """Note what ended it; what was found by then is in the ledger."""
        if isinstance(error, MispError):
            self.misp_error = str(error)
        else:
            self.failure = str(error)
        self.error_code = self.error_code or error.exit_code

    def settle(self, record: SightingRecord) -> None:
        """Count what became of a sighting, or would in a dry run."""
        if record.stage is SightingStage.WRITTEN:
            self.written += 1
            self.false_positives += record.type
        elif record.stage is SightingStage.THERE:
            self.there += 1
        elif record.stage is SightingStage.LEFT_OUT:
            self.left_out[NotSighted.TLP] += 1
        elif record.stage is SightingStage.REFUSED:
            self.refused += 1
            if len(self.refusals) < EXAMPLES:
                self.refusals.append(f"{record.attribute} {record.value}: {record.words}")

    def say(self, text: str) -> None:
        """Tell a line of a dry run's plan."""
        if self.line:
            self.line(text)

    @property
    def exit_code(self) -> int:
        """0 done; 3 MISP, 4 Microsoft failed; 1 done, but MISP did not say of each whether it has it."""
        if self.parts:
            return _together([part.exit_code for part in self.parts])
        if self.error_code:
            return self.error_code
        return ExitCode.UNFINISHED if self.in_doubt else ExitCode.DONE

    @classmethod
    def of(cls, parts: Sequence[SightingsReport]) -> SightingsReport:
        """Return what became of it at several destinations together."""
        total = cls(dry_run=parts[0].dry_run if parts else False, parts=parts)
        for name in (*_COUNTED, "refused", "false_positives"):
            setattr(total, name, sum(getattr(part, name) for part in parts))
        total.left_out = sum((part.left_out for part in parts), Counter[NotSighted]())
        return total

    def as_json(self) -> dict[str, Any]:
        """It for programs; what was counted at each of several destinations is in ``destinations``."""
        counted = {name: getattr(self, name) for name in _COUNTED}
        each = {"destinations": [{"name": part.name, **part.as_json()} for part in self.parts]} if self.parts else {}
        return {
            "version": VERSION,
            "dry_run": self.dry_run,
            "since": moment_text(self.since) if self.since else None,
            "until": moment_text(self.until) if self.until else None,
            **counted,
            "refused": self.refused,
            "false_positives": self.false_positives,
            "left_out": {reason.name.lower(): count for reason, count in self.left_out.most_common()},
            "refusals": list(self.refusals),
            "warnings": list(self.warnings),
            "misp_error": self.misp_error,
            "failure": self.failure,
            "seconds": round(self.seconds, 1),
            "exit_code": self.exit_code,
            **each,
        }


def _together(codes: Iterable[int]) -> int:
    """Return the exit code of several destinations: the worst cause that some have, MISP's first."""
    known = set(codes)
    for code in (ExitCode.MISP, ExitCode.MICROSOFT, *sorted(known, reverse=True)):
        if code in known:
            return code
    return ExitCode.DONE
