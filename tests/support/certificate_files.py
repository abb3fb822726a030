"""Certificates to sign in with, made by the test that uses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "misp2sentinel.example.org")])


class Pair:
    """A key and its certificate; times are days from now."""

    def __init__(self, begins=-1, ends=30, curve=False):
        self.key = (
            ec.generate_private_key(ec.SECP256R1())
            if curve
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        now = datetime.now(UTC)
        unsigned = x509.CertificateBuilder(NAME, NAME, self.key.public_key(), x509.random_serial_number())
        unsigned = unsigned.not_valid_before(now + begins * DAY).not_valid_after(now + ends * DAY)
        self.certificate = unsigned.sign(self.key, hashes.SHA256())

    @property
    def certificate_pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password=b""):
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)

    def pfx(self, password=b"", key=True):
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"sync", self.key if key else None, self.certificate, None, hidden)
