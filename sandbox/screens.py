"""Pictures of what people see: ``python -m sandbox.screens DIRECTORY`` makes an SVG of each screen.

Each is what a real pseudo-terminal got, at 80 and 120 columns, on dark and on light.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.misp.records import Record
from sandbox.place import COMMAND, SCRIPT, without_settings, write_config
from sandbox.samples import STORY, demo_misp
from sandbox.serve import Sandbox
from sandbox.terminal import Shown, in_terminal, styles

WIDTHS = (80, 120)
THEMES = {"dark": SVG_EXPORT_THEME, "light": DEFAULT_TERMINAL_THEME}
UPLOAD = "threat-intelligence-stix-objects:upload"


def nothing(_box: Sandbox) -> None:
    """Leave the sandbox as it is."""


def without_role(box: Sandbox) -> None:
    """Let Microsoft refuse every upload."""
    box.azure.allowed.clear()


def slow(box: Sandbox) -> None:
    """Let Microsoft ask to wait for three seconds after two requests, once."""
    box.azure.faults.add(Fault(UPLOAD, "status", status=429, headers={"Retry-After": "3"}, after=2))


def edited(box: Sandbox) -> None:
    """Change a value of a published event, and take another one back, as analysts do during a day."""
    urls = {event["uuid"]: _urls(event) for event in box.misp.events() if event["published"]}
    event, (first, second, *_) = next((uuid, found) for uuid, found in urls.items() if len(found) > 2)
    box.misp.edit_attribute(event, first, value="https://changed.example.org/login")
    box.misp.edit_attribute(event, second, to_ids="0")
    box.misp.publish(event)


def _urls(event: Record) -> list[str]:
    return [attribute["uuid"] for attribute in event["Attribute"] if attribute["type"] == "url"]


@dataclass(frozen=True)
class Scene:
    """A screen: which command makes it, what was done to the sandbox before, and what is typed.

    ``until`` are words with which the picture is taken, while the command still goes on. ``without`` says what is taken
    away before: the ledger, the objects in the workspace.
    """

    name: str
    arguments: Sequence[str] = ()
    prepare: Callable[[Sandbox], None] = nothing
    environ: dict[str, str] = field(default_factory=dict)
    typed: str = ""
    until: str = ""
    without: Sequence[str] = ()


# What the installed command says of itself (docs/install.md).
AS_INSTALLED = {"MISP2SENTINEL_COMMAND": COMMAND}
AFRESH = ("ledger", "objects")
NOBODY_THERE = {"MISP2SENTINEL_MISP_DOMAIN": "https://localhost:1"}
SMALL_REQUESTS = {"MISP2SENTINEL_MS_MAX_INDICATORS_REQUEST": "10"}
WRONG_SECRET = {"MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "no-such-secret"}
# In the order in which they are made: later ones find what earlier ones sent.
SCENES = (
    Scene("help", ["--help"]),
    Scene("check-well", ["check"]),
    Scene("check-wrong", ["check"], environ=WRONG_SECRET),
    Scene("dry-run", ["--dry-run"]),
    Scene("role-missing", prepare=without_role),
    Scene("status-after-failure", ["status"]),
    Scene("progress", prepare=slow, environ=SMALL_REQUESTS, until="asks to wait", without=AFRESH),
    Scene("first-run", without=AFRESH),
    Scene("quiet-night"),
    Scene("changes", prepare=edited),
    Scene("first-run-verbose", ["--verbose"], without=AFRESH),
    Scene("misp-down", environ=NOBODY_THERE),
    Scene("explain", ["explain", "c2.loader.example"]),
    Scene("explain-verbose", ["explain", "c2.loader.example", "--verbose"]),
    Scene("explain-unknown", ["explain", "unknown.example.org"]),
    Scene("status", ["status"]),
    Scene("share", ["share", str(STORY)]),
    Scene("convert-error", ["convert", "no-such-file.json"]),
    Scene("adopt", ["adopt"], without=["ledger"]),
    Scene("usage", ["chek"]),
    Scene("withdraw", ["withdraw", "--workspace", "{workspace}"], typed="n\n"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures and say where they are."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.screens", description="Pictures of every screen, as SVG.")
    parser.add_argument("directory", type=Path, help="where they go")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these of them; those before are still made")
    options = parser.parse_args(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    for columns in WIDTHS:
        with TemporaryDirectory(prefix="demo-") as directory:
            for scene, seen in played(SCENES, columns, Path(directory)):
                if scene.name in options.names or not options.names:
                    save(scene, seen, options.directory)
    return 0


def played(scenes: Sequence[Scene], columns: int, directory: Path) -> Iterator[tuple[Scene, Shown]]:
    """Play scenes in a terminal of so many columns, each after the other, and yield what each shows."""
    with Sandbox(AzureState(), demo_misp(time.time), directory=directory) as box:
        config = write_config(box, directory)
        for scene in scenes:
            words = [word.format(workspace=box.azure.workspace_id) for word in scene.arguments]
            told = replace(scene, arguments=words)
            yield told, shown(told, box, config, columns)


def shown(scene: Scene, box: Sandbox, config: Path, columns: int) -> Shown:
    """Play one scene."""
    if "objects" in scene.without:
        box.azure.remove(box.azure.objects(kind=None))
    if "ledger" in scene.without:
        for path in config.parent.glob("state/ledger.sqlite*"):
            path.unlink()
    scene.prepare(box)
    environ = {**_plain_environment(), "MISP2SENTINEL_CONFIG": str(config), **AS_INSTALLED, **scene.environ}
    seen = in_terminal([sys.executable, str(SCRIPT), *scene.arguments], columns=columns, env=environ, typed=scene.typed)
    box.azure.faults.clear()
    box.azure.allowed |= box.azure.workspaces
    return _stopped(seen, scene.until) if scene.until else seen


def _plain_environment() -> dict[str, str]:
    """Return this process's environment without settings, and without what decides about colours."""
    decides = ("NO_COLOR", "FORCE_COLOR", "TERM")
    return {name: value for name, value in without_settings(os.environ).items() if name not in decides}


def _stopped(seen: Shown, words: str) -> Shown:
    """Return what was seen when these words were last in the terminal."""
    end = seen.raw.rindex(words.encode())
    return Shown(seen.exit_code, seen.raw[: seen.raw.index(b"\x1b", end)], seen.columns, seen.rows)


def save(scene: Scene, seen: Shown, directory: Path) -> None:
    """Write a picture for each theme."""
    console = recorded(scene, seen)
    lines = f"{len(seen.lines)} line{'s' if len(seen.lines) != 1 else ''}"
    title = f"{scene.name}, {seen.columns} columns, {lines}, exit code {seen.exit_code}"
    for name, theme in THEMES.items():
        _write(console, directory / f"{scene.name}-{seen.columns}-{name}.svg", title, theme)


def recorded(scene: Scene, seen: Shown) -> Console:
    """Return a console in which the command and what it showed are recorded, with their colours."""
    console = Console(record=True, width=seen.columns, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ {shlex.join([COMMAND, *scene.arguments])}", style="bold"), soft_wrap=True)
    for line in seen.cells[: len(seen.lines)]:
        console.print(_text(line), soft_wrap=True)
    console.print()  # rich cuts the last line's feet off
    return console


def _write(console: Console, path: Path, title: str, theme: TerminalTheme) -> None:
    console.save_svg(str(path), title=title, theme=theme, clear=False)
    print(path)


def _text(line: Sequence[Char]) -> Text:
    """Return a line of the terminal with its colours."""
    text = Text()
    for style, cells in groupby(line, key=_style):
        text.append("".join(cell.data for cell in cells), style)
    text.rstrip()
    return text


def _style(cell: Char) -> Style:
    told = styles(cell)
    flags = {"bold", "dim", "underlined", "reversed"}
    colour = next(iter(told - flags), None)
    if colour and len(colour) == 6 and not set(colour) - set("0123456789abcdef"):
        colour = f"#{colour}"
    return Style(
        color=colour,
        bold="bold" in told,
        dim="dim" in told,
        underline="underlined" in told,
        reverse="reversed" in told,
    )


if __name__ == "__main__":
    sys.exit(main())
