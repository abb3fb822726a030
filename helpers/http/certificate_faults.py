"""Why a server's certificate was not taken, and what to do about it. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from helpers.http.faults import ProxyFailed, found_in
from helpers.text import excerpt

# OpenSSL's x509_vfy.h, X509_V_ERR_*.
OTHER_NAMES = frozenset({62, 64})
_NOT_YET_VALID, _EXPIRED, _SIGNED_BY_ITSELF, _WEAK_DIGEST = 9, 10, 18, 68
_UNTRUSTED = frozenset({2, 19, 20, 21})
_WEAK_KEYS = frozenset({66, 67})
_MOST_NAMES = 300


class CertificateOfAnotherName(ssl.SSLCertVerificationError):
    """A certificate that is for these ``names``, and not for the ``host``; None where they are not known."""

    def __init__(self, error: ssl.SSLCertVerificationError, host: str, names: tuple[str, ...] | None) -> None:
        super().__init__(*error.args)
        self.verify_code, self.verify_message = error.verify_code, error.verify_message
        self.host, self.names = host, names


def names_of(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hosts that a certificate is for, as Python's ssl shows one."""
    return tuple(str(name) for _, name in certificate.get("subjectAltName", ()))


def certificate_words(error: BaseException, verify: str, address: str, *, of_microsoft: bool = False) -> str:
    """Say why a certificate was not taken; empty where an error is about something else.

    ``verify`` and ``address`` are the settings for its check and for the host. What is ``of_microsoft`` cannot be
    made anew by whoever reads this: something in between shows it.
    """
    fault = found_in(error, CertificateOfAnotherName) or found_in(error, ssl.SSLCertVerificationError)
    if fault is None or found_in(error, ProxyFailed):  # a proxy's own certificate
        return ""
    words = (
        _other_name(fault, address, of_microsoft=of_microsoft)
        if isinstance(fault, CertificateOfAnotherName)
        else _by_code(fault, verify, of_microsoft=of_microsoft)
    )
    return f"{words}. OpenSSL's words: {fault.verify_message.rstrip('.')}"


def _other_name(fault: CertificateOfAnotherName, address: str, *, of_microsoft: bool) -> str:
    host = excerpt(fault.host, _MOST_NAMES)
    if of_microsoft:
        return (
            f"the certificate is not for {host} but for {_listed(fault.names or ())}: something in between answers, "
            "such as a proxy that inspects TLS"
        )
    if fault.names == ():
        return (
            f"the certificate has no subjectAltName, without which it is for no host (its common name does not count): "
            f"have it made with {host} in its subjectAltName"
        )
    known = f"for {_listed(fault.names)} and not " if fault.names else "not "
    return (
        f"the certificate is {known}for the name in {address} ({host}): write a name there that it is for, or have it "
        f"made with {host} in its subjectAltName"
    )


def _by_code(fault: ssl.SSLCertVerificationError, verify: str, *, of_microsoft: bool) -> str:
    code, inspecting = fault.verify_code, " of the proxy that inspects TLS" if of_microsoft else ""
    if code in _UNTRUSTED:
        return f"the certificate is not trusted ({verify} can name a CA bundle{inspecting})"
    if code in _WEAK_KEYS:
        return "the certificate's key, or its CA's, is too weak: have it made with RSA of 2048 bits or more"
    return {
        _NOT_YET_VALID: "the certificate is not valid yet: is this host's clock right? Else have it made anew",
        _EXPIRED: "the certificate, or one of its CAs', has expired: have it renewed (is this host's clock right?)",
        _SIGNED_BY_ITSELF: f"the certificate is signed by itself and not trusted ({verify} can name it{inspecting})",
        _WEAK_DIGEST: "the certificate is signed with a digest that is too weak: have it made with SHA-256",
    }.get(code, f"the certificate is not as it must be: have it made anew ({verify} decides what is checked)")


def _listed(names: Iterable[str]) -> str:
    return excerpt(", ".join(names) or "another name", _MOST_NAMES)
