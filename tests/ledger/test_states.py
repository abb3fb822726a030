"""The states of an object are those that the architecture page shows, with every transition and no other."""

from contextlib import closing
from dataclasses import replace

from helpers.indicators import DAY
from helpers.ledger import Ledger, ObjectRecord, RetryPolicy, Stage
from helpers.ledger.bodies.packing import packed
from helpers.sync.ownership import VALUE_NAMESPACE, DesiredObject
from helpers.sync.plan import decide_objects, renewal
from tests.project.test_docs import page, rows, section

NOW = 1_790_000_000
OBJECT = ObjectRecord("indicator--1", "key", "[a:b = 'c']", "c", 1, "fingerprint", 2_000_000_000, packed({}))
WAITING = (Stage.PENDING,)
ANSWERED = (Stage.ACCEPTED, Stage.REJECTED)
GONE = (Stage.WITHDRAWING, Stage.WITHDRAWN, Stage.REVOKED)


def send_again(ledger):
    (known,) = ledger.by_id([OBJECT.id]).values()
    ledger.keep(objects=[renewal(known, NOW, moves=False)])


def wanted_still(ledger):
    known = ledger.by_id([OBJECT.id])
    indicator = {"pattern": OBJECT.pattern}
    wanted = DesiredObject(OBJECT.key, indicator, VALUE_NAMESPACE, OBJECT.id, lifetime=DAY)
    plan = decide_objects({OBJECT.key: wanted}, {}, known.values(), known, RetryPolicy(NOW), in_window=True)
    ledger.keep(objects=plan.kept)


# What happens, to objects in which states it can happen, and the reason for which they leave where they do.
HAPPENS = {
    "taken out of the queue": (WAITING, "", lambda ledger: ledger.dequeue(1, NOW, in_flight=True)),
    "accepted": (Stage, "", lambda ledger: ledger.accepted([OBJECT.id], NOW)),
    "rejected": (Stage, "", lambda ledger: ledger.rejected({OBJECT.id: "words"})),
    "refused, since Microsoft keeps the id as revoked": (
        Stage,
        "",
        lambda ledger: ledger.revoked({OBJECT.id: "words"}),
    ),
    "wanted still: its next life begins": ((Stage.REVOKED,), "", wanted_still),
    "both its ends were accepted": ((Stage.KEPT_BACK,), "", wanted_still),
    "without an answer": (Stage, "", lambda ledger: ledger.unanswered({OBJECT.id: "words"})),
    "recovered by the next run: nobody answered": (Stage, "", lambda ledger: ledger.recover()),
    "wanted otherwise, renewed, or sent again": (ANSWERED, "", send_again),
    "taken out of the queue to be withdrawn": (
        [stage for stage in Stage if stage not in (*GONE, Stage.KEPT_BACK)],
        "attribute deleted",
        lambda ledger: ledger.dequeue(1, NOW, in_flight=True),
    ),
    "the withdrawal was accepted": (Stage, "", lambda ledger: ledger.withdrawn([OBJECT.id])),
}


def becomes(stage, leaving, happens):
    """The state of an object after something happened to it, as the ledger has it."""
    with closing(Ledger("sqlite://", "workspace", "system")) as ledger:
        ledger.keep(objects=[replace(OBJECT, stage=stage, leaving=leaving)])
        ledger.enqueue([OBJECT.id])
        happens(ledger)
        return ledger.by_id([OBJECT.id])[OBJECT.id].stage


def test_the_table_has_every_transition_and_no_other():
    table = rows(section(page("docs/architecture.md"), "## The states of an object"))
    documented = {(before, what, after) for states, what, after in table for before in states.split(", ")}
    actual = {
        (str(stage), what, str(after))
        for what, (stages, leaving, happens) in HAPPENS.items()
        for stage in stages
        if (after := becomes(stage, leaving, happens)) != stage
    }
    assert documented == actual
