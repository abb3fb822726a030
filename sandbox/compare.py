"""Compare a real MISP with the sandbox: ``python -m sandbox.compare --misp URL --key-file FILE [--ca FILE]``.

What the program asks is asked of the real one, read-only, about a handful of its events; then the same of a sandbox
that holds what it answered. Prints where the sandbox would have answered otherwise. Exit code 0: nowhere; 1: somewhere;
2: wrong usage; 3: MISP did not answer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr

from helpers.commands.explain.misp_view import MispView
from helpers.commands.explain.next_run import places_of
from helpers.errors import MispError, MispRefused
from helpers.http import MIB, Limits, PinnedHttpAdapter
from helpers.ledger.questions.lookup import Question
from helpers.misp import ListedEvent, MispClient, MispConnection, MispReader
from helpers.process.log import silence_libraries
from helpers.settings import Settings, load
from helpers.stories.misp_writer import MispWriter, stories_connection
from sandbox.comparison import Answer, Compared, Exchange, compare
from sandbox.misp.app import MispState
from sandbox.misp.recorded import RecordedMisp, account_of

SHIPPED = Path(__file__).resolve().parents[1] / "config.py"
EVENTS, LISTED, LARGEST, MOST_REQUESTS, MOST_TAGS = 5, 50, 2000, 500, 50
NO_CLUSTER = "00000000-0000-4000-8000-000000000000"
USER = "the key"
Sleep = Callable[[float], None]
# Nothing else is ever sent.
READS = re.compile(
    r"GET /(servers/getVersion|servers/getPyMISPVersion|users/view/me|attributes/describeTypes|sharingGroups/index"
    r"|decayingModel/index|warninglists/index|events/view/[0-9a-f-]+|shadowAttributes/index/[0-9a-f-]+)(\.json)?"
    r"|POST /((events|attributes|objects|galaxy_clusters|sightings)/restSearch|events/index|events/view/[0-9a-f-]+"
    r"|tags/search|warninglists/checkValue)"
)
# What is asked with each of these, beside the shipped filters.
VARIATIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"enforceWarninglist": False},
    {"enforceWarninglist": False, "includeWarninglistHits": 1},
    {"enforceWarninglist": True, "includeWarninglistHits": 1},
    {"to_ids": 1},
    {"deleted": [0, 1]},
    {"published": 0},
    {"timestamp": "10000d"},
    {"publish_timestamp": "14d"},
    {"publish_timestamp": ["10000d", "1d"]},
    {"tags": {"NOT": ["tlp:white", "tlp:clear"]}},
    {"tags": ["TLP:WHITE"]},
    {"type": ["domain", "hostname"]},
    {"threat_level_id": [1, 2]},
    {"distribution": 1},
    {"sharing_group_id": 1},
    {"threatlevel": 1},
)


class NotRead(MispRefused):
    """A request that is none of those that only read: it was not sent."""


class Recorder(PinnedHttpAdapter):
    """Carries what only reads, notes it with its answer, and refuses the rest."""

    def __init__(self, verify: bool | str, scheme: str, prefix: str) -> None:
        """``scheme`` is how MISP is reached; PyMISP leaves what is http to other adapters, so it is told https."""
        super().__init__(verify, None, Limits(silence_seconds=120, answer_seconds=900, most_bytes=512 * MIB))
        self._scheme, self._prefix = scheme, prefix
        self.exchanges: list[Exchange] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Send one request, if it only reads. Raises NotRead."""
        url = urlsplit(request.url or "")
        path = url.path.removeprefix(self._prefix)
        if not READS.fullmatch(f"{request.method} {path}"):
            raise NotRead(f"{request.method} {path} is none of the requests that only read: it was not sent")
        if len(self.exchanges) >= MOST_REQUESTS:
            raise MispRefused(f"more than {MOST_REQUESTS} requests")
        request.url = url._replace(scheme=self._scheme).geturl()
        response = super().send(request, **options)
        self.exchanges.append(_exchange(request, path, response))
        return response


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print, sleep: Sleep = time.sleep) -> int:
    """Ask, compare and tell; give the exit code."""
    silence_libraries()
    options = _options(arguments)
    key = options.key_file.read_text(encoding="utf-8").strip()
    url = urlsplit(options.misp.rstrip("/"))
    recorder = Recorder(options.ca or True, url.scheme, url.path)
    settings = _settings(url._replace(scheme="https").geturl(), key)
    try:
        Questions(settings, recorder, lambda words: say(words.replace(key, "...")), sleep).ask()
    except MispError as error:
        say(f"MISP did not answer: {error}".replace(key, "..."))
        return MispError.exit_code
    results = results_of(recorder.exchanges)
    for line in lines(results):
        say(line.replace(key, "..."))
    return int(any(result.differences for result in results))


def results_of(exchanges: list[Exchange]) -> list[Compared]:
    """Compare each exchange with a sandbox that holds what all of them show."""
    recorded = RecordedMisp()
    for exchange in exchanges:
        if exchange.answer.status == 200 and exchange.path != "/events/index":
            recorded.add_answer(exchange.path, exchange.answer.body)
    users = [account_of(exchange.answer.body) for exchange in exchanges if exchange.path.startswith("/users/view/me")]
    return [compare(_state(exchange, recorded, users), exchange) for exchange in exchanges]


def lines(results: list[Compared]) -> Iterator[str]:
    """Say each difference in a line, with the first request that shows it, and how many requests there were."""
    first: dict[tuple[str, str], str] = {}
    for result in results:
        asked = result.exchange
        for difference in result.differences:
            line = f"{asked.method} {asked.path} {_set(asked.body)} {difference}"
            first.setdefault((asked.route, str(difference)), line)
    yield from first.values()
    differing = sum(bool(result.differences) for result in results)
    meant = sum(len(result.meant) for result in results)
    compared = f"{len(results)} requests compared; {differing} answered otherwise by the sandbox"
    yield f"{compared}; {meant} differences are meant"


class Questions:
    """What the program asks of MISP, command by command."""

    def __init__(self, settings: Settings, recorder: Recorder, say: Callable[[str], None], sleep: Sleep) -> None:
        self._settings, self._recorder, self._say, self._sleep = settings, recorder, say, sleep
        self._client = MispClient(MispConnection.of(settings), sleep, adapter=recorder)
        # Without the time window: the events of a MISP to compare with may be old.
        filters = settings.misp_event_filters
        self._shipped = {name: value for name, value in filters.items() if name != "publish_timestamp"}
        self._events: list[dict[str, Any]] = []

    def ask(self) -> None:
        """Ask all. Raises MispError."""
        reader = self._reader()
        reader.identity()
        listed = reader.listing({**self._shipped, "limit": LISTED})
        chosen = spread(event for event in listed if event.attributes <= LARGEST)
        if not chosen:
            raise MispError("it shows the key no published event to compare with")
        self._try(self._stories, chosen)
        self._try(self._check, reader)
        for variation in VARIATIONS:
            self._try(self._run, {**self._shipped, **variation}, chosen)
        self._try(self._explain, chosen)
        self._try(self._clusters)

    def _try(self, ask: Callable[..., None], *about: Any) -> None:
        """Ask a part; what MISP does not manage to answer is compared as well, and the rest is asked all the same."""
        try:
            ask(*about)
        except MispRefused:
            raise
        except MispError as error:
            self._say(f"{ask.__name__.strip('_')}: {error}")

    def _run(self, filters: Mapping[str, Any], chosen: list[ListedEvent]) -> None:
        """Ask as a run does, with event reports and without, and read one event in pages of its attributes."""
        narrowed = {**filters, "eventid": [event.id for event in chosen]}
        plain = self._reader()
        listed = plain.listing(narrowed)
        events = listed or chosen
        list(plain.pages(listed, narrowed))
        list(plain.slices(events[-1], narrowed))
        plain.find_events(narrowed, [event.uuid for event in chosen])
        scored = {"exclude_decayed": True}
        list(self._reader(misp_remove_eventreports=False, filters=scored).pages(listed, narrowed))

    def _stories(self, chosen: list[ListedEvent]) -> None:
        """Ask as ``collect`` and ``share`` do before they write."""
        connection = stories_connection(self._settings)
        client = MispClient(connection, self._sleep, adapter=self._recorder, declines=True)
        writer = MispWriter(self._settings, client=client)
        me = writer.key_owner()
        writer.sharing_groups()
        writer.story_events()
        self._events = [event for event in (writer.event(listed.uuid) for listed in chosen) if event is not None]
        for event in self._events[:1]:
            writer.proposals(event["uuid"])
            writer.extensions(event, me.organisation_id)
            writer.on_warninglists([attribute["value"] for attribute in event.get("Attribute", ())][:20])

    def _check(self, reader: MispReader) -> None:
        reader.index()
        reader.version()
        reader.role()
        reader.first_listed(self._shipped)
        reader.models()
        reader.tags(["tlp:white", "TLP:GREEN", "no such tag"])

    def _explain(self, chosen: list[ListedEvent]) -> None:
        attributes = [attribute for event in self._events for attribute in event.get("Attribute", ())][:2]
        parts = [attribute[name] for attribute in attributes for name in ("uuid", "value")]
        moment = datetime.now(UTC)
        places = places_of(self._settings, [], int(moment.timestamp()))
        for text in [*(listed.uuid for listed in chosen[:1]), *parts]:
            view = MispView(self._settings, self._reader(), Question.of(text), [], places, moment)
            view.answer()
        self._reader().attributes([attribute["uuid"] for attribute in attributes])

    def _clusters(self) -> None:
        """Ask what the tags of galaxies name that the events carry, by tag and by UUID."""
        tags = galaxy_tags(self._events)[:MOST_TAGS]
        named = {"tag_name": tags}
        found = self._clusters_of(named)
        uuids = {"uuid": [cluster["uuid"] for cluster in found] or [NO_CLUSTER]}
        in_capitals = {"tag_name": [tag.upper() for tag in tags]}
        for question in (in_capitals, {**named, "limit": 1, "page": 2}, uuids):
            self._clusters_of(question)
        for question in (named, uuids):
            self._clusters_of({**question, "minimal": True})
        self._clusters_of({"tag_name": "misp-galaxy:nothing", "uuid": []})

    def _clusters_of(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = self._client.ask(lambda pymisp: pymisp.direct_call("galaxy_clusters/restSearch", data=dict(question)))
        return [record["GalaxyCluster"] for record in answer]

    def _reader(self, **changes: Any) -> MispReader:
        """Give a reader; all share one client."""
        return MispReader(self._settings.model_copy(update=changes), client=self._client)


def galaxy_tags(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give the tags of galaxies that events and what is in them carry, each once."""
    carriers = (record for event in events for record in (event, *event.get("Attribute", ()), *_members(event)))
    names = (tag["name"] for record in carriers for tag in record.get("Tag", ()))
    return list(dict.fromkeys(name for name in names if name.lower().startswith("misp-galaxy:")))


def _members(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (member for object_ in event.get("Object", ()) for member in object_.get("Attribute", ()))


def spread(listed: Iterable[ListedEvent]) -> list[ListedEvent]:
    """Choose a handful of events, small ones and large ones."""
    by_size = sorted(listed, key=lambda event: event.attributes)
    return by_size[:: max(1, -(-len(by_size) // EVENTS))]


def _state(asked: Exchange, others: RecordedMisp, users: list[Any]) -> MispState:
    """Give a sandbox that holds the answer, and what others say of events that were read whole."""
    recorded = RecordedMisp()
    if asked.answer.status == 200:
        recorded.add_answer(asked.path, asked.answer.body)
    recorded.merge(others)
    state = MispState(clock=lambda: asked.moment)
    state.users |= dict.fromkeys([USER], users[0]) if users else {}
    recorded.fill(state)
    _with_members(state, asked)
    return state


def _with_members(state: MispState, asked: Exchange) -> None:
    """Give events that were found by the name of a member such a member, where the answer shows none."""
    relations = asked.body.get("object_relation") if isinstance(asked.body, dict) else None
    if not relations or asked.path != "/events/restSearch" or asked.answer.status != 200:
        return
    shown = [record["Event"]["id"] for record in asked.answer.body["response"]]
    for event in filter(None, map(state.event, shown)):
        member = {"type": "text", "object_relation": relations[0] if isinstance(relations, list) else relations}
        state.load([event | {"Object": [*event["Object"], {"name": "found", "Attribute": [member]}]}])


def _set(body: Any) -> str:
    """Say what is asked, without what PyMISP sends to say that it is not."""
    return json.dumps({name: value for name, value in body.items() if value} if isinstance(body, dict) else body)


def _exchange(request: requests.PreparedRequest, path: str, response: requests.Response) -> Exchange:
    body = json.loads(request.body) if request.body else None
    try:
        content = response.json()
    except ValueError:
        content = response.text
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    answer = Answer(response.status_code, response.headers, content)
    return Exchange("", USER, request.method or "", path, headers, body, answer)


def _settings(url: str, key: str) -> Settings:
    """Give the shipped settings, for another MISP."""
    shipped = load(SHIPPED, {}, offline=True).settings
    stories = shipped.misp_stories.model_copy(update={"api_key": SecretStr(key)})
    changes = {"misp_domain": url, "misp_key": SecretStr(key), "misp_stories": stories}
    return shipped.model_copy(update=changes)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.compare", description="A real MISP beside the sandbox.")
    parser.add_argument("--misp", required=True, metavar="URL", help="address of a MISP; it is only read")
    parser.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="file with an authentication key")
    parser.add_argument("--ca", metavar="FILE", help="CA bundle for its certificate (default: the system's)")
    options = parser.parse_args(arguments)
    if not options.misp.startswith(("https://", "http://")):
        parser.error("--misp: begin it with https://")
    for path in filter(None, (options.key_file, options.ca and Path(options.ca))):
        if not path.is_file():
            parser.error(f"{path} is no file that can be read")
    return options


if __name__ == "__main__":
    sys.exit(main())
