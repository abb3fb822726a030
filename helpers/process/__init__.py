"""What a process has to do with its host: signals, streams, how it was installed and called, its turn, its part."""

from helpers.process import installation, interrupts, invocation, streams
from helpers.process.part import WHOLE, Part

__all__ = ["WHOLE", "Part", "installation", "interrupts", "invocation", "streams"]
