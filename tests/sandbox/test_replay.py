"""The sandbox's MISP answers each recorded request as the real one did, but for what is meant to differ.

A recording's route is one that the program uses, and then its exchange is compared, or it is left out for a reason.
What is meant to differ stands in ``sandbox/comparison.py``, what each recording needs in ``recorded_misp.py``.
"""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase

import pytest

from sandbox.comparison import MEANT, compare
from sandbox.misp.app import create_app
from tests.support import recorded_misp
from tests.support.recorded_misp import NAMES, exchange, state_for

if not NAMES:
    pytest.skip("the recordings of a real MISP are not here", allow_module_level=True)

# What PyMISP asks for the program, or is about to.
USED = {
    *("GET /servers/getVersion", "GET /servers/getVersion.json", "GET /servers/getPyMISPVersion.json"),
    *("GET /attributes/describeTypes.json", "GET /users/view/*", "GET /decayingModel/index"),
    *("POST /events/restSearch", "POST /events/index", "GET /events/view/*", "POST /attributes/restSearch"),
    *("POST /objects/restSearch", "POST /galaxy_clusters/restSearch"),
    *("POST /events/add", "POST /events/edit/*", "POST /events/publish/*", "POST /objects/add/*"),
    *("POST /attributes/add/*", "POST /attributes/delete/*", "POST /eventReports/add/*"),
    *("POST /tags/attachTagToObject", "POST /tags/removeTagFromObject"),
    *("POST /shadow_attributes/add/*", "POST /shadow_attributes/edit/*", "POST /shadow_attributes/delete/*"),
    *("GET /shadow_attributes/index/*", "POST /sightings/add", "POST /sightings/add/*", "POST /sightings/restSearch"),
    *("POST /sightings/restSearch/*", "POST /sightings/listSightings/*/*"),
    *("GET /warninglists/index", "POST /warninglists/checkValue"),
}
# What tests let other people do at the sandbox's MISP, or what shows how MISP refuses.
BY_OTHERS = {
    *("POST /events/delete/*", "POST /events/unpublish/*", "POST /shadow_attributes/accept/*"),
    *("GET /eventReports/index/*", "GET /events/restSearch", "GET /events/restSearch/*/*/*"),
    *("GET /events/noSuchAction", "GET /noSuchThing/index"),
}
LEFT_OUT = {
    "attributes_view_not_found": "the program views no single attribute",
    "event_reports_restSearch": "the program searches no reports, and MISP cannot",
    "galaxies_index": "the program resolves clusters, and asks for no galaxy",
    "html_accept_wrong_key": "the program asks for JSON",
    "method_delete": "the program deletes with POST",
    "session_html_accept": "the program asks for JSON",
    "shadow_attributes_index": "the program asks for the proposals of one event",
    "taxonomies_index": "the program asks for no taxonomy",
}
COMPARED = [name for name in NAMES if name not in LEFT_OUT]


@functools.cache
def result(name):
    return compare(state_for(name), exchange(name))


@pytest.mark.parametrize("name", COMPARED)
def test_the_sandbox_answers_as_recorded(name):
    route = exchange(name).route
    assert route in USED | BY_OTHERS, f"nobody has looked at {name} ({route}): see this file's tables"
    assert not result(name).differences, "\n".join(map(str, result(name).differences))


def test_each_entry_is_about_a_recording():
    names, routes = set(NAMES), {exchange(name).route for name in COMPARED}
    patterns = [*recorded_misp.BESIDE, *recorded_misp.PREPARED]
    assert LEFT_OUT.keys() - names == set()
    assert [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in COMPARED)] == []
    assert (USED | BY_OTHERS) - routes == set()


def test_what_is_meant_to_differ_still_does():
    seen = {why for name in COMPARED for _, why in result(name).meant}
    recorded = [meant for meant in MEANT if any(meant.concerns(exchange(name)) for name in COMPARED)]
    assert [meant for meant in recorded if meant not in seen] == []


def test_count(capsys):
    results = [result(name) for name in COMPARED]
    equal = sum(not comparison.meant and not comparison.differences for comparison in results)
    meant = sum(len(comparison.meant) for comparison in results)
    with capsys.disabled():
        print(
            f"\n{len(NAMES)} recordings: {len(LEFT_OUT)} left out, {len(COMPARED)} compared, {equal} equal, "
            f"{len(COMPARED) - equal} with {meant} differences that are meant"
        )
    assert equal > len(COMPARED) * 0.9


# Lists that were cut show what was found and not what was left out, so another event is put there: of another
# organisation, without tags and objects, of the lowest threat level, shared with nobody in particular.
DECOY = {
    "uuid": "deadbeef-0000-4000-8000-000000000001",
    "info": "a decoy",
    "date": "2020-02-02",
    "timestamp": "1580601600",
    "publish_timestamp": "1580601600",
    "published": True,
    "threat_level_id": "4",
    "analysis": "0",
    "distribution": "1",
    "Orgc": {"id": "77", "name": "DECOY", "uuid": "deadbeef-0000-4000-8000-000000000002"},
    "Attribute": [
        {"type": "text", "category": "Other", "value": "decoy", "uuid": "deadbeef-0000-4000-8000-00000000000a"}
    ],
    "Object": [{"name": "decoy", "uuid": "deadbeef-0000-4000-8000-00000000000b"}],
}
LEFT_OUT_BY_FILTERS = [
    *("events_restSearch_tag", "events_restSearch_tag_AND", "events_restSearch_tag_wildcard"),
    *("events_restSearch_tags_other_letter_case", "events_restSearch_object_relation"),
    *("events_restSearch_threat_level_id", "events_restSearch_sharing_group_id", "events_restSearch_galaxy_tags"),
    *("events_restSearch_timestamp_date", "events_restSearch_timestamp_iso", "events_restSearch_published_0"),
    *("objects_restSearch_object_name", "events_restSearch_eventid_not_found", "events_restSearch_no_match"),
]
FOUND_BY_NO_FILTER = [
    *("events_restSearch_threatlevel_ignored", "events_restSearch_threat_level_ignored"),
    *("events_restSearch_distribution_ignored", "events_restSearch_object_name_ignored"),
    *("events_restSearch_tags_not_other_letter_case",),
]


def finds_the_decoy(name):
    """Whether the recorded request, without its page, finds the decoy beside what was recorded."""
    state, asked = state_for(name), exchange(name)
    state.load([DECOY])
    body = {key: value for key, value in asked.body.items() if key not in ("limit", "page")}
    key = next(key for key, account in state.users.items() if key == asked.user)
    answer = create_app(state).test_client().post(asked.path, json=body, headers={"Authorization": key})
    assert answer.status_code == 200
    return DECOY["uuid"] in answer.text or '"name": "decoy"' in answer.text


@pytest.mark.parametrize("name", LEFT_OUT_BY_FILTERS)
def test_what_a_filter_leaves_out_is_not_found(name):
    assert not finds_the_decoy(name)


@pytest.mark.parametrize("name", FOUND_BY_NO_FILTER)
def test_what_misp_ignores_leaves_nothing_out(name):
    assert finds_the_decoy(name)
