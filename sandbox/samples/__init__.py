"""Samples: the project's own events, made recent, the clusters that they name, their MISP, and a story to share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.misp.app import MispState
from sandbox.misp.records import Record

EVENTS = Path(__file__).resolve().parent / "events"
CLUSTERS = EVENTS.with_name("clusters.json")
STORY = EVENTS.with_name("story.json")
AGE = 3600
EPOCHS = frozenset({"timestamp", "publish_timestamp"})
MOMENTS = frozenset({"first_seen", "last_seen"})
WARNINGLIST = frozenset({"www.example.org"})


def sample_events() -> list[Record]:
    """Give the sample events as they are stored."""
    return [json.loads(path.read_text(encoding="utf-8"))["Event"] for path in sorted(EVENTS.glob("*.json"))]


def recent(events: Iterable[Record], now: float) -> list[Record]:
    """Move all times of ``events`` by one span, so that the newest event is an hour old."""
    listed = list(events)
    newest = max((int(event["timestamp"]) for event in listed), default=0)
    delta = int(now) - AGE - newest
    return [_moved(event, delta) for event in listed]


def demo_misp(clock: Callable[[], float]) -> MispState:
    """Give a MISP with the sample events, what their tags name, and one common site on a warninglist."""
    state = MispState(recent(sample_events(), clock()), clock=clock)
    state.warninglist |= WARNINGLIST
    for cluster in json.loads(CLUSTERS.read_text(encoding="utf-8")):
        state.add_cluster(**cluster)
    return state


def _moved(value: Any, delta: int) -> Any:
    if isinstance(value, list):
        return [_moved(item, delta) for item in value]
    if isinstance(value, dict):
        return {name: _moved_field(name, item, delta) for name, item in value.items()}
    return value


def _moved_field(name: str, value: Any, delta: int) -> Any:
    if name in EPOCHS:
        return str(int(value) + delta) if int(value) else value
    if name in MOMENTS and value:
        moved = datetime.fromisoformat(value) + timedelta(seconds=delta)
        return moved.isoformat(timespec="microseconds")
    if name == "date":
        return (datetime.fromisoformat(value) + timedelta(seconds=delta)).date().isoformat()
    return _moved(value, delta)
