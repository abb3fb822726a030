"""The workbook: which query is shown how, as Azure's workbooks want it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]

_SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
_WORKSPACES = "microsoft.operationalinsights/workspaces"
_DAY = 24 * 60 * 60 * 1000  # in milliseconds, as all of a workbook's durations
_RANGES = (1, 7, 14, 30, 90)
# A query's own value, which the workbook's parameter of the same name stands for.
_OWN_VALUE = re.compile(r'^let (source|value|price) = (@?)".*";$', re.MULTILINE)


@dataclass(frozen=True)
class Tile:
    """A query as it is shown: ``width`` in percent; ``days`` that it looks back, 0 for those that are chosen."""

    query: str
    title: str
    visualization: str = "table"
    width: int = 50
    days: int = 14


TILES = (
    Tile("newest-arrival", "Is it there, and since when is it silent?", width=100),
    Tile("live-by-kind", "Live indicators by kind", "barchart"),
    Tile("expiring", "What expires in the next 30 days", "barchart"),
    Tile("arrived-by-day", "Rows by day: sent, withdrawn, written again by Microsoft", "barchart", days=0),
    Tile("first-seen", "Indicators by the day on which they were first seen", "barchart", days=0),
    Tile("one-value", "Is this value there? (the parameter above)", width=100),
    Tile("cost-by-table", "Billed volume and cost by table, all sources", days=0),
    Tile("rows-by-source", "Rows and billed size by source", days=0),
    Tile("by-tlp-and-confidence", "Live indicators by TLP and confidence"),
    Tile("by-organisation", "Live indicators by the organisation that made the event"),
    Tile("by-tag", "Live indicators by tag"),
    Tile("actors-behind", "Live indicators with the actors and techniques that they point to", width=100),
    Tile("longest-silence", "The longest times without anything sent, in 90 days", days=90),
)


def workbook(queries: Mapping[str, str]) -> Json:
    """Return the workbook's JSON, with the queries by the names of their files."""
    shown = [_query(tile, queries[tile.query]) for tile in TILES]
    return {"version": "Notebook/1.0", "items": [_introduction(), _parameters(), *shown], "$schema": _SCHEMA}


def _introduction() -> Json:
    words = "## Indicators from MISP\nWhat MISP2Sentinel sent to this workspace. Live is what a rule can match now."
    return {"type": 1, "content": {"json": words}, "name": "introduction"}


def _parameters() -> Json:
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": [
            _time_range(),
            _text("source", "Source (setting sourcesystem)", "MISP"),
            _text("value", "One value", ""),
            _text("price", "Price for a GB", "0"),
        ],
        "style": "pills",
        "queryType": 0,
        "resourceType": _WORKSPACES,
    }
    return {"type": 9, "content": content, "name": "parameters"}


def _time_range() -> Json:
    choices = {"selectableValues": [{"durationMs": days * _DAY} for days in _RANGES], "allowCustom": True}
    chosen = {"durationMs": 30 * _DAY}
    return {**_parameter("range", "Time", 4), "isRequired": True, "typeSettings": choices, "value": chosen}


def _text(name: str, label: str, value: str) -> Json:
    return {**_parameter(name, label, 1), "value": value}


def _parameter(name: str, label: str, kind: int) -> Json:
    return {
        "id": str(uuid5(NAMESPACE_URL, name)),
        "version": "KqlParameterItem/1.0",
        "name": name,
        "label": label,
        "type": kind,
    }


def _query(tile: Tile, text: str) -> Json:
    chosen = {} if tile.days else {"timeContextFromParameter": "range"}
    content = {
        "version": "KqlItem/1.0",
        "query": _OWN_VALUE.sub(r'let \1 = \2"{\1}";', text),
        "size": 0,
        "title": tile.title,
        "timeContext": {"durationMs": tile.days * _DAY},
        **chosen,
        "queryType": 0,
        "resourceType": _WORKSPACES,
        "visualization": tile.visualization,
    }
    return {"type": 3, "content": content, "customWidth": str(tile.width), "name": tile.query}
