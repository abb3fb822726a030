"""Environment variables as setting values, and what is different where they are an Azure Function's.

pydantic-settings was left out: it stops at the first variable whose JSON is broken,
so it cannot name all problems together.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from helpers.process import invocation
from helpers.settings import messages, validators
from helpers.settings.config import doubled_keys, places
from helpers.settings.config.config_file import Problems, SourcedValue, by_dotted_name
from helpers.settings.config.old_names import FLAT, MEANT, NEEDLESS, RENAMED
from helpers.settings.config.values import site_constants
from helpers.text import did_you_mean

PREFIX = "MISP2SENTINEL_"
CONFIG = invocation.SETTINGS
# The names that misp2sentinel's Function had for its settings.
ALIASES = {
    "tenants": "ms_tenants",
    "mispkey": "misp_key",
    "mispurl": "misp_domain",
    "misp_event_filters": "misp_event_filters",
    "key_vault_name": "key_vault_name",
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
# What stands for the file of such a setting may be the secret itself, in the wrong variable.
_WITH_SECRETS = frozenset(
    {
        *("misp_key", "misp_headers", "misp_proxies", "ms_proxies", "ms_tenants", "state_url"),
        *("on_start", "on_success", "on_failure", "notify"),
    }
)
_SECTIONS_WITH_SECRETS = frozenset({"ms_auth", "misp_stories", "misp_sightings"})


def variable(name: str) -> str:
    """Return the environment variable of a setting: ``ms_auth.tenant`` → ``…MS_AUTH__TENANT``."""
    return PREFIX + name.replace(".", "__").upper()


def config_path(environ: Mapping[str, str]) -> str:
    """Return the path that the environment has for config.py, in any letter case; the exact name comes first."""
    keys = sorted((key for key in environ if key.upper() == CONFIG), key=lambda key: (key != CONFIG, key))
    return next((path for key in keys if (path := environ[key].strip())), "")


def read_environment(
    environ: Mapping[str, str],
    types: Mapping[str, Any],
    problems: Problems,
    *,
    not_needed: Collection[str] = (),
) -> dict[str, SourcedValue]:
    """Return the settings in ``environ`` by dotted name, converted from text to their ``types``, and those of ``FLAT``.

    For the settings in ``not_needed``, a variable that names a file or holds an unresolved reference is ignored.
    """
    settings = {old: SourcedValue(environ[old], f"environment {old}") for old in FLAT if environ.get(old, "").strip()}
    # Sorted, a whole dictionary comes before its keys, so that a key's own variable wins.
    for name, keys in sorted(_variables_in(environ, types, problems).items()):
        if len(keys) > 1:
            problems.add(name, "environment", f"is set by {' and '.join(keys)}: keep one of them.")
            continue
        source = f"environment {keys[0]}"
        try:
            text = _text_of(name, keys[0], environ, ignore_indirect=name in not_needed)
            if text is None:
                continue
            setting = SourcedValue(convert(types[name], text), source)
        except ValueError as error:
            problems.add(name, source, str(error))
        else:
            settings.update(by_dotted_name(name, setting, types, problems))
    return settings


def _variables_in(environ: Mapping[str, str], types: Mapping[str, Any], problems: Problems) -> dict[str, list[str]]:
    """Return for each setting the variables that set it, or name the file that does."""
    names = {variable(name): name for name in types}
    variables = {name: [key] for key, name in ALIASES.items() if name in types and environ.get(key, "").strip()}
    for key in sorted(environ):
        upper = key.upper()
        if not upper.startswith(PREFIX) or upper in (CONFIG, invocation.COMMAND) or not environ[key].strip():
            continue
        name = names.get(upper) or names.get(upper.removesuffix("_FILE"))
        if name:
            variables.setdefault(name, []).append(key)
        else:
            _warn_of_unknown_variable(key, types, problems)
    return variables


def lookalikes(name: str, environ: Mapping[str, str]) -> list[str]:
    """Return the variables that may be meant to set a setting, and are not called as its variable is."""
    others = [old for old, new in (ALIASES | FLAT | MEANT).items() if new == name]
    likely = {variable(name).removeprefix(PREFIX), *(old.upper() for old in others)}
    not_read = (key for key in sorted(environ) if key not in ALIASES)
    return [key for key in not_read if key.upper() in likely and environ[key].strip()]


def _warn_of_unknown_variable(key: str, types: Mapping[str, Any], problems: Problems) -> None:
    name = key.upper().removeprefix(PREFIX).lower().replace("__", ".")
    first, dot, rest = name.partition(".")
    new_name = {old.lower(): new for old, new in RENAMED.items()}.get(first)
    meant = new_name + dot + rest if new_name else (MEANT | FLAT).get(name) or did_you_mean(name, types, 0.6)
    hint = f"do you mean {variable(meant)}?" if meant else "it is not used."
    if name.upper() in site_constants.NAMES:
        hint = "it is a constant, so set it in constants.py."
    elif name in NEEDLESS:
        hint = f"it is needless, since {NEEDLESS[name]}."
    problems.warnings.append(f"{key} in the environment is not a setting's name: {hint}")


def _text_of(name: str, key: str, environ: Mapping[str, str], *, ignore_indirect: bool) -> str | None:
    """Return the text for a setting, from the variable ``key`` or the file that it names; None if it is ignored."""
    text = environ[key]
    if key.upper() != variable(name) and key not in ALIASES:
        if ignore_indirect:
            return None
        text = _content(name, text)
    if messages.is_vault_reference(text):
        if ignore_indirect:
            return None
        raise ValueError(messages.UNRESOLVED)
    return text


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
        may_be_secret = name in _WITH_SECRETS or name.partition(".")[0] in _SECTIONS_WITH_SECRETS
        file = "a file" if may_be_secret else f"the file {path}"
        raise ValueError(f"names {file}, which {problem}: name a file that holds the value.")
    return text


# -- from text to values ------------------------------------------------------------------------------


def convert(type_: Any, text: str) -> Any:
    """Return ``text`` as a value of a type; ValueError says what it must be."""
    if get_origin(type_) in (dict, list):
        return _json(text)
    if type_ == bool | str:
        return FLAGS.get(text.strip().lower(), text)
    return _CONVERTERS.get(type_, str)(text)


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
        return doubled_keys.loads(text)
    except doubled_keys.DoubledKeys:
        raise
    except json.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        where = " (too deep, or too long a number)"
    raise ValueError(
        f"is not valid JSON{where}: write one JSON value, with names and text in double quotes and no comma after the "
        "last of them; around it, a shell wants single quotes."
    )


_CONVERTERS: dict[Any, Callable[[str], Any]] = {
    bool: _flag,
    int: _whole_number,
    int | None: _whole_number,
    float: _number,
    dict: _json,
}


# -- Azure Functions: their disk is not kept, and their time is short ---------------------------------

# Azure sets the first in every Function, the second on every host of App Service (learn.microsoft.com,
# "App settings reference for Azure Functions").
FUNCTION_SIGNS = ("FUNCTIONS_WORKER_RUNTIME", "WEBSITE_INSTANCE_ID")
FUNCTION_DEFAULTS: Mapping[str, Any] = {
    "state_dir": "/tmp/misp2sentinel",  # noqa: S108  a Function has no other user, and no other place to write to
    "max_run_minutes": 9,  # a Consumption plan ends a Function after 10
}


def is_function(environ: Mapping[str, str]) -> bool:
    """Say whether these are the variables of a Function."""
    return any(environ.get(sign) for sign in FUNCTION_SIGNS)


def is_root_on_a_host(environ: Mapping[str, str]) -> bool:
    """Say whether this is root where others may be too: neither a container's nor a Function's only user."""
    return os.geteuid() == 0 and not is_function(environ) and not places.in_container(environ)


def function_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong and how to fix it) for a Function; ``values`` are a site's, by dotted name."""
    url = values.get("state_url", "")
    if url != validators.NO_LEDGER and not str(url).startswith(validators.NETWORK_DATABASES):
        yield (
            "state_url",
            "makes the ledger an SQLite file, on a disk that a Function does not keep: name a PostgreSQL, "
            'postgresql://user@db.example.org/misp2sentinel, or "none" for runs that remember nothing and withdraw '
            "nothing.",
        )


def proxy_problem(environ: Mapping[str, str]) -> str:
    """Say what is wrong with the proxy that the environment names for https; empty where nothing is.

    requests takes small letters first, and ALL_PROXY where there is no HTTPS_PROXY.
    """
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        if address := environ.get(name):
            try:
                validators.proxy_address(address)
            except ValueError as error:
                return f"{name} (environment) {error}"
            return ""
    return ""
