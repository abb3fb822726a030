"""Azure Key Vault: reads what the settings leave to it, with Azure's own SDK, which is an optional extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from helpers.errors import MicrosoftError, SettingsError
from helpers.http import MIB, Limits, PinnedHttpAdapter, certificate_words, session
from helpers.microsoft.responses import own_words
from helpers.process import installation, interrupts, redact
from helpers.settings import FROM_VAULT, MsAuth, Settings, certificates, clouds
from helpers.settings import validators as check

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient

LIMITS = Limits(silence_seconds=30, answer_seconds=300, most_bytes=16 * MIB)
TRIES_MORE = 2
# The SDK waits as long as it is told to, without a bound of its own.
LONGEST_WAIT = 60.0
# What the SDK raises over an answer that is not what it should be.
_UNREADABLE = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError)
_INSTALL = "key_vault_name needs packages that are not installed ({}): {}."
_ROLE = "give the identity the role Key Vault Secrets User on it (or the secret permission Get)"


def address(settings: Settings) -> str:
    """Return the vault's address, in the cloud of the settings."""
    return f"https://{settings.key_vault_name}.{clouds.CLOUDS[settings.ms_cloud].vault}"


def with_secrets(settings: Settings) -> Settings:
    """Return the settings with what was left to the key vault; without a request where nothing was.

    Raises SettingsError, with a sentence for each secret, when somebody has to act, and MicrosoftError when
    the vault or the login does not answer.
    """
    names = settings.vault_secrets
    if not names:
        return settings
    secrets: dict[str, SecretStr] = {}
    expiries: dict[str, int] = {}
    problems: list[str] = []
    with _client(settings) as client:
        for setting, name in names.items():
            try:
                value, expiries[setting] = _read(client, settings, name)
                secrets[setting] = check.secret(SecretStr(value))
            except ValueError as error:
                problems.append(f"{setting} ({name} in {address(settings)}) {error}")
            except SettingsError as error:
                problems += [
                    f"{setting} ({FROM_VAULT[setting]}) cannot be read: {problem}" for problem in error.problems
                ]
    if problems:
        raise SettingsError(problems)
    filled = settings.with_secrets(secrets, f"key vault {settings.key_vault_name}", expiries)
    redact.add(filled.secret_values())
    return filled


def _client(settings: Settings) -> SecretClient:
    try:
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415  heavy, and optional
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

        adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, LIMITS)
        http = session(adapter, settings.ms_useragent, bodies_to=settings.ms_endpoints.authority)
        transport = RequestsTransport(session=http, session_owner=False)
        transport.sleep = lambda seconds: interrupts.sleep(min(seconds, LONGEST_WAIT))
        credential = _credential(settings, transport=transport, retry_total=TRIES_MORE)
    except ModuleNotFoundError as error:
        raise SettingsError([_INSTALL.format(error.name, installation.how_to_add("keyvault"))]) from error
    return SecretClient(address(settings), credential, transport=transport, retry_total=TRIES_MORE)


def _credential(settings: Settings, **transport: Any) -> TokenCredential:
    """Sign in as the settings say; where the secret is what the vault holds, as whoever this host is to Azure."""
    from azure import identity  # noqa: PLC0415

    auth = settings.ms_auth
    if auth.credential == "managed_identity":
        return identity.ManagedIdentityCredential(client_id=auth.managed_identity_client_id or None, **transport)
    transport |= {"authority": settings.ms_endpoints.authority}
    # The vault names its tenant by GUID, which the settings may name by its domain.
    app = transport | {"disable_instance_discovery": True, "additionally_allowed_tenants": ["*"]}
    if auth.credential == "certificate":
        return identity.CertificateCredential(auth.tenant, auth.client_id, certificate_data=_pem(auth), **app)
    if auth.credential == "workload_identity":
        file = str(auth.federated_token_file)
        return identity.WorkloadIdentityCredential(
            tenant_id=auth.tenant, client_id=auth.client_id, token_file_path=file, **app
        )
    if auth.client_secret.get_secret_value():
        return identity.ClientSecretCredential(
            auth.tenant, auth.client_id, auth.client_secret.get_secret_value(), **app
        )
    personal = ("shared_token_cache", "visual_studio_code", "powershell", "developer_cli", "broker")
    return identity.DefaultAzureCredential(**transport, **{f"exclude_{name}_credential": True for name in personal})


def _pem(auth: MsAuth) -> bytes:
    try:
        certificate = certificates.certificate_of(auth)
    except certificates.Unusable as error:
        raise SettingsError([f"ms_auth['{error.key}'] {error}"]) from error
    return (certificate.key + certificate.certificate).encode()


def _read(client: SecretClient, settings: Settings, name: str) -> tuple[str, int]:
    """Return one secret, and when it expires, in seconds since 1970, 0 for never or nobody knows.

    Raises SettingsError and MicrosoftError.
    """
    from azure.core import exceptions  # noqa: PLC0415

    where = address(settings)
    try:
        secret = client.get_secret(name)
        ends = secret.properties.expires_on
        return secret.value or "", int(ends.timestamp()) if ends else 0
    except exceptions.ResourceNotFoundError as error:
        raise SettingsError([f"{where} has no secret {name}: make it, or name another."]) from error
    except exceptions.ClientAuthenticationError as error:
        raise SettingsError([f"{where} does not know who asks: see docs/identities.md. {_words(error)}"]) from error
    except exceptions.HttpResponseError as error:
        if error.status_code == 403:
            raise SettingsError(
                [f"{where} refuses: {_ROLE}, or let this host through its firewall. {_words(error)}"]
            ) from error
        raise MicrosoftError(f"{where} gives no secret: {_words(error)}") from error
    except exceptions.AzureError as error:
        hint = "Is key_vault_name right, and the vault reachable from this host (firewall, ms_proxies, ms_verifycert)?"
        words = certificate_words(error.inner_exception or error, "ms_verifycert", "key_vault_name", of_microsoft=True)
        raise MicrosoftError(f"No answer from {where}. {words or f'{hint} {_words(error)}'}") from error
    except _UNREADABLE as error:
        raise MicrosoftError(f"{where} gave an answer that cannot be read: {own_words(repr(error))}") from error


def _words(error: Exception) -> str:
    return f"Microsoft's words: {own_words(error)}"
