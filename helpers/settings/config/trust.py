"""Who else may change a file or a directory, by the owners and modes on the way to it, and what to do about it. Pure.

Access control lists are not looked at.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os

    # A path, and what the system says of it.
    Step = tuple[str, os.stat_result]

_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Trusted(NamedTuple):
    """The numbers of the users and groups that may change anything."""

    users: frozenset[int]
    groups: frozenset[int]


class Names(NamedTuple):
    """What users and groups are called, and the paths of the users' homes."""

    user: Callable[[int], str]
    group: Callable[[int], str]
    homes: frozenset[str]


class Writers(NamedTuple):
    """Who else may change something: its owner, its group, everybody; ``sticky`` is a directory open like /tmp."""

    owner: int | None = None
    group: int | None = None
    everybody: bool = False
    sticky: bool = False
    is_link: bool = False


class Reader(Enum):
    """Who is told: only root can let another user run this, and only on a host is there a command for it."""

    ROOT_ON_A_HOST = 1
    ROOT_ELSEWHERE = 2
    ANOTHER_USER = 3


ROOT = Trusted(frozenset({0}), frozenset({0}))
NOBODY = Writers()


# -- deciding -----------------------------------------------------------------------------------------


def writers(steps: Sequence[Step], trusted: Trusted, *, filled: bool = False) -> dict[str, Writers]:
    """Return who else may change what is at the end of these steps, by the path where they may.

    The steps are every directory and link on the way, and the end last. Everybody may make files in a directory with
    the sticky bit, but change nobody else's, which is enough unless the end is one that is ``filled`` with files.
    """
    statuses = dict(steps)
    end = steps[-1][0] if steps and filled else ""
    found = {path: _writers(path, statuses, trusted, is_filled=path == end) for path in statuses}
    return {path: others for path, others in found.items() if others != NOBODY}


def _writers(path: str, statuses: Mapping[str, os.stat_result], trusted: Trusted, *, is_filled: bool) -> Writers:
    status = statuses[path]
    mode = status.st_mode
    owner = None if status.st_uid in trusted.users else status.st_uid
    if stat.S_ISCHR(mode):  # /dev/null as a config.py: what is written there is never read
        return NOBODY
    if stat.S_ISLNK(mode):  # it cannot be changed, and its owner can put another there only where everybody can
        above = statuses.get(path.rpartition("/")[0] or "/")
        is_open = above is not None and above.st_mode & _BY_OTHERS
        return Writers(owner, is_link=True) if is_open and owner is not None else NOBODY
    sticky = stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)
    if sticky and not is_filled:
        return Writers(owner)
    group = status.st_gid if mode & stat.S_IWGRP and status.st_gid not in trusted.groups else None
    everybody = bool(mode & stat.S_IWOTH)
    return Writers(owner, group, everybody, sticky and (everybody or group is not None))


def sentences(found: Mapping[str, Writers], names: Names, reader: Reader, *, whole: bool = False) -> list[str]:
    """Say for each who may change what, and what to do about it; ``whole``: what is in a directory goes with it."""
    by_writers = sorted(found, key=lambda path: (repr(found[path]), path))
    groups = [(others, list(paths)) for others, paths in groupby(by_writers, key=lambda path: found[path])]
    return [_sentence(others, paths, names, reader, whole=whole) for others, paths in groups]


def _sentence(others: Writers, paths: list[str], names: Names, reader: Reader, *, whole: bool) -> str:
    who = _who(others, names)
    return f"{_listed(paths)} may be changed by {who}: {_advice(others, paths, names, reader, whole=whole)}"


def _who(others: Writers, names: Names) -> str:
    if others.everybody:
        return "everybody"
    owner = [names.user(others.owner)] if others.owner is not None else []
    return _listed([*owner, *([f"the group {names.group(others.group)}"] if others.group is not None else [])])


def _advice(others: Writers, paths: list[str], names: Names, reader: Reader, *, whole: bool) -> str:
    command = "" if names.homes & {*paths} else _command(others, paths, whole=whole)
    by_root = "name another place, where only root may write"
    if others.sticky:
        by_root = "name a directory of its own in it"
    elif command:
        by_root = f"as root, {command}" if reader is Reader.ANOTHER_USER else command
    if others.owner is None or reader is Reader.ANOTHER_USER:
        return by_root
    owner = names.user(others.owner)
    has_command = reader is Reader.ROOT_ON_A_HOST and not owner.isdigit()
    how = " (the installed command misp2sentinel changes to its user)" if has_command else ""
    return f"run this as {owner}{how}, or, if root is to run it from now on, {by_root}"


def _command(others: Writers, paths: list[str], *, whole: bool) -> str:
    quoted = " ".join(map(shlex.quote, paths))
    option = "-R " if whole else "-h " if others.is_link else ""
    owner = "root:" if whole else "root"  # of a config.py the group stays, which may read it
    classes = ("g" if others.group is not None else "") + ("o" if others.everybody else "")
    commands = [f"chown {option}{owner} {quoted}"] if others.owner is not None else []
    return " && ".join([*commands, *([f"chmod {option}{classes}-w {quoted}"] if classes else [])])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
