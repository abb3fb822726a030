"""Makes the JSON files beside it of the queries and rules, the same ones each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from deploy.sentinel.templates import rules_template, workbook_template
from deploy.sentinel.workbook import workbook

_HERE = Path(__file__).parent


def files() -> dict[str, str]:
    """Return what is in each file, by its name."""
    shown = workbook(queries())
    made = {
        "workbook.json": shown,
        "workbook.template.json": workbook_template(shown),
        "rules.template.json": rules_template(rules()),
    }
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}


def queries() -> dict[str, str]:
    """Return the workbook's queries by the names of their files."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((_HERE / "queries").glob("*.kql"))}


def rules() -> dict[str, dict[str, Any]]:
    """Return the analytics rules by the names of their files."""
    paths = sorted((_HERE / "rules").glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}
