"""Pictures for the docs: ``python -m tests.project.site.pictures`` makes those of ``docs/pictures`` anew.

Commands are played in a terminal against the sandbox, the report page is looked at in Chromium, and diagrams are drawn
by Graphviz from the text that lies beside them in ``docs/diagrams``. It takes a minute or two.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from sandbox.screens import COMMAND, Scene, played, recorded
from sandbox.terminal import Shown
from tests.commands.monitoring.page import pictures as report
from tests.project.site import diagrams

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 80
# In the order in which they are played: each finds what those before it left.
SCENES = (
    Scene("check", ["check"]),
    Scene("run"),
    Scene("explain", ["explain", "10.20.30.40", "c2.loader.example"]),
    Scene("status", ["status"]),
)
SVG = "{http://www.w3.org/2000/svg}"
# Rich's own asks another host for a font, and has no words for those who do not see it.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" role="img" aria-label="TITLE" xmlns="http://www.w3.org/2000/svg">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def screens() -> Iterator[tuple[Scene, Shown]]:
    """Play the commands against a sandbox that is there for as long as they run."""
    with TemporaryDirectory(prefix="demo-") as directory:
        for scene, seen in played(SCENES, COLUMNS, Path(directory)):
            raw = seen.raw.replace(directory.encode(), b"~/demo")
            yield scene, Shown(seen.exit_code, raw, seen.columns, seen.rows)


def picture(scene: Scene, seen: Shown) -> str:
    """Return what a terminal showed, as SVG on dark, which is readable on a light page too."""
    title = " ".join(["A terminal after", COMMAND, *scene.arguments])
    text = recorded(scene, seen).export_svg(title="", code_format=FORMAT.replace("TITLE", title), unique_id=scene.name)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def words(svg: str) -> str:
    """Return what stands in a picture of a terminal, line by line."""
    lines: dict[float, list[tuple[float, str]]] = defaultdict(list)
    for part in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        if "clip-path" in part.attrib:  # what stands in the terminal, and not in its frame
            lines[float(part.attrib["y"])].append((float(part.attrib["x"]), part.text or ""))
    return "\n".join("".join(text for _, text in sorted(lines[y])).replace("\xa0", " ").rstrip() for y in sorted(lines))


def main() -> None:
    """Make all of them, and say where they are."""
    for scene, seen in screens():
        (PICTURES / f"{scene.name}.svg").write_text(picture(scene, seen), encoding="utf-8")
    for path in diagrams.TEXTS:
        path.with_suffix(".svg").write_text(diagrams.drawn(path), encoding="utf-8")
    with TemporaryDirectory() as directory:
        report.main(Path(directory))
        (PICTURES / "report.png").write_bytes((Path(directory) / "report.png").read_bytes())
    print(f"{PICTURES} and docs/diagrams have today's pictures. git diff says what changed.")


if __name__ == "__main__":
    main()
