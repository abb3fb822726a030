"""Certificates to sign in with, made by the test that uses them."""

from __future__ import annotations

import ssl
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


class Signer:
    """A CA whose certificate is in ``file``, and servers' TLS with certificates of every kind."""

    def __init__(self, folder, bits=2048):
        self.folder = folder
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        unsigned = self._unsigned(name, name, self.key, -1, 30)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        unsigned = unsigned.add_extension(identifier, critical=False)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self.certificate = unsigned.add_extension(usage, critical=True).sign(self.key, hashes.SHA256())
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names, begins=-1, ends=30, bits=2048, signs_itself=False):
        """TLS for a server whose certificate is for these names, in a subjectAltName, and has localhost as its CN."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        issuer, signing = (subject, key) if signs_itself else (self.certificate.subject, self.key)
        unsigned = self._unsigned(subject, issuer, key, begins, ends)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
        unsigned = unsigned.add_extension(identifier, critical=False)
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names)]), critical=False)
        return self._context(key, unsigned.sign(signing, hashes.SHA256()))

    @staticmethod
    def _unsigned(subject, issuer, key, begins, ends):
        now = datetime.now(UTC)
        unsigned = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        return unsigned.not_valid_before(now + begins * DAY).not_valid_after(now + ends * DAY)

    def _context(self, key, certificate):
        file = self.folder / "server.pem"
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a server may have a weak key; whether it is taken is another's
        context.load_cert_chain(file)
        return context
