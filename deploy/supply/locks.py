"""Writes the files of requirements: what pyproject.toml asks for, all that it brings along, and the hashes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass

from deploy.supply import SHIPPED
from deploy.supply.pins import EXTRAS_OF_SHIPPED, ROOT, asked_for

# The oldest Python that a file is for. uv looks at all later ones too, and writes where they differ.
OLDEST = "3.11"
_OPTIONS = ("--universal", "--python-version", OLDEST, "--generate-hashes", "--no-header", "--quiet", "--system-certs")
_ORIGIN = "# Made of pyproject.toml by make requirements, with the hashes of PyPI's files."


@dataclass(frozen=True)
class Lock:
    """A file of requirements: the lists of pyproject.toml that are in it, a run's own being ``""``."""

    file: str
    extras: tuple[str, ...]
    purpose: str


EVERYTHING = Lock(
    "requirements-dev.txt",
    (*EXTRAS_OF_SHIPPED, "sandbox", "site", "dev"),
    "What the sandbox, the tests, the checks and the site of the docs need, and all that a run may need.",
)
LOCKS = (
    EVERYTHING,
    Lock("requirements.txt", ("",), "What a run needs; docs/dependencies.md gives the reason for each."),
    Lock(
        "requirements-keyvault.txt",
        ("keyvault",),
        "What reading secrets from Azure Key Vault needs, on top of a run; only where key_vault_name is set.",
    ),
    Lock(
        "requirements-notify.txt",
        ("notify",),
        "What messages by apprise need, on top of a run; only where notify is set.",
    ),
    Lock("requirements-sandbox.txt", ("", "sandbox"), "What make demo and make tour need: a run, and the sandbox."),
    Lock(
        SHIPPED,
        EXTRAS_OF_SHIPPED,
        "What the Function needs: a run, and the optional packages, since nobody installs them there later.",
    ),
)


def write(options: list[str]) -> None:
    """Write all files. The options are uv's: without any, each version stays that pyproject.toml allows to stay.

    Raises subprocess.CalledProcessError where uv could not: it has said why.
    """
    _compile(EVERYTHING, options)
    for lock in LOCKS[1:]:
        shutil.copyfile(ROOT / EVERYTHING.file, ROOT / lock.file)  # uv keeps to the versions that it finds there
        _compile(lock, [])


def _compile(lock: Lock, options: list[str]) -> None:
    path = ROOT / lock.file
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--output-file", str(path), *_OPTIONS, *options]
    asked = "\n".join(asked_for(lock.extras))
    subprocess.run(command, input=asked, text=True, check=True, cwd=ROOT)  # noqa: S603 - no shell
    made = path.read_text(encoding="utf-8")
    path.write_text(f"# {lock.purpose}\n{_ORIGIN}\n{made}", encoding="utf-8")
