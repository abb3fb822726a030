"""What a share of stories is asked for, and what became of each story. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ShareOutcome:
    """What became of one story."""

    id: str
    title: str
    state: str = "unchanged"
    reason: str = ""
    url: str = ""
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Say it to programs."""
        return {
            "id": self.id,
            "title": self.title,
            "outcome": self.state,
            "reason": self.reason,
            "url": self.url,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class ShareOptions:
    """What was asked for: publish, flag indicators for detection, go on despite proposals."""

    publish: bool = False
    to_ids: bool = False
    force: bool = False
