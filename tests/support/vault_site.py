"""A sandbox whose key vault holds the MISP key, and settings that name it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from helpers.settings import Settings, load
from sandbox.serve import Sandbox
from tests.support import environ_for
from tests.support.connect_proxy import ConnectProxy


@contextmanager
def vault_site(state_dir: Path) -> Iterator[tuple[Sandbox, Settings]]:
    """Yield the sandbox, and settings without a MISP key; a vault's host is reached through a proxy alone."""
    with Sandbox() as box, ConnectProxy(urlsplit(box.azure_url).port) as proxy:
        box.azure.vaults["soc-vault"] = {"MISP-Key": box.misp.readonly_key}
        values = {
            "KEY_VAULT_NAME": "soc-vault",
            "MS_VERIFYCERT": box.ca_file,
            "MS_PROXIES": json.dumps({"https": proxy.url, "no_proxy": "localhost"}),
            "MS_ENDPOINTS__AUTHORITY": box.azure_url,
            "STATE_DIR": str(state_dir),
        }
        environ = environ_for(box.azure) | {f"MISP2SENTINEL_{name}": value for name, value in values.items()}
        del environ["MISP2SENTINEL_MISP_KEY"]
        yield box, load(Path(os.devnull), environ).settings
