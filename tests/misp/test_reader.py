"""Reading MISP through PyMISP: every quirk that can lose events, met on purpose over real TLS."""

import logging

import pytest

from helpers.errors import MispBusy, MispError, MispRefused
from helpers.misp import UNASKED, paged_search, reader, search_filters
from helpers.misp.paged_search import PagedSearch
from helpers.misp.reader import MispReader, grouped
from helpers.misp.responses import ListedEvent
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import FakeTime, hosts, misp_event, settings_for

FILTERS = {"published": 1}
EVENTS, ATTRIBUTES = "/events/restSearch", "/attributes/restSearch"


@pytest.fixture
def box():
    with Sandbox() as running:
        yield running


@pytest.fixture
def read(box, tmp_path):
    """Read everything under filters: ({uuid: [values]}, the reader)."""

    def reading(filters=FILTERS, **environ):
        reader = reader_for(box, tmp_path, **environ)
        values_by_event = {}
        for page in reader.pages(reader.listing(filters), filters):
            for event in page.slices:
                members = [attribute for object_ in event.get("Object", []) for attribute in object_["Attribute"]]
                values = [attribute["value"] for attribute in [*event.get("Attribute", []), *members]]
                values_by_event.setdefault(event["uuid"], []).extend(values)
        return values_by_event, reader

    return reading


def reader_for(box, tmp_path, **environ):
    variables = {
        "MISP2SENTINEL_MISP_DOMAIN": box.misp_url,
        "MISP2SENTINEL_MISP_KEY": box.misp.readonly_key,
        "MISP2SENTINEL_MISP_VERIFYCERT": box.ca_file,
        "MISP2SENTINEL_MISP_TIMEOUT": "20",
        **environ,
    }
    return MispReader(settings_for(box.azure, tmp_path, **variables), FakeTime().sleep)


def listing(body):
    return bool(body.get("metadata"))


def holds(number):
    """Whether a request asks for the event with this id."""
    return lambda body: not listing(body) and str(number) in map(str, body.get("eventid") or [])


def searches(box, path=EVENTS):
    return [body for _, where, body in box.misp.requests if where == path]


def test_every_page_is_read(box, read):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 8))
    values_by_event, reader = read(MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="3")
    assert len(values_by_event) == reader.listed == 7
    assert all(len(values) == 2 for values in values_by_event.values())
    read_whole = [body["eventid"] for body in searches(box) if not listing(body)]
    assert [len(ids) for ids in read_whole] == [3, 3, 1]


def test_a_limit_in_the_filters_means_one_query(box, read):
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 8))
    values_by_event, _ = read({**FILTERS, "limit": 2, "page": 2})
    assert list(values_by_event) == [misp_event(3)["uuid"], misp_event(4)["uuid"]]
    assert sum(map(listing, searches(box))) == 1


@pytest.mark.parametrize("value", [False, 0])
def test_a_json_false_for_published_loses_nothing(box, read, monkeypatch, value):
    """MISP takes unpublished events out of the pages that it has picked, so short ones end a listing too soon."""
    monkeypatch.setattr(paged_search, "LISTED_PER_PAGE", 2)
    box.misp.load(misp_event(n, hosts(1), published=n % 2 == 0) for n in range(1, 10))
    values_by_event, _ = read({"published": value})
    assert len(values_by_event) == 5
    sent = [body["published"] for body in searches(box)]
    assert sent and all(published == 0 and not isinstance(published, bool) for published in sent)


@pytest.mark.parametrize("change", ["unpublish", "delete"])
def test_an_event_that_leaves_between_pages_hides_no_other(box, read, monkeypatch, change):
    monkeypatch.setattr(paged_search, "LISTED_PER_PAGE", 32)
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 101))
    search = PagedSearch.search

    def meanwhile(self, controller, arguments, *tries):
        answer = search(self, controller, arguments, *tries)
        if arguments.get("page") == 1 and box.misp.event(misp_event(5)["uuid"])["published"]:
            getattr(box.misp, change)(misp_event(5)["uuid"])
            box.misp.load([misp_event(5, published=False)])
        return answer

    monkeypatch.setattr(PagedSearch, "search", meanwhile)
    values_by_event, reader = read()
    assert set(values_by_event) == {misp_event(n)["uuid"] for n in range(1, 101) if n != 5}
    assert reader.unread == []


def test_an_event_that_leaves_after_the_listing_is_no_failure(box, read, monkeypatch, caplog):
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 5))
    list_events = PagedSearch.list_events

    def meanwhile(self, filters):
        listed = list_events(self, filters)
        box.misp.delete(misp_event(2)["uuid"])
        return listed

    monkeypatch.setattr(PagedSearch, "list_events", meanwhile)
    values_by_event, reader = read()
    assert len(values_by_event) == 3
    assert reader.unread == []
    assert f"Event {misp_event(2)['uuid']} left the filters" in caplog.text


def test_warninglists_work_and_keep_the_listing_alive(box, read):
    box.misp.warninglist = {"host0.example.org"}
    box.misp.load([misp_event(1, hosts(3)), misp_event(2, hosts(1))])
    values_by_event, _ = read({**FILTERS, "enforceWarninglist": True})
    assert values_by_event[misp_event(1)["uuid"]] == ["host1.example.org", "host2.example.org"]
    assert values_by_event[misp_event(2)["uuid"]] == []


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 64)


def test_a_large_event_is_read_in_pages_of_attributes(box, read, small_pages):
    box.misp.load([misp_event(1, hosts(300)), misp_event(2, hosts(5))])
    values_by_event, _ = read()
    assert sorted(values_by_event[misp_event(1)["uuid"]]) == sorted(value for _, value in hosts(300))
    assert len(values_by_event[misp_event(2)["uuid"]]) == 5
    everything = searches(box, ATTRIBUTES)
    asked = [body for body in everything if "to_ids" in body]
    assert [body["type"] for body in everything if body not in asked] == [["threat-actor"]]
    assert [body["page"] for body in asked if body["to_ids"] == 1] == [1, 2, 3, 4, 5]
    assert [(body["to_ids"], body["type"]) for body in asked if body["to_ids"] != 1] == [(0, "filename")]


def test_pages_that_warninglists_empty_are_not_the_end(box, read, small_pages):
    box.misp.warninglist = {f"host{n}.example.org" for n in range(200)}
    box.misp.load([misp_event(1, hosts(300))])
    values_by_event, _ = read({**FILTERS, "enforceWarninglist": 1})
    assert len(values_by_event[misp_event(1)["uuid"]]) == 100


def test_members_of_an_object_stay_together_over_a_page(box, tmp_path, small_pages):
    objects = [
        {
            "uuid": f"30000000-0000-4000-8000-{n:012d}",
            "name": "file",
            "Attribute": misp_event(500 + n, [("filename", f"f{n}.exe"), ("md5", f"{n:032x}"), ("sha1", f"{n:040x}")])[
                "Attribute"
            ],
        }
        for n in range(50)
    ]
    box.misp.load([misp_event(1, hosts(10), Object=objects)])
    reader = reader_for(box, tmp_path)
    slices = [event for page in reader.pages(reader.listing(FILTERS), FILTERS) for event in page.slices]
    members = [object_["Attribute"] for event in slices for object_ in event["Object"]]
    assert sorted(len(attributes) for attributes in members) == [3] * 50
    assert sum(len(event["Attribute"]) for event in slices) == 10
    assert {event["info"] for event in slices} == {"Event 1"}


def test_of_names_that_are_not_flagged_those_of_flagged_files_are_read_the_others_counted(box, tmp_path, small_pages):
    """In the order in which MISP has them; an event may have a great many others."""
    names = [("filename", "second.exe"), ("md5", "0" * 32), ("filename", "third.exe"), ("sha1", "1" * 40)]
    whole = {"uuid": misp_event(8)["uuid"], "name": "file", "Attribute": misp_event(500, names)["Attribute"]}
    bare = {"uuid": misp_event(9)["uuid"], "name": "file", "Attribute": misp_event(600, names)["Attribute"]}
    for attribute in (whole["Attribute"][2], *bare["Attribute"]):
        attribute["to_ids"] = False
    event = misp_event(1, [*hosts(99), *(("filename", f"alone{n}.exe") for n in range(70))], Object=[whole, bare])
    for attribute in event["Attribute"][99:]:
        attribute["to_ids"] = False
    box.misp.load([event])
    reader = reader_for(box, tmp_path)
    slices = [event for page in reader.pages(reader.listing(FILTERS), FILTERS) for event in page.slices]
    assert sum(len(event["Attribute"]) for event in slices) == 99
    (members,) = [object_["Attribute"] for piece in slices for object_ in piece["Object"]]
    assert [attribute["value"] for attribute in members] == [value for _, value in names]
    assert [bool(attribute["to_ids"]) for attribute in members] == [True, True, False, True]
    assert [event[UNASKED] for event in slices if UNASKED in event] == [70 + 4]


@pytest.mark.parametrize(("to_ids", "names", "unasked"), [("1", 1, 2), (True, 1, 2), (0, 2, 0)])
def test_what_is_not_flagged_is_counted_only_for_a_site_whose_filters_leave_it_out(
    box, tmp_path, small_pages, to_ids, names, unasked
):
    whole = {"uuid": misp_event(8)["uuid"], "name": "file"}
    whole["Attribute"] = misp_event(500, [("filename", "name.exe"), ("md5", "0" * 32)])["Attribute"]
    event = misp_event(1, [*hosts(99), ("filename", "alone.exe"), ("text", "words")], Object=[whole])
    for attribute in (*event["Attribute"][99:], whole["Attribute"][0]):
        attribute["to_ids"] = False
    box.misp.load([event])
    reader, filters = reader_for(box, tmp_path), {**FILTERS, "to_ids": to_ids}
    slices = [event for page in reader.pages(reader.listing(filters), filters) for event in page.slices]
    attributes = [
        attribute for event in slices for holder in (event, *event["Object"]) for attribute in holder["Attribute"]
    ]
    assert sum(attribute["type"] == "filename" for attribute in attributes) == names
    assert [event[UNASKED] for event in slices if UNASKED in event] == [unasked]


PASSING = ["status", "html", "reset-before", "truncate"]


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("where", [listing, lambda body: not listing(body)], ids=["listing", "page"])
def test_what_passes_costs_nothing(box, read, kind, where):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 8))
    box.misp.faults.add(Fault(EVENTS, kind, when=where, times=2))
    values_by_event, reader = read()
    assert len(values_by_event) == 7
    assert reader.unread == []


def test_a_read_that_times_out_is_asked_again(box, read):
    box.misp.load([misp_event(1, hosts(2))])
    box.misp.faults.add(Fault(EVENTS, "hang"))
    values_by_event, _ = read(MISP2SENTINEL_MISP_TIMEOUT="0.3")
    assert len(values_by_event) == 1


@pytest.mark.parametrize("kind", PASSING)
def test_an_event_that_cannot_be_delivered_is_named_and_costs_only_itself(box, read, kind):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 21))
    box.misp.faults.add(Fault(EVENTS, kind, when=holds(7), times=None, body={"message": "Allowed memory size"}))
    box.misp.faults.add(Fault(ATTRIBUTES, kind, times=None, body={"message": "Allowed memory size"}))
    values_by_event, reader = read()
    assert len(values_by_event) == 19
    assert [event.uuid for event in reader.unread] == [misp_event(7)["uuid"]]
    if kind == "status":
        assert "Allowed memory size" in reader.unread[0].words


def test_an_event_that_is_too_large_as_a_whole_is_read_in_pages(box, read):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 4))
    box.misp.faults.add(Fault(EVENTS, "status", when=holds(2), times=None))
    values_by_event, reader = read()
    assert len(values_by_event[misp_event(2)["uuid"]]) == 2
    assert reader.unread == []


def test_a_cache_that_answers_every_page_alike_ends_the_reading(box, read, monkeypatch):
    monkeypatch.setattr(paged_search, "LISTED_PER_PAGE", 2)
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 6))
    search = PagedSearch.search

    def first_page(self, controller, arguments, *tries):
        return search(self, controller, {**arguments, "page": 1}, *tries)

    monkeypatch.setattr(PagedSearch, "search", first_page)
    with pytest.raises(MispError, match="same one"):
        read()


def test_a_listing_too_large_for_misp_is_asked_for_in_smaller_pages(box, read):
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 300))
    too_large = {"when": lambda body: listing(body) and body["limit"] > 128, "times": None}
    box.misp.faults.add(Fault(EVENTS, "status", **too_large))
    values_by_event, _ = read()
    assert len(values_by_event) == 299


def test_attribute_pages_too_large_for_misp_are_asked_for_in_smaller_ones(box, read, monkeypatch):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 256)
    box.misp.load([misp_event(1, hosts(300))])
    box.misp.faults.add(Fault(ATTRIBUTES, "truncate", when=lambda body: body["limit"] > 64, times=None))
    values_by_event, reader = read()
    assert len(values_by_event[misp_event(1)["uuid"]]) == 300
    assert reader.unread == []


def test_a_large_event_that_breaks_off_is_named(box, read, small_pages):
    box.misp.load([misp_event(1, hosts(300)), misp_event(2, hosts(2))])
    box.misp.faults.add(Fault(ATTRIBUTES, "status", when=lambda body: body["page"] > 2, times=None))
    values_by_event, reader = read()
    assert [event.uuid for event in reader.unread] == [misp_event(1)["uuid"]]
    assert len(values_by_event[misp_event(2)["uuid"]]) == 2


def test_misp_is_given_up_after_three_events_in_a_row(box, read):
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 201))
    box.misp.faults.add(Fault(EVENTS, "status", when=lambda body: not listing(body), times=None))
    box.misp.faults.add(Fault(ATTRIBUTES, "status", times=None))
    with pytest.raises(MispError, match="3 events in a row"):
        read()
    assert len(searches(box)) < 30


def test_a_dead_listing_ends_in_few_requests(box, read):
    box.misp.faults.add(Fault(EVENTS, "status", times=None))
    with pytest.raises(MispBusy):
        read()
    assert len(searches(box)) == 6


@pytest.mark.parametrize("status", [400, 404, 405])
def test_errors_that_pymisp_returns_are_errors(box, read, status):
    box.misp.faults.add(Fault(EVENTS, "status", status=status, body={"name": "No.", "message": "No."}, times=None))
    with pytest.raises(MispError, match=f"{status}: No"):
        read()


def test_a_key_that_is_refused_later_stops_at_once(box, read):
    box.misp.load(misp_event(n, hosts(1)) for n in range(1, 101))
    body = {"name": "Authentication failed.", "message": "Authentication failed."}
    box.misp.faults.add(Fault(EVENTS, "status", status=403, body=body, after=2, times=None))
    with pytest.raises(MispRefused, match="misp_key"):
        read()
    assert len(searches(box)) == 3


def test_a_wrong_key_names_the_setting(read):
    with pytest.raises(MispRefused, match=r"misp_key.*Authentication failed"):
        read(MISP2SENTINEL_MISP_KEY="x" * 40)


def test_the_rate_limit_is_waited_for_as_misp_says(box, tmp_path):
    box.misp.load([misp_event(1, hosts(1))])
    limited = Fault(EVENTS, "status", status=429, body={"name": "Rate limit exceeded."})
    limited.headers = {"X-Rate-Limit-Reset": "77"}
    box.misp.faults.add(limited)
    time = FakeTime()
    reader = reader_for(box, tmp_path)
    reader.client.sleep = time.sleep
    assert len(reader.listing(FILTERS)) == 1
    assert time.slept == [77]


def test_maintenance_has_a_name(box, read):
    login = {"status": 302, "headers": {"Location": "/users/login"}, "body": ""}
    box.misp.faults.add(Fault("/", "status", times=None, **login))
    with pytest.raises(MispRefused, match="maintenance"):
        read()


def test_a_certificate_of_nobody_names_the_setting(read):
    with pytest.raises(MispRefused, match="misp_verifycert"):
        read(MISP2SENTINEL_MISP_VERIFYCERT="true")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_settings_win_over_the_certificates_of_the_environment(box, read, monkeypatch, tmp_path, variable):
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "empty.pem"))
    box.misp.load([misp_event(1, hosts(1))])
    assert len(read()[0]) == 1
    monkeypatch.setenv(variable, box.ca_file)
    with pytest.raises(MispRefused, match="misp_verifycert"):
        read(MISP2SENTINEL_MISP_VERIFYCERT="true")


def test_the_settings_win_over_the_proxies_and_passwords_of_the_environment(box, read, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine localhost login somebody password something\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    box.misp.load([misp_event(1, hosts(1))])
    assert len(read()[0]) == 1
    with pytest.raises(MispError):
        read(MISP2SENTINEL_MISP_PROXIES='{"https": "http://localhost:9"}')


def test_filters_travel_under_misp_s_names(box, read):
    filters = {
        "published": 1,
        "type": ["domain"],
        "from": "2026-01-01",
        "to": "2026-12-31",
        "tags": ["tlp:white"],
        "org": "EXAMPLE",
        "publish_timestamp": "14d",
        "enforceWarninglist": True,
        "includeEventTags": True,
        "threat_level_id": [1, 2],
    }
    box.misp.load([misp_event(1, hosts(1), publish_timestamp=str(2_000_000_000), Tag=[{"name": "tlp:white"}])])
    read(filters)
    listed, whole = searches(box)[0], searches(box)[-1]
    same = {key: filters[key] for key in ("published", "type", "tags", "org", "threat_level_id", "publish_timestamp")}
    assert {key: listed[key] for key in same} == same
    assert listed["from"] and listed["to"]
    assert listed["enforceWarninglist"] == 0
    assert listed["includeEventTags"] == 1
    if whole is not listed:
        assert whole["enforceWarninglist"] == 1
        assert "publish_timestamp" not in whole


def test_one_event_is_read_whenever_it_was_published(box, read):
    box.misp.load([misp_event(1, hosts(2)), misp_event(2, hosts(2))])
    narrow = {**FILTERS, "publish_timestamp": "1d", "limit": 1}
    assert read(narrow)[0] == {}
    values_by_event, _ = read(search_filters.for_one_event(narrow, misp_event(2)["uuid"]))
    assert list(values_by_event) == [misp_event(2)["uuid"]]


def test_the_key_never_reaches_a_log(box, read, caplog):
    caplog.set_level(logging.DEBUG)
    from helpers.process.log import silence_libraries

    silence_libraries()
    box.misp.load([misp_event(1, hosts(2))])
    box.misp.faults.add(Fault(EVENTS, "status"))
    read()
    assert box.misp.readonly_key not in caplog.text


def test_a_search_that_answers_with_no_list_is_an_error(box, read):
    box.misp.faults.add(Fault(EVENTS, "body", body={"response": {"surprise": 1}}, times=None))
    with pytest.raises(MispBusy, match="no list"):
        read()


@pytest.mark.parametrize("rows", [[{}], [{"Event": {"info": "x"}}, {"Event": {"uuid": None}}], [{"Event": []}]])
def test_a_list_without_any_event_is_not_a_listing_without_this_site_s_events(box, read, rows):
    box.misp.load([misp_event(1, hosts(1))])
    box.misp.faults.add(Fault(EVENTS, "body", body={"response": rows}, times=None))
    with pytest.raises(MispError, match="something else than was asked for"):
        read()


@pytest.mark.parametrize(
    "found", [{}, {"version": []}, {"Attribute": [{}]}, {"Attribute": [None, {"uuid": 5}, {"Event": 5}]}, [{"id": "1"}]]
)
def test_an_answer_without_any_attribute_does_not_empty_an_event(box, read, found):
    box.misp.load([misp_event(1, hosts(2), attribute_count="5000"), misp_event(2, hosts(2))])
    box.misp.faults.add(Fault(ATTRIBUTES, "body", body={"response": found}, times=None))
    values_by_event, reader = read()
    assert [event.uuid for event in reader.unread] == [misp_event(1)["uuid"]]
    assert list(values_by_event) == [misp_event(2)["uuid"]]


@pytest.mark.parametrize("found", [[], {"Attribute": []}])
def test_an_answer_with_no_attribute_is_an_event_without_attributes(box, read, found):
    box.misp.load([misp_event(1, hosts(2), attribute_count="5000")])
    box.misp.faults.add(Fault(ATTRIBUTES, "body", body={"response": found}, times=None))
    values_by_event, reader = read()
    assert (reader.unread, values_by_event) == ([], {misp_event(1)["uuid"]: []})


def test_groups_are_bounded_and_lose_nothing():
    sizes = [1, 5, 0, 9000, 3, 4096, 2, *[100] * 90, 4095, 1]
    listed = [ListedEvent(f"u{n}", str(n), 0, published=True, attributes=size) for n, size in enumerate(sizes)]
    groups = list(grouped(listed, 50, 4096))
    assert [event for group in groups for event in group] == listed
    for group in groups:
        assert len(group) <= 50
        assert len(group) == 1 or sum(event.attributes for event in group) <= 4096


# --- decaying models -----------------------------------------------------------------------------------

DECAY = {"MISP2SENTINEL_FILTERS": '{"exclude_decayed": true}'}


def scored(box, tmp_path, **environ):
    """Read everything; the names of the models that scored each value."""
    reader = reader_for(box, tmp_path, **environ)
    events = [event for page in reader.pages(reader.listing(FILTERS), FILTERS) for event in page.slices]
    members = [
        attribute for event in events for object_ in event.get("Object", []) for attribute in object_["Attribute"]
    ]
    attributes = [*(attribute for event in events for attribute in event["Attribute"]), *members]
    models = {
        attribute["value"]: [score["DecayingModel"]["name"] for score in attribute.get("decay_score", [])]
        for attribute in attributes
    }
    return models, reader


def with_scores(box, events=3, attributes=2):
    """Load events of which the first attribute has scores, and one that has a scored attribute in an object."""
    for number in range(1, events + 1):
        event = misp_event(number, hosts(attributes, f"e{number}h"))
        box.misp.load([event])
        box.misp.score(event["uuid"], event["Attribute"][0]["uuid"], 12.5, "NIDS")
        box.misp.score(event["uuid"], event["Attribute"][0]["uuid"], 70, "Phishing model")
    inner = misp_event(99, hosts(1, "inner"))["Attribute"]
    box.misp.load([misp_event(50, Object=[{"uuid": "30000000-0000-4000-8000-000000000001", "Attribute": inner}])])
    box.misp.score(misp_event(50)["uuid"], inner[0]["uuid"], 5)


def test_scores_are_asked_for_apart_and_put_where_they_belong(box, tmp_path):
    with_scores(box)
    models, reader = scored(box, tmp_path, MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="3", **DECAY)
    assert models == {
        **{f"e{n}h0.example.org": ["NIDS", "Phishing model"] for n in (1, 2, 3)},
        **{f"e{n}h1.example.org": [] for n in (1, 2, 3)},
        "inner0.example.org": ["NIDS"],
    }
    asked = searches(box, ATTRIBUTES)
    assert len(asked) == 2, "one question for each page of events"
    assert all(body["includeDecayScore"] and not body["excludeDecayed"] for body in asked)
    assert reader.unread == []


def test_without_a_filter_on_scores_nobody_asks_for_them(box, tmp_path):
    with_scores(box)
    models, _ = scored(box, tmp_path, MISP2SENTINEL_FILTERS='{"max_tlp": "green"}')
    assert not any(models.values())
    assert searches(box, ATTRIBUTES) == []


def test_scores_come_with_the_pages_of_a_large_event(box, tmp_path, monkeypatch):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 32)
    with_scores(box, events=1, attributes=100)
    models, _ = scored(box, tmp_path, **DECAY)
    assert len(models) == 101 and models["e1h0.example.org"] == ["NIDS", "Phishing model"]


def test_scores_are_asked_for_in_pages_to_the_end(box, tmp_path, monkeypatch):
    with_scores(box, events=1, attributes=100)
    for attribute in misp_event(1, hosts(100))["Attribute"]:
        box.misp.score(misp_event(1)["uuid"], attribute["uuid"], 40, "URLs")
    monkeypatch.setattr(reader, "grouped", lambda listing, *_: [list(listing)])
    attribute_pages = PagedSearch.attribute_pages

    def smaller(self, *arguments):
        monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 32)
        yield from attribute_pages(self, *arguments)
        monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 4096)

    monkeypatch.setattr(PagedSearch, "attribute_pages", smaller)
    models, _ = scored(box, tmp_path, **DECAY)
    assert len(searches(box, ATTRIBUTES)) == 4
    assert sum("URLs" in names for names in models.values()) == 100


def test_an_event_whose_scores_cannot_be_had_is_not_read(box, tmp_path):
    with_scores(box, events=2)
    box.misp.faults.add(Fault(ATTRIBUTES, "status", status=405, when=holds(1), times=None))
    models, reader = scored(box, tmp_path, **DECAY)
    assert [event.uuid for event in reader.unread] == [misp_event(1)["uuid"]]
    assert set(models) == {"e2h0.example.org", "e2h1.example.org", "inner0.example.org"}


def with_everything():
    """An event with what MISP keeps beside attributes."""
    report = {"uuid": "70000000-0000-4000-8000-000000000001", "name": "A report", "content": "Words"}
    related = [{"Event": {"id": "9", "info": "Another"}}]
    return {**misp_event(1, hosts(2)), "Galaxy": [{"name": "Actor"}], "RelatedEvent": related, "EventReport": [report]}


@pytest.mark.parametrize("reports", [False, True])
def test_what_no_indicator_is_made_of_stays_in_misp(box, tmp_path, reports):
    """Galaxies (their empty lists stay), proposals, and reports unless they are wanted; correlations come unasked."""
    box.misp.load([with_everything()])
    reader = reader_for(box, tmp_path, MISP2SENTINEL_MISP_REMOVE_EVENTREPORTS=str(not reports))
    ((event,),) = [page.slices for page in reader.pages(reader.listing(FILTERS), FILTERS)]
    assert {"ShadowAttribute", "EventReport"} & event.keys() == ({"EventReport"} if reports else set())
    assert len(event["Attribute"]) == 2
    assert not event["Galaxy"] and not event["Attribute"][0]["Galaxy"] and not event["Attribute"][0]["ShadowAttribute"]


def test_what_pymisp_does_not_take_names_the_filters_where_they_were_part_of_it(box, tmp_path):
    reader = reader_for(box, tmp_path)
    with pytest.raises(MispRefused, match="PyMISP does not take misp_event_filters"):
        reader.listing({"to_ids": "often"})
    with pytest.raises(MispRefused, match=r"PyMISP does not take what it was asked: .*'odd'"):
        reader.client.ask(lambda _: int("odd"), 1)
