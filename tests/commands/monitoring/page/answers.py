"""What the ledger might answer, made by hand, for pages of every kind."""

from __future__ import annotations

from datetime import UTC, datetime

from constants import Skip
from helpers.commands.monitoring.holdings import HeldEvent, Holdings
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.report.contents import contents_of
from helpers.commands.monitoring.report.page import page_of
from helpers.commands.monitoring.verdict import verdict_of

NOW = int(datetime(2026, 11, 29, 5, 10, tzinfo=UTC).timestamp())
DAY = 86_400
KINDS = ("domain", "hash", "address", "url", "email", "network_traffic", "user_agent")
LONG = "an-organisation-whose-name-has-sixty-characters-and-no-spaces"
NAMES = (LONG, "منظمة الأمن السيبراني", "例示社 🛡️👩‍💻", "Example Bank", "")


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def run(number, **changes):
    """The run of so many nights ago."""
    row = {
        "at": moment(NOW - number * DAY),
        "kind": "plain",
        "exit_code": 0,
        "seconds": 12.5,
        **dict.fromkeys(("renewed", "again", "rejected", "pending", "withdrawals_rejected", "withdrawals_pending"), 0),
        **dict.fromkeys(("beside_sent", "beside_withdrawn"), 0),
        **{"new": 1_000 + number, "changed": number, "accepted": 1_000 + 2 * number, "withdrawn": 5 * (number % 3)},
        "live": {kind: 1_000 * (9 - place) - 10 * number for place, kind in enumerate(KINDS)},
        "cause": "",
    }
    return row | changes


def holdings(names=NAMES, **changes):
    counts = {
        "expiring": [number * 37 % 200 for number in range(30)],
        "tlp": {"white": 20_000, "green": 1_234_567, "amber": 400, "red": 3, "": 12},
        "confidence": {0: 1, 25: 300, 50: 90_000, 75: 1_000, 100: 20, -1: 5},
        "organisations": {name: 10 ** (6 - place) for place, name in enumerate(names)},
        "skips": {skip.name: 3 ** (9 - place) for place, skip in enumerate(list(Skip)[:8])},
        "held": [
            HeldEvent(f"10000000-0000-4000-8000-{n:012d}", names[n % len(names)], NOW - n * DAY) for n in range(9)
        ],
    }
    return Holdings(**{**counts, **changes})


def sightings(**changes):
    """What is known of alerts, the last reading of which went as these changes say."""
    counts = {"alerts": 1_204, "matches": 731, "written": 702, "there": 20, "refused": 1, "left_out": {"tlp": 8}}
    return {
        "configured": True,
        "read_until": moment(NOW - 3_600),
        "last_reading": {"at": moment(NOW - 3_500), "exit_code": 0, **counts, **changes},
        "states": {"waiting": 3, "writing": 0, "written": 14_702, "there": 20, "refused": 1, "left_out": 8},
    }


def destination(runs=30, **changes):
    """A destination with so many runs, or with these."""
    rows = [run(number) for number in range(runs)] if isinstance(runs, int) else runs
    known = {
        "workspace": "11111111-1111-4111-8111-111111111111",
        "sourcesystem": "MISP",
        "name": "",
        "in_settings": True,
        "live": 1_234_567,
        **dict.fromkeys(("pending", "in_flight", "waiting_withdrawals", "leaving", "refused_events"), 0),
        "rejected": 3,
        "rejections": {"The value is not a valid observable": 3},
        "leaving_reasons": {},
        "context": {"threat-actor": {"live": 1_041, "pending": 0, "rejected": 1, "kept_back": 0, "leaving": 0}},
        "sightings": sightings(),
        "held_events": 9,
        "last_run": {"at": rows[0]["at"], "exit_code": 0} if rows else None,
        "unfinished_since": None,
        "cut_off": False,
        "last_good_run": rows[0]["at"] if rows else None,
        "in_the_future": None,
        "runs": rows,
        "holdings": holdings(),
    }
    return known | changes


def answer(*destinations, **changes):
    known = {"version": "1.1.0", "destinations": list(destinations), "not_in_ledger": [], "max_age_hours": None}
    return known | {"late": False} | changes


def page(*destinations, **changes):
    """The page of these destinations."""
    watch, told = Watch(NOW + 7_200, UTC), answer(*destinations, **changes)
    return page_of(contents_of(told, verdict_of(told, watch), watch))


EMPTY = Holdings(expiring=[0] * 30, tlp={}, confidence={}, organisations={}, skips={}, held=[])


def failed():
    """A destination at which everything is to be looked at."""
    words = "401 Unauthorized: AADSTS7000222: The provided client secret keys are expired. Trace ID: 1, Timestamp: 2"
    broken = [run(0, exit_code=4, live={}, cause=words), *(run(number) for number in range(1, 30))]
    return destination(
        runs=0,
        last_run={"at": broken[0]["at"], "exit_code": 4, "failures": [words], "warnings": ["A clock was ahead."]},
        last_good_run=broken[1]["at"],
        unfinished_since=moment(NOW + 3_600),
        cut_off=True,
        pending=55,
        in_flight=12,
        leaving=2,
        refused_events=1,
        leaving_reasons={"event deleted, or no longer visible": 2},
        in_the_future=moment(NOW + 9 * DAY),
        in_settings=True,
        sightings=sightings(exit_code=4, failure=words),
    ) | {"runs": broken}


PAGES = {
    "one": lambda: page(destination()),
    "failed": lambda: page(failed()),
    "no-ledger": page,
    "no-run": lambda: page(destination(0, holdings=EMPTY, live=0, rejected=0, rejections={}, held_events=0)),
    "one-run": lambda: page(destination(1)),
    "three": lambda: page(*(destination(name=name) for name in NAMES[:3])),
}
