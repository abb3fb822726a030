"""How near many destinations come to Microsoft's limit: each to one of its own, or all to one that they share.

    python -m benchmarks.throughput
    python -m benchmarks.throughput --principals 1 --indicators 1000
    python -m benchmarks.throughput --workers 2

A first run of the same events to each destination. The sandbox's MISP and Azure are processes of their own, and Azure
refuses what is above a principal's limit, as the real one does. ``of_limit`` is of what a destination may send in its
full minutes, ``at_30_s`` its progress after half a minute beside the median's, ``held_by`` what kept it from more: the
limit, or a full machine, which is one with nearly no idle time, or a run that keeps a processor busy all the time, as
one process of Python can. The processors' time is that of the full minutes. With several workers each is a process that
takes a part of the destinations, with a ledger of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from benchmarks.ceiling import OK, PER_REQUEST, sustained
from benchmarks.sandboxed import Measured, events, parser, script, show
from sandbox.azure.app import RATE_WINDOW, AzureState
from sandbox.misp.app import MispState
from sandbox.serve import Sandbox

PER_EVENT = 50
THROTTLED = 429
HALF_A_MINUTE = 30.0
SAMPLE_SECONDS = 0.5
# A destination at so much of its limit is held by nothing else; so much of a processor, or of all, is all of it.
AT_THE_LIMIT, BUSY = 0.95, 0.9
OF_A_DESTINATION = ("of_limit", "at_30_s", "refused", "held_by")
OF_THE_RUN = (
    "whole_seconds",
    "processor_seconds",
    "peak_mb",
    "run",
    "misp",
    "azure",
    "others",
    "idle",
    "slowest",
    "slowest_at_30_s",
    "refused",
)

Upload = dict[str, Any]


@dataclass(frozen=True)
class Customer:
    """A destination: the client that writes there, which may be that of others too, and its workspace."""

    name: str
    client: str
    workspace: str
    tenant: str = "a0000000-0000-4000-8000-000000000001"
    secret: str = "made-up"  # noqa: S105  a fake

    @classmethod
    def of(cls, number: int, principals: int) -> Customer:
        """Return the destination of a number; so many principals share all."""
        client = f"b0000000-0000-4000-8000-{number % principals:012d}"
        return cls(f"d{number}", client, f"c0000000-0000-4000-8000-{number:012d}")


class Forgetful(AzureState):
    """An Azure that takes what the real one takes, and keeps none of it: memory is for what is measured."""

    def store(self, *_: Any) -> None:
        """Keep nothing: of a first run nothing was revoked before."""


class Sample(NamedTuple):
    """The processor time until a moment, in seconds: of the run, of both parts of the sandbox, and idle, of all."""

    at: float
    run: float
    misp: float
    azure: float
    idle: float


def serve_misp(pipe: Connection, indicators: int) -> None:
    """Be a MISP with so many indicators, until it is told to end; give its address and its CA's certificate."""
    state = MispState()
    state.load(events(indicators // PER_EVENT, PER_EVENT))
    with Sandbox(state_misp=state) as box:
        pipe.send((box.misp_url, box.ca_file, state.readonly_key))
        pipe.recv()


def serve_azure(pipe: Connection, customers: Sequence[Customer], limit: int) -> None:
    """Be an Azure with these customers; give its address and certificate, and what was uploaded when it is asked."""
    state = Forgetful()
    state.requests_per_minute = limit
    for customer in customers:
        state.add_customer(customer.tenant, customer.client, customer.secret, customer.workspace)
    with Sandbox(state) as box:
        pipe.send((box.azure_url, box.ca_file))
        pipe.recv()
        pipe.send(state.uploads)


@contextmanager
def beside(serve: Any, *arguments: Any) -> Iterator[tuple[Connection, psutil.Process]]:
    """Have something served by a process of its own; give what talks to it, and the process."""
    spawning = get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=serve, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here, psutil.Process(process.pid)
    finally:
        here.close()
        process.join(10)
        process.kill()


def measure(
    customers: Sequence[Customer], limit: int, indicators: int, workers: int = 1
) -> tuple[Measured, dict[str, Measured]]:
    """Run once, in so many processes; return what that took, and how each destination fared."""
    with (
        TemporaryDirectory() as folder,
        beside(serve_misp, indicators) as (misp, misp_process),
        beside(serve_azure, customers, limit) as (azure, azure_process),
    ):
        served = (misp.recv(), azure.recv())
        runs = [(part, site(Path(folder) / part, *served, customers, limit)) for part in parts(workers)]
        began = time.monotonic()
        peak, samples = watched(runs, misp_process, azure_process)
        whole = {"whole_seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak / 1e6, 1)}
        misp.send("end")
        azure.send("end")
        uploads = azure.recv()
    whole["processor_seconds"] = round(samples[-1].run, 1)
    principals = len({customer.client for customer in customers})
    return judged(uploads, samples, customers, limit * principals / len(customers), whole)


def parts(workers: int) -> list[str]:
    """Return the parts that so many workers take, as ``--part`` has them."""
    return [f"{number}/{workers}" for number in range(1, workers + 1)]


def site(
    state: Path, misp: Sequence[str], azure: Sequence[str], customers: Sequence[Customer], limit: int
) -> dict[str, str]:
    """Return the settings of a site with these destinations, as environment variables."""
    state.mkdir(parents=True)
    (state / "config.py").touch()
    tenants = [
        {
            "name": customer.name,
            "tenantId": customer.tenant,
            "id": customer.client,
            "secret": customer.secret,
            "workspaceId": customer.workspace,
        }
        for customer in customers
    ]
    values = {
        "CONFIG": str(state / "config.py"),
        "MISP_EVENT_FILTERS": '{"published": 1}',
        "MS_MAX_REQUESTS_MINUTE": str(limit),
        "MS_TENANTS": json.dumps(tenants),
        "STATE_DIR": str(state),
        **dict(zip(("MISP_DOMAIN", "MISP_VERIFYCERT", "MISP_KEY"), misp, strict=True)),
        **dict(zip(("MS_ENDPOINTS__UPLOAD", "MS_VERIFYCERT"), azure, strict=True)),
        "MS_ENDPOINTS__AUTHORITY": azure[0],
    }
    return {f"MISP2SENTINEL_{name}": value for name, value in values.items()}


def watched(
    runs: Sequence[tuple[str, Mapping[str, str]]], misp: psutil.Process, azure: psutil.Process
) -> tuple[int, list[Sample]]:
    """Run each part, and return the most memory that all had, in bytes, with samples of everybody's processor time."""
    command = [sys.executable, script(), "--json", "--part"]
    samples, peak = [], 0
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                psutil.Popen([*command, part], stdout=subprocess.DEVNULL, env={**os.environ, **environ})
            )
            for part, environ in runs
        ]
        used = dict.fromkeys(started, 0.0)
        while running := [process for process in started if process.poll() is None]:
            with suppress(psutil.Error):
                used |= {process: _used(process) for process in running}
                peak = max(peak, sum(process.memory_full_info().pss for process in running))
            own = (sum(used.values()), _used(misp), _used(azure), psutil.cpu_times().idle)
            samples.append(Sample(time.time(), *own))
            time.sleep(SAMPLE_SECONDS)
    if any(process.returncode for process in started):
        raise SystemExit(f"the runs ended with {[process.returncode for process in started]}")
    return peak, samples


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def judged(
    uploads: Sequence[Upload], samples: Sequence[Sample], customers: Sequence[Customer], limit: float, whole: Measured
) -> tuple[Measured, dict[str, Measured]]:
    """Say of each destination how much of its ``limit`` of requests a minute it used, and what held it back."""
    shares = processors(samples, uploads)
    full = shares["idle"] < 1 - BUSY or shares["run"] > BUSY
    ours = {customer.name: [one for one in uploads if one["workspace"] == customer.workspace] for customer in customers}
    half_a_minute = uploads[0]["time"] + HALF_A_MINUTE
    done = {
        name: sum(one["count"] for one in taken(mine) if one["time"] <= half_a_minute) for name, mine in ours.items()
    }
    middle = median(done.values())
    destinations = {
        name: {
            **against_limit(mine, limit, full=full),
            "at_30_s": round(done[name] / middle, 3) if middle else 0.0,
            "refused": sum(one["status"] == THROTTLED for one in mine),
        }
        for name, mine in ours.items()
    }
    of_all = {name: [column[name] for column in destinations.values()] for name in ("of_limit", "at_30_s", "refused")}
    slowest = {"slowest": min(of_all["of_limit"]), "slowest_at_30_s": min(of_all["at_30_s"])}
    return {**whole, **shares, **slowest, "refused": sum(of_all["refused"])}, destinations


def taken(uploads: Sequence[Upload]) -> list[Upload]:
    """Return the uploads that Azure took."""
    return [upload for upload in uploads if upload["status"] == OK]


def against_limit(uploads: list[Upload], limit: float, *, full: bool) -> Measured:
    """Return how much of a limit of requests a minute a destination used, and what held it back."""
    of_limit = sustained(uploads) / (limit * PER_REQUEST)
    held_by = "limit" if of_limit >= AT_THE_LIMIT else "machine full" if full else "waiting"
    return {"of_limit": round(of_limit, 3), "held_by": held_by}


def processors(samples: Sequence[Sample], uploads: Sequence[Upload]) -> dict[str, float]:
    """Return how many processors each used in the full minutes of uploading, or all of it; of ``idle``, the share."""
    begin, end = uploads[0]["time"], uploads[-1]["time"]
    end = begin + ((end - begin) // RATE_WINDOW * RATE_WINDOW or end - begin)
    first = next((sample for sample in reversed(samples) if sample.at <= begin), samples[0])
    last = next((sample for sample in samples if sample.at >= end), samples[-1])
    if first.at >= last.at:  # the uploads of a short run are between two samples
        first, last = samples[0], samples[-1]
    passed, count = last.at - first.at, os.cpu_count() or 1
    run, misp, azure, idle = ((after - before) / passed for before, after in zip(first[1:], last[1:], strict=True))
    others = max(0.0, count - run - misp - azure - idle)
    used = {"run": run, "misp": misp, "azure": azure, "others": others, "idle": idle / count}
    return {name: round(value, 2) for name, value in used.items()}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--destinations", type=int, default=20)
    command_line.add_argument("--principals", type=int, default=20)
    command_line.add_argument("--limit", type=int, default=100, help="requests a minute, of each principal")
    command_line.add_argument("--indicators", type=int, default=20_000, help="of each destination")
    command_line.add_argument("--workers", type=int, default=1)
    options = command_line.parse_args()
    customers = [Customer.of(number, options.principals) for number in range(options.destinations)]
    run, destinations = measure(customers, options.limit, options.indicators, options.workers)
    show({"all": run}, None, OF_THE_RUN)
    for name, column in destinations.items():
        print(f"{name:<8}" + "".join(f"{word.replace('_', ' '):>12} {column[word]}" for word in OF_A_DESTINATION))
    if options.json:
        options.json.write_text(json.dumps({"all": run, **destinations}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
