"""The parts of the attack: what each tries, how much of it, and how long it may take. Each runs in a process."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from random import Random

from tests.attack.outcome import LATE, NEVER, Outcome

TO_END = 20


@dataclass(frozen=True)
class Part:
    """A function in ``tests``, how many things it tries, how many quickly, and its seconds: usual and quick."""

    function: str
    size: int
    quick: int
    seconds: int
    quick_seconds: int = 180


PARTS = {
    "values": Part("attack.values.attack", 5000, 150, 240),
    "events": Part("attack.events.attack", 300, 12, 240),
    "microsoft": Part("attack.services.microsoft", 60, 4, 240),
    "misp": Part("attack.services.misp", 60, 4, 240),
    "token": Part("attack.services.token", 60, 4, 240),
    "collect": Part("attack.stories.collected", 120, 8, 120),
    "share": Part("attack.stories.shared", 60, 4, 240),
    "adopt": Part("attack.adoption.attack", 300, 20, 120),
    "destinations": Part("attack.destinations.attack", 20, 2, 120),
    "sqlite": Part("attack.kills.sqlite", 30, 1, 400),
    "postgresql": Part("attack.kills.postgresql", 30, 1, 400),
}


def run(name, place, *, seed, quick):
    """Run a part in a process of its own, which is ended when its time is over; the figures."""
    part = PARTS[name]
    place.mkdir(parents=True)
    file = place / "figures.json"
    seconds = part.quick_seconds if quick else part.seconds
    size = part.quick if quick else part.size
    began = time.monotonic()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(part.function, size, seed, place))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    _end(process)
    figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _nothing()
    if late:
        figures["counts"][LATE] += 1
        figures["findings"].append(f"{LATE}: the part, more than {seconds} s, at: {figures['now']}")
    elif process.exitcode:
        figures["skipped"] = f"it ended with {process.exitcode}, at: {figures['now']}; see {place / 'errors'}"
    return figures | {"seconds": round(time.monotonic() - began, 1), "seed": seed}


def _nothing():
    return {"tried": 0, "counts": dict.fromkeys(NEVER, 0), "exit codes": {}, "findings": [], "now": ""}


def _work(function, size, seed, place):
    """What the process of a part does; what it says goes to a file, and SIGTERM lets it clean up."""
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (place / "errors").open("w", encoding="utf-8") as words:
        os.dup2(words.fileno(), 1)
        os.dup2(words.fileno(), 2)
    module, _, name = function.rpartition(".")
    outcome = Outcome(place / "figures.json")
    site = place / "site"
    site.mkdir()
    getattr(importlib.import_module(f"tests.{module}"), name)(outcome, Random(seed), size, site)
    outcome.save()


def _end(process):
    """End a process with everything that it started."""
    if process.is_alive():
        process.terminate()
        process.join(TO_END)
    if process.is_alive() and process.pid:
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def is_clean(figures):
    """Whether a part was tried and nothing came of it that must never be."""
    return bool(figures["tried"]) and not any(figures["counts"].values()) and "skipped" not in figures
