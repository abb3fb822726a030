"""The settings that are dictionaries with fixed keys, and the types that fields of settings share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from helpers.settings import clouds, credentials, validators
from helpers.settings.config.values.receivers import DESTINATION, ping_address
from helpers.settings.config.values.tlp import tlp_word

_PUBLIC = clouds.CLOUDS[clouds.DEFAULT]

Guid = Annotated[str, AfterValidator(validators.guid)]
AzureName = Annotated[str, AfterValidator(validators.azure_name)]
Secret = Annotated[SecretStr, AfterValidator(validators.secret)]
Https = Annotated[str, AfterValidator(validators.https_address)]
File = Annotated[Path | None, BeforeValidator(validators.path), AfterValidator(validators.absolute)]
Certificates = Annotated[bool | str, BeforeValidator(validators.certificates)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
ProxyScheme = Annotated[str, AfterValidator(validators.proxy_scheme)]
ProxyAddress = Annotated[str, AfterValidator(validators.proxy_address)]
Proxies = Annotated[dict[ProxyScheme, ProxyAddress], Field(repr=False)]
HeaderName = Annotated[str, AfterValidator(validators.header_name)]
HeaderValue = Annotated[str, AfterValidator(validators.header_value)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(repr=False)]
PingAddress = Annotated[str, AfterValidator(ping_address), Field(repr=False)]
UserAgent = Annotated[str, AfterValidator(validators.user_agent)]
AttributeFilterSettings = Annotated[dict[str, Any], AfterValidator(validators.attribute_filters)]
Context = Literal["nothing", "identities", "actors", "techniques"]
NO_CONTEXT: Final = "nothing"

# What a workspace is called where uploading needs no names for it.
WORKSPACE_NAMES = ("subscription_id", "resourceGroupName", "workspaceName")
# What misp2sentinel calls the keys of a destination that have another name in ms_auth.
_KEY_IN_AUTH = {"tenantId": "tenant", "id": "client_id", "secret": "client_secret", "workspaceId": "workspace_id"}
KEY_IN_TENANT = {key: name for name, key in _KEY_IN_AUTH.items()}


class FrozenModel(BaseModel):
    """Values that are checked strictly and cannot be changed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class MsAuth(FrozenModel):
    """How to sign in at Microsoft, and which workspace and API to use."""

    tenant: Annotated[str, AfterValidator(validators.tenant)] = ""
    client_id: Guid = ""
    credential: credentials.Name = credentials.DEFAULT
    client_secret: Secret = SecretStr("")
    certificate_path: File = None
    certificate_password: SecretStr | None = None
    managed_identity_client_id: Guid = ""
    federated_token_file: File = None
    graph_api: bool = False
    new_upload_api: bool = True
    scope: Annotated[str, AfterValidator(validators.scope)] = _PUBLIC.scope
    workspace_id: Guid = ""
    subscription_id: Guid = ""
    resourceGroupName: AzureName = ""  # noqa: N815  as Azure writes it
    workspaceName: AzureName = ""  # noqa: N815


class Endpoints(FrozenModel):
    """Base URLs of Microsoft's services, without trailing slashes; empty where the cloud has none."""

    authority: Https = _PUBLIC.authority
    upload: Https = _PUBLIC.upload
    upload_legacy: Annotated[str, AfterValidator(validators.optional_https_address)] = _PUBLIC.upload_legacy
    graph: Https = _PUBLIC.graph
    management: Https = _PUBLIC.management
    log_analytics: Annotated[str, AfterValidator(validators.optional_https_address)] = _PUBLIC.log_analytics


class Tenant(FrozenModel):
    """One of several destinations; what it does not say is as in ms_auth and the rest of the settings."""

    tenantId: Annotated[str, AfterValidator(validators.tenant)] = ""  # noqa: N815  as misp2sentinel called them
    id: Guid = ""
    secret: Secret = SecretStr("")
    workspaceId: Guid = ""  # noqa: N815
    name: Annotated[str, AfterValidator(validators.destination_name)] = ""
    cloud: Annotated[str | None, AfterValidator(validators.optional(clouds.check))] = None
    sourcesystem: Annotated[str | None, AfterValidator(validators.optional(validators.source_system))] = None
    credential: credentials.Name = credentials.DEFAULT
    certificate_path: File = None
    certificate_password: SecretStr | None = None
    managed_identity_client_id: Guid = ""
    federated_token_file: File = None
    filters: AttributeFilterSettings = {}
    context: Context | None = None
    subscription_id: Guid = ""
    resourceGroupName: AzureName = ""  # noqa: N815
    workspaceName: AzureName = ""  # noqa: N815

    @model_validator(mode="after")
    def _has_the_keys_of_its_credential(self) -> Self:
        present = {_KEY_IN_AUTH.get(name, name) for name in self.model_fields_set}
        missing = [key for key in credentials.CREDENTIALS[self.credential].needs if key not in present]
        problems = [f"{KEY_IN_TENANT.get(key, key)} is missing" for key in missing]
        problems += [
            f"{KEY_IN_TENANT.get(key, key)} {problem}"
            for key, problem in credentials.misplaced_keys(self.credential, present)
        ]
        if problems:
            wrong = "; ".join(problems).rstrip(".")
            raise ValueError(f"does not fit its credential, {self.credential!r}: {wrong}.")
        return self

    @property
    def title(self) -> str:
        """What the destination is called."""
        return self.name or self.workspaceId or self.tenantId

    @property
    def auth(self) -> dict[str, Any]:
        """The values that replace those in ms_auth, by the names they have there."""
        values = {_KEY_IN_AUTH.get(name, name): getattr(self, name) for name in type(self).model_fields}
        return {key: value for key, value in values.items() if key in MsAuth.model_fields}


# Each key of a destination, by what people write for it: in lower case, or as ms_auth has it.
DESTINATION_KEYS = {key.lower(): key for key in Tenant.model_fields} | KEY_IN_TENANT


class MispStories(FrozenModel):
    """How stories are shared to MISP and collected from it; the names are those of Taranis AI's connector."""

    url: Annotated[str, AfterValidator(validators.misp_address)] = ""
    api_key: Secret = SecretStr("")
    organisation_id: Annotated[int | None, Field(ge=1)] = None
    ssl_check: Certificates = True
    sharing_group_id: Annotated[int | None, Field(ge=1)] = None
    distribution: Annotated[int | None, Field(ge=0, le=4)] = None
    request_timeout: Seconds = 60
    user_agent: UserAgent = validators.OWN_USER_AGENT
    proxy_server: Annotated[ProxyAddress, Field(repr=False)] = ""
    additional_headers: Headers = {}
    refresh_interval: Annotated[int, Field(ge=0, le=525_600)] = 0
    days_without_change: Annotated[int, Field(ge=0, le=36500)] = 0

    @property
    def configured(self) -> bool:
        """Whether anything is shared or collected at this site."""
        return bool(self.api_key.get_secret_value())

    @property
    def level(self) -> int:
        """The distribution of new events: as configured, else 4 with a sharing group and 0 without one."""
        default = 4 if self.sharing_group_id else 0
        return default if self.distribution is None else self.distribution


class MispSightings(FrozenModel):
    """How what Sentinel's alerts matched becomes sightings in the MISP that events are read from."""

    api_key: Secret = SecretStr("")
    in_run: bool = False
    source: Annotated[str, AfterValidator(validators.sighting_source)] = f"Microsoft Sentinel {DESTINATION}"
    rules: list[Annotated[str, AfterValidator(validators.rule_name)]] = ["TI map*"]
    endpoint: Literal["management", "log_analytics"] = "management"
    max_tlp: Annotated[str, AfterValidator(tlp_word)] = "red"
    false_positives: bool = False

    @property
    def configured(self) -> bool:
        """Whether anything is written back to MISP at this site."""
        return bool(self.api_key.get_secret_value())

    def source_of(self, destination: str) -> str:
        """Return what MISP shows as the source of the sightings of a destination of this name."""
        return self.source.replace(DESTINATION, destination)
