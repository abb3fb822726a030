"""A site's config.py: run it, and say what of it is a setting."""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import constants
from helpers.errors import MicrosoftError, SettingsError, SyncError
from helpers.files import user_name
from helpers.settings.config import doubled_keys, execution, places, source_text
from helpers.settings.config.old_names import FLAT, NEEDLESS, RENAMED, meant_by
from helpers.settings.config.values import site_constants
from helpers.text import did_you_mean, excerpt, listed

_LONGEST_KEY = 60
_NOWHERE = object()


class SourcedValue(NamedTuple):
    """A value, and where it came from: a file's path, ``environment NAME``, or words for a default."""

    value: Any
    source: str


@dataclass
class Problems:
    """What is to be said about the settings; ``reported`` are the names that an error was reported for.

    ``of_azure`` is what kept config.py from its end, and is not for whoever wrote it to fix; ``renamed`` are the old
    names in it that count.
    """

    errors: list[str] = field(default_factory=list)
    of_azure: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    renamed: set[str] = field(default_factory=set)

    def add(self, name: str, source: str, problem: str) -> None:
        """Add what is wrong with the setting ``name``, whose value came from ``source``; each is reported once."""
        self.reported.add(name)
        sentence = f"{written(name)} ({source}) {problem}"
        self.errors += [] if sentence in self.errors else [sentence]

    @property
    def error(self) -> SyncError:
        """What is to be raised: it is Microsoft's failure where nothing else is wrong."""
        if self.of_azure and not self.errors:
            return MicrosoftError("\n".join(self.of_azure))
        return SettingsError([*self.errors, *self.of_azure, *self.warnings])

    def has_reported(self, name: str) -> bool:
        """Say whether a problem was reported for the setting or for the dictionary it is a key of."""
        return name in self.reported or name.partition(".")[0] in self.reported


def written(name: str) -> str:
    """Return a setting's dotted name as it stands in config.py: ``ms_auth.tenant`` → ``ms_auth['tenant']``."""
    return re.sub(r"^(\w+)\.(\w+)", r"\1['\2']", name)


def read_config_file(
    path: Path, types: Mapping[str, Any], problems: Problems, *, as_root: bool = False
) -> dict[str, SourcedValue]:
    """Run the file at ``path`` and return its settings by dotted name (``ms_auth.tenant``), and those of ``FLAT``.

    ``types`` has every dotted name, and for a setting with fixed keys its own name too. ``as_root``: a file that others
    may change is a problem, and is not run.
    """
    outcome = execution.Outcome({})
    problem = _unreadable(path)
    source, wrong = (b"", [problem]) if problem else _read(path, as_root=as_root)
    if not wrong:
        outcome = execution.run(path, source, imports=not as_root or places.imports_are_safe(path.parent))
        wrong = [outcome.problem] if outcome.problem else []
    tree = doubled_keys.parse(source)
    _report_slips(tree, str(path), types, problems)
    if wrong:
        listed = problems.of_azure if outcome.azures else problems.errors
        listed += [f"{path} {problem}" for problem in wrong]
        problems.reported.update(types)  # what the file would have set is not missing
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    names = {name: value for name, value in outcome.names.items() if name in types or _may_be_meant(name, value, own)}
    return _settings_in(names, str(path), types, problems, own)


def _report_slips(tree: ast.Module, path: str, types: Mapping[str, Any], problems: Problems) -> None:
    """Report what Python takes without a word, and what is hardly meant."""
    for doubled in doubled_keys.in_tree(tree):
        problems.add(doubled.place, path, doubled.problem)
    for name, first, last in doubled_keys.assigned_twice(tree):
        if name in types or name in RENAMED:
            problems.warnings.append(f"{name} ({path}) is set in line {first} and again in {last}, which counts.")
    for name, line in source_text.without_value(tree).items():
        if name in types:
            problems.add(name, path, f"has no value in line {line}: write {name} = and then the value.")


def by_dotted_name(
    name: str, setting: SourcedValue, types: Mapping[str, Any], problems: Problems
) -> Iterator[tuple[str, SourcedValue]]:
    """Yield a setting with fixed keys as one setting for each key; any other as it is."""
    keys = [known.partition(".")[2] for known in types if known.startswith(f"{name}.")]
    known_keys = {key.lower(): key for key in keys}
    seen: dict[str, object] = {}
    if not keys:
        yield name, setting
    elif not isinstance(setting.value, Mapping):
        problems.add(name, setting.source, 'must be a dictionary: write { "key": value, … }.')
    else:
        for key, value in setting.value.items():
            known = known_keys.get(str(key).lower())
            if known and seen.setdefault(known, key) != key:
                problem = f"is the same key as {seen[known]!r}: keep one of them."
                problems.add(f"{name}[{key!r}]", setting.source, problem)
            elif known:
                yield f"{name}.{known}", SourcedValue(value, setting.source)
            else:
                _warn_of_unknown_key(name, key, keys, setting.source, problems)


def _warn_of_unknown_key(name: str, key: object, keys: list[str], source: str, problems: Problems) -> None:
    """Warn of a key that nothing reads; an error would stop a site that has one for its own code."""
    bare = str(key).lower().removeprefix("misp_")  # misp_stories has a url and an api_key
    meant = bare if bare in keys else did_you_mean(str(key), keys)
    hint = f'do you mean "{meant}"?' if meant else "take it out, or look for a slip in its name."
    problems.warnings.append(f'{name} ({source}) has no key "{excerpt(key, _LONGEST_KEY)}": {hint}')


def _may_be_meant(name: str, value: object, own: Collection[str]) -> bool:
    """Say whether a name that is no setting's may be meant as one.

    Modules, classes and functions only help to make some, and so does what the file itself reads (``own``), unless it
    is an old name. What came from ``constants.py`` counts there.
    """
    is_plain = not isinstance(value, ModuleType) and not callable(value)
    is_imported = value is getattr(constants, name, _NOWHERE)
    return (
        is_plain
        and not is_imported
        and not name.startswith("_")
        and (name not in own or name in RENAMED or name in FLAT)
    )


def _settings_in(
    names: Mapping[str, Any], source: str, types: Mapping[str, Any], problems: Problems, own: Collection[str]
) -> dict[str, SourcedValue]:
    settings: dict[str, SourcedValue] = {}
    values = _under_new_names(names, source, problems)
    for name, value in values.items():
        if name in types:
            settings.update(by_dotted_name(name, SourcedValue(value, source), types, problems))
        elif name in NEEDLESS:
            continue
        elif name in FLAT:
            if name not in own or not {"ms_auth", "ms_tenants"} & {*values}:  # else it helps to make these
                settings[name] = SourcedValue(value, source)
        else:
            _warn_of_unknown_name(name, source, types, problems)
    _warn_of_needless([name for name in values if name in NEEDLESS], source, problems)
    return settings


def _warn_of_needless(names: list[str], source: str, problems: Problems) -> None:
    """Warn once of all of them: it comes before what each command says."""
    if len(names) == 1:
        problems.warnings.append(f"{names[0]} ({source}) is needless and can go: {NEEDLESS[names[0]]}.")
    elif names:
        problems.warnings.append(f"{listed(names)} ({source}) are needless and can go (docs/configure.md says why).")


def _under_new_names(values: Mapping[str, Any], source: str, problems: Problems) -> dict[str, Any]:
    renamed = {name: value for name, value in values.items() if name not in RENAMED}
    given = {old: new for old, new in RENAMED.items() if old in values}
    for old, new in given.items():
        if new not in renamed:
            renamed[new] = values[old]
            problems.renamed.add(old)
    _warn_of_old_names({old: new for old, new in given.items() if new not in values}, source, problems)
    for old, new in given.items():
        if new in values:
            words = f"rename it; {new} is given too, so {old} is not used."
            problems.warnings.append(f"{old} ({source}) is the old name of {new}: {words}")
    return renamed


def _warn_of_old_names(names: Mapping[str, str], source: str, problems: Problems) -> None:
    """Warn once of all of them, each with its new name."""
    pairs = [f"{old} to {new}" for old, new in names.items()]
    if len(names) == 1:
        ((old, new),) = names.items()
        problems.warnings.append(f"{old} ({source}) is the old name of {new}: rename it.")
    elif names:
        problems.warnings.append(f"{source} has old names: rename {listed(pairs)}.")


def _warn_of_unknown_name(name: str, source: str, types: Mapping[str, Any], problems: Problems) -> None:
    if name in site_constants.NAMES:
        problems.warnings.append(f"{name} ({source}) is not used: it is a constant, so set it in constants.py.")
        return
    meant = meant_by(name, types)
    if not meant and name.islower():  # constants are a site's own
        meant = did_you_mean(name, (known for known in types if "." not in known))
    if meant:
        problems.warnings.append(f"{name} ({source}) is not a setting's name: do you mean {written(meant)}?")


def _unreadable(path: Path) -> str | None:
    """Say why the file cannot be read and what to do; None if it can."""
    try:
        path.stat()
        allowed = os.access(path, os.R_OK)
    except PermissionError:
        allowed = False
    except OSError as error:
        return f"cannot be read ({error.strerror}): name a config.py that is there, or have init write it."
    if not allowed:
        return (
            f"cannot be read (Permission denied): let {user_name()} read it and enter {path.parent}, or run this as "
            "the user that may, which is cron's."
        )
    if path.is_dir():
        return "is a directory: name the config.py in it."
    return None


def _read(path: Path, *, as_root: bool) -> tuple[bytes, list[str]]:
    """Return the file's content, and why it is not used; what is judged is what was opened, whatever is there later."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)  # a pipe is not waited for
    except OSError as error:
        return b"", [f"cannot be read ({error.strerror}): name a config.py that is there, or have init write it."]
    with open(descriptor, "rb") as file:  # noqa: PTH123  it is open already
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and status.st_rdev != Path(os.devnull).stat().st_rdev:
            return b"", ["is a pipe or the like: name a file."]
        if as_root and (distrusted := places.of_config(path, status)):
            return b"", [f"is not run as root, who would do whatever it says: {reason}" for reason in distrusted]
        return file.read(), []
