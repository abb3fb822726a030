"""Which kinds of observables a key of ``days_to_expire_mapping`` means: what begins the path of one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.text import did_you_mean

_HASHES = ("MD5", "'SHA-1'", "'SHA-224'", "'SHA-256'", "'SHA-384'", "'SHA-512'", "'SHA-512/224'", "'SHA-512/256'")
_MORE_HASHES = ("SSDEEP", "TLSH", "IMPHASH", "IMPFUZZY", "AUTHENTIHASH", "PEHASH", "VHASH", "TELFHASH", "CDHASH")
_SHA_3 = ("'SHA3-224'", "'SHA3-256'", "'SHA3-384'", "'SHA3-512'")
_ALL_HASHES = (*_HASHES, *_MORE_HASHES, *_SHA_3)
# What the program makes of attributes, and all that it makes of these kinds in objects that stay whole.
_PATHS = (
    "ipv4-addr:value",
    "ipv6-addr:value",
    "domain-name:value",
    "domain-name:resolves_to_refs[*].value",
    "url:value",
    "email-addr:value",
    "email-addr:display_name",
    "mac-addr:value",
    "mutex:name",
    "autonomous-system:number",
    "autonomous-system:name",
    *(f"file:hashes.{name}" for name in _ALL_HASHES),
    "file:name",
    "file:size",
    "windows-registry-key:key",
    "network-traffic:dst_port",
    "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
    "email-message:subject",
    "email-message:additional_header_fields.x_mailer",
    *(f"x509-certificate:hashes.{name}" for name in ("MD5", "'SHA-1'", "'SHA-256'")),
)
# STIX 2.1, section 6: kinds of which objects in MISP have many more paths.
_WITH_MANY_PATHS = (
    "file",
    "email-message",
    "network-traffic",
    "windows-registry-key",
    "x509-certificate",
    "artifact",
    "directory",
    "process",
    "software",
    "user-account",
)
KINDS = tuple(dict.fromkeys([*(path.partition(":")[0] for path in _PATHS), *_WITH_MANY_PATHS]))
# What people know by MISP's name for it.
_OF_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("ip-src", "ip-dst", "ip-src|port", "ip-dst|port"), "'ipv4-addr' and 'ipv6-addr'"),
    **dict.fromkeys(("hostname", "hostname|port", "domain|ip", "fqdn"), "'domain-name'"),
    **dict.fromkeys(("email-src", "email-dst"), "'email-addr'"),
    **dict.fromkeys(("uri", "link"), "'url'"),
    **dict.fromkeys(("regkey", "regkey|value"), "'windows-registry-key'"),
    **dict.fromkeys(("hash", "hashes"), "'file:hashes'"),
    **{name.strip("'").lower().replace("sha-", "sha"): repr(f"file:hashes.{name}") for name in _ALL_HASHES},
    "filename": "'file:name'",
    "size-in-bytes": "'file:size'",
    "email-subject": "'email-message:subject'",
    "port": "'network-traffic:dst_port'",
    "user-agent": "'network-traffic'",
    "as": "'autonomous-system'",
}


def canonical_kind(key: str) -> str:
    """Return a key in the letter case in which paths of observables have it: ``URL`` → ``url``.

    Raises ValueError where no observable's path begins with it.
    """
    name = key.strip()
    paths = [*_PATHS, *_WITH_MANY_PATHS]
    found = next((path for path in paths if name and path.lower().startswith(name.lower())), "")
    if found:
        return found[: len(name)]
    kind, colon, rest = name.partition(":")
    named_hash = kind.lower() in ("file", "x509-certificate") and rest.lower().startswith("hashes.")
    if kind.lower() in _WITH_MANY_PATHS and colon and not named_hash:
        return f"{kind.lower()}:{rest}"
    raise ValueError(f"is no kind of observable that is sent: {_hint(name)}")


def _hint(name: str) -> str:
    if name.lower() in _OF_TYPES:
        return f"write {_OF_TYPES[name.lower()]}."
    by_letters = {path.lower(): path for path in (*KINDS, *_PATHS)}
    meant = by_letters.get(did_you_mean(name, by_letters, 0.7) or "")
    return f"write {meant!r}, if that is meant." if meant else f"write one of {', '.join(KINDS)}."
