"""What a run shows of actors, techniques, organisations and relationships: few rows, and a readable plan."""

from collections import Counter

import pytest

from helpers.commands.run import summary
from helpers.commands.run.context_rows import kinds_of_context, rows_of_context
from helpers.commands.run.verdict import verdict_of
from helpers.commands.screen import columns
from helpers.context import Kind
from helpers.sync.destination import RunOptions
from helpers.sync.report.context import ContextReport
from helpers.sync.run import run
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess

START = 1_790_000_100
DAY = 86_400
ACTOR = "68391641-859f-4a9a-9a1e-3e5cf71ec376"
TECHNIQUE = "bbe5b322-e2af-4a5e-9625-a4e62bf84ed3"
SET = "c93fccb1-e8e8-42cf-ae33-2ad1d183913a"
NO_CLUSTER = 'misp-galaxy:threat-actor="No Such Fox"'
TAGS = (
    'misp-galaxy:mitre-intrusion-set="Moon Fox - G9999"',
    'misp-galaxy:mitre-attack-pattern="Social Media - T1593.001"',
    NO_CLUSTER,
)
EVERYTHING = ContextReport(
    planned=Counter({Kind.IDENTITY: 58, Kind.THREAT_ACTOR: 41, Kind.ATTACK_PATTERN: 191, Kind.RELATIONSHIP: 12_704}),
    accepted=Counter({Kind.IDENTITY: 58, Kind.THREAT_ACTOR: 41, Kind.ATTACK_PATTERN: 191, Kind.RELATIONSHIP: 1_704}),
    leaving=Counter({Kind.RELATIONSHIP: 4_988, Kind.THREAT_ACTOR: 12}),
    withdrawn=Counter({Kind.RELATIONSHIP: 4_988, Kind.THREAT_ACTOR: 12}),
    waiting_to_leave=1_204,
    kept_back=12,
    waiting=3,
    left_out=["8a3d7cf0-0000-4000-8000-000000000001"],
    without_cluster=Counter(
        {f'misp-galaxy:mitre-attack-pattern="A technique of a long name - T{n}"': n for n in range(99)}
    ),
)


@pytest.fixture
def site(tmp_path):
    site = OneProcess(tmp_path, START, MISP_EVENT_FILTERS='{"published": 1}', CONTEXT="techniques")
    site.misp.add_cluster("mitre-intrusion-set", "Moon Fox - G9999", relations=[("uses", TECHNIQUE)], uuid=SET)
    site.misp.add_cluster("mitre-attack-pattern", "Social Media - T1593.001", uuid=TECHNIQUE)
    site.misp.load([misp_event(1, hosts(1), Tag=[{"name": tag} for tag in TAGS]), misp_event(2, hosts(1, "other"))])
    return site


def shown(report, *, verbose=False):
    """What a terminal of 80 columns shows of a run."""
    lines = [*summary.headline(report, verdict_of(report)), *summary.details(report, verbose=verbose)]
    return [piece for line in lines for piece in line.in_terminal().wrapped(80)]


def planned(site):
    """What a dry run lists, and its report."""
    lines, dry = [], site.settings.model_copy(update={"dry_run": True})
    with site.patched():
        report = run(dry, RunOptions(), clock=site.waiting.clock, now=lambda: site.seconds, line=lines.append)
    return lines, report


def test_a_run_counts_by_kind_what_it_sent_and_names_the_tags_that_name_nothing(site):
    screen = shown(site.run())
    assert "  context     sent: 1 organisation, 1 actor, 1 technique, 3 relationships" in screen
    assert '  no cluster  in MISP for 1 tag: "No Such Fox"' in screen
    site.misp.delete(misp_event(1)["uuid"])
    site.seconds += DAY
    assert "  context    withdrawn: 1 actor, 1 technique, 3 relationships" in shown(site.run())


def test_verbose_has_the_whole_tags_and_why_things_leave(site):
    assert any(line.endswith(NO_CLUSTER) for line in shown(site.run(), verbose=True))
    site.misp.delete(misp_event(1)["uuid"])
    site.seconds += DAY
    reasons = " ".join(" ".join(shown(site.run(), verbose=True)).split())
    assert "2 withdraw the indicator that points to it has left, or has expired" in reasons


def test_a_misp_that_does_not_answer_about_clusters_is_said_in_a_row(site):
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=404))
    screen = shown(site.run())
    assert "  clusters  MISP does not say what tags name (see check); known ones stay" in screen


@pytest.mark.parametrize("dry", [False, True])
def test_whatever_there_is_to_say_takes_four_rows_of_a_screen(dry):
    rows = list(rows_of_context(EVERYTHING, dry=dry))
    lines = columns([("to withdraw", "", *rows[0][1:])[:2], *rows], indent=2)[1:]
    assert len(rows) == 4 and [row[0] for row in rows] == ["context", "", "", "no cluster"]
    pieces = [piece for line in lines for piece in line.wrapped(80)]
    assert max(map(len, pieces)) <= 80
    assert len(pieces) <= 5, "only counts of this size need a second line"
    assert rows[1][1].endswith(": 12 actors, 4,988 relationships; 1,204 more later")
    assert rows[2][1] == "12 relationships kept back, 3 waiting, 1 event without techniques"
    assert rows[3][1] == 'in MISP for 99 tags, such as "A technique of a long name - …"'


@pytest.mark.parametrize("count", [1, 2, 4, 10, 11])
def test_as_many_tags_without_a_cluster_are_named_as_a_line_holds_and_ten_elsewhere(count):
    names = [f"Fox {number}" for number in range(count)]
    tags = Counter({f'misp-galaxy:threat-actor="{name}"': 100 - number for number, name in enumerate(names)})
    context = ContextReport(without_cluster=tags)
    ((title, words),) = rows_of_context(context, dry=False)
    (line,) = columns([(title, words)], indent=2)
    assert len(line.wrapped(80)) == 1
    said = [name for name in names if f'"{name}"' in words]
    assert said == names[: min(count, 4)], "the most frequent ones"
    assert (", such as " in words) == (count > len(said))
    assert [what for _, _, what, _ in kinds_of_context(context)] == list(tags)[:10]
    assert len(context.as_json()["most_frequent_without_cluster"]) == min(count, 10)


def test_events_with_too_many_relationships_are_told_apart():
    context = ContextReport(left_out=["a", "b"], cut=["b"])
    (row,) = rows_of_context(context, dry=False)
    assert row == ("context", "2 events without techniques, 1 event with too many relationships")
    assert [(count, examples) for count, _, _, examples in kinds_of_context(context)] == [(2, ["a", "b"]), (1, ["b"])]


def test_what_is_none_has_no_row():
    assert not list(rows_of_context(ContextReport(), dry=False))
    assert list(rows_of_context(ContextReport(waiting_to_leave=1), dry=False)) == [("context", "to leave later: 1")]


def test_a_plan_names_what_goes_and_what_it_is_between(site):
    lines, _ = planned(site)
    beside = [line for line in lines if "send new indicator" not in line]
    assert f"send new threat-actor--{SET} Moon Fox" in beside
    assert f"send new attack-pattern--{TECHNIQUE} Social Media" in beside
    (indicates,) = (line for line in beside if f" indicates threat-actor--{SET}" in line)
    start, _, words = indicates.partition(" indicator--")
    assert start.startswith("send new relationship--")
    assert words.endswith(f" indicates threat-actor--{SET} (Moon Fox)")
    (uses,) = (line for line in beside if " uses " in line)
    assert uses.endswith(f" threat-actor--{SET} (Moon Fox) uses attack-pattern--{TECHNIQUE} (Social Media)")


def test_a_plan_names_what_leaves_and_why(site):
    site.run()
    site.misp.delete(misp_event(1)["uuid"])
    site.seconds += DAY
    lines, report = planned(site)
    leaving = [line for line in lines if line.startswith("withdraw ") and "indicator--" not in line.split()[1]]
    assert len(leaving) == 5 == report.context.leaving.total()
    assert any(
        line.endswith(" (Moon Fox) (the indicator that points to it has left, or has expired)") for line in leaving
    )
    assert f"withdraw threat-actor--{SET} Moon Fox" in " ".join(leaving)
    assert "  context      to withdraw: 1 actor, 1 technique, 3 relationships" in shown(report)


def test_a_plan_names_what_a_guard_holds_back_and_why(site):
    site.misp.load([misp_event(3, hosts(30, "e3h"), Tag=[{"name": TAGS[1]}])])
    site.run()
    site.configure(CONTEXT="actors", MAX_WITHDRAW_PERCENT="5")
    site.seconds += DAY
    lines, report = planned(site)
    refused = [line for line in lines if line.startswith("refused: withdraw ")]
    assert len(refused) == report.context.refused.total() == 33
    assert f"refused: withdraw attack-pattern--{TECHNIQUE} Social Media (the setting context sends less)" in refused
    assert not [line for line in lines if line.startswith("withdraw ")]


def test_the_verdict_says_what_moved_beside_indicators(site):
    assert ", context: 6 sent, in " in verdict_of(site.run()).words
    site.configure(CONTEXT="actors")
    site.seconds += DAY
    _, report = planned(site)
    assert verdict_of(report).words.startswith("Dry run: 0 would be sent, 0 withdrawn, ")
    assert " context: 3 withdrawn. Nothing was sent" in verdict_of(report).words
    assert " context: 3 withdrawn, in " in verdict_of(site.run()).words
    site.seconds += DAY
    assert verdict_of(site.run()).words == "Nothing changed in MISP. 2 indicators live in Sentinel."
