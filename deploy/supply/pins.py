"""What the project asks for in ``pyproject.toml``, and what its files of requirements hold still."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The lists of pyproject.toml that SHIPPED is made of.
EXTRAS_OF_SHIPPED = ("", "keyvault", "notify", "function")


def environment(python: str) -> dict[str, str]:
    """Return what markers ask for, as a Python such as ``"3.14"`` answers it on this machine."""
    return {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}


@dataclass(frozen=True)
class Pin:
    """One package of a file of requirements: its name in lower case, the hashes of the archives that will do, and
    the names of the packages that brought it along."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]
    via: frozenset[str] = frozenset()

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
    text = (ROOT / file).read_text(encoding="utf-8")
    blocks = re.findall(r"^([a-z0-9].*(?:\n +.*)*)", text, re.MULTILINE)
    return [_pin(*block.partition("# via")[::2]) for block in blocks]


def _pin(wanted: str, via: str) -> Pin:
    line, *hashes = re.split(r"\s+--hash=", wanted.replace("\\\n", " ").strip())
    requirement = Requirement(line)
    (version,) = requirement.specifier
    marker = str(requirement.marker or "")
    came_by = frozenset(re.findall(r"[a-z0-9-]+", via))
    return Pin(canonicalize_name(requirement.name), version.version, marker, frozenset(hashes), came_by)
