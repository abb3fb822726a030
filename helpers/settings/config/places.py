"""What the disk says of config.py and state_dir: whether others may change them, and where state_dir can be.

Whether that counts depends on where this runs.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.files import can_be_made, group_name, homes, is_own_group, steps_to, user_name
from helpers.settings.config import state_place
from helpers.settings.config.state_place import LEDGER, Asker, Candidate, Kind, Place
from helpers.settings.config.trust import ROOT, Names, Reader, Trusted, sentences, writers

if TYPE_CHECKING:
    from helpers.settings.config.trust import Step

# What is ours in state_dir, which may be a directory that others use too.
_OURS = (
    *(f"{LEDGER}*", "misp2sentinel*.log", "run*.lock", "stories.json", "logs"),
    *("parsed_indicators*.txt", "sentinel_response*.txt"),
)
# Docker, podman and Kubernetes leave these in each container; the variable is set in each pod (kubernetes.io,
# "Accessing the Kubernetes API from a Pod").
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"
# What systemd makes for StateDirectory=misp2sentinel, and docs/install.md.
OF_PROGRAM = Path("/var/lib/misp2sentinel")


def in_container(environ: Mapping[str, str]) -> bool:
    """Say whether this is a container, whose disk is others' to give and whose root is not the host's."""
    return bool(environ.get(CONTAINER_VARIABLE)) or any(os.access(file, os.F_OK) for file in CONTAINER_FILES)


def of_config(path: Path, opened: os.stat_result | None = None) -> list[str]:
    """Say who else may change a config.py, and what to do about it.

    ``opened`` is the status of what root has opened and will run, if nobody else may change it.
    """
    refuse = opened is not None
    steps = _steps(path, refuse=refuse)
    if opened and not os.path.samestat(steps[-1][1], opened):
        return [f"{path} is not the file that this path leads to: name the file itself"]
    return sentences(writers(steps, _trusted()), _names(), _reader(refuse=refuse))


def imports_are_safe(folder: Path) -> bool:
    """Say whether root may import what lies in a directory: in /tmp, anybody may put a module there."""
    return not writers(steps_to(folder), ROOT, filled=True)


def of_state_dir(directory: Path, *, refuse: bool) -> list[str]:
    """Say who else may change what is written into a directory, or into what will be it, and what to do about it."""
    steps, is_there = _steps(directory, refuse=refuse), directory.exists()
    found = writers(steps, _trusted(), filled=is_there)
    end = steps[-1][0] if steps and is_there else ""
    itself = {end: found.pop(end)} if end in found else {}
    if not itself:
        found |= writers(list(_ours_in(directory)), _trusted())
    reader = _reader(refuse=refuse)
    return [
        *sentences(found, _names(), reader),
        *sentences(itself, _names(), reader, whole=_is_private(directory)),
    ]


def default_state_dir(config: Path | None, *, for_ledger: bool) -> Place:
    """Say which directory is state_dir where that is not set. ``config`` is the config.py, if there is one.

    ``for_ledger``: the ledger is to be in it too. Nothing is made.
    """
    config = config if config and config.is_file() else None  # /dev/null is none
    candidates = [*_homes(), _looked_at(OF_PROGRAM, Kind.OF_PROGRAM), *_beside(config)]
    asker = Asker(user_name(), config, OF_PROGRAM)
    return state_place.decide(_without_twins(candidates), asker, for_ledger=for_ledger)


def _homes() -> Iterator[Candidate]:
    """Yield the user's state directory and, where that cannot be, the one in the home that the system knows.

    The two differ where HOME is another user's: su and runuser leave it as it was, and cron does not.
    """
    from platformdirs import user_state_path  # noqa: PLC0415 (only needed without state_dir)

    with suppress(RuntimeError):  # no home is known
        first = _looked_at(user_state_path("misp2sentinel", appauthor=False), Kind.OF_USER)
        yield first
        if first.is_usable or first.has_ledger:
            return
    with suppress(KeyError):  # a user without a name
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
        yield _looked_at(home / ".local" / "state" / "misp2sentinel", Kind.OF_USER)


def _beside(config: Path | None) -> Iterator[Candidate]:
    """Yield state/ beside config.py, unless everybody may make a directory there, as in /tmp."""
    if config and not config.parent.stat().st_mode & stat.S_ISVTX:
        yield _looked_at(config.parent / "state", Kind.BESIDE_CONFIG)


def _looked_at(path: Path, kind: Kind) -> Candidate:
    """Return what the disk says of a directory; a link counts as usable, since using it says that links are refused."""
    with suppress(OSError):
        directory, ledger, is_directory = path.stat(), _status_of_ledger(path), path.is_dir()
        may_enter = is_directory and os.access(path, os.X_OK)
        may_write = may_enter and os.access(path, os.W_OK)
        return Candidate(
            path,
            kind,
            owner=user_name((ledger if ledger and may_write else directory).st_uid),
            is_usable=path.is_symlink() or (may_write and (not ledger or _may_write_ledger(path))),
            is_closed=is_directory and not may_enter,
            has_ledger=ledger is not None,
            has_files=any(not name.endswith("/logs") for name, _ in _ours_in(path)),
        )
    if _is_link(path):  # to a disk that is not mounted, with the ledger
        return Candidate(path, kind, owner=user_name(), is_usable=True)
    return Candidate(path, kind, is_usable=can_be_made(path))


def _is_link(path: Path) -> bool:
    with suppress(OSError):  # where it may not be seen
        return path.is_symlink()
    return False


def _status_of_ledger(directory: Path) -> os.stat_result | None:
    with suppress(OSError):
        return (directory / LEDGER).lstat()
    return None


def _may_write_ledger(directory: Path) -> bool:
    return os.access(directory / LEDGER, os.R_OK | os.W_OK)


def _without_twins(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what is the same directory as an earlier one, under another path."""
    by_place: dict[str, Candidate] = {}
    for candidate in candidates:
        by_place.setdefault(os.path.realpath(candidate.path), candidate)
    return list(by_place.values())


def _is_private(directory: Path) -> bool:
    """Say whether only its owner may enter a directory, so that nothing in it is others'."""
    return directory.exists() and not directory.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _ours_in(directory: Path) -> Iterator[Step]:
    for path in sorted(_entries(directory)):
        if any(fnmatch(path.name, pattern) for pattern in _OURS):
            yield str(path), path.lstat()


def _entries(directory: Path) -> Iterable[Path]:
    return directory.iterdir() if os.access(directory, os.R_OK | os.X_OK) and directory.is_dir() else []


def _steps(path: Path, *, refuse: bool) -> list[Step]:
    """Return the steps to a path; where it is only said who may change it, what is mounted read-only is left out."""
    return [step for step in steps_to(path) if refuse or not _is_read_only(step[0])]


def _is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:  # a link that leads nowhere
        return False


def _trusted() -> Trusted:
    """Return whom this process trusts: root, itself, and its group if nobody else is in it."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        return ROOT
    return Trusted(ROOT.users | {user}, ROOT.groups | ({group} if is_own_group(group) else set()))


def _reader(*, refuse: bool) -> Reader:
    if refuse:
        return Reader.ROOT_ON_A_HOST
    return Reader.ROOT_ELSEWHERE if os.geteuid() == 0 else Reader.ANOTHER_USER


def _names() -> Names:
    return Names(user_name, group_name, homes())
