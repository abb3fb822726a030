"""No two sentences of explain's contradict each other, whatever the ledger and MISP say, and at however many places."""

import itertools
import re
from dataclasses import dataclass, replace

import pytest

from constants import Skip, WithdrawalReason
from helpers.commands.explain import advice
from helpers.commands.explain.ledger_view import LedgerView
from helpers.commands.explain.lines import lines_of
from helpers.commands.explain.state import NextRun
from helpers.indicators import DAY
from helpers.ledger import Blocked, DestinationFacts, EventRecord, Found, Question, Source, Stage
from helpers.settings import Settings
from tests.commands.test_explain import ATTRIBUTE, EVENT, NOW, attribute_record, object_record

ASKED = "evil.example.org"
NAMES = ("paris", "lyon")
FOREIGN = "workspace gone (MISP)"  # the settings do not name it
ROLE = "the app lacks the role Microsoft Sentinel Contributor. Give it that role on the workspace."

# What a sentence claims, by how it is written.
CLAIMS = {
    "live": r"is live in|\blive until \d|^live:",
    "not there": r"is not (yet )?in Sentinel|not there|no longer live|waits to be sent, as|^expired|withdrawn on \d|"
    r"^revoked|^rejected by",
    "perhaps there": r"perhaps live|whether Microsoft (took it|has it)",
    "the next run sends": r"the next run sends it\b",
    "sent by no next run": r"it is sent (once|when)|nothing of it is sent|no run takes it up|lets go of it|"
    r"stays as it is|--retry-rejected",
    "withdrawn soon": r"withdraws it\b|leaves then",
    "not withdrawn soon": r"keeps it|stays as it is|no run takes it up|nothing of it is sent or withdrawn for",
    "held": r"held (since|until) \d+ \w+ \d{4}(?!, and the next run lets go)",
    "touched by the next run": r"the next run (sends|withdraws|keeps|lets go)",
    "in the way": r"MISP now:|MISP does not (show|want)|says something else now|, as the event is not published",
    "nothing in the way": r"nothing stands in its way|MISP wants it again|MISP has it too",
    "MISP was not asked": r"MISP was not asked|MISP could not be asked",
    "MISP was asked": r"MISP now:|MISP does not (show|want)|MISP wants|MISP has it|nothing stands in its way",
    "the settings name it not": r"settings do not name this destination",
    "some run": r"the next run|a full run|the run that next reads|once the role is given",
    "refused": r"it is (sent|withdrawn) once the role is given",
}
EXCLUSIVE = [
    ("live", "not there"),
    ("live", "perhaps there"),
    ("not there", "perhaps there"),
    ("the next run sends", "sent by no next run"),
    ("the next run sends", "withdrawn soon"),
    ("touched by the next run", "refused"),
    ("withdrawn soon", "not withdrawn soon"),
    ("held", "touched by the next run"),
    ("held", "nothing in the way"),
    ("in the way", "nothing in the way"),
    ("in the way", "the next run sends"),
    ("nothing in the way", "withdrawn soon"),
    ("MISP was not asked", "MISP was asked"),
    ("the settings name it not", "some run"),
    ("the settings name it not", "MISP was asked"),
]
# Of indicators: none is kept back.
STAGES = [stage for stage in Stage if stage is not Stage.KEPT_BACK]


def claims_in(sentences):
    text = "\n".join(sentences)
    return {claim for claim, written in CLAIMS.items() if re.search(written, text, re.MULTILINE)}


def facts_of(known, misp):
    """What is so, said or not: no sentence may contradict it."""
    facts = {"the settings name it not"} if known.foreign else set()
    if known.foreign or not misp or "error" in misp:
        return facts
    here = [place for shown in misp["attributes"] for place in shown["destinations"]]
    here = [place for place in here if place["workspace"] == known.workspace]
    wanted = any(not (place["in_the_way"] or (known.record and PATTERN not in place["would_send"])) for place in here)
    return facts | {"nothing in the way" if wanted else "in the way"}


def contradictions(sentences, facts=frozenset()):
    claims = claims_in(sentences) | facts
    return [pair for pair in EXCLUSIVE if claims.issuperset(pair)]


# --- what the ledger may say --------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """One destination in a ledger; ``record`` is what it knows of the value."""

    workspace: str
    record: object
    foreign: bool = False
    held: int | None = None
    refused: bool = False
    blocked: Blocked | None = None
    skip: str = ""
    sourcesystem: str = "MISP"
    destination: int = 1

    @property
    def ledger(self):
        return self

    def answers(self, _question):
        """Nothing stands beside indicators."""
        return []

    def sources(self, _keys):
        """No alert named any."""
        return []

    def facts(self):
        refused = (EVENT,) if self.refused else ()
        words = ["150 of 200 would leave"] if self.refused else []
        return DestinationFacts(refused_events=refused, last_run={"refused_withdrawals": words}, blocked=self.blocked)

    def settings_in(self, _settings):
        return None if self.foreign else Settings()

    def is_of(self, _settings):
        return not self.foreign

    def name_in(self, _settings):
        return None if self.foreign else self.workspace

    def find(self, _asked):
        event = replace(EVENT_RECORD, held_since=self.held)
        found = Found(events={EVENT: event})
        if self.record:
            found.objects, found.sources = [self.record], [Source(self.record.key, EVENT, ATTRIBUTE)]
        if self.skip:
            found.attributes = [attribute_record(skip=self.skip)]
        return found

    def answer(self):
        return LedgerView(Settings(), self, Question.of(ASKED), NOW).answer()


EVENT_RECORD = EventRecord(EVENT, NOW - DAY, published=True)
LIVE_UNTIL = (NOW + DAY, NOW - DAY)


def records():
    """Every state that an object of a ledger can be in."""
    choices = itertools.product(STAGES, (False, True), LIVE_UNTIL, ("", WithdrawalReason.GONE), (None, NOW - DAY))
    for stage, live, until, leaving, accepted_at in choices:
        dead = stage in (Stage.WITHDRAWN, Stage.REVOKED)
        impossible = (
            (live and dead)
            or (leaving and (dead or not live))
            or (stage == Stage.ACCEPTED and not (live and accepted_at))
            or (stage == Stage.SENDING and (not live or leaving))
            or (stage == Stage.WITHDRAWING and not (live and leaving))
        )
        words = {Stage.WITHDRAWN: WithdrawalReason.LEFT_FILTERS, Stage.ACCEPTED: ""}.get(stage, "500 words")
        if not impossible:
            # What was accepted last, and what has left, is not perhaps taken.
            in_flight = (stage in (Stage.SENDING, Stage.WITHDRAWING) and {True}) or {False, True}
            for perhaps_taken in {False} if dead or stage == Stage.ACCEPTED or not live else in_flight | {False}:
                changes = {"stage": stage, "live": live, "leaving": leaving, "accepted_at": accepted_at, "words": words}
                ends = {"valid_until": until, "live_until": until if live else 0}
                accepted_until = until if accepted_at and live else 0
                yield object_record(**ends, **changes, perhaps_taken=perhaps_taken, accepted_until=accepted_until)


LEDGER = [*({"record": record} for record in records()), {"record": None}, {"record": None, "skip": "NO_TO_IDS"}]
LONG_AGO = NOW - 20 * DAY
CIRCUMSTANCES = [
    {},
    {"held": NOW - 2 * DAY},
    {"held": LONG_AGO},
    {"refused": True},
    {"foreign": True},
    {"foreign": True, "held": NOW - 2 * DAY},
    {"blocked": Blocked.ROLE},
]


# --- what MISP may say --------------------------------------------------------------------------------


def in_the_way(*obstacles):
    return [advice.obstacle_as_json(obstacle, EVENT) for obstacle in obstacles]


PATTERN = object_record().pattern
SHOWN = {
    "in MISP": ([], [PATTERN]),
    "says something else": ([], ["[domain-name:value = 'other.example.org']"]),
    "not published": (in_the_way(advice.Obstacle.NOT_PUBLISHED), [PATTERN]),
    "outside of the filters": (in_the_way(advice.Obstacle.NOT_IN_FILTERS), [PATTERN]),
    "on a warninglist": (in_the_way(advice.Obstacle.ON_WARNINGLIST), [PATTERN]),
    "deleted": ([advice.skip_as_json("DELETED", "")], []),
    "not flagged, and not published": (
        [*in_the_way(advice.Obstacle.NOT_PUBLISHED), advice.skip_as_json("NO_TO_IDS", "")],
        [],
    ),
}


def misp_answers(places):
    """What MISP shows, with what the next run does about the event; one answer for all of the settings' places."""
    yield None
    yield {"error": "no answer"}
    yield {"attributes": [], "not_shown": [ATTRIBUTE], "event": None}
    for (obstacles, sends), next_run in itertools.product(SHOWN.values(), NextRun):
        yield shown(places, [(obstacles, sends, next_run)] * len(places))


def shown(places, by_place):
    here = [
        {**place, "in_the_way": obstacles, "would_send": sends, "next_run": next_run, "halves_left_out": []}
        for place, (obstacles, sends, next_run) in zip(places, by_place, strict=True)
    ]
    attribute = {
        **{"attribute": ATTRIBUTE, "type": "domain", "value": ASKED, "to_ids": True, "deleted": False},
        **{"event": EVENT, "info": "Event 1", "url": "https://misp.example.org/", "published": True},
        **{"would_send": [], "in_the_way": [], "halves_left_out": [], "destinations": here},
    }
    return {"attributes": [attribute], "not_shown": [], "event": None}


def place(name):
    return {"workspace": name, "sourcesystem": "MISP", "name": name, "in_settings": True}


def answer_of(known, misp):
    places = [place(each.workspace) for each in known if not each.foreign]
    return {
        "asked": ASKED,
        "ledger": [each.answer() for each in known],
        "misp": misp,
        "exit_code": 0,
        "recorded": True,
        "tag_names_nothing": False,
        "destinations": places,
    }


def texts(answer):
    return [line.words if line.mark else line.text().strip() for line in lines_of(answer, detailed=True)]


# --- the test -----------------------------------------------------------------------------------------


def is_odd(misp, held=None, position=0):
    """Whether a run would not decide so: what it does about an event follows from how MISP shows the event."""
    if not (misp and misp.get("attributes")):
        return False
    here = misp["attributes"][0]["destinations"][position]
    whys = {said["why"] for said in here["in_the_way"]}
    unpublished, filtered = advice.Obstacle.NOT_PUBLISHED in whys, advice.Obstacle.NOT_IN_FILTERS in whys
    if unpublished:
        allowed = {NextRun.HOLDS, NextRun.LETS_GO, NextRun.PASSES_OVER} - (
            {NextRun.HOLDS} if held == LONG_AGO else set()
        )
    elif filtered:
        allowed = {NextRun.LETS_GO, NextRun.PASSES_OVER}
    else:
        allowed = {NextRun.READS} if held else {NextRun.READS, NextRun.PASSES_OVER}
    return here["next_run"] not in allowed


@pytest.mark.parametrize("circumstances", CIRCUMSTANCES, ids=str)
def test_no_two_sentences_about_one_destination_contradict_each_other(circumstances):
    tried = 0
    for ledger in LEDGER:
        known = Known("paris", **ledger, **circumstances)
        if known.foreign and not (known.record or known.skip):
            continue
        told = answer_of([known], None)
        for misp in misp_answers([] if known.foreign else [place("paris")]):
            if known.foreign and misp and misp.get("attributes"):
                continue
            if not is_odd(misp, circumstances.get("held")):
                tried += 1
                sentences = texts({**told, "misp": misp})
                assert not contradictions(sentences, facts_of(known, misp)), (ledger, misp, sentences)
    assert tried > 100


@pytest.mark.parametrize(
    "record", list(records()), ids=lambda record: f"{record.stage}-{record.live}-{record.leaving[:4]}"
)
def test_what_is_said_first_is_so(record):
    """Live is only what Microsoft accepted and may match now, and all of that is."""
    claims = claims_in(texts(answer_of([Known("paris", record)], None))[:1])
    there = record.is_in_sentinel(NOW)
    certain = record.stage == Stage.ACCEPTED or (record.accepted_until > NOW and record.stage != Stage.WITHDRAWING)
    refused = record.stage == Stage.WITHDRAWING and not record.perhaps_taken and record.accepted_until > NOW
    assert ("live" in claims) is (there and (certain or refused))
    assert ("perhaps there" in claims) is (there and not (certain or refused))
    assert ("not there" in claims) is not there


LIVE, GONE = (
    object_record(),
    object_record(stage=Stage.WITHDRAWN, live=False, words=WithdrawalReason.LEFT_FILTERS),
)
REJECTED = object_record(stage=Stage.REJECTED, live=False, accepted_at=None, words="Not valid.")
WAITING = object_record(stage=Stage.PENDING, live=False, accepted_at=None, words=ROLE)
BY_PLACE = [LIVE, GONE, REJECTED, WAITING, None]


def by_name(lines):
    """Sentences by the destination that they are about; those that are about no single one come under ""."""
    about, name = {"": []}, ""
    for line in lines:
        name = line.mark.removesuffix(":") if line.mark.endswith(":") else name if line.mark == "→" else ""
        about.setdefault(name, []).append(line.words)
    return about


@pytest.mark.parametrize(("paris", "lyon"), list(itertools.product(BY_PLACE, repeat=2)))
def test_no_two_sentences_about_several_destinations_contradict_each_other(paris, lyon):
    held = NOW - 2 * DAY
    known = [Known("paris", paris), Known("lyon", lyon, held=held), Known("gone", LIVE, foreign=True)]
    here = [(*shown_as, next_run) for shown_as in SHOWN.values() for next_run in NextRun]
    every = (shown([place(name) for name in NAMES], pair) for pair in itertools.product(here, repeat=2))
    answers = [misp for misp in every if not (is_odd(misp) or is_odd(misp, held, 1))][::7]
    assert len(answers) > 20
    told = answer_of(known, None)
    for misp in [None, {"error": "no answer"}, *answers]:
        lines = list(lines_of({**told, "misp": misp}))
        about = by_name(lines)
        general = about.pop("")
        assert about.keys() == {*NAMES, FOREIGN}
        for each, (name, sentences) in zip(known, about.items(), strict=True):
            assert not contradictions(sentences, facts_of(each, misp)), (name, misp, sentences)
            assert not contradictions([*sentences, *general[1:]]) or name == FOREIGN, (name, misp, sentences, general)
            assert name in general[0]


def test_the_first_sentence_names_each_destination_with_where_it_stands_there():
    known = [Known("paris", LIVE), Known("lyon", None, skip="TLP_TOO_STRICT"), Known("gone", GONE, foreign=True)]
    first, *rest = texts(answer_of(known, None))
    assert first == f"{ASKED} is live in paris, and not in lyon, and no longer live in {FOREIGN}."
    assert rest[:2] == [
        "live: 1 indicator, until 10 November 2026, from 1 event",
        f"not there: {Skip.TLP_TOO_STRICT.value}",
    ]
