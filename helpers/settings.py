"""config.py and the environment as one frozen object; every problem is named at once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
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
)
from pydantic_core import ErrorDetails

from constants import LEGACY_API_VERSION, STIX_API_VERSION
from helpers import config_file, environment
from helpers import setting_checks as check
from helpers.config_file import Findings, Given
from helpers.environment import variable
from helpers.errors import SettingsError

DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "config.py"
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
# What sharing and collecting stories needs, beside an address: its own or misp_domain.
FOR_STORIES = ("misp_stories.api_key", "misp_stories.organisation_id")
# A value of None or "" is what os.getenv and a vault's client give for what is not there.
UNSET_WHEN_EMPTY = frozenset(
    {
        *NEEDED,
        *FOR_ADOPT,
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
    }
)

Guid = Annotated[str, AfterValidator(check.guid)]
AzureName = Annotated[str, AfterValidator(check.azure_name)]
Secret = Annotated[SecretStr, AfterValidator(check.secret)]
Https = Annotated[str, AfterValidator(check.https_address)]
Certificates = Annotated[bool | str, BeforeValidator(check.certificates)]
Days = Annotated[int, Field(ge=1, le=36500)]
Proxies = dict[Annotated[str, AfterValidator(check.proxy_scheme)], Annotated[str, AfterValidator(check.proxy_address)]]
Headers = dict[Annotated[str, AfterValidator(check.header_name)], Annotated[str, AfterValidator(check.header_value)]]


class _Frozen(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class MsAuth(_Frozen):
    """How to sign in at Microsoft, and which workspace and API to use."""

    tenant: Annotated[str, AfterValidator(check.tenant)] = ""
    client_id: Guid = ""
    client_secret: Secret = SecretStr("")
    graph_api: Annotated[bool, AfterValidator(check.no_graph)] = False
    new_upload_api: bool = True
    scope: Annotated[str, AfterValidator(check.scope)] = "https://management.azure.com/.default"
    workspace_id: Guid = ""
    subscription_id: Guid = ""
    resourceGroupName: AzureName = ""  # noqa: N815  as Azure writes it
    workspaceName: AzureName = ""  # noqa: N815


class Endpoints(_Frozen):
    """Base URLs of Microsoft's services, without trailing slashes."""

    authority: Https = "https://login.microsoftonline.com"
    upload: Https = "https://api.ti.sentinel.azure.com"
    upload_legacy: Https = "https://sentinelus.azure-api.net"
    graph: Https = "https://graph.microsoft.com/beta"
    management: Https = "https://management.azure.com"


class MispStories(_Frozen):
    """How stories are shared to MISP and collected from it; the names are those of Taranis AI's connector."""

    url: Annotated[str, AfterValidator(check.web_address)] = ""
    api_key: Secret = SecretStr("")
    organisation_id: Annotated[int | None, Field(ge=1)] = None
    ssl_check: Certificates = True
    sharing_group_id: Annotated[int | None, Field(ge=1)] = None
    distribution: Annotated[int | None, Field(ge=0, le=4)] = None
    request_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60
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

    ms_auth: MsAuth = MsAuth()
    ms_api_version: Annotated[str, AfterValidator(check.api_version)] = STIX_API_VERSION
    ms_legacy_upload_key: Literal["indicators", "value"] = "indicators"
    ms_max_indicators_request: Annotated[int, Field(ge=1, le=100)] = 100
    ms_max_requests_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    ms_useragent: Annotated[str, AfterValidator(check.user_agent)] = "MISP2Sentinel/1.0"
    sourcesystem: Annotated[str, AfterValidator(check.source_system)] = "MISP"
    ms_endpoints: Endpoints = Endpoints()
    ms_verifycert: Certificates = True
    ms_proxies: Annotated[Proxies, Field(repr=False)] = {}

    misp_domain: Annotated[str, AfterValidator(check.web_address)] = ""
    misp_key: Secret = SecretStr("")
    misp_verifycert: Certificates = True
    misp_proxies: Annotated[Proxies, Field(repr=False)] = {}
    misp_headers: Annotated[Headers, Field(repr=False)] = {}
    misp_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120
    misp_event_filters: Annotated[dict[str, Any], AfterValidator(check.filters)] = {
        "published": 1,
        "enforceWarninglist": True,
        "includeEventTags": True,
        "publish_timestamp": "14d",
    }
    misp_event_limit_per_page: Annotated[int, Field(ge=1)] = 50
    misp_remove_eventreports: bool = True
    misp_flatten_attributes: bool = True
    misp_stories: MispStories = MispStories()

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

    state_dir: Annotated[Path | None, BeforeValidator(check.path), AfterValidator(check.absolute)] = None
    log_file: Annotated[Path | None, BeforeValidator(check.path)] = None
    verbose_log: bool = False
    write_parsed_indicators: bool = False
    write_parsed_eventid: bool = False
    sentinel_write_response: bool = False
    dry_run: bool = False

    state_url: Annotated[str, AfterValidator(check.state_url), Field(repr=False)] = ""
    deduplicate: Literal["attribute", "value"] = "attribute"
    full_sync_days: Annotated[int, Field(ge=1)] = 7
    unpublished_grace_days: Annotated[int, Field(ge=0)] = 7
    max_withdraw_percent: Annotated[int, Field(ge=0, le=100)] = 20
    refresh_days: Annotated[int, Field(ge=0)] = 0

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

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
        values += [self.misp_stories.api_key.get_secret_value(), *self.misp_stories.additional_headers.values()]
        values += self.misp_headers.values()
        proxies = (*self.misp_proxies.values(), *self.ms_proxies.values(), self.misp_stories.proxy_server)
        for address in (*proxies, self.state_url):
            password = _password(address)
            values += [password, unquote(password)]
        return tuple(dict.fromkeys(value for value in values if value))

    @property
    def upload_api(self) -> Literal["stix", "legacy", "legacy-value"]:
        """Which upload API to use."""
        if self.ms_auth.new_upload_api:
            return "stix"
        return "legacy" if self.ms_legacy_upload_key == "indicators" else "legacy-value"

    @property
    def api_version(self) -> str:
        """The version to ask that API for."""
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
    config_path: Path | None, environ: Mapping[str, str], *, offline: bool = False, stories: bool = False
) -> Loaded:
    """Read and check config.py and the environment.

    ``offline`` lets go of what is only needed to reach MISP or Microsoft; with ``stories`` what is needed is
    what sharing and collecting stories needs, and not what a run needs. Raises SettingsError with every problem.
    """
    findings = Findings()
    given = _given(config_path, environ, offline, findings)
    given = _without_placeholders(given, offline or stories, findings)
    settings = _validated(given, findings)
    if settings is not None:
        _contradictions(settings.misp_stories, settings, findings)
    if not offline:
        _missing(given, _needed(given, stories), findings)
    if settings is None or findings.problems:
        raise SettingsError([*findings.problems, *findings.warnings])
    return Loaded(settings, (*findings.warnings, *_doubts(settings)))


def _given(config_path: Path | None, environ: Mapping[str, str], offline: bool, findings: Findings) -> dict[str, Given]:
    path = config_path or _path_in(environ)
    given: dict[str, Given] = {}
    if path or DEFAULT_CONFIG.exists():
        given = config_file.read((path or DEFAULT_CONFIG).absolute(), KINDS, findings)
    given |= environment.read(environ, KINDS, findings, unopened=(*NEEDED, "ms_auth") if offline else ())
    return {
        name: entry for name, entry in given.items() if name not in UNSET_WHEN_EMPTY or entry.value not in (None, "")
    }


def _path_in(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(environment.CONFIG, "").strip()
    with suppress(RuntimeError):
        return Path(named).expanduser() if named else None
    return Path(named)


def _without_placeholders(given: Mapping[str, Given], offline: bool, findings: Findings) -> dict[str, Given]:
    kept: dict[str, Given] = {}
    for name, entry in given.items():
        left = list(check.placeholders(entry.value))
        if not left:
            kept[name] = entry
        elif name not in FOR_ADOPT and not (offline and name in NEEDED):
            what = f"still holds a placeholder: put your own value there, or set {variable(name)}."
            for path in left:
                findings.problem(name + path, entry.origin, what)
            findings.told.add(name)
    return kept


def _validated(given: Mapping[str, Given], findings: Findings) -> Settings | None:
    values: dict[str, Any] = {}
    for name, entry in given.items():
        group, _, key = name.rpartition(".")
        (values.setdefault(group, {}) if group else values)[key] = entry.value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _translate(details, given, findings)
        return None
    settings._sources.update({name: entry.origin for name, entry in given.items()})
    return settings


def _translate(details: ErrorDetails, given: Mapping[str, Given], findings: Findings) -> None:
    name, *rest = [part for part in details["loc"] if part != "[key]"]
    name = str(name)
    if rest and f"{name}.{rest[0]}" in KINDS:
        name = f"{name}.{rest.pop(0)}"
    path = "".join(f"[{part!r}]" for part in rest)
    findings.problem(name + path, given[name].origin, check.sentence(details))
    findings.told.add(name)


def _needed(given: Mapping[str, Given], stories: bool) -> tuple[str, ...]:
    """Return what must be given: for a run, or for stories, which half a configuration asks for as well."""
    wanted = FOR_STORIES if stories or "misp_stories.api_key" in given else ()
    if not stories:
        return (*NEEDED, *wanted)
    return wanted if "misp_stories.url" in given else ("misp_domain", *wanted)


def _contradictions(stories: MispStories, settings: Settings, findings: Findings) -> None:
    """A sharing group and the distribution 4, sharing group, go together (MISP, distribution levels)."""
    name = "misp_stories.distribution"
    if stories.sharing_group_id and stories.level != 4:
        findings.problem(
            name,
            settings.source_of(name),
            f"is {stories.level}, which shares with others than the sharing group that sharing_group_id names: "
            "write 4, or take one of the two out.",
        )
    if stories.level == 4 and not stories.sharing_group_id:
        findings.problem(
            name,
            settings.source_of(name),
            "is 4, a sharing group, and sharing_group_id names none: write its id, or another distribution.",
        )


def _missing(given: Mapping[str, Given], needed: tuple[str, ...], findings: Findings) -> None:
    for name in needed:
        if name not in given and not findings.has_told(name):
            findings.problems.append(f"{name} is missing: set it in config.py, or set {variable(name)}.")


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
    if settings.dry_run:
        doubts.append(f"dry_run ({settings.source_of('dry_run')}) is on: nothing is sent to Sentinel.")
    doubts += check.odd_filters(settings.misp_event_filters, settings.source_of("misp_event_filters"))
    absent = settings.source_of("ms_auth.new_upload_api") == "default"
    if absent and settings.ms_api_version in LEGACY_API_VERSIONS:
        origin = settings.source_of("ms_api_version")
        doubts.append(
            f"ms_api_version ({origin}) is the legacy API's, but the STIX objects API is used: "
            'take it out, or keep the legacy API with ms_auth["new_upload_api"] = False.'
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
