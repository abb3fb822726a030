"""Twins of URLs in small letters, from run to run: they come with their attribute, leave with it, and hurt nobody."""

import pytest

from constants import WithdrawalReason
from helpers.commands.explain.command import Options, explain
from tests.support import misp_event
from tests.sync.test_destination import APIS, DAY, attribute, edited, later, make_site, uuid

__all__ = ["make_site"]
URL = "https://Example.org/A"
SMALL = "https://example.org/a"
OTHER = "https://example.org/B"


def twins(site, wanted):
    site.settings = site.settings.model_copy(update={"lowercase_url_twins": wanted})


def load(site, *urls, number=1):
    site.misp.load([misp_event(number, [("url", url) for url in urls])])


def urls(site):
    return sorted(indicator["pattern"].split("'")[1] for indicator in site.live().values())


def explained(site, *asked):
    lines = []
    options = Options(offline=True)
    explain(site.settings, list(asked), lines.append, options, clock=site.waiting.clock, now=lambda: site.seconds)
    return "\n".join(map(str, lines))


def test_off_a_url_is_sent_as_misp_has_it(make_site):
    site = make_site()
    load(site, URL)
    report = site.run()
    assert urls(site) == [URL]
    assert (report.twins, report.as_json()["lowercase_url_twins"]) == (0, 0)


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_twin_comes_stays_and_leaves_with_its_attribute(make_site, deduplicate):
    site = make_site(LOWERCASE_URL_TWINS="True", DEDUPLICATE=deduplicate)
    load(site, URL)
    first = site.run()
    assert urls(site) == sorted([URL, SMALL])
    assert (first.attributes, first.twins, first.indicators) == (1, 1, 2)
    ids = set(site.live())
    again = later(site, full=True)
    assert (again.indicators, again.unchanged, set(site.live())) == (0, 2, ids)
    edited(site, 1, 0, comment="another")
    later(site)
    assert set(site.live()) == ids
    edited(site, 1, 0, value=OTHER)
    changed = later(site)
    assert urls(site) == sorted([OTHER, OTHER.lower()])
    assert changed.withdrawals == {WithdrawalReason.CHANGED: 2}
    edited(site, 1, 0, to_ids=False)
    assert later(site).withdrawals.total() == 2
    assert (urls(site), site.azure.wrong) == ([], [])


def test_a_url_that_loses_its_capitals_becomes_what_its_twin_was(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True")
    load(site, URL)
    site.run()
    edited(site, 1, 0, value=SMALL)
    assert later(site).exit_code == 0
    assert urls(site) == [SMALL]
    assert site.azure.wrong == []


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_turned_on_it_adds_and_turned_off_it_takes_back_what_it_added(make_site, deduplicate):
    site = make_site(DEDUPLICATE=deduplicate)
    load(site, URL)
    site.run()
    (id_,) = site.live()
    twins(site, wanted=True)
    added = later(site)
    assert (added.plans.total(), added.withdrawals.total(), urls(site)) == (1, 0, sorted([URL, SMALL]))
    twins(site, wanted=False)
    taken_back = later(site)
    assert (taken_back.exit_code, taken_back.withdrawals) == (0, {WithdrawalReason.NO_TWINS: 1})
    assert set(site.live()) == {id_}
    twins(site, wanted=True)
    later(site)
    assert urls(site) == sorted([URL, SMALL])
    assert site.azure.wrong == [], "a revoked id is not used again"


def test_guards_hold_back_twins_like_anything_else(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True")
    load(site, *(f"{URL}{number}" for number in range(120)))
    site.run()
    twins(site, wanted=False)
    refused = later(site)
    assert refused.exit_code == 1
    assert "120 of 240" in refused.refusals[0]
    assert len(site.live()) == 240
    assert later(site, force_withdraw=True).withdrawals == {WithdrawalReason.NO_TWINS: 120}
    assert len(site.live()) == 120


def test_where_values_are_shared_a_twin_and_a_url_are_one_and_the_last_that_wants_it_keeps_it(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True", DEDUPLICATE="value")
    load(site, URL)
    load(site, SMALL, number=2)
    site.run()
    assert urls(site) == sorted([URL, SMALL])
    (shared,) = (one for one in site.live().values() if one["pattern"] == f"[url:value = '{SMALL}']")
    assert len(shared["external_references"]) == 2
    twins(site, wanted=False)
    assert later(site).withdrawals == {}
    assert urls(site) == sorted([URL, SMALL])
    twins(site, wanted=True)
    later(site)
    site.misp.edit_attribute(uuid(2), attribute(2, 0), to_ids=False)
    site.misp.publish(uuid(2))
    assert later(site).withdrawals == {}
    assert urls(site) == sorted([URL, SMALL])
    assert site.azure.wrong == []


def test_each_attribute_has_its_own_twin_where_values_are_not_shared(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True")
    load(site, URL, SMALL)
    site.run()
    assert urls(site) == sorted([URL, SMALL, SMALL])
    edited(site, 1, 0, to_ids=False)
    later(site)
    assert urls(site) == [SMALL]


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_graph_gets_twins_too(make_site, deduplicate):
    site = make_site(LOWERCASE_URL_TWINS="True", DEDUPLICATE=deduplicate, **APIS["graph"])
    load(site, URL)
    assert site.run().exit_code == 0
    assert sent_to_graph(site) == sorted([URL, SMALL])
    twins(site, wanted=False)
    assert later(site).withdrawals == {WithdrawalReason.NO_TWINS: 1}
    assert sent_to_graph(site) == [URL]


def sent_to_graph(site):
    return sorted(indicator["url"] for indicator in site.azure.ti_indicators.values())


def test_a_twin_is_renewed_with_its_attribute(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True", DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    load(site, URL)
    site.run()
    site.seconds += 8 * DAY
    assert site.run().plans["renewed"] == 2
    assert len({indicator["valid_until"] for indicator in site.live().values()}) == 1


def test_explain_says_which_is_the_twin(make_site):
    site = make_site(LOWERCASE_URL_TWINS="True")
    load(site, URL, SMALL)
    site.run()
    by_pattern = {indicator["pattern"]: id_ for id_, indicator in site.live().items() if "A" in indicator["pattern"]}
    (as_it_is,) = by_pattern.values()
    own = attribute(1, 1)
    (twin,) = (id_ for id_ in site.live() if id_ not in (as_it_is, f"indicator--{own}"))
    assert explained(site, URL).count("(twin in small letters)") == 1
    assert f"url {SMALL} (twin in small letters)" in explained(site, twin)
    assert "twin" not in explained(site, as_it_is, f"indicator--{own}")
