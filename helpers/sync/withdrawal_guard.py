"""How many withdrawals at once look like a mistake. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Fewer than this are never a mistake that costs more than it is worth to ask about.
ALWAYS_ALLOWED = 100


@dataclass(frozen=True)
class WithdrawalGuard:
    """What may leave a destination of which ``live`` objects are live; ``percent`` is max_withdraw_percent.

    ``force`` says that somebody has looked and accepts it (``--force-withdraw``).
    """

    live: int
    percent: int
    force: bool = False

    def allows(self, withdrawals: int) -> bool:
        """Whether so many may leave at once."""
        few = withdrawals <= ALWAYS_ALLOWED or withdrawals * 100 <= self.live * self.percent
        return self.force or few
