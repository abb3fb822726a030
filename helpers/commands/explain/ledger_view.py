"""What the ledger knows of what somebody asks about: where it stands at one destination, or why it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from constants import TLP_MARKINGS, Skip
from helpers.commands.explain import advice
from helpers.commands.explain.context.view import ContextView
from helpers.commands.explain.dates import iso_time
from helpers.commands.explain.sightings import seen_as_json
from helpers.commands.explain.state import LEAVING, MAY_BE_LIVE, State, newer_form_of, state_of
from helpers.indicators import DAY, Unsendable, Value, event_url, in_small_letters, normalise
from helpers.ledger import (
    WITHOUT_OUTCOME,
    AttributeRecord,
    ClusterLookup,
    DestinationFacts,
    EventRecord,
    Found,
    LedgerDestination,
    ObjectRecord,
    OriginLookup,
    Question,
    SightingLedger,
    Stage,
)
from helpers.settings import Settings

Json = dict[str, Any]

_TLP = {marking: level for level, marking in TLP_MARKINGS.items()}
_STANDING = {
    Stage.PENDING: "waiting to be sent",
    Stage.SENDING: "sent, and not yet answered",
    Stage.REJECTED: "rejected by Microsoft",
    Stage.WITHDRAWING: "its withdrawal was sent, and not yet answered",
    Stage.WITHDRAWN: "withdrawn",
    Stage.REVOKED: "revoked at Microsoft, by another hand than this program's",
}
_OF_STATE = {
    State.LEAVING: "to be withdrawn, and live until then",
    State.PERHAPS_LEAVING: "to be withdrawn, and perhaps live until then",
    State.NOT_WANTED: "to be withdrawn, and never taken",
    State.EXPIRED: "expired",
}
# An object at one of these has Microsoft's words, if it has any; at the others they say why it left.
_WORDS_ARE_MICROSOFTS = (Stage.PENDING, Stage.SENDING, Stage.REJECTED, Stage.WITHDRAWING, Stage.REVOKED)
_ADVICE = {
    Stage.PENDING: advice.NEXT_RUN,
    Stage.SENDING: advice.NEXT_RUN,
    Stage.WITHDRAWING: advice.NEXT_RUN,
    Stage.REJECTED: advice.RETRY,
    Stage.REVOKED: advice.NEXT_RUN,
}


@dataclass(frozen=True)
class LedgerView:
    """Answers for one destination; ``now`` is in seconds since 1970, ``clusters`` are MISP's, where some are known."""

    settings: Settings
    destination: LedgerDestination
    asked: Question
    now: int
    clusters: ClusterLookup | None = None

    @cached_property
    def matches(self) -> Found:
        """What the destination knows."""
        return self.destination.find(self.asked)

    def answer(self) -> Json:
        """Return where everything that was found stands."""
        skipped = [attribute for attribute in self.matches.attributes if attribute.skip]
        sent = [attribute for attribute in self.matches.attributes if not attribute.skip]
        return {
            "workspace": self.destination.workspace,
            "sourcesystem": self.destination.sourcesystem,
            "name": self.destination.name_in(self.settings) or "",
            "in_settings": self.destination.is_of(self.settings),
            "given_up": str((self._facts.last_run or {}).get("given_up") or ""),
            "blocked": self._facts.blocked,
            "refused_withdrawals": list((self._facts.last_run or {}).get("refused_withdrawals", [])),
            "objects": self._objects(),
            "context": self.context.answer(),
            "skipped": [self._skipped(attribute) for attribute in skipped],
            "halves_left_out": [half for attribute in sent for half in self._halves_left_out(attribute)],
            "event": self._event(self.matches.event) if self.matches.event else None,
            "sightings": self.sightings,
        }

    @cached_property
    def context(self) -> ContextView:
        """What is known of actors and techniques."""
        named = self.destination.settings_in(self.settings)
        return ContextView(self.destination.ledger, self.asked, self.now, named, self.clusters)

    @cached_property
    def _facts(self) -> DestinationFacts:
        return self.destination.ledger.facts()

    @property
    def attributes(self) -> set[str]:
        """The attributes of what was found."""
        of_sources = {source.attribute for source in self.matches.sources}
        of_objects = {uuid for record in self.matches.objects for _, uuid in self._origin(record) if uuid}
        return of_sources | of_objects | {attribute.uuid for attribute in self.matches.attributes}

    @cached_property
    def sightings(self) -> Json | None:
        """When alerts named what was found, and what stands of that in MISP; None where they never did."""
        seen = SightingLedger(self.destination.ledger).seen(self.attributes | self._former | self._of_event)
        named = self.destination.settings_in(self.settings)
        return seen_as_json(seen, named.sightings_source if named else None) if seen else None

    @property
    def _former(self) -> set[str]:
        """The attributes that had a part in what was found, and the one that was asked for, whatever became of it."""
        origins = OriginLookup(self.destination.ledger).of_ids(record.id for record in self.matches.objects)
        return {origin.attribute for origin in origins} | ({self.asked.uuid} - {""})

    @property
    def _of_event(self) -> set[str]:
        """The attributes of the event that was asked for, as far as something of them was sent."""
        sources = self.destination.ledger.sources_of_event(self.matches.event.uuid) if self.matches.event else ()
        return {source.attribute for source in sources}

    # -- objects --------------------------------------------------------------------------------------

    def _objects(self) -> list[Json]:
        pointed = self.context.of_indicators(self.matches.objects)
        left_out = self.context.left_out(self.matches.objects)
        return [
            {
                **self._object(record),
                "context": pointed.get(record.id, []),
                "context_left_out": record.live and record.key in left_out,
            }
            for record in self.matches.objects
        ]

    def _object(self, record: ObjectRecord) -> Json:
        indicator = record.indicator
        origin = self._origin(record)
        held = [hold for event in dict.fromkeys(event for event, _ in origin) for hold in self._held(event)]
        words_are_microsofts = record.stage in _WORDS_ARE_MICROSOFTS
        return {
            "id": record.id,
            "standing": self._standing(record),
            "state": str(state_of(record, self.now)),
            "newer_form": str(newer_form_of(record, self.now)),
            "stage": str(record.stage),
            "not_taken": record.not_taken,
            "life": record.life,
            "latest": record.life == max(other.life for other in self.matches.objects if other.key == record.key),
            "accepted_at": iso_time(record.accepted_at),
            "sent_at": iso_time(record.sent_at),
            "valid_until": iso_time(record.valid_until),
            "live_until": iso_time(record.live_until if record.live else None),
            "why": record.leaving or ("" if words_are_microsofts else record.words),
            "microsoft": record.words if words_are_microsofts else "",
            "advice": self._advice(record, held),
            "refused": self._refused(record, {event for event, _ in origin}),
            "held": held,
            "from": [
                {"attribute": uuid, "event": event, "url": event_url(self.settings.misp_domain, event)}
                for event, uuid in origin
            ],
            "pattern": record.pattern,
            "lowercase_twin": self._is_twin(record, {uuid for _, uuid in origin}),
            "value": record.value,
            "name": indicator.get("name"),
            "confidence": indicator.get("confidence"),
            "tlp": next((_TLP[ref] for ref in indicator.get("object_marking_refs", []) if ref in _TLP), None),
            "labels": indicator.get("labels", []),
            "object": indicator,
        }

    def _is_twin(self, record: ObjectRecord, attributes: set[str]) -> bool:
        """Whether an object is a URL in small letters that each of its attributes has in others."""
        if not record.pattern.startswith("[url") or in_small_letters(record.pattern):
            return False
        values = [self._value_of(known) for known in self.matches.attributes if known.uuid in attributes]
        texts = [value.text for value in values if value]
        return record.value not in texts and record.value in map(str.lower, texts)

    def _standing(self, record: ObjectRecord) -> str:
        state = state_of(record, self.now)
        if state in _OF_STATE:
            return _OF_STATE[state]
        if record.stage == Stage.ACCEPTED:
            return "live"
        before = ", and live as it was accepted before" if state is State.LIVE else ""
        unanswered = record.stage == Stage.PENDING and record.perhaps_taken
        standing = _STANDING[Stage.PENDING if record.not_taken else Stage.SENDING if unanswered else record.stage]
        return f"{standing}{before}"

    def _advice(self, record: ObjectRecord, held: Sequence[Json]) -> str:
        """Say what is to be done about an object, by what the ledger knows alone."""
        state = state_of(record, self.now)
        if state is State.WITHDRAWN:
            return advice.for_withdrawal(record.words)
        if state is State.EXPIRED:
            return advice.FOR_SKIP[Skip.EXPIRED]
        if not self.destination.is_of(self.settings):
            return "" if record.stage == Stage.ACCEPTED and not record.leaving else advice.NAME_IT
        if held:
            return advice.HELD if state in MAY_BE_LIVE else advice.PUBLISH
        if (blocked := self._facts.blocked) and record.stage in WITHOUT_OUTCOME:
            return f"it is {'withdrawn' if record.leaving else 'sent'} {blocked.once}"
        return advice.WITHDRAW if state in LEAVING else _ADVICE.get(record.stage, "")

    def _refused(self, record: ObjectRecord, events: set[str]) -> list[Json]:
        """Name the events of a live object from which nothing was withdrawn, as a guard held it back."""
        if not record.live:
            return []
        refused = events & set(self._facts.refused_events)
        return [{"event": event, "advice": advice.REFUSED} for event in sorted(refused)]

    def _origin(self, record: ObjectRecord) -> list[tuple[str, str]]:
        """Return an object's events, the one that owns it first, each with its attribute.

        Where nothing asks for the object now, they are those that it was last sent with.
        """
        if origin := sorted(
            (source.event, source.attribute) for source in self.matches.sources if source.key == record.key
        ):
            return origin
        references: Iterable[Mapping[str, Any]] = record.indicator.get("external_references", [])
        return [(str(ref.get("url")).rpartition("/")[2], str(ref.get("external_id"))) for ref in references]

    # -- attributes and events ------------------------------------------------------------------------

    def _skipped(self, attribute: AttributeRecord) -> Json:
        return {
            "attribute": attribute.uuid,
            "type": attribute.type,
            "value": attribute.value,
            "event": attribute.event,
            "url": event_url(self.settings.misp_domain, attribute.event),
            "held": self._held(attribute.event),
            **advice.skip_as_json(attribute.skip, attribute.words),
        }

    def _halves_left_out(self, attribute: AttributeRecord) -> list[Json]:
        """Say why half of an attribute that was sent is not there."""
        value, name = self._value_of(attribute), {"attribute": attribute.uuid, "value": attribute.value}
        left_out = value.left_out if value else ()
        return [{**name, **advice.skip_as_json(half.reason.name, half.words)} for half in left_out]

    def _value_of(self, attribute: AttributeRecord) -> Value | None:
        """Return an attribute's value as Sentinel compares it; None where it is not sent."""
        private_too = self.settings.send_private_and_cidr
        try:
            return normalise(attribute.type, attribute.value, send_private_and_cidr=private_too)
        except Unsendable:
            return None

    def _event(self, event: EventRecord) -> Json:
        skips = self.destination.skips_of_event(event.uuid)
        return {
            "event": event.uuid,
            "url": event_url(self.settings.misp_domain, event.uuid),
            "as_of": iso_time(event.timestamp),
            "published": event.published,
            "in_filters": event.listed,
            "settled": not event.todo,
            "objects": self.destination.objects_of_event(event.uuid, self.now),
            "skipped": {
                name.lower(): {"count": count, **advice.skip_as_json(name, "")} for name, count in skips.items()
            },
            "held": self._held(event.uuid),
        }

    def _held(self, uuid: str) -> list[Json]:
        """Say since when and until when an event is held; nothing when it is not."""
        event = (
            self.matches.event
            if self.matches.event and self.matches.event.uuid == uuid
            else self.matches.events.get(uuid)
        )
        if event is None or event.held_since is None:
            return []
        until = event.held_since + self.settings.unpublished_grace_days * DAY
        times = {"since": iso_time(event.held_since), "until": iso_time(until)}
        return [{"event": uuid, **times, "over": until <= self.now, "advice": advice.HELD}]
