"""How time and memory grow with the number of indicators: a first run, one without changes, and one with few.

    python -m benchmarks.growth
    python -m benchmarks.growth --indicators 1000 10000 --into docs/performance.md

Events have 50 attributes each. In the run with changes, every attribute of one event in a hundred has another
comment. ``--into`` puts the table and the chart into a page, between its two comments that name this program.
Microsoft's limit is lifted. A million indicators take half an hour or more, and 8 GB for the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sandboxed import Measured, events, parser, run, show, site
from sandbox.serve import Sandbox

PER_EVENT = 50
ONE_IN = 100
SIZES = (10_000, 100_000, 1_000_000)
RUNS = {"first": "first run", "unchanged": "nothing changed", "changed": "1 % changed"}
PLACE = re.compile(r"(<!-- begin: benchmarks\.growth -->\n).*(<!-- end: benchmarks\.growth -->)", re.DOTALL)


def measure(indicators: int) -> dict[str, Measured]:
    """Run three times over so many indicators: to an empty workspace, once more, and after some changes."""
    count = max(1, indicators // PER_EVENT)
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(count, PER_EVENT))
        settings = site(box, Path(folder))
        measured = {"first": run(box, settings), "unchanged": run(box, settings)}
        change(box, count)
        measured["changed"] = run(box, settings)
        return {name: {"indicators": indicators, **columns} for name, columns in measured.items()}


def change(box: Sandbox, count: int) -> None:
    """Give every attribute of one event in a hundred another comment, and publish those events."""
    for event in events(max(1, count // ONE_IN), PER_EVENT):
        for attribute in event["Attribute"]:
            box.misp.edit_attribute(event["uuid"], attribute["uuid"], comment="looked at again")
        box.misp.publish(event["uuid"])


def page(measured: Mapping[int, Mapping[str, Measured]]) -> str:
    """Return the table and the charts in Markdown."""
    return "\n".join([*_table(measured), "", *_chart(measured), ""])


def _table(measured: Mapping[int, Mapping[str, Measured]]) -> Iterator[str]:
    yield "| indicators | run | time | processor | memory | MISP requests | sent | uploads |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for size, runs in measured.items():
        for name, title in RUNS.items():
            run_ = runs[name]
            took = f"{run_['whole_seconds']:,.0f} s | {run_['processor_seconds']:,.0f} s | {run_['peak_mb']:.0f} MB"
            asked = f"{run_['misp_requests']:,} | {run_['accepted']:,} | {run_['uploads']:,}"
            yield f"| {size:,} | {title} | {took} | {asked} |"


def _chart(measured: Mapping[int, Mapping[str, Measured]]) -> Iterator[str]:
    """Memory, and the time for 10,000 indicators of a first run: both would rise if anything grew too fast."""
    sizes = ", ".join(f'"{size:,}"' for size in measured)
    lines = {title: [runs[name]["peak_mb"] for runs in measured.values()] for name, title in RUNS.items()}
    yield from _xychart("Peak memory in MB: " + ", ".join(lines), sizes, list(lines.values()))
    yield ""
    first = [runs["first"]["whole_seconds"] * 10_000 / size for size, runs in measured.items()]
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
    command_line.add_argument("--indicators", type=int, nargs="+", default=list(SIZES))
    command_line.add_argument("--into", type=Path, metavar="PAGE")
    options = command_line.parse_args()
    if options.into:
        put_into(options.into.read_text(encoding="utf-8"), "")  # a page without a place says so before half an hour
    measured = {size: measure(size) for size in options.indicators}
    columns = {f"{size:,} {name}": run_ for size, runs in measured.items() for name, run_ in runs.items()}
    show(columns, options.json)
    if options.into:
        options.into.write_text(put_into(options.into.read_text(encoding="utf-8"), page(measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
