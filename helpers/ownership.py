"""Whose a file is, and what to do when the system refuses it: mostly root ran once, and cron's user comes after."""

from __future__ import annotations

import errno
import os
import pwd
import shlex
from pathlib import Path

_REFUSED = (errno.EACCES, errno.EPERM)


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, or of the one that this process runs as; the number of one without a name."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def permission_hint(error: OSError) -> str:
    """Say whose the refused file is and how to give it away; nothing for any other trouble.

    A directory is given away whole only where it is this user's, or where nobody but its owner may enter and it
    is no home: any other, such as /var/log, is there for others too.
    """
    if error.errno not in _REFUSED or not isinstance(error.filename, str):
        return ""
    wanted = Path(error.filename)
    seen = _first_seen(wanted)
    owner = seen.stat().st_uid
    if owner == os.geteuid():
        return ""
    if seen not in (wanted, wanted.parent) or (seen.is_dir() and not _is_for_one(seen)):
        return f"{user_name()} may not write in {seen}, which belongs to {user_name(owner)}: name another place."
    place = seen if seen.is_dir() else seen.parent
    whole = place.stat().st_uid == os.geteuid() or _is_for_one(place)
    what = f"-R {user_name()}: {shlex.quote(str(place))}" if whole else f"{user_name()}: {shlex.quote(str(seen))}"
    return f"{seen} belongs to {user_name(owner)} (did root run this once?). As root: chown {what}"


def _is_for_one(place: Path) -> bool:
    """Whether only its owner may enter a directory, and it is nobody's home."""
    return not place.stat().st_mode & 0o077 and str(place) not in {each.pw_dir for each in pwd.getpwall()}


def _first_seen(path: Path) -> Path:
    """Return the path, or the nearest directory above it that this user can see."""
    while not os.access(path, os.F_OK) and path != path.parent:
        path = path.parent
    return path
