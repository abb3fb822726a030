"""Start the sandbox by hand: ``python -m sandbox [--dir DIR] [--run -- COMMAND ...]``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

from sandbox import place
from sandbox.azure.app import AzureState
from sandbox.azure.overview import count_shown
from sandbox.samples import demo_misp
from sandbox.serve import Sandbox

DIRECTORY = Path(".sandbox/by-hand")
INTERRUPTED = 130  # as a shell ends with after Ctrl-C
PLACES = """The sandbox is up. Keys and secrets are fakes, everything stays on this machine.

  MISP    {box.misp_url}  ({events} sample events)
  Azure   {box.azure_url}  (login and upload API)
  CA      {box.ca_file}
  config  {config}
"""
ADVICE = """
Try, from another terminal:

  cd {directory}
  export PATH="$PWD/bin:$PATH"
  misp2sentinel
  misp2sentinel explain c2.loader.example
  misp2sentinel status
  misp2sentinel report report.html  # and open it in a browser
  misp2sentinel share --to-ids --publish story.json
  misp2sentinel  # the next run, which sends what the story names
  rm state/ledger.sqlite*  # as if it were lost; adopt fills it again from Azure:
  misp2sentinel adopt
  curl --cacert ca.pem {box.azure_url}/
  curl --cacert ca.pem {workspace}/objects

To raise an alert, as a rule of Sentinel would, and tell MISP what it matched:

  curl --cacert ca.pem {workspace}/alerts -d '{{"value": "c2.loader.example", "kind": "dns"}}'
  misp2sentinel sightings
  misp2sentinel explain c2.loader.example

Ctrl-C ends it.
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or for as long as a command runs; give the exit code."""
    options = _options(arguments)
    directory = options.dir.resolve()
    try:
        with place.held(directory):
            return _up(options, directory)
    except place.Taken as error:
        print(error, file=sys.stderr)
        return place.TAKEN
    except KeyboardInterrupt:
        return INTERRUPTED


def _up(options: argparse.Namespace, directory: Path) -> int:
    place.forget(directory)
    with Sandbox(AzureState(), demo_misp(time.time), options.misp_port, options.azure_port, directory) as box:
        config = place.furnish(box, directory)
        events = sum(1 for _ in box.misp.events())
        print(PLACES.format(box=box, config=config, events=events), flush=True)
        if options.run:
            return _run(options.command, box, config)
        print(_advice(box, directory), flush=True)
        _wait()
    return 0


def _advice(box: Sandbox, directory: Path) -> str:
    workspace = f"{box.azure_url}/workspaces/{box.azure.workspace_id}"
    return ADVICE.format(box=box, workspace=workspace, directory=shlex.quote(str(directory)))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A MISP and an Azure on loopback.")
    parser.add_argument("--misp-port", type=int, default=0, help="port of the MISP (default: a free one)")
    parser.add_argument("--azure-port", type=int, default=0, help="port of the Azure (default: a free one)")
    parser.add_argument(
        "--dir",
        type=Path,
        default=DIRECTORY,
        help="where ca.pem, config.py, a story and the state directory go (default: %(default)s)",
    )
    parser.add_argument("--run", action="store_true", help="run COMMAND against it, then stop")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --run --")
    options = parser.parse_args(arguments)
    if options.run != bool(options.command):
        parser.error("--run and a command go together: --run -- COMMAND ...")
    return options


def _run(command: list[str], box: Sandbox, config: Path) -> int:
    environment = {**place.without_settings(os.environ), "MISP2SENTINEL_CONFIG": str(config)}
    # A terminal tells the command of Ctrl-C too, which ends in its own way; an exception could lose its exit code.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the operator's own
    finally:
        signal.signal(signal.SIGINT, before)
    print(_arrived(box.azure), flush=True)
    return code


def _arrived(azure: AzureState) -> str:
    live = azure.live(kind=None)
    uploads = f"{len(azure.uploads)} upload{'s' if len(azure.uploads) != 1 else ''}"
    lines = [f"\nIn the workspace: {len(live)} live objects after {uploads}"]
    lines += [f"  {count:5}  {key}" for key, count in sorted(count_shown(live).items())]
    return "\n".join(lines)


def _wait() -> None:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())
