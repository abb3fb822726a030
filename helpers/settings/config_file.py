"""A site's config.py: run it, and say what of it is a setting."""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from helpers.files import user_name
from helpers.text import did_you_mean

RENAMED = {
    "graph_auth": "ms_auth",
    "targetProduct": "ms_target_product",
    "action": "ms_action",
    "passiveOnly": "ms_passiveonly",
    "defaultConfidenceLevel": "default_confidence",
}
NEEDLESS = {
    "remove_pipe_from_misp_attribute": "composite attributes are always taken apart",
    "ms_check_if_exist_in_sentinel": "ids are stable, so an upload replaces and there is nothing to check",
    "timeframe_toids_change": "to_ids is read anew in each run",
}
# What others call a setting; no name of it is taken, the right one is named.
MEANT = {"misp_url": "misp_domain", "misp_host": "misp_domain"}


class SourcedValue(NamedTuple):
    """A value and where it came from."""

    value: Any
    origin: str


@dataclass
class Problems:
    """What is to be said about the settings; ``told`` are the names a problem was reported for."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def add(self, name: str, origin: str, what: str) -> None:
        """Add a problem of the setting ``name``, whose value came from ``origin``; each is told once."""
        self.told.add(name)
        told = f"{written(name)} ({origin}) {what}"
        self.errors += [] if told in self.errors else [told]

    def has_told(self, name: str) -> bool:
        """Say whether a problem was reported for the setting or for the dictionary it is a key of."""
        return name in self.told or name.partition(".")[0] in self.told


def written(name: str) -> str:
    """Return a setting's dotted name as it stands in config.py: ``ms_auth.tenant`` → ``ms_auth['tenant']``."""
    return re.sub(r"^(\w+)\.(\w+)", r"\1['\2']", name)


def read(path: Path, kinds: Mapping[str, Any], problems: Problems) -> dict[str, SourcedValue]:
    """Run the file at ``path`` and return its settings by dotted name (``ms_auth.tenant``).

    ``kinds`` has every dotted name, and for a setting with fixed keys its own name too.
    """
    trouble = _unreadable(path)
    names: dict[str, Any] = {}
    if trouble is None:
        names, trouble = _run(path)
    if trouble:
        problems.errors.append(f"{path} {trouble}")
        problems.told.update(kinds)
    return _settings_in(names, str(path), kinds, problems)


def spread(
    name: str, given: SourcedValue, kinds: Mapping[str, Any], problems: Problems
) -> Iterator[tuple[str, SourcedValue]]:
    """Yield the dotted names of one setting: one for each fixed key, or the setting itself."""
    keys = [known.partition(".")[2] for known in kinds if known.startswith(f"{name}.")]
    folded = {key.lower(): key for key in keys} | {key: key for key in keys}
    if not keys:
        yield name, given
    elif not isinstance(given.value, Mapping):
        problems.add(name, given.origin, 'must be a dictionary: write { "key": value, … }.')
    else:
        for key, value in given.value.items():
            if key in folded:
                yield f"{name}.{folded[key]}", SourcedValue(value, given.origin)
            else:
                _unknown_key(name, key, keys, given.origin, problems)


def _unknown_key(name: str, key: object, keys: list[str], origin: str, problems: Problems) -> None:
    if not isinstance(key, str):
        return
    near = did_you_mean(key, keys)
    if near:
        problems.warnings.append(f'{name} ({origin}) has no key "{key}": do you mean "{near}"?')


def _settings_in(
    names: Mapping[str, Any], origin: str, kinds: Mapping[str, Any], problems: Problems
) -> dict[str, SourcedValue]:
    settings: dict[str, SourcedValue] = {}
    values = {name: value for name, value in names.items() if name in kinds or _is_plain(value)}
    for name, value in _renamed(values, origin, problems).items():
        if name in kinds:
            settings.update(spread(name, SourcedValue(value, origin), kinds, problems))
        elif name in NEEDLESS:
            problems.warnings.append(f"{name} ({origin}) is needless and can go: {NEEDLESS[name]}.")
        else:
            _unknown_name(name, origin, kinds, problems)
    return settings


def _is_plain(value: object) -> bool:
    return not isinstance(value, ModuleType) and not callable(value)


def _renamed(names: Mapping[str, Any], origin: str, problems: Problems) -> dict[str, Any]:
    result = {name: value for name, value in names.items() if name not in RENAMED}
    for old, new in RENAMED.items():
        if old not in names:
            continue
        both = f"; {new} is given too, so {old} is not used" if new in names else ""
        problems.warnings.append(f"{old} ({origin}) is the old name of {new}: rename it{both}.")
        result.setdefault(new, names[old])
    return result


def _unknown_name(name: str, origin: str, kinds: Mapping[str, Any], problems: Problems) -> None:
    if name.startswith("_") or not name.islower():
        return
    near = MEANT.get(name) or did_you_mean(name, (known for known in kinds if "." not in known))
    if near:
        problems.warnings.append(f"{name} ({origin}) is no setting's name: do you mean {near}?")


def _unreadable(path: Path) -> str | None:
    try:
        path.stat()
        allowed = os.access(path, os.R_OK)
    except PermissionError:
        allowed = False
    except OSError as error:
        return f"cannot be read ({error.strerror}): name a config.py that is there."
    if not allowed:
        user = user_name()
        return (
            f"cannot be read (Permission denied): let {user} read it and enter {path.parent}, or run this as the user "
            "that may, which is cron's."
        )
    if path.is_dir():
        return "is a directory: name the config.py in it."
    return None


def _run(path: Path) -> tuple[dict[str, Any], str | None]:
    try:
        with _importing_from(path.parent):
            return runpy.run_path(str(path)), None
    # A site's SystemExit would end the run before the other problems are told.
    except (Exception, SystemExit) as error:
        return {}, _failure(error, path)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    wrote_bytecode, sys.dont_write_bytecode = not sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.dont_write_bytecode = not wrote_bytecode
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _failure(error: BaseException, path: Path) -> str:
    """Say what went wrong without the source or a message that could hold a secret."""
    if isinstance(error, SyntaxError):
        where = "" if error.filename == str(path) else f" of {error.filename}"
        return f"is not valid Python: line {error.lineno}{where}: {error.msg}; mend that line."
    where = f"in line {_line(error.__traceback__, path)}"
    return f"stopped {where} with {type(error).__name__}{_harmless_message(error)}: mend that line."


def _line(traceback: TracebackType | None, path: Path) -> int | str:
    line: int | str = "?"
    while traceback:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _harmless_message(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f" ({error})"
    # A name with a digit in it may be a key that lacks its quotes.
    if isinstance(error, NameError) and not any(letter.isdigit() for letter in str(error)):
        return f" ({error})"
    return ""
