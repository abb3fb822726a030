"""``metrics``: what the ledger knows of each destination, as Prometheus reads it from a text file."""

from helpers.commands.monitoring.metrics.command import main, write_metrics

__all__ = ["main", "write_metrics"]
