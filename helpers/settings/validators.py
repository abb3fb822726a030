"""What a setting's value may be; each validator returns the value, or raises ValueError that says how to fix it.

No text here repeats a value that could hold a secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from constants import VERSION
from helpers.settings.addresses import canonical_address
from helpers.settings.attribute_filters import AttributeFilters, FilterProblems
from helpers.settings.config.values import filter_values
from helpers.settings.config.values.observable_kinds import canonical_kind
from helpers.settings.config.values.receivers import DESTINATION

GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
AZURE_NAME = re.compile(r"[\w().-]{1,90}")
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE)
VAULT_NAME = re.compile(r"[a-z](?:-?[a-z0-9]){2,23}", re.IGNORECASE)
VAULT_SECRET = re.compile(r"[0-9a-z-]{1,127}", re.IGNORECASE)
PROXY_KEY = re.compile(r"(?:http|https|all)(?:://\S+)?|no_proxy")
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?")
# Microsoft's own connectors take these for sources that are not the upload API.
RESERVED_SOURCES = frozenset({"microsoft sentinel", "azure sentinel", "securitygraph"})
SQLITE = "sqlite:///"
NETWORK_DATABASES = ("postgresql://", "postgresql+psycopg://")
NO_LEDGER = "none"
# What a browser's address line has on MISP, and what samples of other clients have: a controller and its action.
_MISP_PAGE = re.compile(
    r"/(?:attributes|events|feeds|objects|servers|tags|users)/(?:getVersion|index|login|restSearch|view)\b.*",
    re.IGNORECASE,
)
OWN_USER_AGENT = f"MISP2Sentinel/{VERSION}"
# What was in the file of settings as it was shipped is no name that somebody chose.
_NOT_CHOSEN = frozenset({"", "MISP2Sentinel/1.0"})
ANY_TENANT = frozenset({"common", "organizations", "consumers"})


def guid(value: str) -> str:
    """Accept a GUID such as Azure gives applications and workspaces; return it in lower case, as one spelling."""
    if not GUID.fullmatch(value):
        raise ValueError("is not a GUID: copy it whole from the Azure portal, 36 characters with hyphens.")
    return value.lower()


def azure_name(value: str) -> str:
    """Accept the name of a resource group or of a workspace (Azure, naming rules for resources)."""
    if not AZURE_NAME.fullmatch(value):
        raise ValueError("is not a name in Azure: copy it from the workspace's overview page.")
    return value


def tenant(value: str) -> str:
    """Accept one directory, by GUID or domain name; client credentials work with no other kind.

    Return it in lower case, as one spelling.
    """
    if value.lower() in ANY_TENANT:
        raise ValueError("must name one tenant: write its GUID or its domain name, not a shared endpoint.")
    if not GUID.fullmatch(value) and not DOMAIN.fullmatch(value):
        raise ValueError("is neither a GUID nor a domain name: copy the directory (tenant) id from Azure.")
    return value.lower()


def secret(value: SecretStr) -> SecretStr:
    """Accept what can stand in an HTTP header or form: visible ASCII characters."""
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("is empty, or has a space, a line break or an odd character in it: copy it again.")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":  # docker --env-file leaves them
        raise ValueError("has quotes around it, which are no part of the value: take them away.")
    return value


def scope(value: str) -> str:
    """Accept the scope of an application; which API it belongs to is checked with the other settings."""
    if not value.endswith("/.default"):
        raise ValueError("must end in /.default: leave it out, which is as ms_cloud says.")
    return value


def vault_name(value: str) -> str:
    """Accept the name of a key vault, or an empty text (Azure, naming rules for resources)."""
    if value and not VAULT_NAME.fullmatch(value):
        raise ValueError("is not a key vault's name: write the name alone, 3 to 24 letters, digits and hyphens.")
    return value


def vault_secret(value: str) -> str:
    """Accept the name of a secret in a key vault."""
    if not VAULT_SECRET.fullmatch(value):
        raise ValueError("is not the name of a secret in a key vault: write letters, digits and hyphens only.")
    return value


def web_address(value: str) -> str:
    """Accept an http or https URL with a host; return its one spelling."""
    url = _split_url(value)
    if url.scheme.lower() not in {"http", "https"} or not url.hostname:
        raise ValueError("is not a web address: write it with its scheme, as in https://misp.example.org.")
    if url.username is not None or url.password is not None:
        raise ValueError("has a user or password in it: take them out of the address.")
    if url.query or url.fragment or re.search(r"[\s<>]", value):
        raise ValueError("has a space, <, >, ? or # in it: write the base address only.")
    return canonical_address(value)


def misp_address(value: str) -> str:
    """Accept the web address of a MISP, with the path that it is under, and without a page of it."""
    address = web_address(value)
    if page := _MISP_PAGE.search(address):
        raise ValueError(f"has a page of MISP in it: take {page[0]} off.")
    return address


def https_address(value: str) -> str:
    """Accept an https URL with a host; return its one spelling."""
    address = web_address(value)
    if not address.lower().startswith("https://"):
        raise ValueError("must begin with https://: tokens and indicators are sent there.")
    return address


def optional_https_address(value: str) -> str:
    """Accept an https URL, or an empty text: not every cloud has every service."""
    return value and https_address(value)


def api_version(value: str) -> str:
    """Accept a date as Azure writes its API versions."""
    if not API_VERSION.fullmatch(value):
        raise ValueError("is not an API version: write a date as in 2024-02-01-preview, or leave it out.")
    return value


def source_system(value: str) -> str:
    """Accept 1 to 256 characters, and none of the names that Microsoft keeps for itself."""
    if not 1 <= len(value.strip()) <= len(value) <= 256:
        raise ValueError("must have 1 to 256 characters: write a short name for this MISP.")
    if value.strip().lower() in RESERVED_SOURCES:
        raise ValueError("is a name that Microsoft keeps for itself: write another, such as MISP.")
    return value


def sighting_source(value: str) -> str:
    """Accept what MISP shows beside a sighting, on one line, with ``{destination}`` in it or without."""
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError("is empty, begins or ends with a space, or has an odd character in it: write it on one line.")
    if max(value) > "\uffff":  # MISP 2.5.1 answers 500 to each sighting then, whatever its database's encoding
        raise ValueError("has a character that MISP cannot store, such as an emoji: take it out.")
    if re.search("[{}]", value.replace(DESTINATION, "")):
        raise ValueError(f"has a placeholder that there is not: write {DESTINATION}, or take it out.")
    return value


def rule_name(value: str) -> str:
    """Accept the name of an analytics rule, with ``*`` for anything."""
    if not value.strip():
        raise ValueError('is no name of a rule: write one as in "TI map*", or take it out.')
    return value


def optional(validator: Callable[[str], str]) -> Callable[[str | None], str | None]:
    """Return a validator that accepts None too."""
    return lambda value: None if value is None else validator(value)


def destination_name(value: str) -> str:
    """Accept what can be a word on a command line and a part of a file's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}|", value):
        raise ValueError("must be letters, digits, - . and _, at most 64: write a short name for this workspace.")
    return value


def unique_names(tenants: Any) -> Any:
    """Accept destinations that each have a name of their own."""
    names = [tenant.title.lower() for tenant in tenants]
    if len(set(names)) < len(names):
        raise ValueError("has two destinations of the same name: name each once.")
    return tenants


def header_value(value: str) -> str:
    """Accept what can be sent as an HTTP header's value."""
    if not value.isprintable() or not value.isascii():
        raise ValueError("has a line break or an odd character in it: write plain text on one line.")
    if value != value.strip():
        raise ValueError("begins or ends with a space: take it away.")
    return value


def user_agent(value: str) -> str:
    """Accept a name that can be sent as User-Agent; where none was chosen it is this program's, with its version."""
    return OWN_USER_AGENT if value in _NOT_CHOSEN else header_value(value)


def proxy_scheme(value: str) -> str:
    """Accept the keys that requests looks for in its proxies."""
    if not PROXY_KEY.fullmatch(value):
        raise ValueError('is not a proxy\'s key: write "http", "https", "all" or "no_proxy", in small letters.')
    return value


def proxy_address(value: str) -> str:
    """Accept a proxy's address with or without a scheme, a list of hosts, or an empty text."""
    if "://" not in value:
        return value
    url = _split_url(value)
    if url.scheme.lower() == "socks":
        raise ValueError(
            "begins with socks://, which is no proxy's address: write socks5h://, or socks4a:// for an old proxy."
        )
    if url.scheme.lower() not in PROXY_SCHEMES or not url.hostname:
        raise ValueError("is not a proxy's address: write it as in http://proxy.example.org:3128.")
    return value


def certificates(value: Any) -> bool | str:
    """Accept True, False, or the path of a CA bundle that exists and can be read."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("must be True, False or the path of a CA bundle: write one of these.")
    if (word := str(value).strip().capitalize()) in {"True", "False"}:
        raise ValueError(f"must be {word} without quotes: as text it is the path of a CA bundle.")
    bundle = _expanded(Path(value))
    try:
        bundle.stat()
        allowed = os.access(bundle, os.R_OK)
    except PermissionError:
        allowed = False
    except OSError:
        raise ValueError("names a CA bundle that is not there: write the path of one, or True.") from None
    if not allowed:
        raise ValueError("names a CA bundle that this user may not read: let it, or write another's path.")
    return str(bundle)


def state_url(value: str) -> str:
    """Accept the address of a database that the ledger can live in, or "none"; the default is a file in state_dir."""
    if value in ("", NO_LEDGER):
        return value
    if not value.startswith((SQLITE, *NETWORK_DATABASES)):
        raise ValueError(
            "must begin with postgresql:// or sqlite:///, or be none: postgresql://user@db.example.org/misp2sentinel."
        )
    if value != value.strip() or not value.isprintable():
        raise ValueError("begins or ends with a space, or has a line break or an odd character in it: take it away.")
    return _sqlite_address(value) if value.startswith(SQLITE) else _postgresql_address(value)


def _sqlite_address(value: str) -> str:
    """What stands after the three slashes is the path of a file, as it is; SQLite's memory would keep nothing."""
    if value.removeprefix(SQLITE) in ("", ":memory:"):
        raise ValueError('names no file: write its path after sqlite:///, or "none" for no ledger.')
    return value


def _postgresql_address(value: str) -> str:
    if value.count("@") > 1:  # else a part of the password becomes the host
        raise ValueError("has more than one @: write the one in the password as %40, and % as %25.")
    server = re.split("[/?]", value.partition("://")[2].rpartition("@")[2], maxsplit=1)[0]
    host, colon, port = server.rpartition(":") if re.search(r":[^\]]*$", server) else (server, "", "")
    if re.search(r"[\[\]]", host) and not re.fullmatch(r"\[[0-9A-Fa-f:.]+(?:%\w+)?\]", host):
        raise ValueError(
            "has a bracket out of place: write an address of IPv6 as in postgresql://user@[2001:db8::1]/db."
        )
    if ":" in host.strip("[]") and not host.startswith("["):
        raise ValueError("has more than one colon after the user: write an address of IPv6 in brackets, [2001:db8::1].")
    if colon and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise ValueError("has no number as its port: the port must be a number from 1 to 65535, or left out.")
    if re.search(r"[\s<>\\#]", host):
        raise ValueError(
            "has a space or an odd character in its host: write it as in postgresql://user@db.example.org/db."
        )
    return value


def header_name(value: str) -> str:
    """Accept what HTTP allows as a header's name (RFC 9110, section 5.1)."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        raise ValueError("is not a header's name: write letters, digits and hyphens only.")
    return value


def path(value: Any) -> Path | None:
    """Accept a path, as text or as a Path; ``~`` is the user's home; empty is None."""
    if value is None or value == "":
        return None
    if isinstance(value, str | Path):
        if "\0" in str(value) or not str(value).isprintable():
            raise ValueError("has a character in it that no path can have: write it again.")
        return _expanded(Path(value))
    raise ValueError("must be a path: write it as text in quotes.")


def metrics_file(value: Path | None) -> Path | None:
    """Refuse a name that node_exporter does not read; None is none."""
    if value and value.suffix != ".prom":
        raise ValueError("must be a file whose name ends with .prom: node_exporter reads no other.")
    return value


def absolute(value: Path | None) -> Path | None:
    """Accept an absolute path: cron's working directory is not the operator's."""
    if value is not None and not value.is_absolute():
        raise ValueError("must be an absolute path: write it from the root, or with ~ for the home.")
    return value


def event_filters(value: dict[str, Any]) -> dict[str, Any]:
    """Accept what JSON can hold and MISP can read, and dates, which PyMISP writes as text."""
    try:
        json.dumps(value, default=_date_as_text, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(
            "holds a value that cannot be sent to MISP: write text, numbers, True, False, lists and such."
        ) from None
    if problems := list(filter_values.problems(value)):
        raise PydanticCustomError("filters", "has problems", {"problems": problems})
    return value


def kind(value: str) -> str:
    """Accept a kind of observables in any letter case; days are judged beside it, so it stays as it is until then."""
    canonical_kind(value)
    return value


def days_by_kind(value: dict[str, int]) -> dict[str, int]:
    """Accept days for kinds of observables, none of them twice; return each kind in the letter case of its paths."""
    kinds = {key: canonical_kind(key) for key in value}
    keys: dict[str, str] = {}
    problems = [
        (f"[{key!r}]", f"is the same kind as {first!r}: keep one of them.")
        for key, kind_ in kinds.items()
        if (first := keys.setdefault(kind_, key)) != key
    ]
    if problems:
        raise PydanticCustomError("kinds", "has problems", {"problems": problems})
    return {kinds[key]: days for key, days in value.items()}


def attribute_filters(value: dict[str, Any]) -> dict[str, Any]:
    """Accept filters on attributes; each of their problems is reported by itself."""
    try:
        AttributeFilters.parse(value)
    except FilterProblems as error:
        raise PydanticCustomError("filters", "has problems", {"problems": list(error.problems)}) from None
    return value


def _date_as_text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("has a ~ for a home that is not known: write the whole path.") from None


def _split_url(value: str) -> SplitResult:
    """Split a URL; one that cannot be split, or whose port is no number, has only empty parts."""
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return url
