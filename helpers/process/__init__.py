"""What a process has to do with its host: signals that end it, and streams that it prints to."""

from helpers.process import interrupts, streams

__all__ = ["interrupts", "streams"]
