"""config.py and the environment as one frozen object; every problem is named at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from constants import LEGACY_API_VERSION, STIX_API_VERSION
from helpers.errors import SettingsError
from helpers.settings import clouds, config_file, credentials, environment, filter_names, function_host
from helpers.settings import validators as check
from helpers.settings.attribute_filters import AttributeFilters
from helpers.settings.config_file import Problems, SourcedValue
from helpers.settings.contradictions import CREDENTIAL, SOURCE_SYSTEM, contradictions, unusable_files
from helpers.settings.environment import variable

_PUBLIC = clouds.CLOUDS[clouds.DEFAULT]
DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / "config.py"
LEGACY_API_VERSIONS = frozenset({LEGACY_API_VERSION, "2022-12-01-preview"})
NEEDED = (
    "misp_domain",
    "misp_key",
    "ms_auth.tenant",
    "ms_auth.client_id",
    "ms_auth.client_secret",
    "ms_auth.workspace_id",
)
# Only what fills the ledger from Sentinel asks for these, so a placeholder may stay.
FOR_ADOPT = ("ms_auth.subscription_id", "ms_auth.resourceGroupName", "ms_auth.workspaceName")
# What a key vault may hold, and the setting that names the secret.
FROM_VAULT = {"misp_key": "key_vault_misp_key", "ms_auth.client_secret": "key_vault_client_secret"}
ENDPOINTS = tuple(f"ms_endpoints.{key}" for key in _PUBLIC.endpoints)
_CREDENTIAL_KEYS = tuple(f"ms_auth.{key}" for key in credentials.KEYS)
# What sharing and collecting stories needs, beside an address: its own or misp_domain.
FOR_STORIES = ("misp_stories.api_key", "misp_stories.organisation_id")
# A value of None or "" is what os.getenv and a vault's client give for what is not there.
UNSET_WHEN_EMPTY = frozenset(
    {
        *NEEDED,
        *FOR_ADOPT,
        *ENDPOINTS,
        *_CREDENTIAL_KEYS,
        CREDENTIAL,
        *FOR_STORIES,
        "misp_stories.url",
        "misp_stories.sharing_group_id",
        "misp_stories.distribution",
        "misp_stories.proxy_server",
        "ms_auth.scope",
        "ms_auth.new_upload_api",
        "ms_api_version",
        "ms_proxies",
        "misp_proxies",
        "misp_headers",
        "key_vault_name",
        *FROM_VAULT.values(),
    }
)

_FORGETFUL = (
    'state_url ({}) is "none", so a run remembers nothing: it sends all that is valid each time and withdraws nothing; '
    "what leaves MISP stays in Sentinel until it expires."
)

Guid = Annotated[str, AfterValidator(check.guid)]
AzureName = Annotated[str, AfterValidator(check.azure_name)]
Secret = Annotated[SecretStr, AfterValidator(check.secret)]
Https = Annotated[str, AfterValidator(check.https_address)]
File = Annotated[Path | None, BeforeValidator(check.path), AfterValidator(check.absolute)]
VaultSecret = Annotated[str, AfterValidator(check.vault_secret)]
Certificates = Annotated[bool | str, BeforeValidator(check.certificates)]
Days = Annotated[int, Field(ge=1, le=36500)]
Proxies = dict[Annotated[str, AfterValidator(check.proxy_scheme)], Annotated[str, AfterValidator(check.proxy_address)]]
Headers = dict[Annotated[str, AfterValidator(check.header_name)], Annotated[str, AfterValidator(check.header_value)]]


# What the ledger knows a destination in Graph by: its tenant and the product that gets the indicators.
GRAPH_KEY = "graph:"
GRAPH_STATE = (
    'ms_auth["graph_api"] ({}) is True: Microsoft has deprecated the tiIndicators of the Graph API, announced their '
    "removal by April 2026, and takes them from existing customers only. Move to the upload API (docs/graph.md)."
)

# What misp2sentinel calls the keys of a destination that ms_auth calls otherwise.
_KEY_IN_AUTH = {"tenantId": "tenant", "id": "client_id", "secret": "client_secret", "workspaceId": "workspace_id"}
_KEY_OF_TENANT = {key: name for name, key in _KEY_IN_AUTH.items()}


class _Frozen(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class MsAuth(_Frozen):
    """How to sign in at Microsoft, and which workspace and API to use."""

    tenant: Annotated[str, AfterValidator(check.tenant)] = ""
    client_id: Guid = ""
    credential: credentials.Name = credentials.DEFAULT
    client_secret: Secret = SecretStr("")
    certificate_path: File = None
    certificate_password: SecretStr | None = None
    managed_identity_client_id: Guid = ""
    federated_token_file: File = None
    graph_api: bool = False
    new_upload_api: bool = True
    scope: Annotated[str, AfterValidator(check.scope)] = _PUBLIC.scope
    workspace_id: Guid = ""
    subscription_id: Guid = ""
    resourceGroupName: AzureName = ""  # noqa: N815  as Azure writes it
    workspaceName: AzureName = ""  # noqa: N815


class Endpoints(_Frozen):
    """Base URLs of Microsoft's services, without trailing slashes; empty where the cloud has none."""

    authority: Https = _PUBLIC.authority
    upload: Https = _PUBLIC.upload
    upload_legacy: Annotated[str, AfterValidator(check.https_address_if_any)] = _PUBLIC.upload_legacy
    graph: Https = _PUBLIC.graph
    management: Https = _PUBLIC.management


class Tenant(_Frozen):
    """One of several destinations; what it does not say is as in ms_auth and the rest of the settings."""

    tenantId: Annotated[str, AfterValidator(check.tenant)] = ""  # noqa: N815  as misp2sentinel called them
    id: Guid = ""
    secret: Secret = SecretStr("")
    workspaceId: Guid = ""  # noqa: N815
    name: Annotated[str, AfterValidator(check.destination_name)] = ""
    cloud: Annotated[str | None, AfterValidator(check.maybe(clouds.check))] = None
    sourcesystem: Annotated[str | None, AfterValidator(check.maybe(check.source_system))] = None
    credential: credentials.Name = credentials.DEFAULT
    certificate_path: File = None
    certificate_password: SecretStr | None = None
    managed_identity_client_id: Guid = ""
    federated_token_file: File = None
    filters: Annotated[dict[str, Any], AfterValidator(check.attribute_filters)] = {}
    subscription_id: Guid = ""
    resourceGroupName: AzureName = ""  # noqa: N815
    workspaceName: AzureName = ""  # noqa: N815

    @model_validator(mode="after")
    def _as_its_credential_wants(self) -> Self:
        given = {_KEY_IN_AUTH.get(name, name) for name in self.model_fields_set}
        missing = [key for key in credentials.CREDENTIALS[self.credential].needs if key not in given]
        wrong = [f"{_KEY_OF_TENANT.get(key, key)} is missing" for key in missing]
        wrong += [f"{_KEY_OF_TENANT.get(key, key)} {what}" for key, what in credentials.foreign(self.credential, given)]
        if wrong:
            raise ValueError(f"does not fit its credential, {self.credential!r}: {'; '.join(wrong)}")
        return self

    @property
    def title(self) -> str:
        """What the destination is called."""
        return self.name or self.workspaceId or self.tenantId

    @property
    def auth(self) -> dict[str, Any]:
        """What takes the place of the keys in ms_auth."""
        every = {_KEY_IN_AUTH.get(name, name): getattr(self, name) for name in type(self).model_fields}
        return {key: value for key, value in every.items() if key in MsAuth.model_fields}


_AUTH_KEY = re.compile(r"ms_auth\['(\w+)'\]")
_SAID_FOR_KEYS = {key.lower(): key for key in Tenant.model_fields} | _KEY_OF_TENANT


class MispStories(_Frozen):
    """How stories are shared to MISP and collected from it; the names are those of Taranis AI's connector."""

    url: Annotated[str, AfterValidator(check.web_address)] = ""
    api_key: Secret = SecretStr("")
    organisation_id: Annotated[int | None, Field(ge=1)] = None
    ssl_check: Certificates = True
    sharing_group_id: Annotated[int | None, Field(ge=1)] = None
    distribution: Annotated[int | None, Field(ge=0, le=4)] = None
    request_timeout: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = 60
    user_agent: Annotated[str, AfterValidator(check.user_agent)] = "MISP2Sentinel/1.0"
    proxy_server: Annotated[str, AfterValidator(check.proxy_address), Field(repr=False)] = ""
    additional_headers: Annotated[Headers, Field(repr=False)] = {}
    refresh_interval: Annotated[int, Field(ge=0)] = 0
    days_without_change: Annotated[int, Field(ge=0)] = 0

    @property
    def configured(self) -> bool:
        """Say whether anything is shared or collected at this site."""
        return bool(self.api_key.get_secret_value())

    @property
    def level(self) -> int:
        """The distribution of new events: 4 with a sharing group, else 0 where none is given."""
        default = 4 if self.sharing_group_id else 0
        return default if self.distribution is None else self.distribution


class Settings(_Frozen):
    """Every setting, checked; docs/configure.md says what each means."""

    ms_cloud: Annotated[str, AfterValidator(clouds.check)] = clouds.DEFAULT
    ms_auth: MsAuth = MsAuth()
    ms_tenants: Annotated[list[Tenant], AfterValidator(check.each_once)] = []
    ms_api_version: Annotated[str, AfterValidator(check.api_version)] = STIX_API_VERSION
    ms_legacy_upload_key: Literal["indicators", "value"] = "indicators"
    ms_max_indicators_request: Annotated[int, Field(ge=1, le=100)] = 100
    ms_max_requests_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    ms_useragent: Annotated[str, AfterValidator(check.user_agent)] = "MISP2Sentinel/1.0"
    sourcesystem: Annotated[str, AfterValidator(check.source_system)] = SOURCE_SYSTEM
    ms_endpoints: Endpoints = Endpoints()
    ms_verifycert: Certificates = True
    ms_proxies: Annotated[Proxies, Field(repr=False)] = {}
    key_vault_name: Annotated[str, AfterValidator(check.vault_name)] = ""
    key_vault_misp_key: VaultSecret = "MISP-Key"
    key_vault_client_secret: VaultSecret = "ClientSecret"  # noqa: S105  a name

    misp_domain: Annotated[str, AfterValidator(check.web_address)] = ""
    misp_key: Secret = SecretStr("")
    misp_verifycert: Certificates = True
    misp_proxies: Annotated[Proxies, Field(repr=False)] = {}
    misp_headers: Annotated[Headers, Field(repr=False)] = {}
    misp_timeout: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = 120
    misp_event_filters: Annotated[dict[str, Any], AfterValidator(check.filters)] = {
        "published": 1,
        "enforceWarninglist": True,
        "publish_timestamp": "14d",
    }
    misp_event_limit_per_page: Annotated[int, Field(ge=1)] = 50
    misp_remove_eventreports: bool = True
    misp_flatten_attributes: bool = True
    misp_stories: MispStories = MispStories()

    ms_target_product: Literal["Azure Sentinel", "Microsoft Defender ATP"] = "Azure Sentinel"
    ms_action: Literal["alert", "allow", "block", "unknown"] = "alert"
    ms_passiveonly: bool = False
    network_ignore_direction: bool = True

    default_confidence: Annotated[int, Field(ge=0, le=100)] = 50
    days_to_expire: Days = 50
    days_to_expire_start: Literal["current_date", "valid_from"] = "current_date"
    days_to_expire_mapping: dict[str, Days] = {
        "ipv4-addr": 150,
        "ipv6-addr": 150,
        "domain-name": 300,
        "url": 400,
    }
    days_to_expire_ignore_misp_last_seen: bool = False
    ignore_localtags: bool = True
    send_private_and_cidr: bool = False
    filters: Annotated[dict[str, Any], AfterValidator(check.attribute_filters)] = {}

    state_dir: Annotated[Path | None, BeforeValidator(check.path), AfterValidator(check.absolute)] = None
    log_file: Annotated[Path | None, BeforeValidator(check.path)] = None
    verbose_log: bool = False
    write_parsed_indicators: bool = False
    write_parsed_eventid: bool = False
    sentinel_write_response: bool = False
    write_post_json: bool = False
    dry_run: bool = False

    state_url: Annotated[str, AfterValidator(check.state_url), Field(repr=False)] = ""
    deduplicate: Literal["attribute", "value"] = "attribute"
    full_sync_days: Annotated[int, Field(ge=1)] = 7
    unpublished_grace_days: Annotated[int, Field(ge=0)] = 7
    max_withdraw_percent: Annotated[int, Field(ge=0, le=100)] = 20
    refresh_days: Annotated[int, Field(ge=0)] = 0
    max_run_minutes: Annotated[int, Field(ge=0)] = 0

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _name: str = PrivateAttr("")
    _own_filters: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def name(self) -> str:
        """What this destination is called, where the settings name several."""
        return self._name

    @property
    def config(self) -> str:
        """The path of the config.py that settings came from; its name alone where none did."""
        origins = (each for each in self._sources.values() if not each.startswith("environment "))
        return next(origins, "config.py")

    @property
    def remembers(self) -> bool:
        """Whether runs keep a ledger."""
        return self.state_url != check.NO_LEDGER

    @property
    def ledger_url(self) -> str:
        """The address of the ledger's database; where none is wanted, one that ends with the process."""
        if not self.remembers:
            return "sqlite://"
        return self.state_url or f"sqlite:///{self.state_path / 'ledger.sqlite'}"

    @property
    def workspace_key(self) -> str:
        """What the ledger knows the destination by, beside its source system: Graph knows no workspaces."""
        if self.graph:
            return f"{GRAPH_KEY}{self.ms_auth.tenant.lower()}:{self.ms_target_product}"
        return self.ms_auth.workspace_id

    @property
    def graph(self) -> bool:
        """Whether indicators go to the Graph API."""
        return self.ms_auth.graph_api

    def destinations(self, name: str = "") -> list[Settings]:
        """Return the settings of each destination, or of the one with this name or workspace id.

        Raises SettingsError when there is none.
        """
        every = [self._for_tenant(tenant) for tenant in self.ms_tenants] or [self]
        wanted = name.lower()
        chosen = [each for each in every if wanted in ("", each.name.lower(), each.workspace_key.lower())]
        if not chosen:
            names = ", ".join(each.name or each.workspace_key for each in every)
            raise SettingsError([f"There is no destination {name}: the settings name {names}."])
        return chosen

    def for_destination(self, workspace: str, sourcesystem: str) -> Settings:
        """Return the settings to reach a destination of the ledger, also one that they do not name (any more)."""
        key = (workspace.lower(), sourcesystem)
        for each in self.destinations():
            if (each.workspace_key.lower(), each.sourcesystem) == key:
                return each
        near = next((each for each in self.destinations() if each.workspace_key.lower() == workspace.lower()), self)
        changed: dict[str, Any] = {"graph_api": workspace.startswith(GRAPH_KEY), "workspace_id": workspace}
        product: Any = near.ms_target_product
        if changed["graph_api"]:
            changed["tenant"], _, product = workspace.removeprefix(GRAPH_KEY).partition(":")
            changed["workspace_id"] = near.ms_auth.workspace_id
        if changed["graph_api"] is not near.graph:
            changed["scope"] = clouds.CLOUDS[near.ms_cloud].scope_of(graph_api=changed["graph_api"])
        auth = near.ms_auth.model_copy(update=changed)
        return near.model_copy(update={"ms_auth": auth, "sourcesystem": sourcesystem, "ms_target_product": product})

    def in_own_words(self, text: str) -> str:
        """Return a text about keys of ms_auth with those of ms_tenants, where the destination is one of these."""
        return _AUTH_KEY.sub(self._own_key, text) if self._name else text

    def _own_key(self, found: re.Match[str]) -> str:
        key = _KEY_OF_TENANT.get(found[1], found[1])
        return f"ms_tenants[{self._name!r}][{key!r}]" if key in Tenant.model_fields else found[0]

    def _for_tenant(self, tenant: Tenant) -> Settings:
        changed: dict[str, Any] = {
            "ms_auth": self.ms_auth.model_copy(update=tenant.auth),
            "sourcesystem": tenant.sourcesystem or self.sourcesystem,
        }
        if tenant.cloud and tenant.cloud != self.ms_cloud:
            cloud = clouds.CLOUDS[tenant.cloud]
            changed["ms_cloud"] = tenant.cloud
            changed["ms_endpoints"] = Endpoints(**cloud.endpoints)
            changed["ms_auth"] = changed["ms_auth"].model_copy(update={"scope": cloud.scope_of(graph_api=self.graph)})
        made = self.model_copy(update=changed)
        made._name, made._own_filters = tenant.title, tenant.filters
        return made

    @model_validator(mode="before")
    @classmethod
    def _of_their_cloud(cls, values: Any) -> Any:
        return clouds.filled_in(values)

    def source_of(self, name: str) -> str:
        """Say where a setting (``misp_key``, ``ms_auth.tenant``) came from; KeyError if there is none."""
        names = [known for known in KINDS if known == name or known.startswith(f"{name}.")]
        if not names:
            raise KeyError(name)
        sources = dict.fromkeys(self._sources[known] for known in names if known in self._sources)
        return ", ".join(sources) or "default"

    def secret_values(self) -> tuple[str, ...]:
        """Return every string that no log may show."""
        values = [self.misp_key.get_secret_value(), self.ms_auth.client_secret.get_secret_value()]
        for tenant in self.ms_tenants:
            passwords = (tenant.secret, tenant.certificate_password)
            values += [each.get_secret_value() for each in passwords if each]
        values += [self.ms_auth.certificate_password.get_secret_value()] if self.ms_auth.certificate_password else []
        values += [self.misp_stories.api_key.get_secret_value(), *self.misp_stories.additional_headers.values()]
        values += self.misp_headers.values()
        proxies = (*self.misp_proxies.values(), *self.ms_proxies.values(), self.misp_stories.proxy_server)
        for address in (*proxies, self.state_url):
            password = _password(address)
            values += [password, unquote(password)]
        return tuple(dict.fromkeys(value for value in values if value))

    @property
    def attribute_filters(self) -> AttributeFilters:
        """``filters``, read."""
        return AttributeFilters.parse(self.filters)

    @property
    def own_filters(self) -> dict[str, Any]:
        """The destination's own ``filters``, which count beside those for all."""
        return self._own_filters

    @property
    def every_filter(self) -> tuple[AttributeFilters, AttributeFilters]:
        """The filters for all destinations, and this one's own."""
        return self.attribute_filters, AttributeFilters.parse(self._own_filters)

    @property
    def needs_decay_scores(self) -> bool:
        """Whether MISP must be asked for the scores of its decaying models, for any destination."""
        return any(each.need_scores for place in self.destinations() for each in place.every_filter)

    @property
    def vault_secrets(self) -> dict[str, str]:
        """What has to be read from the key vault, since it is given nowhere else: setting → name of the secret.

        Destinations in ``ms_tenants`` say their secrets themselves, so the one in ``ms_auth`` is not needed then.
        """
        open_ = {"misp_key": not self.misp_key.get_secret_value()} if self.key_vault_name else {}
        if self.key_vault_name and self.ms_auth.credential == "secret" and not self.ms_tenants:
            open_["ms_auth.client_secret"] = not self.ms_auth.client_secret.get_secret_value()
        return {name: getattr(self, FROM_VAULT[name]) for name, wanted in open_.items() if wanted}

    def with_secrets(self, values: Mapping[str, SecretStr], origin: str) -> Settings:
        """Return the settings with the ``vault_secrets`` filled in, which came from ``origin``."""
        auth = self.ms_auth
        if "ms_auth.client_secret" in values:
            auth = auth.model_copy(update={"client_secret": values["ms_auth.client_secret"]})
        copy = self.model_copy(update={"misp_key": values.get("misp_key", self.misp_key), "ms_auth": auth})
        copy._sources = {**self._sources, **dict.fromkeys(values, origin)}
        return copy

    @property
    def upload_api(self) -> Literal["graph", "stix", "legacy", "legacy-value"]:
        """Which API to use."""
        if self.graph:
            return "graph"
        if self.ms_auth.new_upload_api:
            return "stix"
        return "legacy" if self.ms_legacy_upload_key == "indicators" else "legacy-value"

    @property
    def api_version(self) -> str:
        """The version to ask that API for; Graph's is part of its address."""
        if self.graph:
            return "beta"
        if self.upload_api != "stix":
            return LEGACY_API_VERSION
        return STIX_API_VERSION if self.ms_api_version in LEGACY_API_VERSIONS else self.ms_api_version

    @property
    def state_path(self) -> Path:
        """Where the lock, the dumps and the ledger live; it need not exist yet."""
        if self.state_dir is not None:
            return self.state_dir
        from platformdirs import user_state_path  # noqa: PLC0415 (only needed without state_dir)

        return user_state_path("misp2sentinel", appauthor=False)

    @property
    def log_path(self) -> Path:
        """Where the log is written."""
        return self.state_path / (self.log_file or "misp2sentinel.log")


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

    ``offline`` lets go of what is only needed to reach MISP or Microsoft; with ``stories`` what is needed is
    what sharing and collecting stories needs, and not what a run needs. ``now`` gives seconds since 1970.
    What a key vault holds is not read here: see ``Settings.vault_secrets``.
    Raises SettingsError with every problem.
    """
    problems = Problems()
    given = _given(config_path, environ, offline, problems)
    needed = _needed(given, problems.told, stories)
    given = _filled_in(given, needed, offline, problems)
    settings = _validated(given, problems)
    values = {name: entry.value for name, entry in given.items()}
    _tell(contradictions(values), given, problems)
    if settings is not None:
        _contradictions(settings.misp_stories, settings, problems)
    if not offline:
        _missing(needed, given, problems)
        _tell(unusable_files(values, now()), given, problems)
        wrong = function_host.problem(values) if function_host.is_here(environ) else None
        _tell([wrong] if wrong else [], given, problems)
    if settings is None or problems.errors:
        raise SettingsError([*problems.errors, *problems.warnings])
    return Loaded(settings, (*problems.warnings, *_doubts(settings)))


def _given(
    config_path: Path | None, environ: Mapping[str, str], offline: bool, problems: Problems
) -> dict[str, SourcedValue]:
    path = config_path or _path_in(environ)
    given: dict[str, SourcedValue] = {}
    if path or DEFAULT_CONFIG.exists():
        given = config_file.read((path or DEFAULT_CONFIG).absolute(), KINDS, problems)
    unopened = (*NEEDED, *_CREDENTIAL_KEYS, "ms_auth") if offline else ()
    given |= environment.read(environ, KINDS, problems, unopened=unopened)
    given = {
        name: entry for name, entry in given.items() if name not in UNSET_WHEN_EMPTY or entry.value not in (None, "")
    }
    token = environ.get(credentials.TOKEN_FILE_VARIABLE)
    if token and _value(given, CREDENTIAL) == "workload_identity":
        entry = SourcedValue(token, f"environment {credentials.TOKEN_FILE_VARIABLE}")
        given.setdefault("ms_auth.federated_token_file", entry)
    if token and "ms_tenants" in given:
        given["ms_tenants"] = given["ms_tenants"]._replace(value=_with_token(given["ms_tenants"].value, token))
    if function_host.is_here(environ):
        of_place = {
            name: SourcedValue(value, "default in a Function") for name, value in function_host.DEFAULTS.items()
        }
        given = of_place | given
    return given


def _with_token(tenants: Any, path: str) -> Any:
    """Return destinations with the token's file in those that sign in with one and do not say where it is."""
    if not isinstance(tenants, list):
        return tenants
    asks = [isinstance(each, Mapping) and each.get("credential") == "workload_identity" for each in tenants]
    here = {"federated_token_file": path}
    return [{**here, **each} if wants else each for each, wants in zip(tenants, asks, strict=True)]


def _value(given: Mapping[str, SourcedValue], name: str, default: Any = None) -> Any:
    return given[name].value if name in given else default


def _path_in(environ: Mapping[str, str]) -> Path | None:
    named = environment.config_path(environ)
    with suppress(RuntimeError):
        return Path(named).expanduser() if named else None
    return Path(named)


def _needed(given: Mapping[str, SourcedValue], told: Collection[str], stories: bool) -> tuple[str, ...]:
    """Return what must be given: for a run, or for stories, which half a configuration asks for as well."""
    wanted = FOR_STORIES if stories or "misp_stories.api_key" in given else ()
    if not stories:
        return (*_needed_for_a_run(given, told), *wanted)
    return wanted if "misp_stories.url" in given else ("misp_domain", *wanted)


def _needed_for_a_run(given: Mapping[str, SourcedValue], told: Collection[str]) -> tuple[str, ...]:
    """Return what a run needs, for the chosen credential and without what a key vault holds.

    ``told`` are settings that are given and could not be read.
    """
    credential = credentials.chosen(_value(given, CREDENTIAL, credentials.DEFAULT))
    of_it = {f"ms_auth.{key}" for key in credential.needs} if credential else set()
    left = [name for name in dict.fromkeys((*NEEDED, *sorted(of_it))) if name in of_it or name not in _CREDENTIAL_KEYS]
    if _value(given, "ms_auth.graph_api") is True:  # Graph knows tenants, and no workspaces
        left = [name for name in left if name != "ms_auth.workspace_id"]
    if _value(given, "ms_tenants") or "ms_tenants" in told:  # each destination says its own
        left = [name for name in left if not name.startswith("ms_auth.")]
    return tuple(name for name in left if name not in FROM_VAULT or "key_vault_name" not in given)


def _filled_in(
    given: Mapping[str, SourcedValue], needed: tuple[str, ...], offline: bool, problems: Problems
) -> dict[str, SourcedValue]:
    """Leave out what is a placeholder or an unresolved reference, which is a problem unless nobody needs it."""
    needless = {*FOR_ADOPT, *NEEDED, *FOR_STORIES, *_CREDENTIAL_KEYS} - (set() if offline else set(needed))
    placeholder = "still holds a placeholder: put your own value there{}."
    kept: dict[str, SourcedValue] = {}
    for name, entry in given.items():
        found = list(check.texts(entry.value))
        wrong = [(path, check.UNRESOLVED) for path, text in found if check.is_reference(text)]
        or_else = "" if entry.origin.startswith("environment ") else f", or set {variable(name)}"
        left = [(path, placeholder.format(or_else)) for path, text in found if check.is_placeholder(text)]
        if not wrong and not left:
            kept[name] = entry
        elif name not in needless or (wrong and not offline):
            for path, what in wrong or left:
                problems.add(name + path, entry.origin, what)
            problems.told.add(name)
    return kept


def _validated(given: Mapping[str, SourcedValue], problems: Problems) -> Settings | None:
    values: dict[str, Any] = {}
    for name, entry in given.items():
        group, _, key = name.rpartition(".")
        (values.setdefault(group, {}) if group else values)[key] = entry.value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _translate(details, given, problems)
        return None
    settings._sources.update({name: entry.origin for name, entry in given.items()})
    return settings


def _translate(details: ErrorDetails, given: Mapping[str, SourcedValue], problems: Problems) -> None:
    name, *rest = [part for part in details["loc"] if part != "[key]"]
    name = str(name)
    if rest and f"{name}.{rest[0]}" in KINDS:
        name = f"{name}.{rest.pop(0)}"
    path = "".join(f"[{part!r}]" for part in rest)
    for below, what in check.sentences(details, _SAID_FOR_KEYS):
        problems.add(name + path + below, given[name].origin, what)
    problems.told.add(name)


def _tell(contradictory: Iterable[tuple[str, str]], given: Mapping[str, SourcedValue], problems: Problems) -> None:
    for name, what in contradictory:
        if not problems.has_told(name):
            source = given.get(name) or given.get(name.partition("[")[0])
            problems.add(name, source.origin if source else "not set", what)


def _contradictions(stories: MispStories, settings: Settings, problems: Problems) -> None:
    """A sharing group and the distribution 4, sharing group, go together (MISP, distribution levels)."""
    name = "misp_stories.distribution"
    if stories.sharing_group_id and stories.level != 4:
        problems.add(
            name,
            settings.source_of(name),
            f"is {stories.level}, which shares with others than the sharing group that sharing_group_id names: "
            "write 4, or take one of the two out.",
        )
    if stories.level == 4 and not stories.sharing_group_id:
        problems.add(
            name,
            settings.source_of(name),
            "is 4, a sharing group, and sharing_group_id names none: write its id, or another distribution.",
        )


def _missing(needed: tuple[str, ...], given: Mapping[str, SourcedValue], problems: Problems) -> None:
    of_others = problems.has_told("ms_tenants")  # what is wrong with them leaves open whether ms_auth counts
    for name in needed:
        if name not in given and not problems.has_told(name) and not (of_others and name.startswith("ms_auth.")):
            problems.errors.append(
                f"{config_file.written(name)} is missing: set it in config.py, or set {variable(name)}."
            )


def _doubts(settings: Settings) -> list[str]:
    """Return warnings about values that are allowed and probably not meant."""
    doubts = [
        f"{name} ({settings.source_of(name)}) is False, so {host} could be anyone: "
        "write True, or the path of your CA bundle."
        for name, value, host in (
            ("misp_verifycert", settings.misp_verifycert, "MISP"),
            ("ms_verifycert", settings.ms_verifycert, "Microsoft"),
            ("misp_stories.ssl_check", settings.misp_stories.ssl_check, "the stories' MISP"),
        )
        if value is False
    ]
    for name, address in (("misp_domain", settings.misp_domain), ("misp_stories.url", settings.misp_stories.url)):
        if address.lower().startswith("http://"):
            origin = settings.source_of(name)
            doubts.append(f"{name} ({origin}) is http, so the key travels in the clear: write https.")
    if settings.key_vault_name and not settings.vault_secrets:
        origin = settings.source_of("key_vault_name")
        doubts.append(f"key_vault_name ({origin}) is not used: what could come from the vault is given already.")
    if settings.graph:
        doubts.append(GRAPH_STATE.format(settings.source_of("ms_auth.graph_api")))
    if not settings.remembers:
        doubts.append(_FORGETFUL.format(settings.source_of("state_url")))
    if settings.dry_run:
        doubts.append(f"dry_run ({settings.source_of('dry_run')}) is on: nothing is sent to Sentinel.")
    doubts += filter_names.odd_filters(settings.misp_event_filters, settings.source_of("misp_event_filters"))
    absent = settings.source_of("ms_auth.new_upload_api") == "default"
    if absent and settings.ms_api_version in LEGACY_API_VERSIONS:
        origin = settings.source_of("ms_api_version")
        doubts.append(
            f"ms_api_version ({origin}) is the legacy API's, but the STIX objects API is used: "
            "take it out, or keep the legacy API with ms_auth['new_upload_api'] = False."
        )
    return doubts


def _password(address: str) -> str:
    """Return the password in a URL, even one with characters that should have been escaped."""
    user_and_password = address.partition("://")[2].rpartition("@")[0] or address.rpartition("@")[0]
    return user_and_password.partition(":")[2]


def _kinds(model: type[BaseModel]) -> dict[str, Any]:
    """Return the type of each setting by dotted name; one with fixed keys is a dict as well."""
    kinds: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kinds[name] = dict
            kinds |= {f"{name}.{key}": inner for key, inner in _kinds(kind).items()}
        else:
            kinds[name] = kind
    return kinds


KINDS = _kinds(Settings)
