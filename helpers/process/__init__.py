"""What a process has to do with its host: its signals, its streams, how it was installed and called, and its turn."""

from helpers.process import installation, interrupts, invocation, streams

__all__ = ["installation", "interrupts", "invocation", "streams"]
