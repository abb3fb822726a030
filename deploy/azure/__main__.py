"""Writes the JSON files of this directory anew."""

from __future__ import annotations

from pathlib import Path

from deploy.azure.made import files

for name, content in files().items():
    (Path(__file__).parent / name).write_text(content, encoding="utf-8")
