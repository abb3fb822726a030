"""What a process has to do with its host: signals, streams, log, how it was installed and called, its turn and part."""

from helpers.process import installation, interrupts, invocation, streams
from helpers.process.log import DestinationLogger, Redactor, is_kept, redact, safe_to_show
from helpers.process.part import WHOLE, Part

__all__ = [
    "WHOLE",
    "DestinationLogger",
    "Part",
    "Redactor",
    "installation",
    "interrupts",
    "invocation",
    "is_kept",
    "redact",
    "safe_to_show",
    "streams",
]
