"""Place: what lies beside a sandbox, so that it can be tried: settings, the command, a story to share."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import filelock

from sandbox.samples import STORY
from sandbox.serve import Sandbox

STATE, LEDGER = "state", "ledger.sqlite"
COMMAND = "misp2sentinel"
SCRIPT = Path(__file__).resolve().parents[1] / "script.py"
CONFIG = '''"""MISP2Sentinel against the sandbox. Keys and secrets in here are fakes."""

misp_domain = {misp_url}
misp_key = {misp_key}
misp_verifycert = {ca_file}
misp_event_filters = {{"published": 1, "enforceWarninglist": True}}
misp_stories = {{"api_key": {stories_key}, "organisation_id": 1, "ssl_check": {ca_file}}}
misp_sightings = {{"api_key": {sightings_key}}}

ms_auth = {{
    "tenant": {tenant},
    "client_id": {client_id},
    "client_secret": {client_secret},
    "workspace_id": {workspace_id},
    "subscription_id": {subscription_id},
    "resourceGroupName": {resource_group},
    "workspaceName": {workspace_name},
    "new_upload_api": True,
}}
ms_endpoints = {{
    "authority": {azure_url},
    "upload": {azure_url},
    "upload_legacy": {azure_url},
    "graph": {graph_url},
    "management": {azure_url},
    "log_analytics": {azure_url},
}}
ms_verifycert = {ca_file}

state_dir = {state_dir}
write_parsed_indicators = True
'''
WRAPPER = """#!/bin/sh
# The program, with this sandbox's settings.
MISP2SENTINEL_CONFIG={config} MISP2SENTINEL_COMMAND={command} exec {python} {script} "$@"
"""


TAKEN = 75  # EX_TEMPFAIL, which no run ends with


class Taken(Exception):
    """Another sandbox is up in a directory."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a directory for one sandbox alone. Raises Taken where another one has it."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(directory / "sandbox.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise Taken(f"Another sandbox is up in {directory}. End it first, or name another place: --dir.") from error
    try:
        yield
    finally:
        lock.release()


def furnish(box: Sandbox, directory: Path) -> Path:
    """Put all of it beside a sandbox that is up, and return where its settings are."""
    config = write_config(box, directory)
    write_command(config, directory / "bin" / COMMAND)
    shutil.copyfile(STORY, directory / STORY.name)
    return config


def write_config(box: Sandbox, directory: Path) -> Path:
    """Write the settings for a sandbox that is up, whose MISP gets a user for sightings, and return where they are."""
    azure, misp = box.azure, box.misp
    (subscription_id, resource_group, workspace_name), *_ = azure.management_names
    values = {
        "misp_url": box.misp_url,
        "misp_key": misp.readonly_key,
        "stories_key": misp.key,
        "sightings_key": misp.add_user("User"),
        "ca_file": box.ca_file,
        "tenant": azure.tenant,
        "client_id": azure.client_id,
        "client_secret": azure.client_secret,
        "workspace_id": azure.workspace_id,
        "subscription_id": subscription_id,
        "resource_group": resource_group,
        "workspace_name": workspace_name,
        "azure_url": box.azure_url,
        "graph_url": f"{box.azure_url}/beta",
        "state_dir": str(directory / STATE),
    }
    text = CONFIG.format(**{name: json.dumps(value) for name, value in values.items()})
    path = directory / "config.py"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def write_command(config: Path, path: Path) -> None:
    """Write a command that runs the program with these settings, and calls itself by its short name."""
    words = {"config": config, "command": COMMAND, "python": sys.executable, "script": SCRIPT}
    path.parent.mkdir(exist_ok=True)
    path.write_text(WRAPPER.format(**{name: shlex.quote(str(word)) for name, word in words.items()}), encoding="utf-8")
    path.chmod(0o755)


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without a real site's settings, which would win over the sandbox's and lead a run there."""
    return {name: value for name, value in environ.items() if not name.upper().startswith("MISP2SENTINEL_")}


def forget(directory: Path) -> None:
    """Remove the ledger of an earlier sandbox there: this one is another MISP, and its Azure is empty."""
    for path in (directory / STATE).glob(f"{LEDGER}*"):
        path.unlink()
