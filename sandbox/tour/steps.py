"""Steps: what the tour shows, in order, and whether it happened as its sentence says. Nothing here runs anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WRONG, RIGHT, SCANNER, LISTED = "203.0.113.17", "203.0.113.71", "192.0.2.44", "www.example.org"
SEEN = "198.51.100.23"
PAGE = "report.html"


@dataclass(frozen=True)
class Step:
    """One sentence for whoever watches, what the analyst does before, and what is typed then.

    ``edit`` is an attribute's value in MISP and what changes in it, ``alert`` a rule of Sentinel with the kind and the
    value of what it finds. The others are what follows: how many indicators or which patterns arrive in Sentinel and
    leave it, of which values MISP has new sightings, what the screen says, and which file is there.
    """

    sentence: str
    words: Sequence[str] = ()
    edit: tuple[str, Mapping[str, Any]] | None = None
    alert: tuple[str, str, str] | None = None
    arrive: int | Sequence[str] = 0
    leave: Sequence[str] = ()
    seen: Sequence[str] = ()
    says: str = ""
    makes: str = ""


@dataclass(frozen=True)
class Outcome:
    """What happened in a step: how the command ended and what it showed, and Sentinel's patterns before and after."""

    exit_code: int
    text: str
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    uploaded: int = 0
    seen: Sequence[str] = ()
    files: Sequence[str] = ()


STEPS = (
    Step(
        "The first night: what MISP has published and flagged for detection goes to Sentinel, and the rest is counted "
        "by the reason why not.",
        arrive=42,
        says="42 sent, 0 withdrawn, 23 skipped",
    ),
    Step(
        "The next night: nothing changed in MISP, so nothing is sent, and one line says so.",
        says="Nothing changed in MISP",
    ),
    Step(
        f"An analyst corrects {WRONG} to {RIGHT} in MISP and publishes that: the next run sends the new one, "
        "takes the old one back, and leaves the other 41 alone.",
        edit=(WRONG, {"value": RIGHT}),
        arrive=(f"[ipv4-addr:value = '{RIGHT}']",),
        leave=(f"[ipv4-addr:value = '{WRONG}']",),
        says="1 sent, 1 withdrawn, 1 skipped, 41 unchanged",
    ),
    Step(
        f"{SCANNER} turns out to be a customer's scanner, so the analyst takes its IDS flag away: it leaves Sentinel.",
        edit=(SCANNER, {"to_ids": False}),
        leave=(f"[ipv4-addr:value = '{SCANNER}']",),
        says="0 sent, 1 withdrawn",
    ),
    Step(
        f"A colleague misses {SCANNER} in Sentinel and asks why; explain knows.",
        ("explain", SCANNER),
        says="the attribute is not flagged to_ids",
    ),
    Step(
        f"Nor was {LISTED} ever there, though an event names it; that has another reason.",
        ("explain", LISTED),
        says="a warninglist holds the value",
    ),
    Step(
        "A story that the newsroom wrote becomes an event in MISP, published, its indicators flagged for detection.",
        ("share", "--to-ids", "--publish", "story.json"),
        says="1 created",
    ),
    Step(
        "The next run sends the three indicators that the story names.",
        arrive=(
            "[url:value = 'http://stage.example.net/a']",
            "[ipv4-addr:value = '198.51.100.23']",
            "[file:hashes.MD5 = '0123456789abcdef0123456789abcdef']",
        ),
        says="3 sent, 0 withdrawn",
    ),
    Step(
        f"A machine connects to {SEEN}, and a rule of Sentinel raises an alert: sightings tells MISP, and analysts see "
        "at the attribute that it was seen.",
        ("sightings",),
        alert=("TI map IP entity to Network Session Events (ASIM Network Session schema)", "ip", SEEN),
        seen=(SEEN,),
        says="1 written",
    ),
    Step(
        "How it stands, as one page that can be sent by mail to whoever asks.",
        ("report", PAGE),
        says="Report:",
        makes=PAGE,
    ),
)


def troubles(step: Step, outcome: Outcome) -> Iterator[str]:
    """Yield what did not happen as the step's sentence says, in words; nothing where all did."""
    if outcome.exit_code:
        yield f"the command ended with {outcome.exit_code}"
    if step.says not in " ".join(outcome.text.split()):  # however the terminal has wrapped it
        yield f"the screen does not say {step.says!r}"
    if step.makes and step.makes not in outcome.files:
        yield f"{step.makes} is not there"
    yield from _moved("arrived in Sentinel", step.arrive, outcome.after - outcome.before)
    yield from _moved("left Sentinel", step.leave, outcome.before - outcome.after)
    if list(outcome.seen) != list(step.seen):
        yield f"what MISP was told to be seen is {list(outcome.seen)}, not {list(step.seen)}"
    if outcome.uploaded != _expected(step):
        yield f"{outcome.uploaded} objects were uploaded, not {_expected(step)}"


def _moved(what: str, meant: int | Sequence[str], patterns: Counter[str]) -> Iterator[str]:
    is_so = patterns.total() == meant if isinstance(meant, int) else patterns == Counter(meant)
    if not is_so:
        yield f"what {what} is {sorted(patterns.elements())}, not {meant}"


def _expected(step: Step) -> int:
    """Return how many objects the run is to upload: what arrives and what leaves, and no other."""
    return (step.arrive if isinstance(step.arrive, int) else len(step.arrive)) + len(step.leave)
