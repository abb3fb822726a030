"""Makes the files of a version: the same commit gives the same bytes, wherever and whenever that is done.

They are made of what git has, so that nothing gets in that lies around in a working copy.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from constants import VERSION

ROOT = Path(__file__).resolve().parents[2]
NAME = f"misp2sentinel-{VERSION}"
REQUIREMENTS = ("requirements.txt", "requirements-keyvault.txt", "requirements-notify.txt")
SUMS = "SHA256SUMS"
# Seconds since 1970, the earliest moment that a wheel can hold: 1 January 1980.
_MOMENT = 315532800


def release(directory: Path, tree: str = "HEAD") -> list[Path]:
    """Write archives, requirements, list of what is shipped and sums for what git has as ``tree``; return their paths.

    Raises CalledProcessError where git, the builder of the wheel or the maker of the list fails.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tar = _source_archive(tree)
    source = directory / f"{NAME}.tar.gz"
    source.write_bytes(gzip.compress(tar, mtime=_MOMENT))
    with TemporaryDirectory() as scratch:
        clone = _unpacked(tar, Path(scratch))
        files = [_wheel(clone, directory), source, *_copies(clone, directory), _list(clone, directory)]
    sums = directory / SUMS
    sums.write_text("".join(map(_sum, files)), encoding="utf-8")
    return [*files, sums]


def not_committed() -> list[str]:
    """Return what of the working copy git has otherwise, or not at all, as git's status names it."""
    return _git("status", "--porcelain").decode().splitlines()


def _source_archive(tree: str) -> bytes:
    """Return what git has of a tree as a tar file, in which only names, contents and who may execute count."""
    written = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", f"--prefix={NAME}/", tree))) as archive,
        tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as clean,
    ):
        for entry in sorted(archive, key=lambda entry: entry.name):
            clean.addfile(_nobodys(entry), archive.extractfile(entry) if entry.isfile() else None)
    return written.getvalue()


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    may_execute = entry.isdir() or entry.mode & 0o100
    mode = 0o755 if may_execute else 0o644
    return entry.replace(mtime=_MOMENT, mode=mode, uid=0, gid=0, uname="root", gname="root")


def _unpacked(tar: bytes, directory: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        opened.extractall(directory, filter="data")
    return directory / NAME


def _copies(clone: Path, directory: Path) -> list[Path]:
    """Copy what a run and its extras need, each package with its hashes; return the copies."""
    return [Path(shutil.copyfile(clone / name, directory / name)) for name in REQUIREMENTS]


def _wheel(clone: Path, directory: Path) -> Path:
    """Build the wheel into ``directory``, with the builder that ``pyproject.toml`` names; return its path."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory.resolve())]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(_MOMENT)}
    subprocess.run(build, check=True, cwd=clone, env=environ, stdout=subprocess.DEVNULL)  # noqa: S603  our own words
    return directory / f"{NAME}-py3-none-any.whl"


def _list(clone: Path, directory: Path) -> Path:
    """Write the list of what is shipped, as the clone's own command makes it; return its path."""
    path = directory.resolve() / f"{NAME}.cdx.json"
    command = [sys.executable, "-m", "deploy.supply", "sbom", str(path)]
    subprocess.run(command, check=True, cwd=clone, stdout=subprocess.DEVNULL)  # noqa: S603  our own words
    return directory / path.name


def _sum(path: Path) -> str:
    """Return the line that ``sha256sum --check`` reads."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def _git(*words: str) -> bytes:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603  our own words
