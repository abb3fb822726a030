"""Files that only their owner may read: opening one, and what to do when the system refuses it.

Mostly root ran once, and cron's user comes after.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import stat
from pathlib import Path

_REFUSED = (errno.EACCES, errno.EPERM)


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner may read, and never through a symbolic link. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, stat.S_IRUSR | stat.S_IWUSR)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
    return descriptor


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
    is no home: any other, such as /var/log, is used by others too.
    """
    if error.errno not in _REFUSED or not isinstance(error.filename, str):
        return ""
    refused = Path(error.filename)
    visible = _nearest_visible(refused)
    owner = visible.stat().st_uid
    if owner == os.geteuid():
        return ""
    if visible not in (refused, refused.parent) or (visible.is_dir() and not _is_private(visible)):
        return f"{user_name()} may not write in {visible}, which belongs to {user_name(owner)}: name another place."
    directory = visible if visible.is_dir() else visible.parent
    if directory.stat().st_uid == os.geteuid() or _is_private(directory):
        command = f"chown -R {user_name()}: {shlex.quote(str(directory))}"
    else:
        command = f"chown {user_name()}: {shlex.quote(str(visible))}"
    return f"{visible} belongs to {user_name(owner)} (did root run this once?). As root: {command}"


def _is_private(directory: Path) -> bool:
    """Say whether only its owner may enter a directory, and it is nobody's home."""
    return not directory.stat().st_mode & 0o077 and str(directory) not in {user.pw_dir for user in pwd.getpwall()}


def _nearest_visible(path: Path) -> Path:
    """Return the path, or the nearest directory above it that this user can see."""
    while not os.access(path, os.F_OK) and path != path.parent:
        path = path.parent
    return path
