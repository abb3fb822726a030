"""Which of the pinned packages PyPI has as wheels, for each Python: what pip can install without building anything."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.supply.pins import PYTHONS, ROOT, Pin, environment, locked

SOURCES = ROOT / "deploy/supply/sources.toml"
_NONE = re.compile(r"No matching distribution found for ([a-z0-9-]+)==", re.IGNORECASE)


class PipFailedError(Exception):
    """pip could not download, for another reason than that there is no wheel; the text is pip's own."""


def known() -> dict[str, dict[str, str]]:
    """Return the packages that are known to have no wheel: by name, the version and the reason."""
    return tomllib.loads(SOURCES.read_text(encoding="utf-8"))


def check(file: str) -> Iterator[str]:
    """Yield a line for each Python, then one for each package without a wheel.

    Raises PipFailedError where pip failed, and LookupError, with a sentence, where sources.toml says otherwise.
    """
    without: dict[str, list[str]] = {}
    for python in PYTHONS:
        pins = [pin for pin in locked(file) if pin.wanted_in(environment(python))]
        missing = _without_wheel(pins, python)
        yield f"Python {python}: {len(pins) - len(missing)} of {len(pins)} packages have a wheel"
        for name in missing:
            without.setdefault(name, []).append(python)
    here = {pin.name for pin in locked(file)}
    for name, pythons in without.items():
        yield f"  {name}: none for {', '.join(pythons)}. {known().get(name, {}).get('reason', 'No reason is known')}."
    if without.keys() != known().keys() & here:
        raise LookupError(f"{SOURCES.relative_to(ROOT)} names others. Correct it, with the reason for each.")


def _without_wheel(pins: list[Pin], python: str) -> list[str]:
    """Return the names of those that pip finds no wheel of: it names one at a time."""
    asked_later = [pin for pin in pins if pin.name in known()]
    waiting, missing = [pin for pin in pins if pin not in asked_later], []
    while name := _first_without(waiting, python):
        missing.append(name)
        waiting = [pin for pin in waiting if pin.name != name]
    return missing + [pin.name for pin in asked_later if _first_without([pin], python)]


def _first_without(pins: list[Pin], python: str) -> str:
    """Return the name of one that pip finds no wheel of, or ``""``. Markers are not pip's: it asks its own Python."""
    with TemporaryDirectory() as place:
        file = Path(place) / "requirements.txt"
        file.write_text("".join(_line(pin) for pin in pins), encoding="utf-8")
        done = subprocess.run(_command(file, python), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return ""
    if found := _NONE.search(done.stderr):
        return found[1].lower()
    raise PipFailedError(done.stderr.strip())


def _line(pin: Pin) -> str:
    return " ".join([f"{pin.name}=={pin.version}", *(f"--hash={one}" for one in sorted(pin.hashes))]) + "\n"


def _command(file: Path, python: str) -> list[str]:
    options = ["--only-binary=:all:", "--require-hashes", "--no-deps", "--python-version", python, "--quiet"]
    return [sys.executable, "-m", "pip", "download", *options, "--dest", str(file.parent), "--requirement", str(file)]
