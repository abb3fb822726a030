"""The module of what misp-stix makes of plain values is what its command writes, so that it may be written again."""

from __future__ import annotations

from deploy.supply import templates


def test_the_module_that_is_here_is_what_the_command_writes():
    assert templates.module() == templates.FILE.read_text(encoding="utf-8")
