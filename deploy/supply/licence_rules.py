"""Which licences what is shipped may have, and how those that packages state are read."""

from __future__ import annotations

from license_expression import ExpressionError, LicenseExpression, Licensing

# As packages have put it, before there were SPDX expressions in their metadata.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSF": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Where a package says no more than "BSD", or something else than the text that it brings: this has been read.
READ = {
    **dict.fromkeys(
        [
            *("antlr4-python3-runtime", "cybox", "isodate", "jinja2", "maec", "mixbox", "pysocks", "stix", "stix-edh"),
            *("stix2", "stix2-patterns"),
        ],
        "BSD-3-Clause",
    ),
    "misp-stix": "BSD-2-Clause",
}
PERMISSIVE = {"AFL-2.1", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}
_LICENSING = Licensing(sorted(PERMISSIVE))
# Licences that ask for more: for one package each, with the reason why they may be here.
_LIBRARY = "a package of its own that is imported unchanged, and can be replaced by another version of it"
FOR_ONE = {
    "certifi": ("MPL-2.0", "a list of certificates that is used unchanged; its sources are the package itself"),
    "ioc-finder": ("LGPL-3.0-or-later", _LIBRARY),
    "psycopg": ("LGPL-3.0-only", _LIBRARY),
    "psycopg-binary": ("LGPL-3.0-only", "the compiled part of psycopg, which takes a libpq of the system just as well"),
    "pycountry": ("LGPL-2.1-only", _LIBRARY),
    "pygal": ("LGPL-3.0-or-later", _LIBRARY),
}


def problem(name: str, licence: str) -> str:
    """Return why a package may not be shipped under this licence, as a sentence, or ``""`` where it may."""
    if licence == FOR_ONE.get(name, (None,))[0] or _allowed(licence):
        return ""
    what = licence or "no licence"
    return f"{name}: {what} is not allowed. Read its licence; then READ, FOR_ONE or another package is the answer."


def _allowed(licence: str) -> bool:
    """Return whether what an SPDX expression leaves to choose is permissive."""
    try:
        return bool(licence) and _permissive(_LICENSING.parse(licence))
    except ExpressionError:
        return False


def _permissive(expression: LicenseExpression) -> bool:
    if isinstance(expression, _LICENSING.OR):
        return any(map(_permissive, expression.args))
    if isinstance(expression, _LICENSING.AND):
        return all(map(_permissive, expression.args))
    return str(expression) in PERMISSIVE
