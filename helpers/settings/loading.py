"""From config.py and the environment to ``Settings``: read, checked, and every problem reported at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from helpers.process import installation, invocation
from helpers.settings import clouds, credentials, cross_checks, environment, messages
from helpers.settings.config import places
from helpers.settings.config.config_file import Problems, SourcedValue, read_config_file, written
from helpers.settings.config.old_names import FLAT, second_answers
from helpers.settings.config.values import site_constants
from helpers.settings.cross_checks import CREDENTIAL
from helpers.settings.environment import read_environment, variable
from helpers.settings.model import FROM_VAULT, SETTING_TYPES, Settings
from helpers.settings.sections import DESTINATION_KEYS, WORKSPACE_NAMES

NEEDED = (
    "misp_domain",
    "misp_key",
    "ms_auth.tenant",
    "ms_auth.client_id",
    "ms_auth.client_secret",
    "ms_auth.workspace_id",
)
# Only what reads what Sentinel holds and sees asks for these, so a placeholder may stay.
FOR_READING = tuple(f"ms_auth.{name}" for name in WORKSPACE_NAMES)
# What sharing and collecting stories needs, beside an address: its own or misp_domain.
FOR_STORIES = ("misp_stories.api_key", "misp_stories.organisation_id")
# What writing sightings needs beside an address, which is misp_domain.
FOR_SIGHTINGS = ("misp_sightings.api_key",)
_OLD_NAMES = {new: old for old, new in FLAT.items()}
_CREDENTIAL_KEYS = tuple(f"ms_auth.{key}" for key in credentials.KEYS)
# A value of None or "" is what os.getenv and a vault's client give for what is not there.
UNSET_WHEN_EMPTY = frozenset(
    {
        *NEEDED,
        *FLAT,
        *FOR_READING,
        *(f"ms_endpoints.{key}" for key in clouds.CLOUDS[clouds.DEFAULT].endpoints),
        *_CREDENTIAL_KEYS,
        CREDENTIAL,
        *FOR_STORIES,
        *FOR_SIGHTINGS,
        "misp_stories.url",
        "misp_stories.sharing_group_id",
        "misp_stories.distribution",
        "misp_stories.proxy_server",
        "context",
        "ms_auth.scope",
        "ms_auth.new_upload_api",
        "ms_api_version",
        "ms_proxies",
        "misp_proxies",
        "misp_headers",
        "key_vault_name",
        *("on_start", "on_success", "on_failure"),
        *FROM_VAULT.values(),
    }
)

_GRAPH_ALONE = (
    ", for the upload API, which Microsoft wants everybody to move to; or, to stay with the Graph API that these "
    'settings were written for, add "graph_api": True to the dictionary {} (docs/graph.md)'
)
_NO_SETTINGS = (
    "There are no settings yet: {} asks for them and writes the file. Is there one? Name it with --config or in "
    f"{environment.CONFIG}; or set {{}} and the others below."
)

SourcedSettings = dict[str, SourcedValue]


@dataclass(frozen=True)
class Loaded:
    """The settings, and what the operator should know about them."""

    settings: Settings
    warnings: tuple[str, ...]


def load(
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    offline: bool = False,
    stories: bool = False,
    now: Callable[[], float] = time.time,
) -> Loaded:
    """Read and check config.py and the environment.

    With ``offline``, what is only needed to reach MISP or Microsoft may be missing; with ``stories``, what is needed
    is what sharing and collecting stories needs, and not what a run needs. ``now`` gives seconds since 1970.
    What a key vault holds is not read here: see ``Settings.vault_secrets``.
    Raises SettingsError with every problem, and MicrosoftError where config.py asked Azure in vain.
    """
    problems = Problems()
    sourced = _read(config_path, environ, offline, problems)
    _take_old_names(sourced, problems)
    needed = _needed(sourced, problems.reported, stories)
    sourced = _without_placeholders(sourced, needed, environ, problems, offline=offline)
    settings = _validated(sourced, problems)
    for name, problem in site_constants.problems():
        problems.add(name, "constants.py", problem)
    values = {name: setting.value for name, setting in sourced.items()}
    _report(cross_checks.contradictions(values), sourced, problems)
    if settings is not None:
        for find in cross_checks.AMONG_SETTINGS:
            for name, problem in find(settings):
                problems.add(name, settings.source_of(name.partition("[")[0]), problem)
    if not offline:
        _report_missing(needed, sourced, environ, _config_file(config_path, environ), problems)
        _report(cross_checks.unusable_files(values, now()), sourced, problems)
        _report_surroundings(settings, values, sourced, environ, problems)
    if settings is None or problems.errors or problems.of_azure:
        raise problems.error
    settings._config_file = _config_file(config_path, environ)
    settings._for_root_on_a_host = environment.is_root_on_a_host(environ)
    if settings.state_dir is None:  # decided once, so that all parts of a process agree
        settings._default_state = places.default_state_dir(settings.config_file, for_ledger=not settings.state_url)
    settings._warnings = (*problems.warnings, *cross_checks.doubts(settings))
    return Loaded(settings, settings._warnings)


def problems_with(values: Mapping[str, str], name: str) -> list[str]:
    """Return what is wrong with one of some settings, as it stands beside the others, a sentence each."""
    if not values[name]:
        return [f"{written(name)} is empty, and is needed."]
    problems = Problems()
    sourced: SourcedSettings = {key: SourcedValue(value, "as typed") for key, value in values.items()}
    sourced = _without_placeholders(sourced, NEEDED, {}, problems, offline=False)
    _validated(sourced, problems)
    _report(cross_checks.contradictions(values), sourced, problems)
    return problems.errors


# -- reading ------------------------------------------------------------------------------------------


def _read(config_path: Path | None, environ: Mapping[str, str], offline: bool, problems: Problems) -> SourcedSettings:
    """Return what the environment sets, and of the rest what config.py sets, by dotted name."""
    path = _config_file(config_path, environ)
    as_root = environment.is_root_on_a_host(environ)
    sourced = read_config_file(path, SETTING_TYPES, problems, as_root=as_root) if path else {}
    not_needed = (*NEEDED, *_CREDENTIAL_KEYS, *FOR_SIGHTINGS, "ms_auth") if offline else ()
    sourced |= read_environment(environ, SETTING_TYPES, problems, not_needed=not_needed)
    sourced = {
        name: setting
        for name, setting in sourced.items()
        if name not in UNSET_WHEN_EMPTY or setting.value not in (None, "")
    }
    _add_token_file(sourced, environ)
    if environment.is_function(environ):
        defaults = environment.FUNCTION_DEFAULTS
        sourced = {name: SourcedValue(value, "default in a Function") for name, value in defaults.items()} | sourced
    return sourced


def _config_file(config_path: Path | None, environ: Mapping[str, str]) -> Path | None:
    path = config_path or _config_path_in(environ) or installation.default_config()
    return path and path.absolute()


def _config_path_in(environ: Mapping[str, str]) -> Path | None:
    text = environment.config_path(environ)
    with suppress(RuntimeError):  # a home that is not known: the path as it is written cannot be read either
        return Path(text).expanduser() if text else None
    return Path(text)


def _add_token_file(sourced: SourcedSettings, environ: Mapping[str, str]) -> None:
    """Add the file of a workload identity's token where it is needed and only the host says where it is."""
    path = environ.get(credentials.TOKEN_FILE_VARIABLE)
    if not path:
        return
    if _value(sourced, CREDENTIAL) == "workload_identity":
        setting = SourcedValue(path, f"environment {credentials.TOKEN_FILE_VARIABLE}")
        sourced.setdefault("ms_auth.federated_token_file", setting)
    tenants = _value(sourced, "ms_tenants")
    if isinstance(tenants, list):
        tenants = [_with_token_file(tenant, path) for tenant in tenants]
        sourced["ms_tenants"] = sourced["ms_tenants"]._replace(value=tenants)


def _take_old_names(sourced: SourcedSettings, problems: Problems) -> None:
    """Let the names of the old Function set what nothing else does; to say something else is a problem."""
    old = {name: setting for name in FLAT if (setting := sourced.pop(name, None)) and not _is_open(setting)}
    current = {name: setting.value for name, setting in sourced.items() if not _is_open(setting)}
    tenants = current.get("ms_tenants")
    values = {name: setting.value for name, setting in old.items()}
    for name, other in second_answers(values, current, tenants if isinstance(tenants, list) else []):
        where = f"{written(other)} ({sourced[other].source})"
        problem = f"is the old name of {where}, which says something else: keep one of them."
        if other == "ms_tenants":
            problem = f"is of a destination that {where} does not have: add it there, or take it out."
        problems.add(name, old[name].source, problem)
    without_vault = {name: setting for name, setting in sourced.items() if name != "key_vault_name"}
    for new in _needed_for_a_run(without_vault, problems.reported):
        name = _OLD_NAMES.get(new, "")
        if name in old and new not in current:
            sourced[new] = old[name]
            problems.warnings.append(f"{name} ({old[name].source}) is the old name of {written(new)}: rename it.")


def _is_open(setting: SourcedValue) -> bool:
    """Say whether a placeholder stands there, which the other way to set it replaces."""
    return isinstance(setting.value, str) and messages.is_placeholder(setting.value)


def _with_token_file(tenant: Any, path: str) -> Any:
    if isinstance(tenant, Mapping) and tenant.get("credential") == "workload_identity":
        return {"federated_token_file": path, **tenant}
    return tenant


def _value(sourced: Mapping[str, SourcedValue], name: str, default: Any = None) -> Any:
    return sourced[name].value if name in sourced else default


# -- what is needed -----------------------------------------------------------------------------------


def _needed(sourced: Mapping[str, SourcedValue], unreadable: Collection[str], stories: bool) -> tuple[str, ...]:
    """Return what must be set: for a run, or for stories, which half a configuration asks for as well."""
    for_stories = FOR_STORIES if stories or "misp_stories.api_key" in sourced else ()
    if not stories:
        return (*_needed_for_a_run(sourced, unreadable), *for_stories, *_needed_for_sightings(sourced))
    return for_stories if "misp_stories.url" in sourced else ("misp_domain", *for_stories)


def _needed_for_sightings(sourced: Mapping[str, SourcedValue]) -> tuple[str, ...]:
    """Return what must be set where each run writes sightings; of several destinations each has its own names."""
    if _value(sourced, "misp_sightings.in_run") is not True:
        return FOR_SIGHTINGS if "misp_sightings.api_key" in sourced else ()
    if _value(sourced, "ms_tenants") or _value(sourced, "misp_sightings.endpoint", "management") != "management":
        return FOR_SIGHTINGS
    return (*FOR_SIGHTINGS, *FOR_READING)


def _needed_for_a_run(sourced: Mapping[str, SourcedValue], unreadable: Collection[str]) -> tuple[str, ...]:
    """Return what a run needs, for the chosen credential and without what a key vault holds.

    ``unreadable`` are settings that are set and could not be read.
    """
    credential = credentials.find(_value(sourced, CREDENTIAL, credentials.DEFAULT))
    for_credential = {f"ms_auth.{key}" for key in credential.needs} if credential else set()
    needed = [
        name
        for name in dict.fromkeys((*NEEDED, *sorted(for_credential)))
        if name in for_credential or name not in _CREDENTIAL_KEYS
    ]
    if _value(sourced, "ms_auth.graph_api") is True:  # Graph knows tenants, and no workspaces
        needed = [name for name in needed if name != "ms_auth.workspace_id"]
    if _value(sourced, "ms_tenants") or "ms_tenants" in unreadable:  # each destination has its own
        needed = [name for name in needed if not name.startswith("ms_auth.")]
    return tuple(name for name in needed if name not in FROM_VAULT or "key_vault_name" not in sourced)


def _report_missing(
    needed: tuple[str, ...],
    sourced: Mapping[str, SourcedValue],
    environ: Mapping[str, str],
    path: Path | None,
    problems: Problems,
) -> None:
    # As long as something is wrong with the destinations, it is open whether ms_auth counts.
    auth_counts = not problems.has_reported("ms_tenants")
    if not path and not any(name in sourced or problems.has_reported(name) for name in needed):
        problems.errors.append(_NO_SETTINGS.format(invocation.to_type("init"), variable(needed[0])))
    for name in needed:
        known = name in sourced or problems.has_reported(name)
        if not known and (auth_counts or not name.startswith("ms_auth.")):
            other = _not_its_name(name, environ)
            graph = _instead_of(name, sourced, problems)
            problems.errors.append(
                f"{written(name)} is missing: set it in config.py, or set {variable(name)}{other}{graph}."
            )


def _report_surroundings(
    settings: Settings | None,
    values: Mapping[str, Any],
    sourced: Mapping[str, SourcedValue],
    environ: Mapping[str, str],
    problems: Problems,
) -> None:
    """Report what only the place makes wrong: a Function, whose disk is not kept, and a proxy that counts here."""
    if environment.is_function(environ):
        _report(environment.function_problems(values), sourced, problems)
    own = (settings.misp_proxies and settings.ms_proxies) if settings else {}
    if not own and (problem := environment.proxy_problem(environ)):
        problems.errors.append(problem)


def _not_its_name(name: str, environ: Mapping[str, str]) -> str:
    """Say which variables may be meant to set a setting, and do not."""
    found = environment.lookalikes(name, environ)
    return f"; {' and '.join(found)} in the environment is not its name" if found else ""


def _instead_of(name: str, sourced: Mapping[str, SourcedValue], problems: Problems) -> str:
    """Say that the Graph API needs no workspace, with the name that the dictionary has in this file."""
    if name != "ms_auth.workspace_id" or not _is_of_graph(sourced, problems):
        return ""
    return _GRAPH_ALONE.format("graph_auth" if "graph_auth" in problems.renamed else "ms_auth")


def _is_of_graph(sourced: Mapping[str, SourcedValue], problems: Problems) -> bool:
    """Say whether these are settings for the Graph API, which had no workspace and nothing to choose it by in 2023."""
    return "graph_auth" in problems.renamed or "graph" in str(_value(sourced, "ms_auth.scope", "")).lower()


# -- checking -----------------------------------------------------------------------------------------


def _without_placeholders(
    sourced: Mapping[str, SourcedValue],
    needed: tuple[str, ...],
    environ: Mapping[str, str],
    problems: Problems,
    *,
    offline: bool,
) -> SourcedSettings:
    """Leave out placeholders and unresolved references; each is a problem, unless nobody needs the setting."""
    optional = {*FOR_READING, *NEEDED, *FOR_STORIES, *FOR_SIGHTINGS, *_CREDENTIAL_KEYS}
    needless = optional if offline else optional - set(needed)
    filled_in: SourcedSettings = {}
    for name, setting in sourced.items():
        unresolved, placeholders = _left_open(name, setting, environ)
        if not unresolved and not placeholders:
            filled_in[name] = setting
        elif name not in needless or (unresolved and not offline):
            for path, problem in unresolved or placeholders:
                problems.add(name + path, setting.source, problem)
            problems.reported.add(name)
    return filled_in


def _left_open(
    name: str, setting: SourcedValue, environ: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the unresolved references and the placeholders in a setting, each as (path below it, what is wrong)."""
    texts = list(messages.texts_in(setting.value))
    unresolved = [(path, messages.UNRESOLVED) for path, text in texts if messages.is_vault_reference(text)]
    or_variable = "" if setting.source.startswith("environment ") else f", or set {variable(name)}"
    problem = f"still holds a placeholder: put your own value there{or_variable}{_not_its_name(name, environ)}."
    return unresolved, [(path, problem) for path, text in texts if messages.is_placeholder(text)]


def _validated(sourced: Mapping[str, SourcedValue], problems: Problems) -> Settings | None:
    values: dict[str, Any] = {}
    for name, setting in sourced.items():
        section, _, key = name.rpartition(".")
        (values.setdefault(section, {}) if section else values)[key] = setting.value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _report_invalid(details, sourced, problems)
        return None
    settings._sources.update({name: setting.source for name, setting in sourced.items()})
    return settings


def _report_invalid(details: ErrorDetails, sourced: Mapping[str, SourcedValue], problems: Problems) -> None:
    name, *rest = [part for part in details["loc"] if part != "[key]"]
    name = str(name)
    if rest and f"{name}.{rest[0]}" in SETTING_TYPES:
        name = f"{name}.{rest.pop(0)}"
    path = "".join(f"[{part!r}]" for part in rest)
    for below, problem in messages.sentences(details, DESTINATION_KEYS):
        problems.add(name + path + below, sourced[name].source, problem)
    problems.reported.add(name)


def _report(new: Iterable[tuple[str, str]], sourced: Mapping[str, SourcedValue], problems: Problems) -> None:
    """Add these (setting, problem) pairs, but for settings that a problem was reported for already."""
    for name, problem in new:
        if not problems.has_reported(name):
            setting = sourced.get(name) or sourced.get(name.partition("[")[0])
            problems.add(name, setting.source if setting else "not set", problem)
