"""``report``: how it stands, as one HTML page that needs nothing but a browser."""

from helpers.commands.monitoring.report.command import main, write_report

__all__ = ["main", "write_report"]
