"""Analyst: somebody who works in the sandbox's MISP, by PyMISP as their own scripts would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymisp import PyMISP

from sandbox.serve import Sandbox


class Analyst:
    """One with a key that may write and publish."""

    def __init__(self, box: Sandbox) -> None:
        """Log in at a sandbox that is up. Raises PyMISPError where it does not answer."""
        self._misp = PyMISP(box.misp_url, box.misp.key, ssl=box.ca_file)

    def change(self, value: str, changes: Mapping[str, Any]) -> None:
        """Change the attribute with this value, and publish its event again. Raises PyMISPError or LookupError."""
        attribute = self._attribute(value)
        for name, new in changes.items():
            setattr(attribute, name, new)
        self._misp.update_attribute(attribute)
        self._misp.publish(attribute.event_id)

    def _attribute(self, value: str) -> Any:
        found = self._misp.search("attributes", value=value, pythonify=True)
        match = next((attribute for attribute in found if attribute.value == value), None)
        if match is None:
            raise LookupError(f"no attribute of the sandbox's MISP is {value}")
        return match
