"""Every number that Prometheus gets: what it is called, what it means, and its labels. Pure.

Each is a gauge, since the ledger forgets: nothing in it only grows. Names and units are as Prometheus asks for
(https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PREFIX = "misp2sentinel_"


class Measure(NamedTuple):
    """What one metric means, for its HELP, and the labels that it has beside ``destination``."""

    words: str
    labels: tuple[str, ...] = ()
    of_destination: bool = True

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The names of its labels, in their order."""
        return (*(["destination"] if self.of_destination else []), *self.labels)


# By the name without the prefix.
MEASURES: Mapping[str, Measure] = {
    "build_info": Measure("The version that wrote these numbers; always 1.", ("version",), of_destination=False),
    "destination_info": Measure("A destination that the settings name; always 1."),
    "last_run_timestamp_seconds": Measure("When the last whole run was."),
    "last_good_run_timestamp_seconds": Measure("When the last whole run was that ended with exit code 0."),
    "last_full_run_timestamp_seconds": Measure("When everything was last read again."),
    "last_run_duration_seconds": Measure("How long the last whole run took."),
    "last_run_exit_code": Measure("What the last whole run ended with: 0 done, 1 not all of it, 2 and more failed."),
    "run_cut_off": Measure("Whether a whole run began after it that never came to its end: 1, else 0."),
    "last_run_indicators": Measure("Indicators of the last whole run, by what became of them.", ("outcome",)),
    "last_run_planned_indicators": Measure("Indicators that the last whole run had to send, by why.", ("plan",)),
    "last_run_events": Measure("Events that the last whole run read."),
    "last_run_attributes": Measure("Attributes that the last whole run decided on."),
    "last_run_skipped_attributes": Measure("Attributes that the last whole run skipped, by why.", ("reason",)),
    "last_run_requests": Measure("Requests that the last whole run sent to Microsoft."),
    "last_run_refusals": Measure("How often a guard held withdrawals back in the last whole run."),
    "live_indicators": Measure("Indicators that Sentinel matches, or may match."),
    "live_indicators_by_kind": Measure("Live indicators by what they are.", ("kind",)),
    "live_indicators_by_tlp": Measure("Live indicators by their TLP.", ("tlp",)),
    "expiring_indicators": Measure("Live indicators that end within so many days.", ("within",)),
    "pending_indicators": Measure("Indicators that Microsoft has not taken yet, by what is to be done.", ("action",)),
    "in_flight_indicators": Measure("Indicators without an answer, by what was asked for.", ("action",)),
    "rejected_indicators": Measure("Indicators that Microsoft rejected."),
    "leaving_indicators": Measure("Indicators that are to be withdrawn, and that nothing withdraws yet."),
    "context_objects": Measure(
        "Actors, techniques, organisations and relationships beside the indicators, by where they stand.",
        ("kind", "state"),
    ),
    "sightings": Measure("Sightings of what alerts matched in 90 days, by what became of them in MISP.", ("state",)),
    "sightings_read_until_timestamp_seconds": Measure("Until when alerts were read."),
    "last_sightings_exit_code": Measure("What the last reading of alerts ended with: 0 done, 2 and more failed."),
    "last_sightings_alerts": Measure("Alerts of that reading that name something which may be an indicator."),
    "last_sightings_matches": Measure("New matches of an alert and an attribute that it found."),
    "skipped_attributes": Measure("Attributes that are not sent as it stands, by why.", ("reason",)),
    "held_events": Measure("Events that wait for being published again, or are out of sight."),
    "oldest_held_event_timestamp_seconds": Measure("Since when the event is held that is held longest."),
    "refused_events": Measure("Events of which a guard lets nothing go."),
    "credential_expiry_timestamp_seconds": Measure("When what a run signs in with expires.", ("credential",)),
}
