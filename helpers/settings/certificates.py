"""A certificate to sign in with: a private key and its certificate, from a PEM or a PFX file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.settings.messages import unreadable_file

if TYPE_CHECKING:
    from cryptography import x509

    from helpers.settings.sections import MsAuth

_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
PATH, PASSWORD = "certificate_path", "certificate_password"
_NO_KEY = "holds no private key: name a file with the key and its certificate, PEM or PFX."
_NO_CERTIFICATE = "holds no certificate of its private key: name a file with both, PEM or PFX."


class Unusable(Exception):
    """The file cannot be used; ``key`` is the key of ms_auth to fix."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(problem)


@dataclass(frozen=True)
class Certificate:
    """Key and certificate as PEM, the key without a password; the certificate is valid from ``begins`` to ``ends``."""

    key: str = field(repr=False)
    certificate: str
    begins: datetime
    ends: datetime


def read_certificate(path: Path, password: str) -> Certificate:
    """Return the key in a PEM or PFX file, with its certificate. Raises Unusable."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  only where there is a certificate

    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(PATH, unreadable_file(error)) from None
    try:
        reader = _read_pem if b"-----BEGIN" in content else _read_pfx
        key, certificates = reader(content, password.encode() or None)
    except UnsupportedAlgorithm:
        raise Unusable(PATH, "is encrypted in a way that is not supported: write it again with openssl.") from None
    return _with_its_certificate(key, certificates)


def certificate_of(auth: MsAuth) -> Certificate:
    """Return the certificate that the settings name. Raises Unusable."""
    password = auth.certificate_password.get_secret_value() if auth.certificate_password else ""
    return read_certificate(auth.certificate_path or Path(), password)


def problem(path: Path, password: str, now: float) -> tuple[str, str] | None:
    """Say what is wrong with the file at ``now``, in seconds since 1970: (key of ms_auth, problem), or None."""
    try:
        certificate = read_certificate(path, password)
    except Unusable as error:
        return error.key, str(error)
    moment = datetime.fromtimestamp(now, UTC)
    if certificate.ends < moment:
        return PATH, f"has expired, on {certificate.ends:%Y-%m-%d}: make a new one and add it to the app registration."
    if certificate.begins > moment:
        return PATH, f"is not valid before {certificate.begins:%Y-%m-%d %H:%M} UTC: look at this host's clock."
    return None


def _read_pem(content: bytes, password: bytes | None) -> tuple[Any, list[x509.Certificate]]:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    block = _KEY.search(content)
    if block is None:
        raise Unusable(PATH, _NO_KEY)
    try:
        certificates = [x509.load_pem_x509_certificate(pem) for pem in _CERTIFICATE.findall(content)]
    except ValueError:
        raise Unusable(PATH, _NO_CERTIFICATE) from None
    try:
        return serialization.load_pem_private_key(block[0], password), certificates
    except TypeError:  # a password too many, or one that is missing
        problem = "is given, but the key needs none: take it out." if password else "is needed for the key: set it."
        raise Unusable(PASSWORD, problem) from None
    except ValueError:
        if password:
            raise Unusable(PASSWORD, "does not open the key in certificate_path: copy it again.") from None
        raise Unusable(PATH, "holds a private key that is damaged: write the file again.") from None


def _read_pfx(content: bytes, password: bytes | None) -> tuple[Any, list[x509.Certificate]]:
    from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: PLC0415

    try:
        key, own, others = pkcs12.load_key_and_certificates(content, password)
    except ValueError:
        raise _unusable_pfx(content, password) from None
    if key is None:
        raise Unusable(PATH, _NO_KEY)
    return key, [certificate for certificate in (own, *others) if certificate is not None]


def _unusable_pfx(content: bytes, password: bytes | None) -> Unusable:
    """Say why content is no PFX that can be read: a certificate alone, another kind of file, or a wrong password."""
    from cryptography import x509  # noqa: PLC0415

    try:
        x509.load_der_x509_certificate(content)
    except ValueError:
        if not content.startswith(b"\x30"):  # how DER begins, and so each PFX
            return Unusable(PATH, "is neither a PEM nor a PFX file: name one with the key and its certificate.")
        problem = "does not open certificate_path: copy it again" if password else "is needed for the PFX file: set it"
        return Unusable(PASSWORD, f"{problem}. If it is right, the file is damaged.")
    return Unusable(PATH, _NO_KEY)


def _with_its_certificate(key: Any, certificates: list[x509.Certificate]) -> Certificate:
    """Return the key with its certificate among these; Entra ID takes RSA keys only."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    if not isinstance(key, RSAPrivateKey):
        raise Unusable(PATH, "holds a key that is not RSA, which Microsoft does not take: make a certificate with RSA.")
    own = next((candidate for candidate in certificates if candidate.public_key() == key.public_key()), None)
    if own is None:
        raise Unusable(PATH, _NO_CERTIFICATE)
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = own.public_bytes(serialization.Encoding.PEM)
    return Certificate(plain.decode(), pem.decode(), own.not_valid_before_utc, own.not_valid_after_utc)
