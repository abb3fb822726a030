"""Client assertions: what a client signs with its certificate, and tokens of others that it may show instead.

Microsoft: Microsoft identity platform application authentication certificate credentials; workload
identity federation; Microsoft Entra authentication and authorization error codes.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The header that names the certificate, its hash, and the algorithm that goes with it; the older one is for SHA-1.
THUMBPRINTS = (("x5t#S256", hashes.SHA256, "PS256"), ("x5t", hashes.SHA1, "RS256"))

Refusal = tuple[int, str, int, str]


def refused_assertion(state: AzureState, form: Any, audience: str) -> Refusal | None:
    """Say why an assertion is refused, if it is: status, OAuth error, AADSTS code and its text."""
    if form.get("client_assertion_type") != TYPE:
        return _refusal(50027, "JWT token is invalid or malformed.")
    assertion = form["client_assertion"]
    if state.federated_token and assertion == state.federated_token:
        return None
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        return _refusal(50027, "JWT token is invalid or malformed.")
    if not any(name in header for name, _, _ in THUMBPRINTS):
        return _refusal(70021, "No matching federated identity record found for presented assertion.")
    claims = _verified(state, assertion, header)
    if claims is None:
        return _refusal(700027, "The certificate with identifier used to sign the client assertion is not registered.")
    return _wrong_claims(state, claims, audience)


def _verified(state: AzureState, assertion: str, header: dict[str, Any]) -> dict[str, Any] | None:
    """Give the claims, if one of the app's certificates signed them."""
    for pem in state.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        for name, digest, algorithm in THUMBPRINTS:
            if (
                str(header.get(name, "")).rstrip("=") == _encoded(certificate.fingerprint(digest()))
                and header["alg"] == algorithm
            ):
                return _claims(assertion, certificate, algorithm)
    return None


def _claims(assertion: str, certificate: x509.Certificate, algorithm: str) -> dict[str, Any] | None:
    unchecked = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        return jwt.decode(assertion, certificate.public_key(), algorithms=[algorithm], options=unchecked)
    except jwt.InvalidTokenError:
        return None


def _wrong_claims(state: AzureState, claims: dict[str, Any], audience: str) -> Refusal | None:
    if claims.get("aud") != audience:
        return _refusal(700023, "Client assertion audience claim does not match Realm issuer.")
    if claims.get("iss") != state.client_id or claims.get("sub") != state.client_id:
        return _refusal(700021, "Client assertion application identifier does not match 'client_id' parameter.")
    if claims.get("exp", 0) <= state.clock():
        return _refusal(700024, "Client assertion is not within its valid time range.")
    return None


def _refusal(code: int, text: str) -> Refusal:
    return 401, "invalid_client", code, text


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
