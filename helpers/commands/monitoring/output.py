"""Writes what somebody asked for into a file, or says why that cannot be done."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from helpers.errors import OutputError
from helpers.files import OddFile, open_file, permission_hint, write_whole

FOR_OWNER = stat.S_IRUSR | stat.S_IWUSR
_ANOTHER = "Name a file in a directory that is there and in which this user may write."
_FOREIGN = "{} is there and was not written by this command, so it stays. Name another file, or move that one away."
_SIGN = 10  # so many bytes at its beginning tell a page or a file of metrics from anything else


def write_output(path: Path, content: str, mode: int = FOR_OWNER) -> None:
    """Write a file whole or not at all; ``mode`` says who may read it.

    Raises OutputError; what was there stays then. Nothing else than an earlier version of the file is replaced: a slip
    must not cost somebody the settings or the ledger.
    """
    if _is_foreign(path, content):
        raise OutputError(_FOREIGN.format(path))
    try:
        write_whole(path, content, mode)
    except OSError as error:
        why = str(error) if isinstance(error, OddFile) else f"{path} cannot be written ({error.strerror or error})"
        raise OutputError(f"{why}. {permission_hint(error) or _ANOTHER}") from error


def _is_foreign(path: Path, content: str) -> bool:
    """Say whether a file is there that begins differently; not of one that cannot be read or is no file at all."""
    with suppress(OSError), os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read(_SIGN) not in (b"", content[:_SIGN].encode())
    return False
