"""What the measurements share: made-up events, a run in a process of its own, and what that run needed."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from sandbox.serve import Sandbox
from tests.support.postgres import running_server

ROOT = Path(__file__).resolve().parents[1]
NOW = 1_790_000_000
SAMPLE_SECONDS = 0.1
VALUES = (
    ("domain", "host{n}.example.org"),
    ("url", "http://host{n}.example.org/path"),
    ("sha256", "{n:064x}"),
    ("ip-dst", "2001:db8::{high:x}:{low:x}"),
    ("filename|md5", "file{n}.exe|{n:032x}"),
)

Measured = dict[str, Any]


def event(number: int, published_at: int = NOW) -> dict[str, Any]:
    """Make a published event without attributes."""
    return {
        "uuid": f"10000000-0000-4000-8000-{number:012x}",
        "info": f"Event {number}",
        "date": "2026-11-01",
        "timestamp": str(published_at),
        "publish_timestamp": str(published_at),
        "published": True,
        "Orgc": {"name": "EXAMPLE", "uuid": "90000000-0000-4000-8000-000000000001"},
    }


def events(count: int, attributes: int) -> Iterator[dict[str, Any]]:
    """Make so many published events of so many attributes each, all of them different."""
    for number in range(count):
        first = number * attributes
        yield {**event(number), "Attribute": [attribute(first + n) for n in range(attributes)]}


def attribute(number: int) -> dict[str, Any]:
    """Make an attribute with to_ids; its value is its own."""
    kind, value = VALUES[number % len(VALUES)]
    return {
        "uuid": f"20000000-0000-4000-8000-{number:012x}",
        "type": kind,
        "category": "Payload delivery" if "|" in kind else "Network activity",
        "value": value.format(n=number + 1, high=number // 0xFFFF, low=number % 0xFFFF + 1),
        "to_ids": True,
        "timestamp": str(NOW),
        "comment": "made for a measurement",
        "deleted": False,
        "Tag": [{"name": "tlp:green"}, {"name": "type:OSINT"}],
    }


def site(box: Sandbox, state: Path, **more: str) -> dict[str, str]:
    """Return the settings of a site that reads and writes the sandbox, as environment variables."""
    hosts = dict.fromkeys(("AUTHORITY", "UPLOAD"), box.azure_url)
    (state / "config.py").touch()
    box.azure.requests_per_minute = 1_000_000
    values = {
        "CONFIG": str(state / "config.py"),
        "MISP_DOMAIN": box.misp_url,
        "MISP_KEY": box.misp.readonly_key,
        "MISP_VERIFYCERT": box.ca_file,
        "MISP_EVENT_FILTERS": '{"published": 1}',
        "MS_VERIFYCERT": box.ca_file,
        "MS_AUTH__TENANT": box.azure.tenant,
        "MS_AUTH__CLIENT_ID": box.azure.client_id,
        "MS_AUTH__CLIENT_SECRET": box.azure.client_secret,
        "MS_AUTH__WORKSPACE_ID": box.azure.workspace_id,
        "MS_MAX_REQUESTS_MINUTE": "100000",
        "STATE_DIR": str(state),
        **{f"MS_ENDPOINTS__{name}": url for name, url in hosts.items()},
        **more,
    }
    return {f"MISP2SENTINEL_{name}": value for name, value in values.items()}


def tenants(box: Sandbox, count: int) -> dict[str, str]:
    """Return the setting by which a site has so many destinations: customers, each with a client and a workspace."""
    destinations = [
        {
            "name": f"d{number}",
            "tenantId": f"a0000000-0000-4000-8000-{number:012d}",
            "id": f"b0000000-0000-4000-8000-{number:012d}",
            "secret": "made-up",
            "workspaceId": f"c0000000-0000-4000-8000-{number:012d}",
        }
        for number in range(count)
    ]
    for each in destinations:
        box.azure.add_customer(each["tenantId"], each["id"], each["secret"], each["workspaceId"])
    return {"MS_TENANTS": json.dumps(destinations)}


@contextmanager
def new_ledgers(*, postgresql: bool = False) -> Iterator[Callable[[], dict[str, str]]]:
    """Give what makes the setting of an empty ledger: a file of the site's, or a database of a PostgreSQL for this."""
    if not postgresql:
        yield dict
        return
    with running_server() as server:
        yield lambda: {"STATE_URL": server.new()}


@cache
def script(tree: Path = ROOT) -> str:
    """Return a tree's program, compiled as the installer leaves it: else some machines compile it in each run."""
    compileall.compile_dir(tree / "helpers", quiet=1)
    return str(tree / "script.py")


def run(box: Sandbox, settings: Mapping[str, str], *options: str) -> Measured:
    """Run once, and return what that took beside the run's own summary.

    ``whole_seconds`` is from the start of the process to its end, ``processor_seconds`` what it
    computed of that; the rest it waited, for the sandbox mostly.
    """
    return measured(box, [script(), "--json", *options], settings)


def measured(box: Sandbox, program: Sequence[str], environ: Mapping[str, str]) -> Measured:
    """Run a Python program that prints its summary as JSON; ``run`` says what is measured."""
    asked, uploaded, begin, before = len(box.misp.requests), len(box.azure.uploads), time.monotonic(), used()
    command = [sys.executable, *program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environ}) as process:  # noqa: S603
        peak = peak_megabytes(process)
        summary = json.loads(process.stdout.read()) if process.stdout else {}
    return {
        "whole_seconds": round(time.monotonic() - begin, 1),
        "processor_seconds": round(used() - before, 3),
        "peak_mb": round(peak, 1),
        "misp_requests": len(box.misp.requests) - asked,
        "uploads": len(box.azure.uploads) - uploaded,
        **summary,
    }


def peak_megabytes(process: subprocess.Popen[bytes]) -> float:
    """Return the highest sum of proportional set sizes of a process and its children while it lives."""
    root, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
            peak = max(peak, sum(member.memory_full_info().pss for member in family))
        except psutil.Error:
            break
        try:
            process.wait(SAMPLE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    return peak / 1_000_000


def parser(words: str | None) -> argparse.ArgumentParser:
    """Return the command line of a measurement, with the option that all have."""
    command_line = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    command_line.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured, as JSON")
    return command_line


OF_A_RUN = ("whole_seconds", "processor_seconds", "peak_mb", "misp_requests", "uploads", "exit_code")


def show(columns: Mapping[str, Measured], file: Path | None, names: Sequence[str] = OF_A_RUN) -> None:
    """Print a column for each run, and write all of it where that is asked for."""
    widths = [max(20, len(title) + 2) for title in columns]
    print(f"{'':<20}" + "".join(f"{title:>{width}}" for title, width in zip(columns, widths, strict=True)))
    for name in names:
        cells = zip(columns.values(), widths, strict=True)
        print(f"{name:<20}" + "".join(f"{column[name]:>{width},}" for column, width in cells))
    if file:
        file.write_text(json.dumps({"processors": os.cpu_count(), **columns}, indent=2) + "\n", encoding="utf-8")


def used() -> float:
    """Return the processor time of all child processes that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
