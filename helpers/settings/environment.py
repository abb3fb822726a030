"""Environment variables as setting values.

pydantic-settings was left out: it stops at the first variable whose JSON is broken,
so it cannot name all problems together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, get_origin

from helpers.settings import validators as check
from helpers.settings.config_file import MEANT, NEEDLESS, RENAMED, Problems, SourcedValue, spread
from helpers.text import did_you_mean

PREFIX = "MISP2SENTINEL_"
_WITH_SECRETS = frozenset({"misp_key", "misp_headers", "misp_proxies", "ms_proxies", "ms_tenants", "state_url"})
CONFIG = PREFIX + "CONFIG"
# The names that misp2sentinel's Function had for its settings.
ALIASES = {
    "tenants": "ms_tenants",
    "mispkey": "misp_key",
    "mispurl": "misp_domain",
    "misp_event_filters": "misp_event_filters",
}
FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def variable(name: str) -> str:
    """Return the environment variable of a setting: ``ms_auth.tenant`` → ``…MS_AUTH__TENANT``."""
    return PREFIX + name.replace(".", "__").upper()


def read(
    environ: Mapping[str, str],
    kinds: Mapping[str, Any],
    problems: Problems,
    *,
    unopened: Collection[str] = (),
) -> dict[str, SourcedValue]:
    """Return the settings in ``environ`` by dotted name, converted from text to their ``kinds``.

    A variable that names a file, or an unresolved reference, is ignored for the settings in ``unopened``.
    """
    settings: dict[str, SourcedValue] = {}
    # Sorted, a whole dictionary comes before its keys, so that a key's own variable wins.
    for name, keys in sorted(_claims(environ, kinds, problems).items()):
        if len(keys) > 1:
            problems.add(name, "environment", f"is set by {' and '.join(keys)}: keep one of them.")
            continue
        names_a_file = keys[0].upper() != variable(name) and keys[0] not in ALIASES
        if names_a_file and name in unopened:
            continue
        try:
            text = _content(name, environ[keys[0]]) if names_a_file else environ[keys[0]]
            if check.is_reference(text):
                if name in unopened:
                    continue
                raise ValueError(check.UNRESOLVED)  # noqa: TRY301  said like what cannot be converted
            given = SourcedValue(convert(kinds[name], text), f"environment {keys[0]}")
        except ValueError as error:
            problems.add(name, f"environment {keys[0]}", str(error))
        else:
            settings.update(spread(name, given, kinds, problems))
    return settings


def config_path(environ: Mapping[str, str]) -> str:
    """Return the path that the environment has for config.py, in any letter case; the exact name comes first."""
    keys = sorted((key for key in environ if key.upper() == CONFIG), key=lambda key: (key != CONFIG, key))
    return next((text for key in keys if (text := environ[key].strip())), "")


def convert(kind: Any, text: str) -> Any:
    """Return ``text`` as a value of ``kind``; ValueError says what it must be."""
    if get_origin(kind) in (dict, list):
        return _json(text)
    if kind == bool | str:
        return FLAGS.get(text.strip().lower(), text)
    return READERS.get(kind, str)(text)


def _claims(environ: Mapping[str, str], kinds: Mapping[str, Any], problems: Problems) -> dict[str, list[str]]:
    """Return for each setting the variables that give it."""
    names = {variable(name): name for name in kinds}
    claims = {name: [key] for key, name in ALIASES.items() if name in kinds and environ.get(key, "").strip()}
    for key in sorted(environ):
        upper = key.upper()
        if not upper.startswith(PREFIX) or upper == CONFIG or not environ[key].strip():
            continue
        name = names.get(upper) or names.get(upper.removesuffix("_FILE"))
        if name:
            claims.setdefault(name, []).append(key)
        else:
            _unknown(key, kinds, problems)
    return claims


def _unknown(key: str, kinds: Mapping[str, Any], problems: Problems) -> None:
    name = key.upper().removeprefix(PREFIX).lower().replace("__", ".")
    first, dot, rest = name.partition(".")
    new = {old.lower(): new for old, new in RENAMED.items()}.get(first)
    near = new + dot + rest if new else MEANT.get(name) or did_you_mean(name, kinds, 0.6)
    hint = f"do you mean {variable(near)}?" if near else "it is not used."
    if name in NEEDLESS:
        hint = f"it is needless, since {NEEDLESS[name]}."
    problems.warnings.append(f"{key} in the environment is no setting's name: {hint}")


def _content(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        problem = "is not text in UTF-8"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        problem = "" if text.strip() else "is empty"
    if problem:
        shown = "a file" if _holds_secrets(name) else f"the file {path}"
        raise ValueError(f"names {shown}, which {problem}: name a file that holds the value.")
    return text


def _holds_secrets(name: str) -> bool:
    """Whether a setting may hold a secret: then what stands for its file may be the secret, in the wrong variable."""
    return name in _WITH_SECRETS or name.partition(".")[0] == "ms_auth"


def _flag(text: str) -> bool:
    try:
        return FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError("must be a flag: write true or false.") from None


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise ValueError("must be a whole number: write digits only.")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number: write digits, with a point if need be.") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        where = " (too deep, or too long a number)"
    raise ValueError(
        f"is not valid JSON{where}: write one JSON value, with names and text in double quotes and no comma after the "
        "last of them; around it, a shell wants single quotes."
    )


def _json_keys_folded(text: str) -> Any:
    value = _json(text)
    return {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else value


READERS: dict[Any, Callable[[str], Any]] = {
    bool: _flag,
    int: _whole_number,
    int | None: _whole_number,
    float: _number,
    dict: _json_keys_folded,
}
