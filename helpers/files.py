"""Files and directories that only their owner may read: making one, and what to do when the system refuses it.

Mostly root ran once, and cron's user comes after.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from contextlib import suppress
from pathlib import Path

_REFUSED = (errno.EACCES, errno.EPERM)
_FOR_OWNER = stat.S_IRUSR | stat.S_IWUSR
_MOST_LINKS = 40  # as the system follows (path_resolution(7))
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class OddFile(OSError):
    """What stands in the place of a file or a directory of ours is a link, a pipe, a device or the like."""


def open_file(path: Path, flags: int) -> int:
    """Open a file, and nothing else: no link is followed, and no pipe is waited for.

    So nobody can have us read or write somewhere else. Raises OddFile for anything but a file, and OSError.
    """
    with suppress(FileNotFoundError):
        _refuse_odd(path, path.lstat().st_mode, stat.S_IFREG)
    # What is put there right now is not waited for either.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, _FOR_OWNER)
    try:
        _refuse_odd(path, os.fstat(descriptor).st_mode, stat.S_IFREG)
    except OddFile:
        os.close(descriptor)
        raise
    return descriptor


def open_private(path: Path, flags: int) -> int:
    """Open a file as ``open_file`` does, that only its owner may read; it is made if it is not there."""
    descriptor = open_file(path, flags | os.O_CREAT)
    try:
        os.fchmod(descriptor, _FOR_OWNER)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_new(path: Path, content: str) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises FileExistsError where something is there already, whatever it is, and OSError.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path, follow_symlinks=False)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: str, mode: int = _FOR_OWNER) -> None:
    """Write a file in the place of the one that is there, whole or not at all; ``mode`` says who may read it.

    Raises OddFile where something else than a file is there, and OSError; what was there stays then.
    """
    with suppress(FileNotFoundError):
        _refuse_odd(path, path.lstat().st_mode, stat.S_IFREG)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # in a container a process that was killed had the same number
    try:
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_null_device(path: Path) -> bool:
    """Say whether this is what swallows all that is written to it, and no link to that."""
    with suppress(OSError):
        status = path.lstat()
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev
    return False


def make_private_directory(path: Path, *, hide_from_git: bool = False) -> None:
    """Make a directory that only its owner may enter, and those above it; one that is there stays as it is.

    ``hide_from_git``: what is in it is no file of the clone that it may be in.
    Raises OddFile for a symbolic link, also to a directory, and OSError.
    """
    with suppress(FileNotFoundError):
        _refuse_odd(path, path.lstat().st_mode, stat.S_IFDIR)
        return
    path.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    if hide_from_git:
        with os.fdopen(open_private(path / ".gitignore", os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
            file.write("*\n")


def can_be_made(directory: Path) -> bool:
    """Say whether this user may make a directory that is not there, and those above it that are missing."""
    above = _nearest_visible(directory)
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _refuse_odd(path: Path, mode: int, wanted: int) -> None:
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise OddFile(f"{path} is a symbolic link to {path.parent / path.readlink()}, which is refused")
    if kind != wanted:
        raise OddFile(f"{path} is {_KINDS.get(kind, 'of an odd kind')}, which is refused")


def steps_to(path: Path) -> list[tuple[str, os.stat_result]]:
    """Return what the system passes on its way to a path, each with its status: directories, links, the end last.

    A link is followed and stands there itself. What is missing or may not be seen ends the way.
    """
    steps: dict[str, os.stat_result] = {}
    here, waiting, links = Path("/"), list(reversed(path.absolute().parts)), 0
    while waiting and links <= _MOST_LINKS:
        part = waiting.pop()
        here = here.parent if part == ".." else here / part
        try:
            status = here.lstat()
        except OSError:
            break
        steps.pop(str(here), None)  # what is passed again comes last
        steps[str(here)] = status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            waiting += reversed(here.readlink().parts)
            here = here.parent
    return list(steps.items())


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, or of the one that this process runs as; the number of one without a name."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(gid: int) -> str:
    """Return the name of a group; the number of one without a name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def is_own_group(gid: int) -> bool:
    """Say whether nobody is named as a member of a group but the user that this process runs as."""
    try:
        return {*grp.getgrgid(gid).gr_mem} <= {user_name()}
    except KeyError:
        return True


def homes() -> frozenset[str]:
    """Return the paths of all users' homes."""
    return frozenset(user.pw_dir for user in pwd.getpwall())


def permission_hint(error: OSError) -> str:
    """Say whose the refused file is and how to give it away; nothing for any other trouble.

    A directory is given away whole only where it is this user's, or where nobody but its owner may enter and it
    is no home: any other, such as /var/log, is used by others too.
    """
    if error.errno not in _REFUSED or not isinstance(error.filename, str):
        return ""
    refused = Path(error.filename2 or error.filename)  # of two, what the first was to replace
    visible = _nearest_visible(refused)
    owner = visible.stat().st_uid
    if owner == os.geteuid():
        return ""
    if visible not in (refused, refused.parent) or (visible.is_dir() and not _is_private(visible)):
        return f"{user_name()} may not write in {visible}, which belongs to {user_name(owner)}: name another place."
    directory = visible if visible.is_dir() else visible.parent
    user = user_name()
    new_owner = user if user.isdigit() else f"{user}:"  # chown knows no group of a user without a name
    if directory.stat().st_uid == os.geteuid() or _is_private(directory):
        command = f"chown -R {new_owner} {shlex.quote(str(directory))}"
    else:
        command = f"chown {new_owner} {shlex.quote(str(visible))}"
    return f"{visible} belongs to {user_name(owner)} (did root run this once?). As root: {command}"


def _is_private(directory: Path) -> bool:
    """Say whether only its owner may enter a directory, and it is nobody's home."""
    return not directory.stat().st_mode & 0o077 and str(directory) not in homes()


def _nearest_visible(path: Path) -> Path:
    """Return the path, or the nearest directory above it that this user can see."""
    while not os.access(path, os.F_OK) and path != path.parent:
        path = path.parent
    return path
