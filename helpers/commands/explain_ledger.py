"""What the ledger says of what somebody asks about: where it stands at one destination, or why it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from constants import TLP_MARKINGS, Skip
from helpers.commands import advice
from helpers.indicators import Unsendable, normalise
from helpers.ledger import (
    AttributeRecord,
    DestinationFacts,
    EventRecord,
    Found,
    LedgerDestination,
    ObjectRecord,
    Question,
    Stage,
)
from helpers.settings import Settings
from helpers.sync import DAY

Json = dict[str, Any]

_TLP = {marking: level for level, marking in TLP_MARKINGS.items()}
_STANDING = {
    Stage.PENDING: "waiting to be sent",
    Stage.SENDING: "sent, and not yet answered",
    Stage.REJECTED: "rejected by Microsoft",
    Stage.WITHDRAWING: "its withdrawal was sent, and not yet answered",
    Stage.WITHDRAWN: "withdrawn",
}
_AT_MICROSOFT = (Stage.PENDING, Stage.SENDING, Stage.REJECTED, Stage.WITHDRAWING)
_ADVICE = {
    Stage.PENDING: advice.NEXT_RUN,
    Stage.SENDING: advice.NEXT_RUN,
    Stage.WITHDRAWING: advice.NEXT_RUN,
    Stage.REJECTED: advice.RETRY,
}


@dataclass(frozen=True)
class LedgerView:
    """Answers for one destination."""

    settings: Settings
    place: LedgerDestination
    asked: Question
    now: int

    @cached_property
    def found(self) -> Found:
        """What the destination knows."""
        return self.place.find(self.asked)

    def answer(self) -> Json:
        """Return where everything that was found stands."""
        found = self.found
        return {
            "workspace": self.place.workspace,
            "sourcesystem": self.place.sourcesystem,
            "name": self.place.name_in(self.settings) or "",
            "in_settings": self.place.is_of(self.settings),
            "refused_withdrawals": list((self._facts.last_run or {}).get("refused_withdrawals", [])),
            "objects": [self._object(each) for each in found.objects],
            "skipped": [self._skipped(each) for each in found.attributes if each.skip],
            "halves_left_out": [half for each in found.attributes if not each.skip for half in self._left_out(each)],
            "event": self._event(found.event) if found.event else None,
        }

    @cached_property
    def _facts(self) -> DestinationFacts:
        return self.place.ledger.facts()

    @property
    def attributes(self) -> set[str]:
        """The attributes of what was found."""
        found = self.found
        known = {source.attribute for source in found.sources} | {each.uuid for each in found.attributes}
        sent = (self._origin(each, each.indicator) for each in found.objects)
        return known | {attribute for origin in sent for attribute in origin if attribute}

    @property
    def sent_events(self) -> set[str]:
        """The events, of those found, that are read whatever the time windows of the filters say."""
        found = self.found
        return set(found.events) | ({found.event.uuid} if found.event else set())

    # -- objects --------------------------------------------------------------------------------------

    def _object(self, each: ObjectRecord) -> Json:
        indicator = each.indicator
        origin = self._origin(each, indicator)
        return {
            "id": each.id,
            "standing": self._standing(each),
            "stage": str(each.stage),
            "life": each.life,
            "latest": each.life == max(other.life for other in self.found.objects if other.key == each.key),
            "accepted_at": iso(each.accepted_at),
            "sent_at": iso(each.sent_at),
            "valid_until": iso(each.valid_until),
            "why": each.leaving or ("" if each.stage in _AT_MICROSOFT else each.words),
            "microsoft": each.words if each.stage in _AT_MICROSOFT else "",
            "advice": self._advice(each),
            "refused": self._refused(each, set(origin.values())),
            "held": [held for event in origin.values() for held in self._held(event)],
            "from": [
                {"attribute": uuid, "event": event, "url": page(self.settings, event)} for uuid, event in origin.items()
            ],
            "pattern": each.pattern,
            "name": indicator.get("name"),
            "confidence": indicator.get("confidence"),
            "tlp": next((_TLP[ref] for ref in indicator.get("object_marking_refs", []) if ref in _TLP), None),
            "labels": indicator.get("labels", []),
            "object": indicator,
        }

    def _standing(self, each: ObjectRecord) -> str:
        if each.leaving and not each.revoked:
            return "to be withdrawn, and live until then"
        if each.stage == Stage.ACCEPTED:
            return "live" if each.live_until > self.now else "expired"
        before = ", and live as it was accepted before" if self._lives_on(each) else ""
        return f"{_STANDING[each.stage]}{before}"

    def _lives_on(self, each: ObjectRecord) -> bool:
        return each.live and each.accepted_at is not None and not each.revoked and each.live_until > self.now

    def _advice(self, each: ObjectRecord) -> str:
        if each.leaving and not each.revoked:
            return advice.WITHDRAW
        if each.stage == Stage.WITHDRAWN:
            return advice.for_leaving(each.words)
        if each.stage == Stage.ACCEPTED:
            return "" if each.valid_until > self.now else advice.ADVICE[Skip.EXPIRED]
        return _ADVICE[each.stage]

    def _refused(self, each: ObjectRecord, events: set[str]) -> list[Json]:
        """Name the events of a live object from which nothing was withdrawn, as a guard held it back."""
        if not each.live:
            return []
        refused = events & set(self._facts.refused_events)
        return [{"event": event, "advice": advice.REFUSED} for event in sorted(refused)]

    def _origin(self, each: ObjectRecord, indicator: Mapping[str, Any]) -> dict[str, str]:
        """Return the events of the attributes that an object came from, as last sent where nothing asks for it now."""
        origin = {source.attribute: source.event for source in self.found.sources if source.key == each.key}
        references: Iterable[Mapping[str, Any]] = indicator.get("external_references", [])
        sent = {str(each.get("external_id")): str(each.get("url")).rpartition("/")[2] for each in references}
        return origin or sent

    # -- attributes and events ------------------------------------------------------------------------

    def _skipped(self, each: AttributeRecord) -> Json:
        return {
            "attribute": each.uuid,
            "type": each.type,
            "value": each.value,
            "event": each.event,
            "url": page(self.settings, each.event),
            "held": self._held(each.event),
            **advice.on_skip(each.skip, each.words),
        }

    def _left_out(self, each: AttributeRecord) -> list[Json]:
        """Say why half of an attribute that was sent is not there."""
        try:
            value = normalise(each.type, each.value, send_private_and_cidr=self.settings.send_private_and_cidr)
        except Unsendable:
            return []
        return [
            {"attribute": each.uuid, "value": each.value, **advice.on_skip(half.reason.name, half.words)}
            for half in value.left_out
        ]

    def _event(self, event: EventRecord) -> Json:
        return {
            "event": event.uuid,
            "url": page(self.settings, event.uuid),
            "as_of": iso(event.timestamp),
            "published": event.published,
            "in_filters": event.listed,
            "settled": not event.todo,
            "objects": self.place.objects_of_event(event.uuid, self.now),
            "skipped": {
                name.lower(): {"count": count, **advice.on_skip(name, "")}
                for name, count in self.place.skips_of_event(event.uuid).items()
            },
            "held": self._held(event.uuid),
        }

    def _held(self, uuid: str) -> list[Json]:
        event = self.found.event if self.found.event and self.found.event.uuid == uuid else self.found.events.get(uuid)
        if event is None or event.held_since is None:
            return []
        until = event.held_since + self.settings.unpublished_grace_days * DAY
        return [{"event": uuid, "since": iso(event.held_since), "until": iso(until), "advice": advice.HELD}]


def page(settings: Settings, event: str) -> str:
    """Return the address of an event's page in MISP."""
    return f"{settings.misp_domain}/events/view/{event}"


def iso(moment: int | None) -> str | None:
    """Write seconds since 1970 as people and programs read them."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
