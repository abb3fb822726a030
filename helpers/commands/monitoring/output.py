"""Writes what somebody asked for into a file, or says why that cannot be done."""

from __future__ import annotations

import stat
from pathlib import Path

from helpers.errors import OutputError
from helpers.files import OddFile, permission_hint, write_whole

FOR_OWNER = stat.S_IRUSR | stat.S_IWUSR
_ANOTHER = "Name a file in a directory that is there and in which this user may write."


def write_output(path: Path, content: str, mode: int = FOR_OWNER) -> None:
    """Write a file whole or not at all; ``mode`` says who may read it.

    Raises OutputError; what was there stays then.
    """
    try:
        write_whole(path, content, mode)
    except OSError as error:
        why = str(error) if isinstance(error, OddFile) else f"{path} cannot be written ({error.strerror or error})"
        raise OutputError(f"{why}. {permission_hint(error) or _ANOTHER}") from error
