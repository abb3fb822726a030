"""The six values that a run needs: what each is, and the file of settings that has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Question(NamedTuple):
    """A setting by its dotted name, and what it is; a secret is not shown while it is typed."""

    name: str
    words: str
    secret: bool = False


QUESTIONS = (
    Question("misp_domain", "Address of MISP, such as https://misp.example.org"),
    Question("misp_key", "Authentication key of a MISP user; a read-only one is enough", secret=True),
    Question("ms_auth.tenant", "Directory (tenant) ID of the app registration"),
    Question("ms_auth.client_id", "Application (client) ID of the app registration"),
    Question("ms_auth.client_secret", "Client secret of that app: its value, not its id", secret=True),
    Question("ms_auth.workspace_id", "Workspace ID of the Log Analytics workspace that Sentinel is on"),
)
_HEAD = '''"""The settings of MISP2Sentinel, as init asked for them.

Each of the others can be added here: docs/configure.md, and config.py as it was shipped.
"""
'''


def settings_text(values: Mapping[str, str]) -> str:
    """Return the file of settings that has these values, by dotted name."""
    lines = [f"{name} = {value!r}" for name, value in values.items() if "." not in name]
    keys = [f"    {name.partition('.')[2]!r}: {value!r}," for name, value in values.items() if "." in name]
    return "\n".join([_HEAD, *lines, "ms_auth = {", *keys, "}", ""])
