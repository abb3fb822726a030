"""``python -m sandbox.compare`` against MISPs whose answers are known."""

import re

import pytest
import requests
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from helpers.http import session
from sandbox import compare
from sandbox.faults import Fault
from sandbox.misp.accounts import Account
from sandbox.misp.app import MispState, create_app
from sandbox.misp.recorded import account_of
from sandbox.misp.records import ORGANISATION
from sandbox.serve import Sandbox, Server
from tests.support import hosts, misp_event
from tests.support.recorded_misp import NAMES, day_of, exchange, site

recorded = pytest.mark.skipif(not NAMES, reason="the recordings of a real MISP are not here")
SPIDER, PHISHING = 'misp-galaxy:threat-actor="Sandbox Spider"', 'misp-galaxy:mitre-attack-pattern="Phishing - T1566"'
WRITES = [
    "POST /events/add",
    "POST /events/edit/1",
    "POST /events/publish/1",
    "POST /events/delete/1",
    "DELETE /events/delete/1",
    "POST /attributes/add/1",
    "POST /objects/delete/1",
    "POST /eventReports/add/1",
    "POST /tags/attachTagToObject",
    "POST /shadowAttributes/add/1",
    "POST /sightings/add",
    "PUT /events/view/1",
    "POST /users/view/me",
    "GET /events/restSearch/../../events/delete/1",
]


@pytest.fixture
def box():
    story = {"name": "taranis-news-item", "Attribute": [{"type": "text", "object_relation": "id", "value": "x"}]}
    tags = [{"name": name} for name in ("tlp:amber", SPIDER, PHISHING, 'misp-galaxy:threat-actor="Nobody"')]
    more = {"Object": [story], "Tag": tags, "distribution": "1", "Orgc": ORGANISATION}
    events = [misp_event(number, hosts(number * 3, f"e{number}h"), **more) for number in range(1, 9)]
    with Sandbox(state_misp=MispState(events)) as running:
        running.misp.warninglist.add("e1h0.example.org")
        running.misp.add_sharing_group("us", ORGANISATION)
        phishing = running.misp.add_cluster("mitre-attack-pattern", "Phishing - T1566", {"external_id": ["T1566"]})
        running.misp.add_cluster("threat-actor", "Sandbox Spider", relations=[("uses", phishing)])
        yield running


@pytest.fixture
def key_file(tmp_path):
    def of(key):
        path = tmp_path / "key"
        path.write_text(f"{key}\n")
        return str(path)

    return of


def compare_with(box, key_file, **options):
    lines = []
    url, key = options.get("url", box.misp_url), options.get("key", box.misp.readonly_key)
    code = compare.main(["--misp", url, "--key-file", key_file(key), "--ca", box.ca_file], lines.append, lambda _: None)
    return code, lines


def test_the_sandbox_differs_nowhere_from_itself(box, key_file):
    code, lines = compare_with(box, key_file)
    assert (code, len(lines)) == (0, 1), lines
    count = int(re.match(r"(\d+) requests compared; 0 answered otherwise", lines[0])[1])
    assert 100 < count < compare.MOST_REQUESTS
    assert count == len(box.misp.requests)
    asked = {path for _, path, _ in box.misp.requests}
    assert {"/events/index", "/events/restSearch", "/attributes/restSearch", "/sharingGroups/index"} <= asked
    clusters = [body for _, path, body in box.misp.requests if path == "/galaxy_clusters/restSearch"]
    assert sum("uuid" in body and len(body["uuid"]) == 2 for body in clusters) == 2


@recorded
def test_a_misp_that_answers_as_recorded_differs_nowhere(key_file):
    me = exchange("users_view_me_readonly")
    user = account_of(me.answer.body)
    state = MispState()  # at the same time as what it is compared with: filters count back from now
    site(day_of(me)).fill(state)
    state.users["k" * 40] = Account(user.id, user.email, user.role, user.organisation)
    with Sandbox(state_misp=state) as box:
        state.faults.add(Fault(me.path, "body", body=me.answer.body, times=None))
        code, lines = compare_with(box, key_file, key="k" * 40)
    assert (code, len(lines)) == (0, 1), lines


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("/users/view/me", lambda body: body["User"].update(id=7), "User.id: MISP number '7', sandbox text '7'"),
        ("/users/view/me", lambda body: body.update(more=1), "more: MISP number '1', sandbox absent"),
        ("/events/index", lambda body: body[0].pop("published"), "[].published: MISP absent, sandbox flag 'True'"),
    ],
)
def test_what_misp_answers_otherwise_is_reported_in_a_line(box, key_file, path, change, expected):
    client = create_app(box.misp).test_client()
    answer = client.open(path, json={"minimal": 1}, headers={"Authorization": box.misp.readonly_key}).json
    change(answer)
    box.misp.faults.add(Fault(path, "body", body=answer, times=None))
    code, lines = compare_with(box, key_file)
    different = [line for line in lines if line.startswith(("GET ", "POST "))]
    assert (code, len(different)) == (1, 1), lines
    assert path in different[0] and different[0].endswith(expected)


def test_a_cluster_that_misp_shows_otherwise_is_reported(box, key_file):
    body = {"response": [{"GalaxyCluster": {**box.misp.clusters[0], "more": 1}}]}
    box.misp.faults.add(Fault("/galaxy_clusters/restSearch", "body", body=body, times=1))
    code, lines = compare_with(box, key_file)
    assert code == 1 and any("/galaxy_clusters/restSearch" in line for line in lines), lines


def test_a_refusal_that_the_sandbox_would_not_give_is_reported(box, key_file):
    def asks_for_hits(body):
        return bool(body) and "type" in body

    box.misp.faults.add(Fault("/events/restSearch", "status", status=500, times=None, when=asks_for_hits))
    code, lines = compare_with(box, key_file)
    assert code == 1
    assert any('"type": ["domain", "hostname"]' in line and " status: MISP 500, sandbox 200" in line for line in lines)


@pytest.mark.parametrize("request_line", WRITES)
def test_a_write_is_never_sent(box, request_line):
    method, path = request_line.split()
    recorder = compare.Recorder(box.ca_file, "https", "")
    with pytest.raises(compare.NotRead, match="not sent"):
        session(recorder, "test").request(method, f"{box.misp_url}{path}", json={})
    assert box.misp.requests == [] and recorder.exchanges == []


def test_it_ends_after_so_many_requests(box, key_file, monkeypatch):
    monkeypatch.setattr(compare, "MOST_REQUESTS", 20)
    code, lines = compare_with(box, key_file)
    assert code == 3 and "more than 20 requests" in lines[0]
    assert len(box.misp.requests) == 20


def test_a_key_that_is_refused_is_reported_and_never_shown(box, key_file):
    code, lines = compare_with(box, key_file, key="secretsecret" * 4)
    assert code == 3 and "is refused" in lines[0]
    assert "secretsecret" not in "".join(lines)


def test_a_misp_that_shows_keys_does_not_get_them_printed(box, key_file):
    client = create_app(box.misp).test_client()
    me = client.get("/users/view/me", headers={"Authorization": box.misp.readonly_key}).json
    me["User"]["authkey"] = box.misp.readonly_key
    me["more"] = f"the key is {box.misp.readonly_key}"
    box.misp.faults.add(Fault("/users/view/me", "body", body=me, times=None))
    code, lines = compare_with(box, key_file)
    assert code == 1 and "the key is ..." in lines[0]
    assert box.misp.readonly_key not in "".join(lines)


@pytest.mark.parametrize("path", ["/", "/misp"])
def test_http_and_a_path_before_misp_are_taken(box, key_file, path):
    app = create_app(box.misp)
    server = Server(0, DispatcherMiddleware(app, {"/misp": app}), None)
    try:
        code, lines = compare_with(box, key_file, url=f"http://127.0.0.1:{server.port}{path}")
    finally:
        server.close()
    assert (code, len(lines)) == (0, 1), lines


def test_a_misp_without_events_is_reported(box, key_file):
    for event in list(box.misp.events()):
        box.misp.delete(event["uuid"])
    assert compare_with(box, key_file) == (
        3,
        ["MISP did not answer: it shows the key no published event to compare with"],
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--misp", "misp.example.org", "--key-file", "KEY"], "--misp: begin it with https://"),
        (["--misp", "https://misp.example.org", "--key-file", "nowhere"], "nowhere is no file"),
        (["--misp", "https://misp.example.org", "--key-file", "KEY", "--ca", "nothing"], "nothing is no file"),
        (["--key-file", "KEY"], "--misp"),
    ],
)
def test_wrong_usage(arguments, words, key_file, capsys):
    path = key_file("k")
    with pytest.raises(SystemExit) as raised:
        compare.main([path if argument == "KEY" else argument for argument in arguments])
    assert raised.value.code == 2 and words in capsys.readouterr().err


def test_a_misp_that_is_not_there(box, key_file):
    code, lines = compare_with(box, key_file, url="https://localhost:9")
    assert code == 3 and lines[0].startswith("MISP did not answer")
    with pytest.raises(requests.ConnectionError):
        requests.get("https://localhost:9", timeout=1)
