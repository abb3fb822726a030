"""What people see: lines with a colour and a hanging indent where they look, plain text everywhere else."""

from helpers.commands.screen.line import SYMBOLS, Line, Tone, columns, looked_up, verdict
from helpers.commands.screen.log_lines import LogLines
from helpers.commands.screen.service import Service, service_line
from helpers.commands.screen.terminal import Say, Screen, is_seen

__all__ = [
    "SYMBOLS",
    "Line",
    "LogLines",
    "Say",
    "Screen",
    "Service",
    "Tone",
    "columns",
    "is_seen",
    "looked_up",
    "service_line",
    "verdict",
]
