"""Hostile texts: a value of each type that the program takes, spoiled in one of many ways."""

from __future__ import annotations

import hashlib

from constants import HASH_TYPES, UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES

KINDS = tuple(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES)
# Of a hundred texts, how many are large; and of a hundred of those, how many are as large as they get.
LARGE, LARGEST = 5, 10
SIZES, MOST = (10_000, 30_000, 100_000), 1_000_000

CONTROLS = [chr(code) for code in (*range(1, 32), 127, 0x85, 0x2028, 0x2029, 0xFEFF)]
SURROGATES = ["\ud800", "\udfff", "\udc00\ud800", "a\ud83d"]
QUOTES = ["'", '"', "\\'", "\\", "\\\\'", "''", "`", "\u2019", "\\u0027"]
INJECTIONS = [
    "' OR file:name = 'x",
    "'] OR [domain-name:value = 'victim.example.org",
    "'] AND [ipv4-addr:value = '192.0.2.1'] WITHIN 5 SECONDS OR [url:value = '",
    "\\' OR url:value LIKE '%",
    "' /* ",
    "'] REPEATS 99999999 TIMES --",
]
MARKS = ["\u202e", "\u202d", "\u200f", "\u200b", "\u2066", "\u2069", "\u00ad", "\u061c"]
NULS = ["\0", "\0\0", "a\0b"]
HOMOGLYPHS = str.maketrans({"a": "\u0430", "e": "\u0435", "o": "\u043e", "p": "\u0440", ".": "\u3002", "/": "\u2044"})
BRACKETS = ["[.]", "[[[.]]]", "(dot)", "((((", "]]]]", "[" * 50, "(" * 50 + ")" * 50, "[at]", "{.}", "[://]"]
FORMATS = ["%s%s%n", "{0.__class__}", "{}", "%(x)s", "${jndi:ldap://192.0.2.1/a}", "%00", "$(id)", "{{7*7}}", "%d"]
LINES = ["\n", "\r\n", "\r", "\n\n[x = 'y']", "\v", "\f", "\t\n"]
SEPARATORS = ["|", "||", "|\n", "://", ":", "@", "@@", "..", "-", "%", "#", "?", " ", "\u00a0", "*", "999999999999"]
UNITS = ["@", ".", "(", "[", "a", "a.", "|", "%", "\\", "'", " ", "(.", "[.]", "1", ":", "/", "\n", "-", "\u0130", "a@"]
INSERTED = [CONTROLS, SURROGATES, QUOTES, INJECTIONS, MARKS, NULS, BRACKETS, FORMATS, LINES, SEPARATORS]


def plain(kind, number):
    """A value of a type as MISP has them, another for each number."""
    if kind.startswith("filename|"):
        return f"file{number}.exe|{plain(kind.removeprefix('filename|'), number)}"
    host, address = f"host{number}.example.org", f"203.0.113.{number % 250 + 1}"
    values = {
        "AS": str(64_496 + number % 16),
        "email-src-display-name": f"Somebody {number}",
        "email-subject": f"Invoice {number}",
        "email-x-mailer": f"Mailer {number}",
        "filename": f"file{number}.exe",
        "malware-type": "loader",
        "mutex": f"Global\\mutex{number}",
        "port": str(1024 + number % 60_000),
        "size-in-bytes": str(number),
        "url": f"http://{host}/path?number={number}",
        "user-agent": f"Agent/{number} (compatible)",
        "domain|ip": f"{host}|{address}",
        "hostname|port": f"{host}|8443",
        "regkey": f"HKLM\\Software\\Key{number}",
        "regkey|value": f"HKLM\\Software\\Key{number}|value",
        "ssdeep": f"3:AbCd{number}:EfGh{number}",
        "impfuzzy": f"24:AbCd{number}:EfGh{number}",
    }
    if kind in HASH_TYPES or kind.startswith("x509-fingerprint-"):
        return values.get(kind) or _digest(kind, number)
    if kind.startswith("email"):
        return values.get(kind, f"user{number}@{host}")
    if kind.startswith("ip-"):
        return f"{address}|443" if kind.endswith("|port") else address
    return values.get(kind, host)


def hostile(chance, kind, number):
    """A value of a type, spoiled by chance."""
    text = plain(kind, number)
    if chance.randrange(100) < LARGE:
        return _large(chance, text)
    if chance.randrange(12) == 0:
        return text.translate(HOMOGLYPHS)
    for _ in range(chance.randint(1, 4)):
        inserted, place = chance.choice(chance.choice(INSERTED)), chance.randint(0, len(text))
        text = text[:place] + inserted + text[place:]
    return text


def _large(chance, text):
    """A value with something in it that comes again and again."""
    size = MOST if chance.randrange(100) < LARGEST else chance.choice(SIZES)
    unit = chance.choice(UNITS)
    return chance.choice(["", text]) + unit * (size // len(unit)) + chance.choice(["", text, "!"])


def _digest(kind, number):
    digits = {"sha1": 40, "pehash": 40, "sha224": 56, "sha512/224": 56, "tlsh": 70, "sha384": 96, "sha512": 128}
    digits |= {"sha256": 64, "sha512/256": 64, "authentihash": 64}
    name = kind.removeprefix("x509-fingerprint-")
    return hashlib.sha512(str(number).encode()).hexdigest().ljust(128, "0")[: digits.get(name, 32)]
