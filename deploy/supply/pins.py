"""What the project asks for in ``pyproject.toml``, and what its files of requirements hold still."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Pin:
    """One package of a file of requirements: its name in lower case, and the hashes of the archives that will do."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    def wanted_in(self, environment: dict[str, str]) -> bool:
        """Return whether a Python, as ``packaging.markers`` describes one, installs it."""
        return not self.marker or Requirement(f"{self.name}; {self.marker}").marker.evaluate(environment)


def asked_for(extras: Iterable[str] = ("",)) -> list[str]:
    """Return the requirements as pyproject.toml has them: those of a run for ``""``, those of an extra for its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return [line for extra in extras for line in lists[extra]]


def locked(file: str) -> list[Pin]:
    """Return the pins of a file of requirements, named from the root of the project."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [_pin(line) for line in lines if line]


def _pin(line: str) -> Pin:
    wanted, *hashes = re.split(r"\s+--hash=", line)
    requirement = Requirement(wanted)
    (version,) = requirement.specifier
    marker = str(requirement.marker or "")
    return Pin(canonicalize_name(requirement.name), version.version, marker, frozenset(hashes))
