"""What is otherwise in an Azure Function: its disk is not kept, and its time is short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.settings import validators as check

# Azure sets the first in every Function, the second on every host of App Service (learn.microsoft.com,
# "App settings reference for Azure Functions").
SIGNS = ("FUNCTIONS_WORKER_RUNTIME", "WEBSITE_INSTANCE_ID")
DEFAULTS: Mapping[str, Any] = {
    "state_dir": "/tmp/misp2sentinel",  # noqa: S108  a Function has no other user, and no other place to write to
    "max_run_minutes": 9,  # a Consumption plan ends a Function after 10
}
_NOT_KEPT = (
    "makes the ledger an SQLite file, on a disk that a Function does not keep: name a PostgreSQL, "
    'postgresql://user@db.example.org/misp2sentinel, or "none" for runs that remember nothing and withdraw nothing.'
)


def is_here(environ: Mapping[str, str]) -> bool:
    """Whether these are the variables of a Function."""
    return any(environ.get(sign) for sign in SIGNS)


def problem(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (setting, what is wrong and the mend) of what a site gives, by dotted name; None if all is well."""
    url = values.get("state_url", "")
    kept = url == check.NO_LEDGER or str(url).startswith(check.NETWORK_DATABASES)
    return None if kept else ("state_url", _NOT_KEPT)
