"""Names, limits, mappings and skip reasons. The first part is for sites to change."""

from enum import Enum, StrEnum
from typing import Final

# --- For sites to change ---------------------------------------------------------------------------

# STIX object types that Microsoft's upload APIs take; this program makes indicators.
UPLOAD_INDICATOR_API_ACCEPTED_TYPES: Final = ["indicator"]

# MISP attribute types that are sent (with to_ids). Each hash also counts as `filename|HASH`.
HASH_TYPES: Final = [
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha512/224",
    "sha512/256",
    "ssdeep",
    "tlsh",
    "imphash",
    "impfuzzy",
    "authentihash",
    "pehash",
]
UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES: Final = [
    "AS",
    "email",
    "email-dst",
    "email-src",
    "email-src-display-name",
    "email-subject",
    "email-x-mailer",
    "filename",
    "malware-type",
    "mutex",
    "port",
    "size-in-bytes",
    "url",
    "user-agent",
    "domain",
    "hostname",
    "domain|ip",
    "hostname|port",
    "ip-src",
    "ip-dst",
    "ip-src|port",
    "ip-dst|port",
    *HASH_TYPES,
    *(f"filename|{name}" for name in HASH_TYPES),
    "regkey",
    "regkey|value",
    "x509-fingerprint-md5",
    "x509-fingerprint-sha1",
    "x509-fingerprint-sha256",
]

# Tags that begin with one of these (in any letter case) never become labels, nor does what says the same of an
# attribute: `misp:type="..."` and `misp:category="..."`.
MISP_TAGS_IGNORE: Final = [
    "misp:tool",
    "misp:automation-level",
    "misp:should-not-sync",
    "misp:type",
    "misp:category",
    "workflow:",
]

# When not empty, only tags of these taxonomies (the part before the first colon) become labels.
MISP_ALLOWED_TAXONOMIES: Final[list[str]] = []

# MISP's own confidence taxonomy as STIX confidence, 0 to 100.
MISP_CONFIDENCE: Final = {
    "completely-confident": 100,
    "usually-confident": 75,
    "fairly-confident": 50,
    "rarely-confident": 25,
    "unconfident": 0,
}

# Where neither the attribute nor its event has a tag for it.
SENTINEL_DEFAULT_TLP: Final = "tlp:white"
SENTINEL_DEFAULT_THREATTYPE: Final = "WatchList"


# --- What the neighbours call things ---------------------------------------------------------------


class Skip(Enum):
    """Why an attribute is not sent; the value is the sentence that users read."""

    NO_TO_IDS = "the attribute is not flagged to_ids"
    DELETED = "the attribute, or the object it is in, was deleted in MISP"
    TYPE_NOT_ACCEPTED = "the attribute's type is not in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES"
    RULE_LANGUAGE = "a rule (yara, sigma, snort, ...) is not something that Sentinel can match"
    BAD_UUID = "the attribute's UUID is missing or malformed"
    DUPLICATE_UUID = "another attribute of the same event has this UUID"
    TOO_LONG = "the value is longer than any value of the attribute's type (LONGEST_VALUES)"
    BAD_VALUE = "the value is empty or is not a value of the attribute's type"
    CIDR = "a block of addresses matches no rule of Sentinel's (send_private_and_cidr is off)"
    PRIVATE_ADDRESS = (
        "a private, local, multicast or reserved address matches no rule of Sentinel's (send_private_and_cidr is off)"
    )
    REFUSED = "misp-stix did not convert the attribute"
    NOT_MATCHABLE = "the object's pattern holds this attribute only in a form that Sentinel cannot match"
    FILE_NAME = "the file has hashes flagged to_ids, and its name goes into their description"
    FILTERED_TYPE = "filters leave out the attribute's type"
    FILTERED_ORGANISATION = "filters leave out the organisation that made the event"
    MISSING_TAG = "neither the attribute nor its event has a tag that filters ask for"
    FILTERED_TAG = "the attribute, or its event, has a tag that filters leave out"
    LOW_CONFIDENCE = "the confidence is lower than filters ask for"
    TLP_TOO_STRICT = "the TLP is stricter than filters allow"
    DECAYED = "by MISP's decaying models the attribute has decayed further than filters allow"
    EXPIRED = "the indicator would have expired already"
    NO_VALID_UNTIL = "no expiry date can be given: last_seen is not a date, or the days lead beyond year 9999"
    EVENT_NAME = "a name of the event's threat actor or malware, which goes with each indicator of the event"
    NO_GRAPH_PROPERTY = "the Graph API has no property for the attribute's type"
    NO_OBSERVABLE = "the Graph API takes no indicator without an email, file or network observable"
    STIX_TYPE_NOT_ACCEPTED = "the STIX type is not in UPLOAD_INDICATOR_API_ACCEPTED_TYPES"


class WithdrawalReason(StrEnum):
    """Why an indicator leaves Sentinel, beside what would skip its attribute now; ledgers and --json have the value."""

    UNPUBLISHED = "event unpublished"
    UNPUBLISHED_FOR_GOOD = "event unpublished for longer than unpublished_grace_days"
    LEFT_FILTERS = "event no longer matches misp_event_filters"
    GONE = "event deleted, or no longer visible"
    NOT_SHOWN = "attribute deleted, hidden, or on a warninglist"
    NOT_FLAGGED = "attribute no longer flagged to_ids, deleted, hidden, or on a warninglist"  # of a large event
    CHANGED = "attribute changed"
    DEDUPLICATE_CHANGED = "deduplicate changed"
    NO_TWINS = "lowercase_url_twins is off, and MISP has the URL with capital letters alone"
    EXPIRED = "what still asks for it has expired"
    WORKSPACE_LEFT = "the workspace is left"
    NOT_IN_MISP = "in Sentinel when the ledger was filled, and of no attribute that MISP shows"
    SECOND = "a second indicator of the same observable"
    # Of what stands beside indicators.
    INDICATOR_LEFT = "the indicator that points to it has left, or has expired"
    NOT_NAMED = "MISP does not name it any more"
    TOO_MANY = "its event has more than 2,000 relationships"
    POINTED_BY_NONE = "no indicator points to it any more"
    CONTEXT_SENDS_LESS = "the setting context sends less"
    CLUSTER_GONE = "MISP does not have its cluster any more, or shows it to few"


class NotSighted(StrEnum):
    """Why a match of an alert leads to no sighting in MISP; ledgers and --json have the value."""

    TLP = "its TLP is stricter than misp_sightings['max_tlp'] allows"
    WARNINGLIST = "the value is on a warninglist of MISP's"
    PRIVATE = "a private, local or reserved address, which says nothing about an attribute"
    TOO_MANY = "more than 20 attributes have the value, and these are not of the newest events"


class AdoptionKind(StrEnum):
    """What adopt makes of an object in Sentinel; --json has the value."""

    MATCHED = "matched"  # MISP shows what it is of
    UNMATCHED = "unmatched"  # MISP does not
    REVOKED = "revoked"  # it stays revoked, and its id is not used again


RULE_LANGUAGES: Final = frozenset(
    {"yara", "sigma", "snort", "suricata", "bro", "zeek", "stix2-pattern", "kusto-query", "pattern-in-file",
     "pattern-in-memory", "pattern-in-traffic", "nova-rule", "crowdsec"}
)  # fmt: skip

# STIX 2.1, section 7.2.1.4: the marking ids of TLP 1.0. Sentinel knows these four levels and no others.
TLP_MARKINGS: Final = {
    "white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}
# From open to strict. TLP 2.0 names stand for the level of TLP 1.0 that Sentinel knows.
TLP_LEVELS: Final = {"white": 0, "clear": 0, "green": 1, "amber": 2, "amber+strict": 2, "red": 3}
TLP_BY_STRICTNESS: Final = ("white", "green", "amber", "red")
# TLP 2.0 knows one level more; who may see what is decided by it.
TLP_2_LEVELS: Final = {"white": 0, "clear": 0, "green": 1, "amber": 2, "amber+strict": 3, "red": 4}

# Microsoft: threatType of the tiIndicator resource, the words of MISP's sentinel-threattype taxonomy.
THREAT_TYPES: Final = (
    "Botnet",
    "C2",
    "CryptoMining",
    "Darknet",
    "DDoS",
    "MaliciousUrl",
    "Malware",
    "Phishing",
    "Proxy",
    "PUA",
    "WatchList",
)

# --- The Graph API (Microsoft: the tiIndicator resource, beta) ---------------------------------------

# MISP attribute types that are one property of a tiIndicator each.
ATTR_MAPPING: Final = {
    "AS": "networkSourceAsn",
    "domain": "domainName",
    "email-dst": "emailRecipient",
    "email-src-display-name": "emailSenderName",
    "email-subject": "emailSubject",
    "email-x-mailer": "emailXMailer",
    "filename": "fileName",
    "hostname": "domainName",
    "malware-type": "malwareFamilyNames",
    "mutex": "fileMutexName",
    "port": "networkPort",
    "size-in-bytes": "fileSize",
    "url": "url",
    "user-agent": "userAgent",
}
# Hashes that Microsoft has a fileHashType for; ssdeep is its context triggered piecewise hash, tlsh its locality
# sensitive one. All others are "unknown": an imphash is an MD5, and not that of the file.
GRAPH_HASH_TYPES: Final = {
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "authentihash": "authenticodeHash256",
    "ssdeep": "ctph",
    "tlsh": "lsHash",
}
# Phases of MISP's kill-chain taxonomy in Microsoft's words.
GRAPH_KILL_CHAIN: Final = {
    "reconnaissance": "Reconnaissance",
    "weaponization": "Weaponization",
    "delivery": "Delivery",
    "exploitation": "Exploitation",
    "installation": "Installation",
    "command-and-control": "C2",
    "c2": "C2",
    "actions-on-objectives": "Actions",
    "actions": "Actions",
}
GRAPH_DIAMOND_MODEL: Final = ("adversary", "capability", "infrastructure", "victim")
# The largest value of each property that is a number; Microsoft's Int32 and Int64.
GRAPH_NUMBERS: Final = {
    "networkSourceAsn": 2**31 - 1,
    "networkPort": 65535,
    "networkDestinationPort": 65535,
    "networkSourcePort": 65535,
    "fileSize": 2**63 - 1,
}
GRAPH_DESCRIPTION: Final = 100
# What an update may change at Sentinel; anything else is another indicator.
GRAPH_EDITABLE: Final = (
    "action",
    "activityGroupNames",
    "additionalInformation",
    "confidence",
    "description",
    "diamondModel",
    "expirationDateTime",
    "externalId",
    "isActive",
    "killChain",
    "malwareFamilyNames",
    "passiveOnly",
    "tags",
    "tlpLevel",
)

# STIX 2.1, section 2.11 asks for this name and for phases in lower case with hyphens.
KILL_CHAIN_NAME: Final = "lockheed-martin-cyber-kill-chain"

# How many hexadecimal digits a hash has; ssdeep and impfuzzy are written in three parts.
HASH_DIGITS: Final = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha512/224": 56,
    "sha512/256": 64,
    "tlsh": 70,
    "imphash": 32,
    "authentihash": 64,
    "pehash": 40,
}

# The longest value of each type, in characters as MISP has it: a longer one is not taken apart.
# MISP itself keeps 65,535 bytes of each half of a value (MySQL's TEXT).
MISP_TEXT: Final = 65_535
_PATH: Final = 4_096  # PATH_MAX of Linux
_NAME: Final = 2 * 253  # RFC 1035, section 2.3.4; twice, as each dot may be written in brackets
_ADDRESS: Final = 128  # RFC 4291: 45 characters; a zone, a prefix, and each colon or dot in brackets
_EMAIL: Final = 2 * 320  # RFC 3696, erratum 1690: 64 before the @, 255 behind it; its dots in brackets
_HEADER: Final = 8_192  # RFC 9110, section 5.4 leaves it to servers: Apache's LimitRequestFieldSize is 8,190
_PORT: Final = 1 + 5  # 65535, behind its pipe or colon
_NUMBER: Final = 64  # RFC 5396: AS65535.65535; 2**64 has 20 digits
_HASHES: Final = {
    **HASH_DIGITS,
    "tlsh": 72,  # with its version, T1
    "ssdeep": 148 + 3 + _PATH,  # ssdeep's FUZZY_MAX_RESULT, then a comma and the file's name in quotes
    "impfuzzy": 148,
}
LONGEST_VALUES: Final = {
    "AS": _NUMBER,
    "port": _NUMBER,
    "size-in-bytes": _NUMBER,
    "email": _EMAIL,
    "email-dst": _EMAIL,
    "email-src": _EMAIL,
    "email-src-display-name": _HEADER,
    "email-subject": _HEADER,
    "email-x-mailer": _HEADER,
    "user-agent": _HEADER,
    "domain": _NAME,
    "hostname": _NAME,
    "hostname|port": _NAME + _PORT,
    "ip-src": _ADDRESS,
    "ip-dst": _ADDRESS,
    "ip-src|port": _ADDRESS + _PORT,
    "ip-dst|port": _ADDRESS + _PORT,
    "domain|ip": _NAME + 1 + _ADDRESS,
    "url": 16_384,  # RFC 9110, section 4.1 asks for 8,000 octets; twice that
    "filename": _PATH,
    "mutex": _PATH,  # Windows: MAX_PATH, 260; elsewhere a file's path
    "malware-type": 1_024,
    "malware-sample": _PATH + 1 + HASH_DIGITS["md5"],
    "regkey": 32_767,  # Windows: UNICODE_STRING, in which the kernel names a key
    "regkey|value": 32_767 + 1 + MISP_TEXT,
    "x509-fingerprint-md5": 3 * 16,  # bytes of two digits, with a colon or a blank between them
    "x509-fingerprint-sha1": 3 * 20,
    "x509-fingerprint-sha256": 3 * 32,
    **_HASHES,
    **{f"filename|{name}": _PATH + 1 + longest for name, longest in _HASHES.items()},
}
# Of types that are not named there.
LONGEST_OTHER: Final = _HEADER
# What an event says of all its attributes stands in each indicator: as much of its info as Log Analytics shows of a
# description, and more tags than any event has (58 at most, of those that were recorded).
LONGEST_INFO: Final = 1_000
MOST_LABELS: Final = 500
# How a label begins that names an actor (Azure-Sentinel, "Threat Intelligence (NEW)": ActivityGroupNames), and how long
# the name may be.
ACTIVITY_GROUP: Final = "ActivityGroup:"
LONGEST_ACTOR: Final = 64
# MISP's columns for names, tags among them, are VARCHAR(255).
LONGEST_NAME: Final = 255

# STIX names of hashes that misp-stix files under another algorithm's name.
TRUE_HASH_NAMES: Final = {"sha512/224": "SHA-512/224", "sha512/256": "SHA-512/256"}

# Part of what decides whether objects are made again: a new version may make them differently.
VERSION: Final = "2.3.0"
STIX_API_VERSION: Final = "2024-02-01-preview"
LEGACY_API_VERSION: Final = "2022-07-01"
MAX_OBJECTS_PER_REQUEST: Final = 100

# --- What operators grep for -----------------------------------------------------------------------

LOG_MISP_PAGE: Final = "Received MISP events page {} with {} events"
LOG_EVENT_ERROR: Final = "Error when processing data in event {} from MISP {}"
LOG_NO_VALID_UNTIL: Final = "Skipping indicator because valid_until was not set by MISP/MISP2Sentinel {}"
LOG_PROCESSED: Final = "Processed {} indicators"
LOG_RECEIVED: Final = "Received {} indicators in MISP"
LOG_PAUSING: Final = "Pausing upload for API request limit {}"
LOG_SENT: Final = "Indicators sent - request number: {} / indicators: {} / remaining: {}"
LOG_NOT_ACCEPTED: Final = "Indicators not accepted - request number: {} / indicators: {} / remaining: {}"
LOG_SUBMIT_ERROR: Final = "Error when submitting indicators. {}"
LOG_FINISHED: Final = "Finished uploading indicators"
