"""Whether others may change config.py or state_dir, as the disk has it, and whether that counts where this runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.files import group_name, homes, is_own_group, steps_to, user_name
from helpers.settings.config.trust import ROOT, Names, Reader, Trusted, sentences, writers

if TYPE_CHECKING:
    from helpers.settings.config.trust import Step

# What is ours in state_dir, which may be a directory that others use too.
_OURS = (
    *("ledger.sqlite*", "misp2sentinel*.log", "run*.lock", "stories.json", "logs"),
    *("parsed_indicators*.txt", "sentinel_response*.txt"),
)
# Docker, podman and Kubernetes leave these in each container; the variable is set in each pod (kubernetes.io,
# "Accessing the Kubernetes API from a Pod").
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"


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
