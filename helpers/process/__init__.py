"""What a process has to do with its host: its signals, its streams, and how it was called."""

from helpers.process import interrupts, invocation, streams

__all__ = ["interrupts", "invocation", "streams"]
