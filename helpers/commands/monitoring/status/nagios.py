"""``status --nagios``: what Nagios, Icinga and their relatives read of all destinations. Pure.

What a monitor is given travels on, in mail too: causes are in words of this program alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from helpers.commands.explain.ledger_view import Json
from helpers.commands.monitoring.moments import Watch, seconds_of
from helpers.commands.monitoring.told.own_words import in_own_words
from helpers.commands.monitoring.verdict import NO_LEDGER, verdict_of
from helpers.commands.screen import Service, Tone, service_line

_COUNTS = {"live": "live", "pending": "pending", "rejected": "rejected", "held": "held_events"}
_STATES = {Tone.GOOD: Service.OK, Tone.ODD: Service.WARNING, Tone.BAD: Service.CRITICAL}


def service_of(answer: Json, watch: Watch) -> tuple[Service, str]:
    """Return the state of all destinations of the settings, and the line for it."""
    if not answer["destinations"]:
        return Service.UNKNOWN, service_line(Service.UNKNOWN, NO_LEDGER)
    said = verdict_of(in_own_words(answer), watch)
    state = _STATES[said.tone]
    words = " ".join([said.words, *said.more]).removeprefix("OK. ").removeprefix("OK, but ")
    ours = [known for known in answer["destinations"] if known["in_settings"]]
    return state, service_line(state, words, list(_measured(ours, answer["max_age_hours"], watch)))


def _measured(ours: Sequence[Json], max_age_hours: float | None, watch: Watch) -> Iterator[str]:
    """Yield what is counted at all destinations together, and how old the oldest last good run is, in seconds."""
    for label, name in _COUNTS.items():
        yield f"'{label}'={sum(known[name] for known in ours)};;;0"
    runs = [known["last_good_run"] for known in ours]
    age = "U" if not runs or None in runs else f"{max(0, watch.now - min(map(seconds_of, runs)))}s"
    limit = "" if max_age_hours is None else f"{max_age_hours * 3600:.0f}"
    yield f"'age'={age};;{limit};0"
