"""Reads the alerts of one destination, and writes down what they matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from constants import NotSighted
from helpers.ledger import Ledger, Occasion, Origin, OriginLookup, SightingLedger, SightingRecord, SightingWindow
from helpers.microsoft import AlertWindow, FalsePositive, LogsApi
from helpers.settings import Settings
from helpers.sync.sightings.deciding import (
    Decided,
    Match,
    Matches,
    Rules,
    decide,
    false_positives,
    incident_name,
    matches_of,
    occasions_of,
    retried,
)
from helpers.sync.sightings.naming import ID, Naming, naming_of
from helpers.sync.sightings.report import SightingsReport
from helpers.sync.sightings.window import Window, moved, window_of
from helpers.text import moment_text

_EMPTY = (
    "The ledger has no indicator of this destination yet, so no alert is read: let a run go before, then look back "
    "once, with --since 24h."
)
_GAP = "Alerts were last read until {}, and are read of the last two weeks only: those between are lost."


@dataclass(frozen=True)
class AlertReading:
    """What the alerts of one destination matched; ``now`` is in seconds since 1970.

    ``listed`` says which values are on MISP's warninglists.
    """

    settings: Settings
    ledger: Ledger
    api: LogsApi
    listed: Callable[[Iterable[str]], set[str]]
    report: SightingsReport
    now: int

    def read(self, asked: int = 0) -> None:
        """Read what came since the last time, or ``asked`` seconds back, and write down what it matched.

        Who asks has those tried again that MISP refused. Raises MicrosoftError and MispError, after which the next
        reading begins where this one did.
        """
        known, sightings = SightingLedger(self.ledger), self.settings.misp_sightings
        if self.ledger.empty:
            self.report.warnings.append(_EMPTY)
            return
        before = known.window()
        window = window_of(self.now, before.until, asked)
        self._note(window)
        for part in self.api.alerts(window.since, window.until):
            self._take(known, part, retry=bool(asked))
        if sightings.false_positives:
            for verdicts in self.api.verdicts(window.since, window.until):
                self.report.unreadable += verdicts.unreadable
                self._take_verdicts(known, verdicts.verdicts)
        known.keep_window(SightingWindow(moved(before.until, window), before.report))

    def _note(self, window: Window) -> None:
        self.report.since, self.report.until = window.since, window.until
        if window.unread:
            self.report.warnings.append(_GAP.format(moment_text(window.unread)))

    def _take(self, known: SightingLedger, part: AlertWindow, *, retry: bool) -> None:
        """Write down what the alerts of a part of the window matched."""
        naming = naming_of(part.hits, self.settings.misp_sightings.rules)
        found = matches_of(naming.named, self._origins(naming))
        self._count(part, naming, found)
        rules = Rules(self.settings.misp_sightings.max_tlp, self._on_warninglists(found.matches))
        names = known.known(occasions_of(found.matches, self.now))
        names = retried(names) if retry else names
        earlier = known.known_matches(match.named.alert for match in found.matches)
        again = {(alert, attribute) for alert, attributes in earlier.items() for attribute in attributes}
        decided = decide(found.matches, rules, names, again, self.now)
        known.keep(decided.matches, decided.sightings.values())
        self._count_decided(decided, sum(alert not in earlier for alert, _ in found.too_many))

    def _count_decided(self, decided: Decided, too_many: int) -> None:
        self.report.matches += len(decided.matches) + too_many
        self.report.there += decided.there.total()
        self.report.left_out += decided.left_out + Counter({NotSighted.TOO_MANY: too_many})

    def _origins(self, naming: Naming) -> list[Origin]:
        lookup = OriginLookup(self.ledger)
        by_value = lookup.of_values(naming.values, in_patterns=self.settings.graph)
        return by_value if self.settings.graph else [*lookup.of_ids(naming.ids), *by_value]

    def _on_warninglists(self, matches: Iterable[Match]) -> set[str]:
        values = {match.named.value for match in matches if match.named.kind != ID}
        return self.listed(values) if values else set()

    def _count(self, part: AlertWindow, naming: Naming, found: Matches) -> None:
        self.report.alerts += len({hit.alert for hit in part.hits})
        self.report.other_rules += naming.others
        self.report.unreadable += part.unreadable + naming.odd
        self.report.unknown += found.unknown
        self.report.left_out += Counter({NotSighted.PRIVATE: naming.private})

    def _take_verdicts(self, known: SightingLedger, verdicts: Iterable[FalsePositive]) -> None:
        """Write down which attributes turned out to be false positives."""
        these = list(verdicts)
        seen = known.of_alerts(verdict.alert for verdict in these)
        names = {
            Occasion(record.attribute, incident_name(verdict.incident))
            for verdict in these
            for record in seen.get(verdict.alert, ())
        }
        new: list[SightingRecord] = list(false_positives(these, seen, known.known(names), self.now))
        known.keep([], new)
