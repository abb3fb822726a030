"""What explain says of actors and techniques that are to leave, were left out, or are not sent at all."""

import pytest

from helpers.sync.context import event_relations
from tests.commands.screen.test_context_commands import explained
from tests.support import hosts, misp_event
from tests.support.context.site import (
    ACTOR,
    ACTOR_TAG,
    SET,
    TECHNIQUE,
    TECHNIQUE_TAG,
    context_site,
    later,
    live,
    tagged,
)

GUARDED = "a guard held withdrawals back in the last run: "
LESS = "the setting context sends less"
FEW = "MISP does not have its cluster any more, or shows it to few"


@pytest.fixture
def make_site(tmp_path):
    def make(level="techniques", **settings):
        return context_site(tmp_path, level, **settings)

    return make


@pytest.fixture
def guarded(make_site):
    """A site with 120 indicators of an actor and a technique, of which a guard lets few leave."""
    site = make_site("techniques", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG, count=120)])
    site.run()
    return site


def guard_lines(lines):
    return [line for line in lines if line.strip().startswith(GUARDED)]


# -- what is to leave ---------------------------------------------------------------------------------


def test_a_technique_that_a_guard_keeps_is_said_to_leave(guarded):
    guarded.configure(CONTEXT="actors")
    assert later(guarded).refusals and live(guarded)["relationship"] == 240
    _, answer, lines = explained(guarded, "T1593.001")
    sentence = f"live until it is withdrawn ({LESS}); 120 live indicators point to it."
    assert answer["sentence"] == f"T1593.001 is a technique (Social Media): {sentence}"
    (known,) = answer["ledger"][0]["context"]
    assert (known["state"], known["why"], known["stage"]) == ("leaving", LESS, "accepted")
    assert len(guard_lines(lines)) == 1 and any("--force-withdraw" in line for line in lines)
    assert (
        explained(guarded, "Moon Fox")[1]["sentence"] == "Moon Fox is an actor: live; 120 live indicators point to it."
    )


def test_an_indicator_shows_what_a_guard_keeps_of_it(guarded):
    guarded.configure(CONTEXT="actors")
    later(guarded)
    _, answer, lines = explained(guarded, "e1h0.example.org")
    assert "    actor: Moon Fox" in lines
    assert f"    technique: Social Media: live until it is withdrawn ({LESS})" in lines
    assert len(guard_lines(lines)) == 1
    states = {each["kind"]: each["relationship"]["state"] for each in answer["ledger"][0]["objects"][0]["context"]}
    assert states == {"threat-actor": "live", "attack-pattern": "leaving"}


@pytest.mark.parametrize(("cluster", "name"), [(ACTOR, "Moon Fox"), (TECHNIQUE, "Social Media")])
def test_the_same_of_a_cluster_that_was_made_private(guarded, cluster, name):
    """The events of an actor are read again for it, those of a technique are not."""
    guarded.misp.edit_cluster(cluster, distribution="0")
    assert later(guarded).refusals
    _, answer, lines = explained(guarded, name)
    assert answer["sentence"].endswith(f"live until it is withdrawn ({FEW}); 120 live indicators point to it.")
    assert len(guard_lines(lines)) == 1
    _, _, lines = explained(guarded, "e1h0.example.org")
    assert any(line.endswith(f"{name}: live until it is withdrawn ({FEW})") for line in lines)
    guarded.misp.edit_cluster(cluster, distribution="3")
    later(guarded)
    _, answer, lines = explained(guarded, name)
    assert answer["sentence"].endswith(": live; 120 live indicators point to it.") and not guard_lines(lines)


def test_before_a_run_the_settings_say_what_is_to_leave_and_nothing_was_held_back(make_site):
    site = make_site()
    site.misp.load([tagged(1, TECHNIQUE_TAG)])
    site.run()
    site.configure(CONTEXT="actors")
    _, answer, lines = explained(site, "Social Media")
    assert f"live until it is withdrawn ({LESS}); 2 live" in answer["sentence"]
    assert not any("guard" in line for line in lines)
    (relationship, *_) = site.azure.live(kind="relationship")
    assert f"live until it is withdrawn ({LESS})" in explained(site, relationship)[1]["sentence"]
    later(site)
    _, answer, lines = explained(site, "Social Media")
    assert ": withdrawn (" in answer["sentence"] and "; 0 live indicators point to it" in answer["sentence"]


# -- what was left out --------------------------------------------------------------------------------


def test_an_indicator_of_an_event_with_too_many_relationships_says_so(make_site, monkeypatch):
    monkeypatch.setattr(event_relations, "MOST_RELATIONS", 3)
    site = make_site("techniques")
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG, count=2), misp_event(2, hosts(1, "plain"))])
    site.run()
    _, answer, lines = explained(site, "e1h0.example.org")
    assert "    actor: Moon Fox" in lines
    assert "    more: left out, as its event has more than 2,000 relationships" in lines
    assert answer["ledger"][0]["objects"][0]["context_left_out"] is True
    _, answer, lines = explained(site, "plain0.example.org")
    assert answer["ledger"][0]["objects"][0]["context_left_out"] is False
    assert not any("left out" in line for line in lines)
    code, answer, _ = explained(site, "T1593.001")
    why = "its events have more than 2,000 relationships"
    assert (code, answer["sentence"]) == (0, f"T1593.001 is a technique (Social Media): not sent ({why}).")


# -- what is not sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [ACTOR_TAG, "moon fox", "Fox", ACTOR, f"threat-actor--{ACTOR}"])
def test_a_cluster_that_is_private_from_the_start_is_known_and_not_sent(make_site, asked):
    site = make_site("actors")
    site.misp.edit_cluster(ACTOR, distribution="0")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    code, answer, lines = explained(site, asked)
    assert code == 0 and answer["sentence"].endswith(": not sent (MISP shows it to few).")
    assert answer["destinations"][0]["state"] == "not sent"
    assert any("context_private = True" in line for line in lines)
    site.configure(CONTEXT_PRIVATE="true")
    later(site)
    assert ": live; 2 live indicators point to it" in explained(site, asked)[1]["sentence"]


def test_a_cluster_that_the_setting_does_not_send_is_known(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.configure(CONTEXT="nothing")
    later(site, force_withdraw=True)
    site.misp.load([tagged(2, 'misp-galaxy:mitre-intrusion-set="Moon Fox - G9999"')])
    later(site)
    _, answer, _ = explained(site, "G9999")
    assert answer["sentence"] == "G9999 is an actor (Moon Fox): not sent (the setting context does not send it)."
    site.configure(CONTEXT="actors")
    _, answer, _ = explained(site, f"threat-actor--{SET}")
    assert answer["sentence"].endswith(": not sent (no indicator that is sent points to it).")


def test_a_tag_whose_cluster_misp_has_no_more_names_none(make_site):
    site = make_site("actors")
    site.misp.edit_cluster(ACTOR, distribution="0")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete_cluster(ACTOR)
    later(site)
    code, answer, _ = explained(site, ACTOR_TAG)
    assert code == 0 and answer["tag_names_nothing"] and "names no cluster in MISP" in answer["sentence"]
    assert explained(site, "Moon Fox")[0] == 1
