"""A site that shares stories to the sandbox's MISP and collects them, in one process, with a clock that tests move."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from unittest import mock

from helpers.commands.collect import collect
from helpers.commands.share import share
from helpers.process.log import silence_libraries
from helpers.settings import load
from helpers.stories import ShareOptions
from sandbox.faults import Fault
from sandbox.misp.accounts import organisation
from sandbox.misp.app import MispState, create_app
from tests.support import FakeTime, WsgiAdapter

START = 1_795_290_400
US = organisation(5, "NEWSROOM", "55555555-0000-4000-8000-000000000005")
THEM = organisation(6, "OTHERS", "66666666-0000-4000-8000-000000000006")
STORY = "0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d11"
ITEM = "5e0e9d1c-8f7e-4d55-a7a5-6a3a0d5b8a10"
OTHER_ITEM = "5e0e9d1c-8f7e-4d55-a7a5-6a3a0d5b8a11"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
OTHER_HASH = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
URL = "http://evil.example.org/a"


def item(**changes):
    fields = {
        "id": ITEM,
        "title": "Loader seen",
        "content": "It calls hxxp://evil[.]example[.]org/a and drops a file.",
        "author": "",
        "link": "https://news.example.org/loader",
        "source": "https://news.example.org/feed",
        "language": "en",
        "hash": HASH,
        "published": "2026-11-20T08:00:00",
        "review": "",
        "osint_source_id": "",
        "story_id": STORY,
    }
    return fields | changes


def other_item(**changes):
    return item(**{"id": OTHER_ITEM, "title": "Loader again", "content": "More.", "hash": OTHER_HASH, **changes})


def story(**changes):
    fields = {
        "id": STORY,
        "title": "New loader spreads by invoice mails",
        "description": "A loader.",
        "summary": "It spreads.",
        "comments": "",
        "tags": {"loader": {"name": "loader", "tag_type": "misc"}},
        "attributes": {"TLP": {"key": "TLP", "value": "amber"}},
        "links": [{"link": "https://news.example.org/loader", "news_item_id": ITEM}],
        "news_items": [item()],
    }
    return fields | changes


class Wire(WsgiAdapter):
    """Carries requests to the sandbox's MISP; ``writes`` are the paths of those that change something."""

    def __init__(self, app):
        super().__init__(app)
        self.last_headers = {}
        self.bodies = []

    def send(self, request, **options):
        self.last_headers = {}
        response = super().send(request, **options)
        self.last_headers = response.headers
        self.bodies.append(response.content)
        return response

    @property
    def writes(self):
        reading = ("/view", "/index", "restSearch", "checkValue", "getVersion", "getPyMISPVersion", "describeTypes")
        return [request.path_url for request in self.requests if not any(word in request.path_url for word in reading)]


class StorySite:
    """Our organisation's side; ``misp`` is the MISP that it shares with the organisation THEM."""

    def __init__(self, folder, role="Publisher", **settings):
        self.folder, self.time = folder, FakeTime(START)
        self.misp = MispState(clock=self.time.now)
        self.misp.tags |= {"loader", "tlp:amber", "tlp:green"}
        self.key = self.misp.key if role == "admin" else self.misp.add_user(role, US)
        self.their_key = self.misp.add_user("Publisher", THEM)
        self.stories_settings = {"DISTRIBUTION": "1", **settings}
        self.state = folder / "state"
        self.wire = Wire(create_app(self.misp))
        silence_libraries()

    def settings(self, key="", organisation_id="", **more):
        config = self.folder / "config.py"
        config.write_text("")
        ours = "1" if self.key == self.misp.key else US["id"]
        values = {
            "API_KEY": key or self.key,
            "ORGANISATION_ID": organisation_id or ours,
            **self.stories_settings,
            **more,
        }
        environ = {f"MISP2SENTINEL_MISP_STORIES__{name}": value for name, value in values.items()}
        environ |= {"MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org"}
        environ |= {"MISP2SENTINEL_STATE_DIR": str(self.state)}
        return load(config, environ, stories=True).settings

    @contextmanager
    def wired(self):
        with mock.patch("helpers.misp.client.PinnedHttpAdapter", lambda *_: self.wire):
            yield

    def share(self, *stories, text=None, settings=None, later=60, **options):
        """Share stories a minute later; what ``--json`` says."""
        self.time.seconds += later
        self.wire.requests.clear()
        file = self.folder / "stories.json"
        file.write_text("\n".join(json.dumps(story_) for story_ in stories) if text is None else text, encoding="utf-8")
        lines = []
        with self.wired():
            code = share(
                settings or self.settings(),
                [file],
                lines.append,
                ShareOptions(**options),
                as_json=True,
                sleep=self.time.sleep,
            )
        answer = json.loads(lines[0])
        assert code == answer["exit_code"]
        return answer

    def share_one(self, story_, **options):
        """Share one story; its outcome."""
        (outcome,) = self.share(story_, **options)["stories"]
        return outcome

    def share_as_them(self, story_, **options):
        """Share a story as the other organisation does."""
        return self.share_one(story_, settings=self.settings(self.their_key, THEM["id"]), **options)

    def collect(self, settings=None, later=60, **options):
        """Collect a minute later: exit code, the stories, what was said."""
        self.time.seconds += later
        self.wire.requests.clear()
        self.wire.bodies.clear()
        out, messages = io.StringIO(), []
        with self.wired():
            options = {"now": self.time.now, "sleep": self.time.sleep, **options}
            code = collect(settings or self.settings(), out, messages.append, **options)
        return code, [json.loads(line) for line in out.getvalue().splitlines()], messages

    def paths(self):
        """What was asked since the last share or collection began, without PyMISP's and our own introductions."""
        first = ("/servers/", "/users/", "/attributes/describeTypes")
        return [request.path_url for request in self.wire.requests if not request.path_url.startswith(first)]

    def event(self, uuid=STORY):
        return self.misp.event(uuid)

    def objects(self, name, uuid=STORY):
        return [object_ for object_ in self.event(uuid)["Object"] if object_["name"] == name and not object_["deleted"]]

    def values(self, relation, uuid=STORY):
        """All live values of a relation in the event's objects."""
        return [
            attribute["value"]
            for object_ in self.event(uuid)["Object"]
            for attribute in object_["Attribute"]
            if not attribute["deleted"] and not object_["deleted"] and attribute["object_relation"] == relation
        ]

    def indicators(self, uuid=STORY):
        return {
            attribute["value"]: attribute["to_ids"]
            for attribute in self.event(uuid)["Attribute"]
            if not attribute["deleted"]
        }

    def tags(self, uuid=STORY):
        return {tag["name"] for tag in self.event(uuid).get("Tag", ())}

    def fault(self, path, kind, **more):
        return self.misp.faults.add(Fault(path, kind, **more))

    def propose(self, attribute, key=None, **body):
        """Propose a change to an attribute as one of THEM."""
        client = create_app(self.misp).test_client()
        headers = {"Authorization": key or self.their_key}
        return client.post(f"/shadow_attributes/edit/{attribute['uuid']}", json=body, headers=headers)
