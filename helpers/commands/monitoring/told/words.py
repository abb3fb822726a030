"""What those outside read of a run: a title, and some lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from helpers.commands.monitoring.told.ending import Ending
from helpers.text import counted

# No receiver takes more lines of a message well; a run may have hundreds of destinations.
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Sender:
    """Who tells: this ``version`` on this ``host``, whose ``log`` has more; empty where none is kept."""

    version: str
    host: str
    log: str = ""

    def lines(self) -> Iterator[str]:
        """Yield who tells it, and where more of it is."""
        where = f"; the log is {self.log}" if self.log else ""
        yield f"MISP2Sentinel {self.version} on {self.host}{where}"


def title_of(parts: Sequence[Ending]) -> str:
    """Say in some words how a run ended at these destinations."""
    failed = [part for part in parts if not part.is_well]
    if not failed:
        return "MISP2Sentinel: OK"
    return f"MISP2Sentinel: FAILED{_where(failed, len(parts))}"


def body_of(parts: Sequence[Ending], sender: Sender) -> str:
    """Return the lines about a run at these destinations, the failed ones first."""
    ordered = sorted(parts, key=lambda part: part.is_well)
    lines = [_line(part) for part in ordered[:_MOST_SHOWN]]
    if more := len(ordered) - _MOST_SHOWN:
        lines += [f"and {counted(more, 'more destination', 'more destinations')}"] if more > 0 else []
    return "\n".join([title_of(parts), *lines, *sender.lines(), ""])


def message_of(parts: Sequence[Ending], sender: Sender) -> tuple[str, str]:
    """Return title and text of a message about these destinations, of which each has news."""
    failed = [part for part in parts if not part.is_well]
    if failed:
        return title_of(failed), body_of(parts, sender)
    names = ", ".join(part.name for part in parts[:_MOST_SHOWN] if part.name)
    title = f"MISP2Sentinel: well again{f' at {names}' if names else ''}"
    return title, "\n".join([title, *body_of(parts, sender).split("\n")[1:]])


def _where(failed: Sequence[Ending], of: int) -> str:
    if of == 1:
        return f" at {failed[0].name}" if failed[0].name else ""
    if len(failed) == 1:
        return f" at {failed[0].name}, 1 of {of:,} destinations"
    return f" at {'all' if len(failed) == of else len(failed)}{'' if len(failed) == of else ' of'} {of:,} destinations"


def _line(part: Ending) -> str:
    code = "" if part.exit_code is None else f"exit code {part.exit_code}"
    how = f"{part.cause}{f' ({code})' if code else ''}" if part.cause else code or "all is well"
    return f"{part.name or 'Sentinel'}: {'. '.join(filter(None, [how, part.counts]))}"
