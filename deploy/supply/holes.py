"""Which pins have known holes: pip-audit asks, and an answer that did not come counts as none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.supply.pins import ROOT

_COMMAND = (sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off")


class AuditFailedError(Exception):
    """pip-audit gave no answer; the text is the last line of its own words."""


@dataclass(frozen=True)
class Answer:
    """What is known of a file of requirements: a line for each hole, how many were asked about, and who is unknown."""

    holes: tuple[str, ...]
    asked: int
    unknown: tuple[str, ...]


def ask(file: str, osv: str | None) -> Answer:
    """Ask PyPI about each package of a file of requirements, or OSV at an address.

    Raises AuditFailedError where there is no answer at all.
    """
    options = ["--vulnerability-service", "osv", "--osv-url", osv] if osv else []
    command = [*_COMMAND, "--format", "json", "--requirement", file, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
    if not done.stdout.strip():
        raise AuditFailedError((done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1])
    return read(json.loads(done.stdout)["dependencies"])


def read(packages: list[dict[str, Any]]) -> Answer:
    """Return what pip-audit's JSON says of its packages."""
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    return Answer(tuple(line for package in packages for line in _holes(package)), len(packages), unknown)


def _holes(package: dict[str, Any]) -> Iterator[str]:
    for hole in package.get("vulns", []):
        names = ", ".join([hole["id"], *hole["aliases"]])
        fixed = ", ".join(hole["fix_versions"]) or "no version yet"
        yield f"{package['name']} {package['version']}: {names}, fixed in {fixed}"


def sentence(answer: Answer) -> str:
    """Return what follows of an answer, as a text to read last."""
    if answer.holes:
        return (
            f"{len(answer.holes)} known. Pin a fixed version in pyproject.toml, then make requirements and make test."
        )
    if answer.unknown:
        of = f"{len(answer.unknown)} of {answer.asked} packages"
        return f"Of {of} nothing could be learnt. Ask where pypi.org is reached, or --osv."
    return f"No holes are known in {answer.asked} packages."


def exit_code(answer: Answer) -> int:
    """Return 1 for a hole, 2 where something is not known, 0 where all is well."""
    if answer.holes:
        return 1
    return 2 if answer.unknown else 0
