"""What of MISP could not be read as planned: the same result, but slower. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.text import counted

# More than so many failed requests, or events read one by one, in a run are no accident.
FEW = 3


@dataclass
class Detours:
    """Counts what one run asked in vain, and what it read in another way than planned.

    ``failed`` are requests without a usable answer, ``reason`` is what was said to the first of them; ``singly`` are
    events that were read one by one, whole or by pages of their attributes, since their page could not be had;
    ``waited`` are the seconds that MISP's rate limit cost.
    """

    failed: int = 0
    singly: int = 0
    waited: float = 0
    reason: str = ""

    def fail(self, words: str) -> None:
        """Count a request that failed."""
        self.failed += 1
        self.reason = self.reason or words

    @property
    def warning(self) -> str:
        """Say that the run was slower than it should be; empty when there was little of it."""
        if max(self.failed, self.singly) <= FEW:
            return ""
        failed, singly = counted(self.failed, "request", "requests"), counted(self.singly, "event", "events")
        return (
            f"MISP could not be read as planned: {failed} failed (the first: {self.reason}), {singly} read one by one. "
            "That takes many times as long; "
            "the log says what was asked (docs/troubleshoot.md#misp-could-not-be-read-as-planned)."
        )
