"""``kill -9`` at any moment; where the ledger is a PostgreSQL, its connections are ended at another one."""

from __future__ import annotations

from collections import Counter

import psycopg

from tests.attack.outcome import FAULT, LOST, STALE, TWICE
from tests.attack.site import flagged, pair
from tests.support.postgres import running_server
from tests.sync.cut_off.kill_trial import Trial, moments, sandbox

INDICATORS, BATCH, SECONDS = 200, 10, 60
KILLED = -9
END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"


def sqlite(outcome, chance, size, place):
    """Kill runs whose ledger is a file."""
    _attack(outcome, chance, size, place, None)


def postgresql(outcome, chance, size, place):
    """Kill runs whose ledger is a PostgreSQL, and end the connections of a further one."""
    with running_server() as server:
        _attack(outcome, chance, size, place, server)


def _attack(outcome, chance, size, place, server):
    expected = _expected(place, both=size > 1)
    for when, other in zip(moments(size, chance.random()), moments(size, chance.random()), strict=True):
        folder = place / str(outcome.tried)
        url = server.new() if server else ""
        outcome.begin(str(when))
        with sandbox() as box:
            _killed(outcome, Trial(box, folder, url, indicators=INDICATORS, batch=BATCH), when, other, expected, url)


def _expected(place, *, both):
    """How many requests a first run, and a later one too, make to either service."""
    with sandbox() as box:
        trial = Trial(box, place / "counted", indicators=INDICATORS, batch=BATCH)
        counts = {}
        for later in (False, True) if both else (False,):
            trial.count()
            trial.phase("clean")
            counts[later] = trial.requests
            trial.edit()
    return counts


def _killed(outcome, trial, when, other, expected, url):
    """Kill a run, end the connections of another one, let one come to its end, and look what is live."""
    if when.later:
        _phase(outcome, trial, "before", {0})
        trial.edit()
    trial.order(when, expected[when.later])
    _phase(outcome, trial, "killed", {0, 1, KILLED})
    if url:
        trial.at(other, expected[when.later], lambda: _end_connections(url))
        _phase(outcome, trial, "connections ended", {0, 1, 2, 3, 4, 5})
    trial.count()
    _phase(outcome, trial, "clean", {0})
    _verdict(outcome, trial.box, str(when))


def _phase(outcome, trial, name, codes):
    """Run, and count an end that is none of these."""
    ended = []

    def call():
        result = trial.host.run()
        ended.append(result)
        return result.returncode

    what = f"{outcome.now}, {name}"
    code = outcome.attempt(what, call, SECONDS)
    words = ended[-1].stderr.strip()[-300:] if ended else ""
    if code == 70:
        outcome.note(FAULT, f"{what}: {words}")
    elif code is not None and code not in codes:
        outcome.note(LOST, f"{what}: exit {code}: {words}")


def _verdict(outcome, box, what):
    """Everything that MISP wants is live, once, and nothing else."""
    live = Counter(map(pair, box.azure.live().values()))
    wanted = flagged(box.misp.events())
    for kind, found in (
        (LOST, wanted - live.keys()),
        (STALE, live.keys() - wanted),
        (TWICE, [key for key, number in live.items() if number > 1]),
    ):
        for key in sorted(found):
            outcome.note(kind, f"{what}: {key}")


def _end_connections(url):
    """End all connections to a database but this one; the request goes on."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_ALL, [connection.info.backend_pid])
    return False
