"""What actors, techniques and relationships cost beside the indicators: in a first run, and in later ones.

    python -m benchmarks.context
    python -m benchmarks.context --events ../events/*.json
    python -m benchmarks.context --destinations 5

Each way to set ``context`` has a workspace and a ledger of its own; ``nothing`` has no labels either. The made-up
events have 100 attributes each; a third of them name an actor or an intrusion set, a tenth ten techniques. For each
such tag MISP has a cluster of the size that real ones have, one tag in ten apart. After the first run comes one
without changes, one where every cluster has a newer version and nothing else, and one where every attribute of one
event in a hundred has another comment. ``misp_bytes`` is what MISP answered, ``sent_bytes`` the bodies of the uploads,
and ``ledger_bytes`` the file, vacuumed. Of ``--repeats`` tries of each run it is the one that took the least of the
processor. Microsoft's limit is lifted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.galaxies import add_clusters, tagged_events, update_galaxies
from benchmarks.growth import change
from benchmarks.ledger_size import size_of, vacuum
from benchmarks.sandboxed import OF_A_RUN, Measured, parser, run, show, site, tenants
from helpers.commands.convert import events_in
from helpers.context import ContextLevel, Kind
from helpers.settings import load
from sandbox.serve import Sandbox

PER_EVENT = 100
WAYS: Mapping[ContextLevel, Mapping[str, str]] = {
    ContextLevel.NOTHING: {"CONTEXT": "nothing", "ACTIVITY_GROUP_LABELS": "false"},
    ContextLevel.ACTORS: {},
    ContextLevel.TECHNIQUES: {"CONTEXT": "techniques"},
}
RUNS = ("first", "unchanged", "clusters moved", "1 % changed")
SHOWN = (*OF_A_RUN, "misp_bytes", "sent_bytes", *map(str, Kind), "ledger_bytes")


def measure(events: Iterable[dict[str, Any]], repeats: int = 1, destinations: int = 1) -> dict[str, Measured]:
    """Run four times each way; the columns are named by the way and the run."""
    published = [{**event, "published": True} for event in events]
    columns: dict[str, Measured] = {}
    for way, settings in WAYS.items():
        tries = [_runs(published, settings, destinations) for _ in range(repeats)]
        for name in RUNS:
            columns[f"{way}, {name}"] = min((one[name] for one in tries), key=lambda taken: taken["processor_seconds"])
    return columns


def _runs(events: Sequence[dict[str, Any]], settings: Mapping[str, str], count: int) -> dict[str, Measured]:
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events)
        add_clusters(box.misp, events)
        environ = site(box, Path(folder), **tenants(box, count), **settings)
        before = (lambda: None, lambda: None, partial(update_galaxies, box.misp), partial(change, box, len(events)))
        return {name: _one_run(box, environ, prepare) for name, prepare in zip(RUNS, before, strict=True)}


def _one_run(box: Sandbox, environ: Mapping[str, str], prepare: Callable[[], None]) -> Measured:
    prepare()
    answers, uploads = len(box.misp_exchanges), len(box.azure.uploads)
    taken = run(box, environ)
    sent = box.azure.uploads[uploads:]
    kinds = sum((upload["kinds"] for upload in sent), Counter[str]())
    return {
        **taken,
        "misp_bytes": sum(exchange.size for exchange in box.misp_exchanges[answers:]),
        "sent_bytes": sum(upload["bytes"] for upload in sent),
        **{str(kind): kinds[kind] for kind in Kind},
        "ledger_bytes": _vacuumed(load(None, environ).settings.ledger_url),
    }


def _vacuumed(address: str) -> int:
    vacuum(address)
    return size_of(address)


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--indicators", type=int, default=10_000, help="in made-up events of 100 attributes")
    command_line.add_argument("--destinations", type=int, default=1)
    command_line.add_argument("--repeats", type=int, default=1)
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of those")
    options = command_line.parse_args()
    made_up = tagged_events(options.indicators // PER_EVENT, PER_EVENT)
    read = [event for path in options.events or [] for event in events_in(path)]
    show(measure(read or made_up, options.repeats, options.destinations), options.json, SHOWN)


if __name__ == "__main__":
    main()
