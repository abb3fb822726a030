"""What the Graph API asks of one tiIndicator.

Microsoft: the tiIndicator resource (beta), with what Azure Sentinel requires of a new one and what of it
an update may change. A submit that names a property which does not exist is refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

REQUIRED = ("action", "description", "expirationDateTime", "targetProduct", "threatType", "tlpLevel")
DESCRIPTION = 100
ACTIONS = ("unknown", "allow", "block", "alert")
PRODUCTS = ("Azure Sentinel", "Microsoft Defender ATP")
THREATS = ("Botnet", "C2", "CryptoMining", "Darknet", "DDoS", "MaliciousUrl", "Malware", "Phishing", "Proxy", "PUA")
DIAMOND = ("unknown", "adversary", "capability", "infrastructure", "victim")
KILL_CHAIN = ("Actions", "C2", "Delivery", "Exploitation", "Installation", "Reconnaissance", "Weaponization")
HASHES = ("unknown", "sha1", "sha256", "md5", "authenticodeHash256", "lsHash", "ctph")
EDITABLE = frozenset(
    {
        *("action", "activityGroupNames", "additionalInformation", "confidence", "description", "diamondModel"),
        *("expirationDateTime", "externalId", "isActive", "killChain", "knownFalsePositives", "lastReportedDateTime"),
        *("malwareFamilyNames", "passiveOnly", "severity", "tags", "tlpLevel"),
    }
)

Rule = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(*words: str) -> Rule:
    return lambda value: value in words


def _number(most: int) -> Rule:
    return lambda value: type(value) is int and 0 <= value <= most


def _address(version: int) -> Rule:
    def rule(value: Any) -> bool:
        try:
            return ipaddress.ip_address(value).version == version
        except ValueError:
            return False

    return rule


def _block(value: Any) -> bool:
    try:
        return "/" in value and bool(ipaddress.ip_network(value))
    except (TypeError, ValueError):
        return False


def _url(value: Any) -> bool:
    return _text(value) and bool(re.match(r"[a-z][a-z0-9+.-]*://\S+\Z", value, re.IGNORECASE))


_EMAIL = ("Encoding", "Language", "Recipient", "SenderAddress", "SenderName", "SourceDomain", "SourceIpAddress")
OBSERVABLES: dict[str, Rule] = {
    **{f"email{name}": _text for name in (*_EMAIL, "Subject", "XMailer")},
    **{f"file{name}": _text for name in ("HashValue", "MutexName", "Name", "Packer", "Path", "Type")},
    "fileHashType": _one_of(*HASHES),
    "fileSize": _number(2**63 - 1),
    "domainName": _text,
    "url": _url,
    "userAgent": _text,
    "networkProtocol": _number(2**31 - 1),
    **{f"network{side}CidrBlock": _block for side in ("", "Destination", "Source")},
    **{f"network{side}IPv4": _address(4) for side in ("", "Destination", "Source")},
    **{f"network{side}IPv6": _address(6) for side in ("", "Destination", "Source")},
    **{f"network{side}Port": _number(65535) for side in ("", "Destination", "Source")},
    **{f"network{side}Asn": _number(2**31 - 1) for side in ("Destination", "Source")},
}
SAID: dict[str, Rule] = {
    "action": _one_of(*ACTIONS),
    "activityGroupNames": _texts,
    "additionalInformation": _text,
    "confidence": _number(100),
    "description": lambda value: _text(value) and len(value) <= DESCRIPTION,
    "diamondModel": _one_of(*DIAMOND),
    "expirationDateTime": lambda value: _moment(value) is not None,
    "externalId": _text,
    "isActive": _flag,
    "killChain": lambda value: _texts(value) and set(value) <= set(KILL_CHAIN),
    "malwareFamilyNames": _texts,
    "passiveOnly": _flag,
    "severity": _number(5),
    "tags": _texts,
    "targetProduct": _one_of(*PRODUCTS),
    "threatType": _one_of(*THREATS, "WatchList"),
    "tlpLevel": _one_of("unknown", "white", "green", "amber", "red"),
}


def indicator_error(item: Any, now: float) -> str:
    """Say what is wrong with a new indicator, empty when nothing is."""
    if not isinstance(item, dict):
        return "The item is not an object."
    missing = [name for name in REQUIRED if not item.get(name)]
    if missing:
        return f"The property {missing[0]} is required."
    wrong = _wrong(item, SAID | OBSERVABLES)
    if not wrong and not OBSERVABLES.keys() & item.keys():
        return "At least one email, file or network observable is required."
    if not wrong and ("fileHashType" in item) != ("fileHashValue" in item):
        return "The properties fileHashType and fileHashValue go together."
    return wrong or _expired(item, now)


def update_error(item: Any, now: float) -> str:
    """Say what is wrong with an update, empty when nothing is."""
    if not isinstance(item, dict):
        return "The item is not an object."
    missing = [name for name in ("id", "expirationDateTime", "targetProduct") if not item.get(name)]
    if missing:
        return f"The property {missing[0]} is required."
    fixed = sorted(item.keys() - EDITABLE - {"id", "targetProduct"})
    if fixed:
        return f"The property {fixed[0]} cannot be updated."
    return _wrong({name: value for name, value in item.items() if name != "id"}, SAID) or _expired(item, now)


def _wrong(item: dict[str, Any], rules: dict[str, Rule]) -> str:
    for name, value in item.items():
        if name not in rules:
            return f"The property {name} does not exist."
        if not rules[name](value):
            return f"The property {name} is not valid."
    return ""


def _expired(item: dict[str, Any], now: float) -> str:
    moment = _moment(item["expirationDateTime"])
    return "The property expirationDateTime has passed." if moment and moment.timestamp() <= now else ""


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
