"""The ways to sign in at Microsoft: which keys of ``ms_auth`` each needs, allows and refuses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from helpers.settings.sections import MsAuth

Name = Literal["secret", "certificate", "managed_identity", "workload_identity"]
DEFAULT: Name = "secret"


@dataclass(frozen=True)
class Credential:
    """One way to sign in: the keys that it needs, and those that it may have beside them."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that this credential has."""
        return (*self.needs, *self.may)


CREDENTIALS: Mapping[str, Credential] = {
    "secret": Credential(("tenant", "client_id", "client_secret")),
    "certificate": Credential(("tenant", "client_id", "certificate_path"), ("certificate_password",)),
    # The identity is of one tenant and is its own client, so the keys of an app do not matter.
    "managed_identity": Credential((), ("managed_identity_client_id", "tenant", "client_id")),
    "workload_identity": Credential(("tenant", "client_id", "federated_token_file")),
}
KEYS = tuple(dict.fromkeys(key for credential in CREDENTIALS.values() for key in credential.keys))
# Where AKS, and others after it, tell a container of its token (azure-identity, WorkloadIdentityCredential).
TOKEN_FILE_VARIABLE = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105  a variable's name


def find(name: Any) -> Credential | None:
    """Return the credential of that name, or None."""
    return CREDENTIALS.get(name) if isinstance(name, str) else None


def misplaced_keys(name: str, present: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and how to fix it) for each key that is present and another credential's."""
    for key in KEYS:
        if key in present and key not in CREDENTIALS[name].keys:
            owner = next(other for other, credential in CREDENTIALS.items() if key in credential.keys)
            yield (
                key,
                f"belongs to ms_auth['credential'] = {owner!r}, but it is {name!r}: take it out, or choose {owner!r}.",
            )


def describe(auth: MsAuth) -> str:
    """Return the credential as an operator would name it, without a secret."""
    if auth.credential == "certificate":
        return f"certificate {auth.certificate_path}"
    if auth.credential == "managed_identity":
        client = auth.managed_identity_client_id
        return f"managed identity, {f'user-assigned {client}' if client else 'system-assigned'}"
    if auth.credential == "workload_identity":
        return f"workload identity, token in {auth.federated_token_file}"
    return "client secret"


def settings_of(auth: MsAuth) -> set[str]:
    """Return the settings that a token depends on, by dotted name."""
    credential = CREDENTIALS[auth.credential]
    keys = {*credential.needs, "credential"} | {key for key in credential.may if getattr(auth, key)}
    return {f"ms_auth.{key}" for key in keys}
