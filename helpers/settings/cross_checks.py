"""What no field can check by itself: contradictions between settings, files that cannot be used, doubtful values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers.errors import SettingsError
from helpers.settings import clouds, credentials, filter_names, messages, validators
from helpers.settings.config import ids, places
from helpers.settings.config.config_file import written
from helpers.settings.config.values.receivers import DESTINATION
from helpers.settings.model import LEGACY_API_VERSIONS, SOURCE_SYSTEM, Settings
from helpers.settings.sections import NO_CONTEXT, WORKSPACE_NAMES
from helpers.text import counted

Problem = tuple[str, str]
CREDENTIAL = "ms_auth.credential"
# Microsoft, "Import threat intelligence with the upload API": 100 requests in a minute.
MOST_REQUESTS = 100
_THIS_MACHINE = re.compile(r"https://(?:127\.0\.0\.1|localhost)(?::[0-9]+)?/?\Z")
# MISP: the column sightings.source of its schema.
MOST_SOURCE = 255
# What tells how runs went, from what the ledger remembers.
_TOLD_BY_LEDGER = ("report_file", "metrics_file", "notify")
_TERMINAL = re.compile(r"-|stdout|stderr|/dev/(stdout|stderr|tty|console|fd/\d+)|/proc/(self|\d+)/fd/\d+")


def contradictions(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield (setting, what is wrong and how to fix it); ``values`` are what a site sets, by dotted name."""
    name = values.get(CREDENTIAL, credentials.DEFAULT)
    if credentials.find(name):
        keys = {known.removeprefix("ms_auth.") for known in values if known.startswith("ms_auth.")}
        yield from ((f"ms_auth.{key}", problem) for key, problem in credentials.misplaced_keys(name, keys))
    yield from clouds.problems(values)
    yield from _request_limit(values)
    yield from ids.problems(values)
    log_file = values.get("log_file")
    if isinstance(log_file, str | Path) and _TERMINAL.fullmatch(str(log_file)):
        yield "log_file", "is no file: take it out, and give --verbose, with which the log goes to stderr as well."
    if values.get("state_url") == validators.NO_LEDGER:
        for name in filter(values.get, _TOLD_BY_LEDGER):
            yield name, 'has to know what earlier runs did, and state_url is "none": take one of the two out.'
    tenants = values.get("ms_tenants")
    if isinstance(tenants, list):
        yield from _destination_problems([tenant for tenant in tenants if isinstance(tenant, Mapping)], values)


def _request_limit(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Find more requests a minute than Microsoft takes; an Azure on this machine is the sandbox, which has no limit."""
    number, authority = values.get("ms_max_requests_minute"), values.get("ms_endpoints.authority")
    on_this_machine = _THIS_MACHINE.match(authority) if isinstance(authority, str) else None
    if type(number) is int and number > MOST_REQUESTS and not on_this_machine:
        yield "ms_max_requests_minute", f"must be at most {MOST_REQUESTS}, Microsoft's limit: write a smaller number."


def _destination_problems(tenants: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Find destinations without a workspace, and those that are one and the same.

    The Graph API needs no workspace, and has one destination in a tenant: it knows no source systems, so two would
    delete each other's indicators.
    """
    if values.get("ms_auth.graph_api") is True:
        if _has_duplicates(str(tenant.get("tenantId", "")).lower() for tenant in tenants):
            yield (
                "ms_tenants",
                "has two destinations of the same tenantId, where the Graph API has one: name each once.",
            )
        return
    for number, tenant in enumerate(tenants):
        if not tenant.get("workspaceId"):
            yield f"ms_tenants[{number}]['workspaceId']", "must be given: write it."
    default = values.get("sourcesystem", SOURCE_SYSTEM)
    if _has_duplicates(
        (str(tenant["workspaceId"]).lower(), tenant.get("sourcesystem") or default)
        for tenant in tenants
        if tenant.get("workspaceId")
    ):
        yield "ms_tenants", "has two destinations of the same workspace and sourcesystem: name each once."


def _has_duplicates(values: Iterable[object]) -> bool:
    listed = list(values)  # a site's values, which need not be hashable
    return any(value in listed[:position] for position, value in enumerate(listed))


def story_contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with a sharing group: it goes with the distribution 4 (MISP, distribution levels)."""
    stories = settings.misp_stories
    if stories.sharing_group_id and stories.level != 4:
        yield (
            "misp_stories.distribution",
            f"is {stories.level}, which shares with others than the sharing group that sharing_group_id names: "
            "write 4, or take one of the two out.",
        )
    if stories.level == 4 and not stories.sharing_group_id:
        yield (
            "misp_stories.distribution",
            "is 4, a sharing group, and sharing_group_id names none: write its id, or another distribution.",
        )


def sighting_contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what contradicts ``misp_sightings``: the destinations' names, their cloud, no ledger."""
    sightings = settings.misp_sightings
    yield from _source_problems(settings)
    if sightings.in_run:
        yield from _in_run_problems(settings)
    without = [each for each in settings.destinations() if not each.ms_endpoints.log_analytics]
    if sightings.endpoint == "log_analytics" and without:
        yield (
            "misp_sightings.endpoint",
            f'is "log_analytics", but Microsoft names no host of it for {clouds.CLOUDS[without[0].ms_cloud].title}: '
            "write \"management\", or its address in ms_endpoints['log_analytics'].",
        )


def _source_problems(settings: Settings) -> Iterator[Problem]:
    """A source says whose sightings they are, and MISP is asked for them by it: no two destinations have the same."""
    sources = [destination.sightings_source for destination in settings.destinations()]
    if len(set(sources)) < len(sources):
        yield "misp_sightings.source", f"is the same for several destinations: write {DESTINATION} into it."
    longest = max(map(len, sources))
    if longest > MOST_SOURCE:
        yield (
            "misp_sightings.source",
            f"has {counted(longest, 'character', 'characters')}, with the destination's name in it: MISP takes "
            f"{MOST_SOURCE} at most, so write a shorter one.",
        )


def _in_run_problems(settings: Settings) -> Iterator[Problem]:
    """Each run needs what the command needs: to remember what was written, and the names of every workspace."""
    if not settings.keeps_ledger:
        yield (
            "misp_sightings.in_run",
            'is True, but what was written has to be remembered, and state_url is "none": take one of the two out.',
        )
    if settings.misp_sightings.endpoint == "management":
        for number, tenant in enumerate(settings.ms_tenants):
            for key in (key for key in WORKSPACE_NAMES if not getattr(tenant, key)):
                problem = "must be given, since misp_sightings['in_run'] is True: write it."
                yield f"ms_tenants[{number}][{key!r}]", problem


def context_contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what a site wrote to be sent beside indicators where nothing can be; what it did not write is nothing."""
    if settings.may_have_context:
        return
    shared = settings.context if settings.source_of("context") != "default" else None
    own = {f"ms_tenants[{number}]['context']": tenant.context for number, tenant in enumerate(settings.ms_tenants)}
    for name, level in {"context": shared, **own}.items():
        if level not in (None, NO_CONTEXT):
            yield name, f'is "{level}", {_why_no_context(settings)}: write "{NO_CONTEXT}", or take it out.'


def _why_no_context(settings: Settings) -> str:
    if not settings.keeps_ledger:
        return 'which has to be remembered, and state_url is "none"'
    name = "graph_api" if settings.graph else "new_upload_api"
    return f"which the STIX objects API alone takes, and ms_auth['{name}'] is {settings.graph}"


# What is looked for among settings that are fine each by itself.
AMONG_SETTINGS = (story_contradictions, sighting_contradictions, context_contradictions)


# -- files --------------------------------------------------------------------------------------------


def unusable_files(values: Mapping[str, Any], now: float) -> Iterator[Problem]:
    """Yield what is wrong with the certificate or the token's file, at ``now`` in seconds since 1970."""
    credential = values.get(CREDENTIAL)
    if credential == "certificate":
        yield from _certificate_problems(values, now)
    elif credential == "workload_identity" and (path := _path_in(values.get("ms_auth.federated_token_file"))):
        try:
            path.open("rb").close()
        except OSError as error:
            yield "ms_auth.federated_token_file", messages.unreadable_file(error)


def _certificate_problems(values: Mapping[str, Any], now: float) -> Iterator[Problem]:
    path = _path_in(values.get("ms_auth.certificate_path"))
    password = values.get("ms_auth.certificate_password", "")
    if path and isinstance(password, str):
        from helpers.settings import certificates  # noqa: PLC0415  only where there is a certificate

        problem = certificates.problem(path, password, now)
        if problem:
            yield f"ms_auth.{problem[0]}", problem[1]


def _path_in(value: Any) -> Path | None:
    """Return the path, unless it is none, which has been reported."""
    with suppress(ValueError):
        return validators.absolute(validators.path(value))
    return None


# -- places that others may change --------------------------------------------------------------------


def refuse_foreign_state(settings: Settings) -> None:
    """Raise SettingsError where root would write into a state directory that others may change."""
    if settings.for_root_on_a_host:
        where = settings.source_of("state_dir")
        problems = places.of_state_dir(settings.state_path, refuse=True)
        if problems:
            raise SettingsError(f"state_dir ({where}) is not used by root: {problem}" for problem in problems)


def distrusted_places(settings: Settings) -> Iterator[Problem]:
    """Yield (config.py or setting, who else may change it and what to do) where that is no reason to refuse it."""
    if settings.for_root_on_a_host:
        return
    if settings.config_file:
        yield from (("config.py", problem) for problem in places.of_config(settings.config_file))
    if settings.has_state_path:
        yield from (("state_dir", problem) for problem in places.of_state_dir(settings.state_path, refuse=False))


# -- values that are allowed and probably not meant ---------------------------------------------------


def doubts(settings: Settings) -> Iterator[str]:
    """Yield a warning for each value that is allowed and probably not meant."""
    yield from _connection_doubts(settings)
    yield from _secret_doubts(settings)
    if settings.key_vault_name and not settings.vault_secrets:
        source = settings.source_of("key_vault_name")
        yield f"key_vault_name ({source}) is not used: what could come from the vault is given already."
    if settings.graph:
        yield (
            f'ms_auth["graph_api"] ({settings.source_of("ms_auth.graph_api")}) is True: Microsoft has deprecated the '
            "tiIndicators of the Graph API, announced their removal by April 2026, which has passed, and takes them "
            "from existing customers only. Move to the upload API (docs/graph.md#how-do-i-move-to-the-upload-api)."
        )
    if not settings.keeps_ledger:
        yield (
            f'state_url ({settings.source_of("state_url")}) is "none", so a run remembers nothing: it sends all that '
            "is valid each time and withdraws nothing; what leaves MISP stays in Sentinel until it expires."
        )
    if settings.dry_run:
        yield f"dry_run ({settings.source_of('dry_run')}) is on: nothing is sent to Sentinel."
    yield from filter_names.odd_filters(settings.misp_event_filters, settings.source_of("misp_event_filters"))
    by_default = settings.source_of("ms_auth.new_upload_api") == "default"
    if by_default and not settings.graph and settings.ms_api_version in LEGACY_API_VERSIONS:
        yield (
            f"ms_api_version ({settings.source_of('ms_api_version')}) is the legacy API's, but the STIX objects API is "
            "used: take it out, or keep the legacy API with ms_auth['new_upload_api'] = False."
        )


def _secret_doubts(settings: Settings) -> Iterator[str]:
    """Microsoft makes no secrets that are GUIDs; some that people chose, years ago, may be."""
    secrets = {"ms_auth.client_secret": settings.ms_auth.client_secret}
    secrets |= {f"ms_tenants[{number}]['secret']": tenant.secret for number, tenant in enumerate(settings.ms_tenants)}
    for name, secret in secrets.items():
        if validators.GUID.fullmatch(secret.get_secret_value()):
            source = settings.source_of(name.partition("[")[0])
            yield f"{written(name)} ({source}) is a GUID, as a secret's ID is: take the secret's value."


def _connection_doubts(settings: Settings) -> Iterator[str]:
    for name, value, host in (
        ("misp_verifycert", settings.misp_verifycert, "MISP"),
        ("ms_verifycert", settings.ms_verifycert, "Microsoft"),
        ("misp_stories.ssl_check", settings.misp_stories.ssl_check, "the stories' MISP"),
    ):
        if value is False:
            yield (
                f"{name} ({settings.source_of(name)}) is False, so {host} could be anyone: "
                "write True, or the path of your CA bundle."
            )
    for name, address in (("misp_domain", settings.misp_domain), ("misp_stories.url", settings.misp_stories.url)):
        if address.lower().startswith("http://"):
            yield f"{name} ({settings.source_of(name)}) is http, so the key travels in the clear: write https."
