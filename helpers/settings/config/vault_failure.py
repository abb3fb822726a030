"""What is Azure's failure, and not that of the line of config.py which asked it, a key vault mostly."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from helpers.process import Redactor
from helpers.settings import messages
from helpers.text import excerpt

_UNREACHABLE = "Is the vault's address right, and can it be reached from this host (firewall, proxy)?"
_MOST_WORDS = 500
_SECRET = re.compile("secret|password|passwd|token|key", re.IGNORECASE)
_NO_SECRET = re.compile("vault|name|ur[li]$", re.IGNORECASE)


class TookTooLong(BaseException):
    """A config.py that has not ended in time; none of its own handlers is to take it."""


def missing_package(error: BaseException) -> str | None:
    """Return the package of Azure's SDK that is not installed; None for any other error."""
    names = [failure.name or "" for failure in _chain(error) if isinstance(failure, ModuleNotFoundError)]
    return next((name for name in names if name.partition(".")[0] == "azure"), None)


def of_azure(error: BaseException, names: Mapping[str, Any]) -> str | None:
    """Say what Azure's SDK raised, or was waiting for, in its own words; None where the failure is none of it.

    ``names`` are those that config.py has set: secrets among them are not repeated.
    """
    failure = next((failure for failure in _chain(error) if _is_azures(failure)), None)
    if failure is None:
        return None
    if isinstance(failure, TookTooLong):
        return f"since Azure did not answer in time. {_UNREACHABLE}"
    words = f"Microsoft's words: {excerpt(Redactor(_secrets(names))(str(failure)), _MOST_WORDS)}"
    kind = type(failure).__name__
    if kind.startswith(("ServiceRequest", "ServiceResponse")):
        return f"since Azure did not answer ({kind}). {_UNREACHABLE} {words}"
    return f"since Azure refused ({kind}): docs/identities.md says what a vault wants. {words}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for: config.py may have one of its own for it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen.add(id(current))
        current = current.__cause__ or current.__context__


def _is_azures(error: BaseException) -> bool:
    if isinstance(error, TookTooLong):
        return _passed_azure(error.__traceback__)
    exceptions = sys.modules.get("azure.core.exceptions")
    return exceptions is not None and isinstance(error, exceptions.AzureError)


def _passed_azure(traceback: TracebackType | None) -> bool:
    while traceback:
        if str(traceback.tb_frame.f_globals.get("__name__")).startswith("azure."):
            return True
        traceback = traceback.tb_next
    return False


def _secrets(names: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts under names, or keys of dictionaries, that are those of secrets."""
    for name, value in names.items():
        for path, text in messages.texts_in(value):
            last = path.rpartition("[")[2] or str(name)
            if _SECRET.search(last) and not _NO_SECRET.search(last.rstrip("']")):
                yield text
