"""Fill an empty ledger from what Sentinel holds, so that the first run sends and withdraws only what differs.

An object is MISP's when its id or an external reference names an attribute that MISP shows. The others are
recorded too, so that no id of theirs is used again, and stay where they are unless they are to be withdrawn. What
stands beside indicators is ``context.py``'s.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from constants import TLP_MARKINGS, AdoptionKind, WithdrawalReason
from helpers.commands.adopt.context import ContextAdoption, whole
from helpers.commands.run import show_report
from helpers.commands.screen import question
from helpers.commands.screen.question import Withdrawn
from helpers.commands.withdraw import Withdrawal
from helpers.context import ContextLevel
from helpers.errors import LedgerError, MispError, NoLedger, SettingsError
from helpers.indicators import (
    ConversionRules,
    Indicator,
    PreparedAttribute,
    Tags,
    Value,
    from_text,
    read_tags,
    seconds,
    stix_time,
    stix_uuid,
    text_of,
    tlp_level,
)
from helpers.ledger import (
    AttributeRecord,
    EventRecord,
    Ledger,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
    one_live_object,
    packed,
)
from helpers.microsoft import NAMES, Clock, ManagementApi, api_for
from helpers.misp import MispReader
from helpers.process import interrupts
from helpers.settings import Settings, default_tlp, variable
from helpers.sync import (
    VALUE_NAMESPACE,
    DesiredObject,
    ObjectWishes,
    Report,
    attribute_key,
    make_state_dir,
    named,
    opened,
    value_in,
    value_key,
)
from helpers.text import batched, listed, shorten

BATCH = 500
MOST_LIVES = 1000

_NOT_EMPTY = (
    "The ledger holds objects of this destination already: adopt fills an empty one only. To start from scratch, name "
    "another state_url, or move the ledger away; nothing in Sentinel is lost by that."
)
_TIMES = {
    "created": "1970-01-01T00:00:00.000Z",
    "modified": "1970-01-01T00:00:00.000Z",
    "valid_from": "1970-01-01T00:00:00.000Z",
    "valid_until": "9999-12-31T23:59:59.000Z",
}
# What an indicator's lists hold, and which other fields are texts; whatever is something else counts as missing.
_PHASE = ("kill_chain_name", "phase_name")
_LISTS: Mapping[str, Callable[[Any], bool]] = {
    "indicator_types": lambda entry: isinstance(entry, str),
    "labels": lambda entry: isinstance(entry, str),
    "kill_chain_phases": lambda entry: isinstance(entry, dict) and all(isinstance(entry.get(n), str) for n in _PHASE),
    "external_references": lambda entry: isinstance(entry, dict),
}
# An indicator without any of them has no such list (STIX 2.1, section 2.9).
_LEFT_OUT_WHEN_EMPTY = frozenset({"labels", "kill_chain_phases"})
_TEXTS = ("name", "description", "pattern_type", "spec_version")


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Take over one destination, show what was done and return the exit code; withdrawals are asked about first."""
    destinations, force_withdraw = settings.destinations(arguments.workspace), arguments.force_withdraw
    if arguments.withdraw_unmatched and question.is_to_be_asked(settings, arguments):
        question.say_that_it_reads_twice()
        dry = [only.model_copy(update={"dry_run": True, "write_parsed_indicators": False}) for only in destinations]
        seen = adopt(dry, withdraw_unmatched=True, force_withdraw=force_withdraw, line=None)
        question.ask([Withdrawn.of(seen, dry[0])])
    report = adopt(
        destinations,
        withdraw_unmatched=arguments.withdraw_unmatched,
        force_withdraw=force_withdraw,
        line=say if arguments.list else None,
    )
    show_report(report, settings, arguments)
    return report.exit_code


def adopt(
    destinations: Sequence[Settings],
    *,
    withdraw_unmatched: bool,
    force_withdraw: bool,
    line: Callable[[str], None] | None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> Report:
    """Fill the ledger of one destination, all of it or nothing.

    ``withdraw_unmatched`` withdraws what is not MISP's; that may be asked for later as well, and with
    ``force_withdraw`` the guard lets it through. ``line`` is told each object, ``now`` gives seconds since 1970.
    Raises SyncError; what becomes of withdrawals is in the report.
    """
    settings = _only(destinations)
    _refuse_missing(settings)
    if not settings.keeps_ledger:
        raise NoLedger
    make_state_dir(settings)
    clock, moment, started = clock or Clock(), int(now()), time.monotonic()
    report = Report(command="adopt", dry_run=settings.dry_run, line=line)
    with opened(settings) as ledger, ledger.hold_lock(settings.state_path):
        if ledger.empty:
            adoption = Adoption(settings, ledger, MispReader(settings, clock.sleep), report, moment)
            adoption.take(ManagementApi(settings, clock))
        elif not (withdraw_unmatched and ledger.facts().adopted_at):
            raise LedgerError(_NOT_EMPTY)
        if withdraw_unmatched:
            command = ("adopt", *named(settings), "--withdraw-unmatched")
            withdrawal = Withdrawal(settings, ledger, report, clock, moment, force_withdraw, command)
            withdrawal.withdraw(
                ledger.without_source(WithdrawalReason.NOT_IN_MISP, moment), WithdrawalReason.NOT_IN_MISP
            )
    report.seconds = time.monotonic() - started
    return report


def _only(destinations: Sequence[Settings]) -> Settings:
    if len(destinations) > 1:
        names = ", ".join(destination.name for destination in destinations)
        raise SettingsError([f"adopt takes over one destination at a time: add --workspace and one of {names}."])
    return destinations[0]


@dataclass
class _Rows:
    """What is written down of some objects."""

    events: list[EventRecord] = field(default_factory=list)
    attributes: list[AttributeRecord] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    objects: list[ObjectRecord] = field(default_factory=list)


@dataclass
class Adoption:
    """Compares what Sentinel holds with MISP, and writes it into the ledger."""

    settings: Settings
    ledger: Ledger
    reader: MispReader
    report: Report
    now: int
    _makers: set[str] = field(default_factory=set)

    def take(self, api: ManagementApi) -> None:
        """Take over all objects. Raises MispError or MicrosoftError; then nothing was written."""
        try:
            with self.ledger.single_transaction():
                identity = self.reader.identity()
                self._take_indicators(api)
                if self.settings.may_have_context:
                    level = ContextLevel(self.settings.context_level)
                    ContextAdoption(self.ledger, self.reader, self.report, level, self._makers).take(api)
                misp = {name: identity[name] for name in ("url", "uuid", "user", "organisation")}
                facts = replace(self.ledger.facts(), misp=misp, deduplicate=self.settings.deduplicate)
                self.ledger.save_facts(replace(facts, adopted_at=self.now))
        except MispError as error:
            raise MispError(f"MISP failed: {error}") from error

    def _take_indicators(self, api: ManagementApi) -> None:
        for batch in batched(api.indicators(), BATCH):
            interrupts.end_if_stopped()  # a transaction puts a signal off
            self._take_batch([completed(indicator) for indicator in batch])
        self._one_for_each_key()

    def _take_batch(self, indicators: Sequence[Indicator]) -> None:
        shown = self.reader.attributes({uuid for indicator in indicators for uuid in attribute_uuids(indicator)})
        self._makers |= {str(indicator.get("created_by_ref", "")).lower() for indicator in indicators}
        rows = _Rows()
        for indicator in indicators:
            attributes = [shown[uuid] for uuid in attribute_uuids(indicator) if uuid in shown]
            if attributes:
                self._matched(indicator, attributes if self._by_value else attributes[:1], rows)
            else:
                self._unmatched(indicator, rows)
        self.ledger.keep(**vars(rows))

    @property
    def _by_value(self) -> bool:
        return self.settings.deduplicate == "value"

    @cached_property
    def _wishes(self) -> ObjectWishes:
        return ObjectWishes(ConversionRules.of(self.settings), RetryPolicy(self.now), shared=self._by_value)

    def _matched(self, indicator: Indicator, in_misp: Sequence[dict[str, Any]], rows: _Rows) -> None:
        """Remember an object with its sources, as accepted, and its events as ones to be read."""
        attributes = [_prepared(raw) for raw in in_misp]
        moving = any(self._wishes.lifetime(attribute, indicator) > 0 for attribute in attributes)
        events = [str(raw["event_uuid"]) for raw in in_misp]
        pairs = list(zip(events, attributes, strict=True))
        sources = [self._wishes.source(event, attribute, indicator) for event, attribute in pairs]
        record = self._record(indicator, sources[0].key, attributes[0].uuid, moving)
        self._keep(record, AdoptionKind.MATCHED, rows)
        if record.live:
            rows.sources += sources
            rows.events += [EventRecord(event, 0, published=True, listed=False, todo=True) for event in events]
            rows.attributes += [_attribute_record(event, attribute) for event, attribute in pairs]

    def _unmatched(self, indicator: Indicator, rows: _Rows) -> None:
        """Remember an object under what its id was made of, if that can be told."""
        attribute = next((uuid for uuid in attribute_uuids(indicator) if self._life(indicator, uuid)), "")
        key = self._key(indicator, attribute) if attribute else f"unmatched/{indicator['id']}"
        record = self._record(indicator, key, attribute, moving=False)
        self._keep(replace(record, words=WithdrawalReason.NOT_IN_MISP), AdoptionKind.UNMATCHED, rows)

    def _keep(self, record: ObjectRecord, kind: AdoptionKind, rows: _Rows) -> None:
        rows.objects.append(record)
        self.report.adopt(kind if record.live else AdoptionKind.REVOKED, record)

    def _key(self, indicator: Indicator, attribute: str) -> str:
        return value_key(indicator) if self._by_value else attribute_key(indicator, attribute)

    def _life(self, indicator: Indicator, attribute: str) -> int | None:
        return life_of(indicator, None if self._by_value else UUID(attribute))

    def _record(self, indicator: Indicator, key: str, attribute: str, moving: bool) -> ObjectRecord:
        """Return the object as a run would remember it; with ``moving`` it is renewed, as its end moves with runs."""
        revoked = indicator.get("revoked") is True
        sent, until = seconds(indicator["modified"]), seconds(indicator["valid_until"])
        ends = (until - sent, 0) if moving else (0, until)
        return ObjectRecord(
            id=indicator["id"],
            key=key,
            pattern=indicator["pattern"],
            value=value_in(indicator["pattern"]),
            life=(self._life(indicator, attribute) if attribute else None) or 1,
            fingerprint=DesiredObject(key, indicator, VALUE_NAMESPACE, indicator["id"], *ends).fingerprint,
            valid_until=until,
            body=packed(indicator),
            stage=Stage.WITHDRAWN if revoked else Stage.ACCEPTED,
            live=not revoked,
            live_until=0 if revoked else until,
            renew_at=(sent + until) // 2 if moving and not revoked else None,
            accepted_at=sent,
            accepted_until=0 if revoked else until,
        )

    def _one_for_each_key(self) -> None:
        """Leave one live object to each observable: the next run withdraws the others that are MISP's."""
        for keys in batched(self.ledger.duplicate_keys(), BATCH):
            lives: dict[str, list[ObjectRecord]] = {}
            for record in self.ledger.objects(keys):
                lives.setdefault(record.key, []).append(record)
            self.ledger.keep(objects=[record for of_key in lives.values() for record in one_live_object(of_key)])


def completed(indicator: Indicator) -> Indicator:
    """Return an indicator in the form in which it is made here, so that the two can be compared.

    Microsoft, "ThreatIntelIndicators": keys with empty values are dropped from what is stored. How times
    are written back is not documented, nor does anything keep others from uploading less.
    """
    stored = {name: value for name, value in whole(indicator).items() if value not in (None, False)}
    times = {name: from_text(stored.get(name)) for name in _TIMES}
    lists = {name: [entry for entry in _list(stored.get(name)) if fits(entry)] for name, fits in _LISTS.items()}
    markings = [marking for marking in _list(stored.get("object_marking_refs")) if marking in TLP_MARKINGS.values()]
    default = TLP_MARKINGS[tlp_level((), (), default_tlp())]
    return {
        "pattern_type": "stix",
        **{name: value for name, value in stored.items() if _is_kept(name, value)},
        "confidence": _confidence(stored.get("confidence")),
        **{name: entries for name, entries in lists.items() if entries or name not in _LEFT_OUT_WHEN_EMPTY},
        **{name: stix_time(moment) if moment else _TIMES[name] for name, moment in times.items()},
        "object_marking_refs": markings[:1] or [default],
    }


def _is_kept(name: str, value: object) -> bool:
    return name not in _LISTS and (name not in _TEXTS or isinstance(value, str))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _confidence(value: object) -> int:
    return min(max(value, 0), 100) if type(value) is int else 0


def attribute_uuids(indicator: Indicator) -> list[str]:
    """Return the UUIDs by which an indicator may name its attributes: its references', then its id's."""
    referenced = [reference.get("external_id") for reference in indicator["external_references"]]
    uuids = map(stix_uuid, [*referenced, indicator["id"].partition("--")[2]])
    return list(dict.fromkeys(filter(None, uuids)))


def life_of(indicator: Indicator, attribute: UUID | None) -> int | None:
    """Return which life of an attribute's observable, or of a value (None), has the indicator's id."""
    pattern, id_ = indicator["pattern"], indicator["id"].partition("--")[2].lower()
    namespace = attribute or VALUE_NAMESPACE
    if id_ in (str(attribute), str(uuid5(namespace, pattern))):
        return 1
    lives = (life for life in range(2, MOST_LIVES) if id_ == str(uuid5(namespace, f"{pattern}#{life}")))
    return next(lives, None)


def _prepared(raw: dict[str, Any]) -> PreparedAttribute:
    value = Value(text_of(raw.get("type")), (text_of(raw.get("value")),))
    return PreparedAttribute(str(raw["uuid"]).lower(), raw, value, Tags(read_tags(raw.get("Tag"))))


def _attribute_record(event: str, attribute: PreparedAttribute) -> AttributeRecord:
    """Return an attribute without a fingerprint, so that the next run looks at it, and misses it if it is gone."""
    return AttributeRecord(event, attribute.uuid, "", attribute.value.type, shorten(attribute.value.text, 1000, ""))


def _refuse_missing(settings: Settings) -> None:
    if words := api_for(settings).why_no_adoption:
        raise SettingsError([words])
    missing = [name for name in NAMES if not getattr(settings.ms_auth, name)]
    if missing:
        where = f"ms_auth ({settings.config}, or {variable(f'ms_auth.{missing[0]}')} and the like)"
        if settings.name:
            where = f"the entry of {settings.name} in ms_tenants ({settings.source_of('ms_tenants')})"
        raise SettingsError(
            [f"adopt needs {listed(missing)} in {where}: the overview of the workspace in the portal shows them."]
        )
