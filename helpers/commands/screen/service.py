"""What a plugin of Nagios says: the state of a service in a line and an exit code.

The form is that of the Monitoring Plugins' development guidelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from helpers.process import safe_to_show
from helpers.text import one_line


class Service(IntEnum):
    """The states of a service, with the exit code of each."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def service_line(state: Service, words: str, measured: Sequence[str] = ()) -> str:
    """Return a line: the state, what people read, and behind a bar what is measured."""
    shown = one_line(safe_to_show(words)).replace("|", "/")
    return f"MISP2SENTINEL {state.name} - {shown}{'|' if measured else ''}{' '.join(measured)}"
