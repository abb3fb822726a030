"""The licence of each package that is shipped, as it is installed here."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from importlib.metadata import metadata

from deploy.supply import SHIPPED
from deploy.supply.licence_rules import FOR_ONE, READ, SPDX, problem
from deploy.supply.pins import locked

_OSI = "License :: OSI Approved :: "


def shipped() -> dict[str, str]:
    """Return the licence of each package that a site may install on Linux, by its name, as an SPDX expression.

    Raises importlib.metadata.PackageNotFoundError for one that is not installed: ``make .venv/ready`` installs all.
    """
    names = {pin.name for pin in locked(SHIPPED) if "win32" not in pin.marker}
    return {name: READ.get(name) or _stated(metadata(name)) for name in sorted(names)}


def table() -> Iterator[str]:
    """Yield the licences, most common first, each with its packages, then why the unusual ones may be here."""
    licences = shipped()
    for licence in sorted(set(licences.values()), key=lambda one: (-[*licences.values()].count(one), one)):
        yield f"{licence}: {', '.join(name for name, its in licences.items() if its == licence)}"
    yield ""
    yield from (f"{name}, {licence}: {why}." for name, (licence, why) in FOR_ONE.items())


def problems() -> list[str]:
    """Return a sentence for each package that may not be shipped."""
    return [said for name, licence in shipped().items() if (said := problem(name, licence))]


def _stated(package: Message) -> str:
    """Return what a package says, the newest kind of statement first."""
    if expression := package["License-Expression"]:
        return str(expression)
    text = str(package["License"] or "").strip()
    classifiers = [one.removeprefix(_OSI) for one in package.get_all("Classifier", []) if one.startswith(_OSI)]
    if "\n" not in text and " " not in text.replace(" OR ", "") and text not in ("", "UNKNOWN"):
        return SPDX.get(text, text)
    return " AND ".join(SPDX.get(one, one) for one in classifiers) or SPDX.get(text, text)
