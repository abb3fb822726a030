"""Start the sandbox by hand: ``python -m sandbox [--dir DIR] [--run -- COMMAND ...]``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

from sandbox.azure.app import AzureState, count_observables
from sandbox.samples import demo_misp
from sandbox.serve import Sandbox

STATE, LEDGER = "state", "ledger.sqlite"
DIRECTORY = Path(".sandbox/by-hand")
SCRIPT = Path(__file__).resolve().parents[1] / "script.py"
STORY = Path(__file__).resolve().with_name("story.json")
CONFIG = '''"""MISP2Sentinel against the sandbox. Keys and secrets in here are fakes."""

misp_domain = {misp_url}
misp_key = {misp_key}
misp_verifycert = {ca_file}
misp_event_filters = {{"published": 1, "enforceWarninglist": True}}
misp_stories = {{"api_key": {stories_key}, "organisation_id": 1, "ssl_check": {ca_file}}}

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
}}
ms_verifycert = {ca_file}

state_dir = {state_dir}
write_parsed_indicators = True
'''
PLACES = """The sandbox is up. Keys and secrets are fakes, everything stays on this machine.

  MISP    {box.misp_url}  ({events} sample events)
  Azure   {box.azure_url}  (login and upload API)
  CA      {box.ca_file}
  config  {config}
"""
ADVICE = """
Try, from another terminal:

  {command}
  {command} explain c2.loader.example
  {command} status
  {command} report {page}  # and open it in a browser
  {command} share --to-ids --publish {story}
  rm {ledger}*  # as if it were lost; adopt fills it again from Azure:
  {command} adopt
  curl --cacert {ca_file} {box.azure_url}/
  curl --cacert {ca_file} {box.azure_url}/workspaces/{box.azure.workspace_id}/indicators

Ctrl-C ends it.
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or for as long as a command runs; give the exit code."""
    options = _options(arguments)
    directory = options.dir.resolve()
    _forget(directory)
    box = Sandbox(AzureState(), demo_misp(time.time), options.misp_port, options.azure_port, directory)
    with box:
        config = write_config(box, directory)
        events = sum(1 for _ in box.misp.events())
        print(PLACES.format(box=box, config=config, events=events), flush=True)
        if options.run:
            return _run(options.command, box, config)
        command = shlex.join([sys.executable, str(SCRIPT), "--config", str(config)])
        ledger = shlex.quote(str(directory / STATE / LEDGER))
        places = {"ca_file": shlex.quote(box.ca_file), "ledger": ledger, "story": shlex.quote(str(STORY))}
        places["page"] = shlex.quote(str(directory / "report.html"))
        print(ADVICE.format(box=box, command=command, **places), flush=True)
        _wait()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A MISP and an Azure on loopback.")
    parser.add_argument("--misp-port", type=int, default=0, help="port of the MISP (default: a free one)")
    parser.add_argument("--azure-port", type=int, default=0, help="port of the Azure (default: a free one)")
    parser.add_argument(
        "--dir",
        type=Path,
        default=DIRECTORY,
        help="where ca.pem, config.py and the state directory go (default: %(default)s)",
    )
    parser.add_argument("--run", action="store_true", help="run COMMAND against it, then stop")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --run --")
    options = parser.parse_args(arguments)
    if options.run != bool(options.command):
        parser.error("--run and a command go together: --run -- COMMAND ...")
    return options


def _forget(directory: Path) -> None:
    """Remove the ledger of an earlier sandbox there: this one is another MISP, and its Azure is empty."""
    for path in (directory / STATE).glob(f"{LEDGER}*"):
        path.unlink()


def write_config(box: Sandbox, directory: Path) -> Path:
    """Write the settings for a sandbox that is up, and return where they are."""
    azure, misp = box.azure, box.misp
    (subscription_id, resource_group, workspace_name), *_ = azure.management_names
    values = {
        "misp_url": box.misp_url,
        "misp_key": misp.readonly_key,
        "stories_key": misp.key,
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


def _run(command: list[str], box: Sandbox, config: Path) -> int:
    # A real site's settings in the environment would win over the sandbox's and lead the run elsewhere.
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("MISP2SENTINEL_")}
    environment = others | {"MISP2SENTINEL_CONFIG": str(config)}
    code = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the operator's own
    print(_arrived(box.azure), flush=True)
    return code


def _arrived(azure: AzureState) -> str:
    live = azure.live()
    uploads = f"{len(azure.uploads)} upload{'s' if len(azure.uploads) != 1 else ''}"
    lines = [f"\nIn the workspace: {len(live)} live objects after {uploads}"]
    lines += [f"  {count:5}  {key}" for key, count in sorted(count_observables(live).items())]
    return "\n".join(lines)


def _wait() -> None:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())
