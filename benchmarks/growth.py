"""How time and memory grow with the number of indicators: a first run, one without changes, and one with few.

    python -m benchmarks.growth
    python -m benchmarks.growth --sizes 1000 10000 10000x5 --into docs/performance.md

Events have 50 attributes each; ``10000x5`` are 10,000 of them in five destinations. In the run with changes, every
attribute of one event in a hundred has another comment. ``--into`` puts the table and the chart into a page, between
its two comments that name this program. Microsoft's limit is lifted. A million indicators take a quarter of an hour or
more, and 8 GB for the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.sandboxed import Measured, events, parser, run, show, site, tenants
from sandbox.serve import Sandbox

PER_EVENT = 50
ONE_IN = 100
RUNS = {"first": "first run", "unchanged": "nothing changed", "changed": "1 % changed"}
PLACE = re.compile(r"(<!-- begin: benchmarks\.growth -->\n).*(<!-- end: benchmarks\.growth -->)", re.DOTALL)


class Size(NamedTuple):
    """How many indicators go to how many destinations."""

    indicators: int
    destinations: int = 1

    @classmethod
    def of(cls, text: str) -> Size:
        """Return what the command line means by ``10000`` or ``10000x5``; raises ValueError for anything else."""
        return cls(*map(int, text.split("x")))

    def __str__(self) -> str:
        """Return it as the page says it."""
        more = f" in {self.destinations} destinations" if self.destinations > 1 else ""
        return f"{self.indicators:,}{more}"


SIZES = (Size(10_000), Size(100_000), Size(1_000_000), Size(100_000, 10))


def measure(indicators: int, destinations: int = 1, **more: str) -> dict[str, Measured]:
    """Run three times over so many indicators: to empty workspaces, once more, and after some changes.

    ``more`` are further settings, as ``site`` takes them.
    """
    count = max(1, indicators // PER_EVENT)
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(count, min(indicators, PER_EVENT)))
        settings = site(box, Path(folder), **tenants(box, destinations), **more)
        measured = {"first": run(box, settings), "unchanged": run(box, settings)}
        change(box, count)
        measured["changed"] = run(box, settings)
        return {name: {"indicators": indicators, **columns} for name, columns in measured.items()}


def change(box: Sandbox, count: int) -> None:
    """Give every attribute of one event in a hundred another comment, and publish those events."""
    for event in list(box.misp.events())[: max(1, count // ONE_IN)]:
        for attribute in event["Attribute"]:
            box.misp.edit_attribute(event["uuid"], attribute["uuid"], comment="looked at again")
        box.misp.publish(event["uuid"])


def page(measured: Mapping[Size, Mapping[str, Measured]]) -> str:
    """Return the table and the charts in Markdown."""
    return "\n".join([*_table(measured), "", *_chart(measured), ""])


def _table(measured: Mapping[Size, Mapping[str, Measured]]) -> Iterator[str]:
    yield "| indicators | run | time | processor | memory | MISP requests | sent | uploads |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for size, runs in measured.items():
        for name, title in RUNS.items():
            run_ = runs[name]
            took = f"{run_['whole_seconds']:,.0f} s | {run_['processor_seconds']:,.0f} s | {run_['peak_mb']:.0f} MB"
            asked = f"{run_['misp_requests']:,} | {run_['accepted']:,} | {run_['uploads']:,}"
            yield f"| {size} | {title} | {took} | {asked} |"


def _chart(measured: Mapping[Size, Mapping[str, Measured]]) -> Iterator[str]:
    """Memory, and the time for 10,000 indicators of a first run: both would rise if anything grew too fast."""
    single = {size: runs for size, runs in measured.items() if size.destinations == 1}
    sizes = ", ".join(f'"{size}"' for size in single)
    lines = {title: [runs[name]["peak_mb"] for runs in single.values()] for name, title in RUNS.items()}
    yield from _xychart("Peak memory in MB: " + ", ".join(lines), sizes, list(lines.values()))
    yield ""
    first = [runs["first"]["whole_seconds"] * 10_000 / size.indicators for size, runs in single.items()]
    yield from _xychart("Seconds of a first run for 10,000 indicators", sizes, [first])


def _xychart(title: str, sizes: str, lines: list[list[float]]) -> Iterator[str]:
    top = max(max(line) for line in lines) * 1.2
    yield from (
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f"    x-axis [{sizes}]",
        f"    y-axis 0 --> {top:.0f}",
    )
    for line in lines:
        yield f"    line [{', '.join(f'{value:.1f}' for value in line)}]"
    yield "```"


def put_into(text: str, content: str) -> str:
    """Return a page with what was made in its place. Raises ValueError when it has none."""
    if not PLACE.search(text):
        raise ValueError("the page has no comments of benchmarks.growth to put the table between")
    return PLACE.sub(lambda match: f"{match[1]}\n{content}\n{match[2]}", text)


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--sizes", type=Size.of, nargs="+", default=list(SIZES), metavar="INDICATORS")
    command_line.add_argument("--into", type=Path, metavar="PAGE")
    options = command_line.parse_args()
    if options.into:
        put_into(options.into.read_text(encoding="utf-8"), "")  # a page without a place says so before half an hour
    measured = {size: measure(*size) for size in options.sizes}
    columns = {f"{size} {name}": run_ for size, runs in measured.items() for name, run_ in runs.items()}
    show(columns, options.json)
    if options.into:
        options.into.write_text(put_into(options.into.read_text(encoding="utf-8"), page(measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
