"""Every setting as a field of one frozen object, and what follows from several of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr, SecretStr, model_validator

from constants import LEGACY_API_VERSION, STIX_API_VERSION
from helpers.errors import SettingsError
from helpers.process import WHOLE, Part
from helpers.settings import clouds, validators
from helpers.settings.addresses import secrets_in
from helpers.settings.attribute_filters import AttributeFilters
from helpers.settings.config.state_place import LEDGER, NOT_DECIDED, Kind, Place
from helpers.settings.config.values.receivers import notify_addresses, notify_secrets, token_parts
from helpers.settings.sections import (
    KEY_IN_TENANT,
    NO_CONTEXT,
    AttributeFilterSettings,
    Certificates,
    Context,
    Endpoints,
    File,
    FrozenModel,
    Headers,
    MispSightings,
    MispStories,
    MsAuth,
    PingAddress,
    Proxies,
    Seconds,
    Secret,
    Tenant,
    UserAgent,
)

LEGACY_API_VERSIONS = frozenset({LEGACY_API_VERSION, "2022-12-01-preview"})
# What a key vault may hold, and the setting that names the secret.
FROM_VAULT = {"misp_key": "key_vault_misp_key", "ms_auth.client_secret": "key_vault_client_secret"}
# What the ledger knows a destination in Graph by: its tenant and the product that gets the indicators.
GRAPH_KEY = "graph:"
SOURCE_SYSTEM = "MISP"

VaultSecret = Annotated[str, AfterValidator(validators.vault_secret)]
Days = Annotated[int, Field(ge=1, le=36500)]
ObservableKind = Annotated[str, AfterValidator(validators.kind)]
DaysOrNever = Annotated[int, Field(ge=0, le=36500)]

_AUTH_KEY = re.compile(r"ms_auth\['(\w+)'\]")


class Settings(BaseModel):
    """Every setting, checked; docs/configure.md says what each means."""

    model_config = FrozenModel.model_config

    ms_cloud: Annotated[str, AfterValidator(clouds.check)] = clouds.DEFAULT
    ms_auth: MsAuth = MsAuth()
    ms_tenants: Annotated[list[Tenant], AfterValidator(validators.unique_names)] = []
    ms_api_version: Annotated[str, AfterValidator(validators.api_version)] = STIX_API_VERSION
    ms_legacy_upload_key: Literal["indicators", "value"] = "indicators"
    ms_max_indicators_request: Annotated[int, Field(ge=1, le=100)] = 100
    ms_max_requests_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    ms_useragent: UserAgent = validators.OWN_USER_AGENT
    sourcesystem: Annotated[str, AfterValidator(validators.source_system)] = SOURCE_SYSTEM
    ms_endpoints: Endpoints = Endpoints()
    ms_verifycert: Certificates = True
    ms_proxies: Proxies = {}
    key_vault_name: Annotated[str, AfterValidator(validators.vault_name)] = ""
    key_vault_misp_key: VaultSecret = "MISP-Key"
    key_vault_client_secret: VaultSecret = "ClientSecret"  # noqa: S105  a name

    misp_domain: Annotated[str, AfterValidator(validators.misp_address)] = ""
    misp_key: Secret = SecretStr("")
    misp_verifycert: Certificates = True
    misp_proxies: Proxies = {}
    misp_headers: Headers = {}
    misp_timeout: Seconds = 120
    misp_answer_minutes: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 15
    misp_answer_mib: Annotated[int, Field(ge=1, le=65536)] = 512
    misp_event_filters: Annotated[dict[str, Any], AfterValidator(validators.event_filters)] = {
        "published": 1,
        "enforceWarninglist": True,
        "publish_timestamp": "14d",
    }
    misp_event_limit_per_page: Annotated[int, Field(ge=1, le=100_000)] = 50
    misp_remove_eventreports: bool = True
    misp_flatten_attributes: bool = True
    misp_stories: MispStories = MispStories()
    misp_sightings: MispSightings = MispSightings()

    ms_target_product: Literal["Azure Sentinel", "Microsoft Defender ATP"] = "Azure Sentinel"
    ms_action: Literal["alert", "allow", "block", "unknown"] = "alert"
    ms_passiveonly: bool = False
    network_ignore_direction: bool = True

    default_confidence: Annotated[int, Field(ge=0, le=100)] = 50
    days_to_expire: Days = 50
    days_to_expire_start: Literal["current_date", "valid_from"] = "current_date"
    days_to_expire_mapping: Annotated[dict[ObservableKind, Days], AfterValidator(validators.days_by_kind)] = {
        "ipv4-addr": 150,
        "ipv6-addr": 150,
        "domain-name": 300,
        "url": 400,
    }
    days_to_expire_ignore_misp_last_seen: bool = False
    ignore_localtags: bool = True
    activity_group_labels: bool = True
    send_private_and_cidr: bool = False
    lowercase_url_twins: bool = False
    filters: AttributeFilterSettings = {}
    context: Context = "actors"
    context_private: bool = False

    state_dir: File = None
    log_file: Annotated[Path | None, BeforeValidator(validators.path)] = None
    verbose_log: bool = False
    write_parsed_indicators: bool = False
    write_parsed_eventid: bool = False
    sentinel_write_response: bool = False
    write_post_json: bool = False
    dry_run: bool = False

    state_url: Annotated[str, AfterValidator(validators.state_url), Field(repr=False)] = ""
    deduplicate: Literal["attribute", "value"] = "attribute"
    full_sync_days: Days = 7
    unpublished_grace_days: DaysOrNever = 7
    max_withdraw_percent: Annotated[int, Field(ge=0, le=100)] = 20
    refresh_days: DaysOrNever = 0
    max_run_minutes: Annotated[int, Field(ge=0, le=10_080)] = 0
    report_file: File = None
    metrics_file: Annotated[File, AfterValidator(validators.metrics_file)] = None

    on_start: PingAddress = ""
    on_success: PingAddress = ""
    on_failure: PingAddress = ""
    notify: Annotated[list[str], AfterValidator(notify_addresses), Field(repr=False)] = []

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _expiries: dict[str, int] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(())
    _config_file: Path | None = PrivateAttr(None)
    _for_root_on_a_host: bool = PrivateAttr(False)
    _default_state: Place = PrivateAttr(NOT_DECIDED)
    _name: str = PrivateAttr("")
    _own_filters: dict[str, Any] = PrivateAttr(default_factory=dict)
    _own_context: Context | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _with_defaults_of_their_cloud(cls, values: Any) -> Any:
        return clouds.with_defaults(values)

    # -- where the settings came from --

    @property
    def config(self) -> str:
        """The path of the config.py that was run; its name alone where there was none."""
        return str(self._config_file or "config.py")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know about the settings as a whole."""
        return self._warnings

    @property
    def config_file(self) -> Path | None:
        """The config.py that was run; None where there was none."""
        return self._config_file

    @property
    def for_root_on_a_host(self) -> bool:
        """Whether root uses these settings where others may be too, so that what those may change is refused."""
        return self._for_root_on_a_host

    def source_of(self, name: str) -> str:
        """Say where a setting (``misp_key``, ``ms_auth.tenant``) came from; KeyError if there is none."""
        names = [known for known in SETTING_TYPES if known == name or known.startswith(f"{name}.")]
        if not names:
            raise KeyError(name)
        sources = dict.fromkeys(self._sources[known] for known in names if known in self._sources)
        return ", ".join(sources) or "default"

    # -- destinations --

    @property
    def name(self) -> str:
        """What this destination is called, where the settings name several."""
        return self._name

    @property
    def graph(self) -> bool:
        """Whether indicators go to the Graph API."""
        return self.ms_auth.graph_api

    @property
    def workspace_key(self) -> str:
        """What the ledger knows the destination by, beside its source system: Graph knows no workspaces."""
        if self.graph:
            return f"{GRAPH_KEY}{self.ms_auth.tenant}:{self.ms_target_product}"
        return self.ms_auth.workspace_id

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

    def destinations(self, name: str = "", part: Part = WHOLE) -> list[Settings]:
        """Return the settings of each destination in a part of all, or of those with this name or workspace id.

        Raises SettingsError when there is none of that name; a part may be empty.
        """
        destinations = [self._for_tenant(tenant) for tenant in self.ms_tenants] or [self]
        if not name:
            return [destination for destination in destinations if destination._is_in(part)]
        chosen = [
            destination
            for destination in destinations
            if name.lower() in (destination.name.lower(), destination.workspace_key.lower())
        ]
        if not chosen:
            names = ", ".join(destination.name or destination.workspace_key for destination in destinations)
            raise SettingsError([f"There is no destination {name}: the settings name {names}."])
        return chosen

    def _is_in(self, part: Part) -> bool:
        return part.has(canonical_workspace(self.workspace_key), self.sourcesystem)

    def _for_tenant(self, tenant: Tenant) -> Settings:
        auth = self.ms_auth.model_copy(update=tenant.auth)
        changes: dict[str, Any] = {"sourcesystem": tenant.sourcesystem or self.sourcesystem}
        if tenant.cloud and tenant.cloud != self.ms_cloud:
            cloud = clouds.CLOUDS[tenant.cloud]
            auth = auth.model_copy(update={"scope": cloud.scope_of(graph_api=self.graph)})
            changes |= {"ms_cloud": tenant.cloud, "ms_endpoints": Endpoints(**cloud.endpoints)}
        destination = self.model_copy(update={**changes, "ms_auth": auth})
        destination._name, destination._own_filters = tenant.title, tenant.filters
        destination._own_context = tenant.context
        return destination

    def for_destination(self, workspace: str, sourcesystem: str) -> Settings:
        """Return the settings to reach a destination of the ledger, also one that they no longer name."""
        in_workspace = [
            destination for destination in self.destinations() if destination.workspace_key.lower() == workspace.lower()
        ]
        for destination in in_workspace:
            if destination.sourcesystem == sourcesystem:
                return destination
        nearest = in_workspace[0] if in_workspace else self
        return nearest._moved_to(workspace, sourcesystem)

    def _moved_to(self, workspace: str, sourcesystem: str) -> Settings:
        """Return the settings with another ``workspace_key`` and source system."""
        to_graph = workspace.startswith(GRAPH_KEY)
        auth: dict[str, Any] = {"graph_api": to_graph}
        changes: dict[str, Any] = {"sourcesystem": sourcesystem}
        if to_graph:
            auth["tenant"], _, changes["ms_target_product"] = workspace.removeprefix(GRAPH_KEY).partition(":")
        else:
            auth["workspace_id"] = workspace
        if to_graph is not self.graph:
            auth["scope"] = clouds.CLOUDS[self.ms_cloud].scope_of(graph_api=to_graph)
        return self.model_copy(update={**changes, "ms_auth": self.ms_auth.model_copy(update=auth)})

    def in_own_words(self, text: str) -> str:
        """Return a text about keys of ms_auth with those of ms_tenants, where the destination is one of these."""
        return _AUTH_KEY.sub(self._key_in_tenant, text) if self._name else text

    def _key_in_tenant(self, match: re.Match[str]) -> str:
        key = KEY_IN_TENANT.get(match[1], match[1])
        return f"ms_tenants[{self._name!r}][{key!r}]" if key in Tenant.model_fields else match[0]

    # -- filters --

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
        return any(filters.need_scores for destination in self.destinations() for filters in destination.every_filter)

    # -- what is sent beside indicators --

    @property
    def context_level(self) -> Context:
        """How much is sent beside indicators: ``context``, the destination's own if it has one.

        Nothing where the API takes indicators alone, and where no ledger remembers what was sent.
        """
        return (self._own_context or self.context) if self.may_have_context else NO_CONTEXT

    @property
    def may_have_context(self) -> bool:
        """Whether anything can be sent beside indicators."""
        return self.upload_api == "stix" and self.keeps_ledger

    # -- what comes back --

    @property
    def sightings_source(self) -> str:
        """What MISP shows as the source of this destination's sightings."""
        auth = self.ms_auth
        return self.misp_sightings.source_of(self.name or auth.workspaceName or auth.workspace_id)

    # -- secrets --

    @property
    def vault_secrets(self) -> dict[str, str]:
        """What has to be read from the key vault, since it is set nowhere else: setting → name of the secret.

        Destinations in ``ms_tenants`` have their own secrets, so the one in ``ms_auth`` is not needed then.
        """
        if not self.key_vault_name:
            return {}
        missing = [] if self.misp_key.get_secret_value() else ["misp_key"]
        if self.ms_auth.credential == "secret" and not self.ms_tenants:
            missing += [] if self.ms_auth.client_secret.get_secret_value() else ["ms_auth.client_secret"]
        return {name: getattr(self, FROM_VAULT[name]) for name in missing}

    def with_secrets(self, values: Mapping[str, SecretStr], source: str, expiries: Mapping[str, int]) -> Settings:
        """Return the settings with the ``vault_secrets`` filled in, which came from ``source``.

        ``expiries`` has when each expires, in seconds since 1970, where that is known.
        """
        auth = self.ms_auth
        if "ms_auth.client_secret" in values:
            auth = auth.model_copy(update={"client_secret": values["ms_auth.client_secret"]})
        copy = self.model_copy(update={"misp_key": values.get("misp_key", self.misp_key), "ms_auth": auth})
        copy._sources = {**self._sources, **dict.fromkeys(values, source)}
        copy._expiries = {**self._expiries, **expiries}
        return copy

    def expiry_of(self, secret: str) -> int:
        """Return when a secret expires, by the setting's name, in seconds since 1970; 0 where that is not known."""
        return self._expiries.get(secret, 0)

    def secret_values(self) -> tuple[str, ...]:
        """Return every string that no log may show."""
        auth = self.ms_auth
        keys = (self.misp_key, self.misp_stories.api_key, self.misp_sightings.api_key)
        secrets = [*keys, auth.client_secret, auth.certificate_password]
        for tenant in self.ms_tenants:
            secrets += [tenant.secret, tenant.certificate_password]
        values = [secret.get_secret_value() for secret in secrets if secret]
        values += [*self.misp_stories.additional_headers.values(), *self.misp_headers.values()]
        proxies = (*self.misp_proxies.values(), *self.ms_proxies.values(), self.misp_stories.proxy_server)
        for address in (*proxies, self.state_url):
            values += secrets_in(address)
        for receiver in (self.on_start, self.on_success, self.on_failure):
            values += token_parts(receiver)
        for receiver in self.notify:
            values += (*secrets_in(receiver), *notify_secrets(receiver))
        return tuple(dict.fromkeys(value for value in values if value))

    # -- files --

    @property
    def state_path(self) -> Path:
        """Where the lock, the dumps and the ledger live; it need not exist yet.

        Raises SettingsError where ``state_dir`` is not set and no usual place can be taken.
        """
        path = self.state_dir or self._default_state.path
        if path is None:
            raise SettingsError([self._default_state.problem])
        return path

    @property
    def has_state_path(self) -> bool:
        """Whether there is a ``state_path``."""
        return bool(self.state_dir or self._default_state.path)

    @property
    def state_is_beside_config(self) -> bool:
        """Whether it is beside config.py, which may be in a clone."""
        return self.state_dir is None and self._default_state.kind is Kind.BESIDE_CONFIG

    @property
    def log_path(self) -> Path:
        """Where the log is written."""
        return self.state_path / (self.log_file or "misp2sentinel.log")

    @property
    def keeps_ledger(self) -> bool:
        """Whether runs keep a ledger."""
        return self.state_url != validators.NO_LEDGER

    @property
    def ledger_url(self) -> str:
        """The address of the ledger's database; where none is wanted, one that ends with the process."""
        if not self.keeps_ledger:
            return "sqlite://"
        return self.state_url or f"sqlite:///{self.state_path / LEDGER}"


def _setting_types(model: type[BaseModel]) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        type_ = field.annotation
        if isinstance(type_, type) and issubclass(type_, BaseModel):
            types[name] = dict
            types |= {f"{name}.{key}": inner for key, inner in _setting_types(type_).items()}
        else:
            types[name] = type_
    return types


# The type of each setting by dotted name (``ms_auth.tenant``); one with fixed keys is there as a dict as well.
SETTING_TYPES = _setting_types(Settings)


def canonical_workspace(key: str) -> str:
    """Return the one spelling of a ``workspace_key``: GUIDs and domain names have no letter case."""
    if not key.startswith(GRAPH_KEY):
        return key.lower()
    tenant, colon, product = key.removeprefix(GRAPH_KEY).partition(":")
    return f"{GRAPH_KEY}{tenant.lower()}{colon}{product}"
