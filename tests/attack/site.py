"""A site in one process whose MISP can show anything, and what is live there against what MISP wants."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from unittest import mock

from helpers.microsoft import client
from sandbox.misp.app import create_app
from tests.attack.outcome import LOST, STALE, TAKEN, TWICE
from tests.support.in_process import Line, OneProcess
from tests.support.what_misp_wants import patterns

START = 1_790_100_000
HOUR = 3600
FILTERS = {"MISP_EVENT_FILTERS": '{"published": 1}', "DAYS_TO_EXPIRE": "3650", "DAYS_TO_EXPIRE_MAPPING": "{}"}
# A run of a few hundred objects takes seconds, on a busy machine too.
SECONDS = 60
# How many seconds an answer may take where answers are odd, which is minutes usually.
ANSWER = 2


def hurried():
    """Let no answer of Microsoft's take longer than a moment."""
    return mock.patch.object(client, "LIMITS", replace(client.LIMITS, answer_seconds=ANSWER))


class HostileSite(OneProcess):
    """``twists`` are what becomes of an event on its way out of MISP, by the event's UUID."""

    def __init__(self, state, **settings):
        # What comes and goes here in crowds is meant to: the guard against mistakes has tests of its own.
        super().__init__(state, START, **{"MAX_WITHDRAW_PERCENT": "100", **FILTERS, **settings})
        self.twists = {}
        self._misp_line = Line(twisted_app(self.misp, self.twists), self.life)
        self.watch = Watch()

    def attempt(self, outcome, what, *, seconds=SECONDS, **options):
        """Run an hour later; the exit code."""
        self.seconds += HOUR
        return outcome.attempt(what, lambda: self.run(**options).exit_code, seconds)

    def compare(self, outcome, what, wanted, allowed=frozenset()):
        """Count what is live and is not wanted, and the other way round."""
        self.watch.compare(outcome, what, self.live(), self.azure.objects(), wanted, allowed)


def twisted_app(misp, twists):
    """A MISP that shows each event as its twist makes it."""

    def twisted(response):
        response.headers.pop("X-Skipped-Elements-Count", None)  # what an older MISP does not say
        body = response.get_json(silent=True) if twists else None
        if isinstance(body, dict) and isinstance(body.get("response"), list):
            response.set_data(json.dumps(body | {"response": [_shown(row, twists) for row in body["response"]]}))
        elif isinstance(body, dict) and "Event" in body:
            response.set_data(json.dumps(_shown(body, twists)))
        return response

    app = create_app(misp)
    app.after_request(twisted)
    return app


def _shown(row, twists):
    event = row.get("Event") if isinstance(row, dict) else None
    twist = twists.get(event.get("uuid")) if isinstance(event, dict) else None
    return {**row, "Event": twist(event)} if twist else row


class Watch:
    """Remembers whose each id was: an id belongs for ever to one attribute or, ``by_value``, to one pattern."""

    def __init__(self, *, by_value=False):
        self.by_value = by_value
        self.owners = {}

    def compare(self, outcome, what, live, objects, wanted, allowed):
        """Count lost, stale, live twice and taken over; pairs are (attribute, pattern), ``allowed`` need not be."""
        wanted, allowed = ({self._key(*each) for each in pairs} for pairs in (wanted, allowed))
        by_key = Counter(self._key(*pair(object_)) for object_ in live.values())
        for missing in wanted - by_key.keys():
            outcome.note(LOST, f"{what}: {missing}")
        for extra in by_key.keys() - wanted - allowed:
            outcome.note(STALE, f"{what}: {extra}")
        for again in (key for key, number in by_key.items() if number > 1):
            outcome.note(TWICE, f"{what}: {again}")
        for id_, object_ in objects.items():
            key = self._key(*pair(object_))
            owner = self.owners.setdefault(id_, key)
            if owner != key:
                outcome.note(TAKEN, f"{what}: {id_} of {owner} is {key}'s now")
                self.owners[id_] = key

    def _key(self, attribute, pattern):
        return pattern if self.by_value else (attribute, pattern)


def pair(object_):
    """The attribute that an object names, and its pattern."""
    return object_["external_references"][0]["external_id"], object_["pattern"]


def flagged(events):
    """What well-formed events ask for: each observable of each attribute that is flagged, of those published."""
    return {
        (attribute["uuid"], pattern)
        for event in events
        if event["published"]
        for attribute in event["Attribute"]
        if attribute["to_ids"] and not attribute["deleted"]
        for pattern in patterns(attribute)
    }
