"""What a run did: counts, reasons with examples, the exit code, and the summary that people read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from constants import LOG_NO_VALID_UNTIL, VERSION, AdoptionKind, Skip
from helpers.errors import ExitCode, MispError, SyncError
from helpers.indicators import Skipped
from helpers.ledger import Blocked, ObjectRecord
from helpers.microsoft import Outcome, OutcomeState
from helpers.misp import Detours
from helpers.process import DestinationLogger
from helpers.sync.plan import Plan
from helpers.sync.report.context import ContextReport
from helpers.sync.report.published_rules import Sort, sorted_by
from helpers.sync.report.told import Told
from helpers.text import counted, shorten

if TYPE_CHECKING:
    from helpers.sync.sightings.report import SightingsReport

logger = logging.getLogger(__name__)

EXAMPLES = 3
_SUMS = (
    "attributes",
    "indicators",
    "twins",
    "unchanged",
    "held",
    "revoked_ids",
    "requests",
    "live",
    "not_taken",
    "withdrawals_not_taken",
)


class Rejection(NamedTuple):
    """An object that Microsoft does not take, and its words."""

    id: str
    pattern: str
    words: str

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.id} {shorten(self.pattern, 120, '')}: {self.words}"


@dataclass
class Report:
    """The sums of a run at one destination, or of ``several``, which are in ``parts``: of a part of all, perhaps none.

    An attribute is skipped or has indicators, and each of those has an outcome. ``name`` is the destination's
    where there are several, ``failure`` why it dropped out, ``unsent`` why the last pending object is pending;
    ``states`` are of what was to be sent, ``withdrawal_states`` of what was to be withdrawn; of those that are pending,
    ``not_taken`` and ``withdrawals_not_taken`` were certainly not taken, and ``blocked`` has to be mended first.
    ``context`` is about what stands beside indicators, ``sightings`` about what goes back to MISP where that is a part
    of the run. ``there`` is how many indicators Sentinel held before a first run, where it could be asked; ``command``
    is "" for a run. ``detours`` are what could not be read as planned, once for all destinations.
    ``twins`` counts the URLs that are sent in small letters as well, ``new_sorts`` what is new by what Microsoft's
    published rules do with it.
    """

    name: str = ""
    dry_run: bool = False
    events: int = 0
    attributes: int = 0
    indicators: int = 0
    twins: int = 0
    states: Counter[OutcomeState] = field(default_factory=Counter)
    withdrawal_states: Counter[OutcomeState] = field(default_factory=Counter)
    not_taken: int = 0
    withdrawals_not_taken: int = 0
    blocked: Blocked | None = None
    skipped: Counter[Skip] = field(default_factory=Counter)
    left_out: Counter[Skip] = field(default_factory=Counter)
    examples: dict[Skip, list[str]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    misp_error: str = ""
    misp_exit_code: int = ExitCode.MISP
    given_up: str = ""
    unsent: str = ""
    new_sorts: Counter[Sort] = field(default_factory=Counter)
    unchanged: int = 0
    held: int = 0
    revoked_ids: int = 0
    plans: Counter[str] = field(default_factory=Counter)
    withdrawals: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    adopted: Counter[AdoptionKind] = field(default_factory=Counter)
    unmatched: list[str] = field(default_factory=list)
    advice: str = ""
    nothing_found: str = ""
    there: int | None = None
    live: int = 0
    live_by_kind: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    plan_examples: dict[str, list[str]] = field(default_factory=dict)
    line: Callable[[str], None] | None = None
    requests: int = 0
    seconds: float = 0.0
    stopped: bool = False
    keeps_ledger: bool = True
    failure: str = ""
    failure_code: int = 0
    several: bool = False
    parts: list[Report] = field(default_factory=list)
    command: str = ""
    detours: Detours = field(default_factory=Detours)
    context: ContextReport = field(default_factory=ContextReport)
    sightings: SightingsReport | None = None

    def __post_init__(self) -> None:
        """Have what stands beside indicators listed where they are."""
        self.context.line = self.line

    @classmethod
    def of(cls, parts: Sequence[Report], events: int) -> Report:
        """Return the sums over several destinations; ``events`` were read, once for all of them."""
        total = cls(dry_run=parts[0].dry_run, events=events, several=True, parts=list(parts))
        for name in _SUMS:
            setattr(total, name, sum(getattr(part, name) for part in parts))
        for name in ("states", "withdrawal_states", "skipped", "left_out", "plans", "new_sorts", "withdrawals"):
            for part in parts:
                getattr(total, name).update(getattr(part, name))
        total.detours = max((part.detours for part in parts), key=lambda detours: detours.failed)
        at_misp = next((part for part in parts if part.misp_error), total)
        total.misp_error, total.misp_exit_code = at_misp.misp_error, at_misp.misp_exit_code
        total.stopped = any(part.stopped for part in parts)
        total.advice = _first_advice(parts)
        total.there = sum(part.there or 0 for part in parts)
        total.nothing_found = next((part.nothing_found for part in parts if part.nothing_found), "")
        total.keeps_ledger = all(part.keeps_ledger for part in parts)
        total.warnings = list(dict.fromkeys(warning for part in parts for warning in part.warnings))
        for part in parts:
            total.context.add(part.context)
            for reason, examples in part.examples.items():
                total.examples.setdefault(reason, examples)
        return total

    def count_live(self, kinds: dict[str, int]) -> None:
        """Note how many indicators of each kind are live now."""
        self.live_by_kind, self.live = kinds, sum(kinds.values())

    def fail(self, error: Exception) -> None:
        """Note why this destination dropped out of the run."""
        known = isinstance(error, SyncError)
        self.failure = str(error) if known else f"{type(error).__name__}: {error}"
        self.failure_code = error.exit_code if isinstance(error, SyncError) else ExitCode.UNFINISHED

    def fail_at_misp(self, error: MispError) -> None:
        """Note that MISP was given up, and why."""
        self.misp_error, self.misp_exit_code = str(error), error.exit_code

    def tell(self, told: Told) -> None:
        """Count attributes that were decided on; log those, and halves of them, that are not sent."""
        self.attributes += told.attributes
        self.twins += told.twins
        if not (told.unasked or told.skipped or told.left_out):
            return
        self._count_unasked(told.unasked)
        self.skipped.update(told.reasons)
        self.left_out.update(told.left_out)
        log = DestinationLogger(logger, self.name)
        for skip in told.skipped if self._names_each_skip else ():
            log.debug("Skipped: %s", skip)
            self.say(f"skip {skip}")
        for skip in told.skipped if Skip.NO_VALID_UNTIL in told.reasons else ():
            if skip.reason is Skip.NO_VALID_UNTIL:
                log.warning(LOG_NO_VALID_UNTIL.format(skip))
        for reason in told.reasons:
            self._keep_examples(reason, told.skipped)

    @property
    def _names_each_skip(self) -> bool:
        return bool(self.line) or logger.isEnabledFor(logging.DEBUG)

    def _keep_examples(self, reason: Skip, skipped: Sequence[Skipped]) -> None:
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            more = (skip for skip in skipped if skip.reason is reason)
            examples += map(_example_of, islice(more, EXAMPLES - len(examples)))

    def _count_unasked(self, count: int) -> None:
        """Count attributes of a large event that MISP was not asked for, since they are not flagged."""
        if count:
            self.attributes += count
            self.skipped[Skip.NO_TO_IDS] += count
            unasked = f"{counted(count, 'attribute', 'attributes')} of a large event"
            self.say(f"skip {unasked}: {Skip.NO_TO_IDS.value}")
            self.examples.setdefault(Skip.NO_TO_IDS, [unasked])

    def would_send(self, records: Sequence[ObjectRecord]) -> None:
        """Count what a dry run does not send: it stays pending."""
        for record in records:
            (self.withdrawal_states if record.leaving else self.states)[OutcomeState.PENDING] += 1

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Count what became of objects."""
        for state in OutcomeState:
            revoked = [outcome.object.revoked for outcome in outcomes if outcome.state is state]
            for states, count in ((self.withdrawal_states, sum(revoked)), (self.states, len(revoked) - sum(revoked))):
                if count:
                    states[state] += count
        self._note_pending([outcome for outcome in outcomes if outcome.state is OutcomeState.PENDING])
        self._note_rejected([outcome for outcome in outcomes if outcome.state is OutcomeState.REJECTED])

    def _note_pending(self, pending: Sequence[Outcome]) -> None:
        waiting = [outcome.object.revoked for outcome in pending if outcome.not_taken]
        self.withdrawals_not_taken += sum(waiting)
        self.not_taken += len(waiting) - sum(waiting)
        if pending:
            self.unsent = pending[-1].words

    def _note_rejected(self, rejected: Sequence[Outcome]) -> None:
        self.revoked_ids += sum(outcome.refused_as_revoked for outcome in rejected)
        for outcome in rejected[: EXAMPLES - len(self.rejections)]:
            self.rejections.append(Rejection(outcome.object.id, outcome.object.pattern, outcome.words))

    def add_plan(self, plan: Plan) -> None:
        """Count what is to be sent."""
        self.new_sorts += sorted_by(record.pattern for record in plan.new)
        kinds = {"new": plan.new, "changed": plan.changed, "renewed": plan.renewed, "again": plan.again}
        for kind, objects in kinds.items():
            self.plans[kind] += len(objects)
            examples = self.plan_examples.setdefault(f"send_{kind}", []) if objects else []
            examples += [f"{record.id} {record.pattern}" for record in objects[: EXAMPLES - len(examples)]]
            for record in objects if self.line else ():
                self.say(f"send {kind} {record.id} {record.pattern}")

    def add_withdrawal(self, record: ObjectRecord) -> None:
        """Count an object that is to be withdrawn."""
        self.withdrawals[record.leaving] += 1
        self._example(f"withdraw: {record.leaving}", f"{record.id} {record.pattern}")
        self.say(f"withdraw {record.id} {record.pattern} ({record.leaving})")

    def adopt(self, kind: AdoptionKind, record: ObjectRecord) -> None:
        """Count an object that the ledger takes over."""
        self.adopted[kind] += 1
        if kind is AdoptionKind.UNMATCHED and len(self.unmatched) < EXAMPLES:
            self.unmatched.append(f"{record.id} {shorten(record.pattern, 120, '')}")
        self.say(f"adopt {kind} {record.id} {record.pattern}")

    def _example(self, kind: str, text: str) -> None:
        if len(self.plan_examples.setdefault(kind, [])) < EXAMPLES:
            self.plan_examples[kind].append(text)

    def refuse(self, words: str) -> None:
        """Keep why nothing was withdrawn."""
        self.refusals.append(words)

    def outline(self) -> dict[str, Any]:
        """What is recorded of a run."""
        return {key: value for key, value in self.as_json().items() if key not in ("examples", "rejections")}

    def say(self, text: str) -> None:
        """Print a line of the plan, where a dry run lists it."""
        if self.line:
            self.line(text)

    @property
    def exit_code(self) -> int:
        """0 done; 3 MISP, 4 Microsoft failed; 1 done, but some objects were rejected or are pending.

        Where nothing failed, what became of the sightings counts, if they are a part of the run.
        """
        beside = self.sightings.exit_code if self.sightings else ExitCode.DONE
        return self.own_exit_code if self.own_exit_code > ExitCode.UNFINISHED else max(self.own_exit_code, beside)

    @property
    def own_exit_code(self) -> int:
        """The exit code, sightings left aside."""
        if self.parts:
            return _together([part.exit_code for part in self.parts])
        if self.misp_error:
            return self.misp_exit_code
        if self.unread:
            return ExitCode.MISP
        if self.failure:
            return self.failure_code
        if self.given_up:
            return ExitCode.MICROSOFT
        done = not (self._unfinished or self.faults or self.refusals or self.stopped)
        return ExitCode.DONE if done else ExitCode.UNFINISHED

    @property
    def rejected(self) -> int:
        """How many objects Microsoft rejected, to be sent or to be withdrawn."""
        return self.states[OutcomeState.REJECTED] + self.withdrawal_states[OutcomeState.REJECTED]

    @property
    def _unfinished(self) -> int:
        """How many objects were rejected, or are pending where that was not what was asked for."""
        pending = self.states[OutcomeState.PENDING] + self.withdrawal_states[OutcomeState.PENDING]
        return self.rejected + self.context.rejected + (0 if self.dry_run else pending + self.context.pending)

    def as_json(self) -> dict[str, Any]:
        """The run for programs.

        ``indicators`` is the sum of accepted, rejected and pending; what is in ``withdrawals`` that of withdrawn,
        withdrawals_rejected and withdrawals_pending.
        """
        return {
            "version": VERSION,
            "dry_run": self.dry_run,
            "events": self.events,
            "attributes": self.attributes,
            "indicators": self.indicators,
            "lowercase_url_twins": self.twins,
            **{state.value: self.states[state] for state in OutcomeState},
            "not_taken": self.not_taken,
            "unchanged": self.unchanged,
            "live": self.live,
            "planned": dict(self.plans),
            "new_for_rules": {sort.value: self.new_sorts[sort] for sort in Sort},
            "withdrawals": dict(self.withdrawals),
            "withdrawn": self.withdrawal_states[OutcomeState.ACCEPTED],
            "withdrawals_rejected": self.withdrawal_states[OutcomeState.REJECTED],
            "withdrawals_pending": self.withdrawal_states[OutcomeState.PENDING],
            "withdrawals_not_taken": self.withdrawals_not_taken,
            "refused_withdrawals": self.refusals,
            "held_events": self.held,
            "revoked_ids": self.revoked_ids,
            "adopted": dict(self.adopted),
            "unmatched": self.unmatched,
            "advice": " ".join(filter(None, [self.nothing_found, self.advice])),
            "warnings": self.all_warnings,
            "skipped": {reason.name.lower(): count for reason, count in self.skipped.most_common()},
            "examples": {
                **self.plan_examples,
                **{reason.name.lower(): examples for reason, examples in self.examples.items()},
            },
            "left_out": {reason.name.lower(): count for reason, count in self.left_out.most_common()},
            "context": self.context.as_json(),
            **({"sightings": self.sightings.as_json()} if self.sightings else {}),
            "unread_events": self.unread,
            "faults": self.faults,
            "misp_error": self.misp_error,
            "misp_failed_requests": self.detours.failed,
            "misp_waited_seconds": round(self.detours.waited),
            "events_read_singly": self.detours.singly,
            "given_up": self.given_up,
            "failure": self.failure,
            "stopped": self.stopped,
            "rejections": list(map(str, self.rejections)),
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "exit_code": self.exit_code,
            **({"destinations": self._each_as_json()} if self.several else {}),
        }

    def _each_as_json(self) -> list[dict[str, Any]]:
        return [{"name": part.name, **part.as_json()} for part in self.parts]

    @property
    def all_warnings(self) -> list[str]:
        """What went well, but not as it should."""
        slow = "" if self.misp_error else self.detours.warning  # MISP was given up: that says it all
        return [*self.warnings, *filter(None, [slow])]

    def waiting(self) -> list[str]:
        """Say what is pending and when it is sent; nothing in a dry run, where everything is."""
        return [] if self.dry_run else list(self._waiting())

    def _waiting(self) -> Iterator[str]:
        """Say what is pending, what of it may have been taken, and when it is sent."""
        why = "" if self.given_up else f" ({self.unsent})"
        for states, not_taken, *noun in (
            (self.states, self.not_taken, "indicator", "indicators"),
            (self.withdrawal_states, self.withdrawals_not_taken, "withdrawal", "withdrawals"),
        ):
            if pending := states[OutcomeState.PENDING]:
                be = "is" if pending == 1 else "are"
                taken = _perhaps_taken(pending - not_taken, pending)
                when = self._sent_when(pending, withdrawn=states is self.withdrawal_states)
                yield f"{counted(pending, *noun)} {be} pending{why}: {taken}; {when}."

    def _sent_when(self, count: int, *, withdrawn: bool) -> str:
        """Say what sends what is pending; the next run does only where nothing has to be mended first."""
        they, them, their = ("it", "it", "its") if count == 1 else ("they", "them", "their")
        if self.command == "withdraw":
            return f"withdraw sends {them} when it is run again{f', {self.blocked.once}' if self.blocked else ''}"
        if self.blocked:
            return f"{they} {'is' if count == 1 else 'are'} sent {self.blocked.once}"
        events = f"{their} event" if count == 1 else f"{their} events"
        return f"the next run sends {them}{'' if withdrawn else f', as long as the filters find {events}'}"


def _perhaps_taken(unknown: int, count: int) -> str:
    """Say of how many it is not known whether Microsoft has taken them."""
    if not unknown:
        return "Microsoft did not take it" if count == 1 else "Microsoft took none of them"
    those = "it" if count == 1 else "each of them" if unknown == count else f"{unknown:,} of them"
    return f"{those} may have been taken, since no answer says otherwise"


def _together(codes: Sequence[int]) -> int:
    """Return the exit code of several destinations: 4 and the like only when none of them could be finished."""
    unfinished = [code for code in codes if code not in (ExitCode.DONE, ExitCode.UNFINISHED)]
    if ExitCode.MISP in codes:
        return ExitCode.MISP
    if len(unfinished) == len(codes):
        return ExitCode.MICROSOFT if ExitCode.MICROSOFT in codes else unfinished[0]
    return ExitCode.UNFINISHED if any(codes) else ExitCode.DONE


def _first_advice(parts: Sequence[Report]) -> str:
    """Return the first advice, and which destinations it is for."""
    words = next((part.advice for part in parts if part.advice), "")
    names = ", ".join(part.name for part in parts if part.advice == words)
    return f"{names}: {words}" if words else ""


def _example_of(skip: Skipped) -> str:
    return f"{skip.type} {skip.value} {f'({skip.words})' if skip.words else ''}".strip()
