"""What several tests need: a clock that only tests move, and the sandbox without sockets."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from helpers.microsoft.rate_limit import Clock
from helpers.settings import load
from sandbox.azure.app import AzureState
from sandbox.azure.app import create_app as azure_app

AUTHORITY = "https://login.example.org"
UPLOAD = "https://upload.example.org"


class FakeTime:
    """Time that moves when somebody sleeps; ``slept`` is what they slept."""

    def __init__(self, now=1_000_000.0):
        self.seconds = now
        self.slept = []
        self._lock = threading.Lock()

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        with self._lock:
            self.slept.append(seconds)
            self.seconds += seconds

    @property
    def clock(self):
        return Clock(self.now, self.sleep)


class WsgiAdapter(BaseAdapter):
    """Carries a requests session to a Flask app in this process; broken connections stay broken."""

    def __init__(self, app, before=lambda request: None):
        super().__init__()
        self._app = app
        self._before = before
        self.requests = []

    def send(self, request, **_):
        self._before(request)
        self.requests.append(request)
        url = urlsplit(request.url)
        try:
            answer = self._app.test_client().open(
                f"{url.path}?{url.query}",
                method=request.method,
                data=request.body,
                headers=dict(request.headers),
                base_url=f"{url.scheme}://{url.netloc}",
            )
        except TimeoutError as error:
            raise requests.ReadTimeout("the read timed out") from error
        except ConnectionError as error:
            raise requests.ConnectionError("connection reset by peer") from error
        response = requests.Response()
        response.status_code = answer.status_code
        response._content = answer.data
        response.headers.update(answer.headers)
        response.encoding = "utf-8"
        response.request, response.url = request, request.url
        return response

    def close(self):
        pass


class Said(list):
    """What a command says, line by line, as it is without a terminal."""

    def say(self, line):
        self.append(line if isinstance(line, str) else line.text())


def environ_for(azure, **more):
    """The environment of a site whose Azure is ``azure``."""
    return {
        "MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org",
        "MISP2SENTINEL_MISP_KEY": "k" * 40,
        "MISP2SENTINEL_MS_AUTH__TENANT": azure.tenant,
        "MISP2SENTINEL_MS_AUTH__CLIENT_ID": azure.client_id,
        "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": azure.client_secret,
        "MISP2SENTINEL_MS_AUTH__WORKSPACE_ID": azure.workspace_id,
        "MISP2SENTINEL_MS_ENDPOINTS__AUTHORITY": AUTHORITY,
        "MISP2SENTINEL_MS_ENDPOINTS__UPLOAD": UPLOAD,
        "MISP2SENTINEL_MS_ENDPOINTS__UPLOAD_LEGACY": UPLOAD,
        **more,
    }


def settings_for(azure, tmp_path, **more):
    """Settings from the environment alone."""
    config = tmp_path / "config.py"
    config.write_text("")
    environ = environ_for(azure, MISP2SENTINEL_STATE_DIR=str(tmp_path / "state"), **more)
    return load(config, environ).settings


def azure_in_process(time):
    """The sandbox's Azure with its session: (state, adapter, session)."""
    state = AzureState(clock=time.now)
    adapter = WsgiAdapter(azure_app(state))
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", adapter)
    return state, adapter, session


def indicator(number, **changes):
    """An indicator that Microsoft would accept."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-02T00:00:00.000Z",
        "pattern": f"[domain-name:value = 'host{number}.example.org']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00.000Z",
        "valid_until": "2036-01-01T00:00:00.000Z",
        **changes,
    }


def misp_event(number, attributes=(), **changes):
    """A published MISP event; attributes are (type, value) or dicts."""
    uuid = f"10000000-0000-4000-8000-{number:012d}"
    return {
        "uuid": uuid,
        "info": f"Event {number}",
        "date": "2026-11-01",
        "timestamp": str(1_790_000_000 + number),
        "publish_timestamp": str(1_790_000_000 + number),
        "published": True,
        "Orgc": {"name": "EXAMPLE", "uuid": "90000000-0000-4000-8000-000000000001"},
        "Attribute": [misp_attribute(number * 1_000_000 + n, attribute) for n, attribute in enumerate(attributes)],
        **changes,
    }


def misp_attribute(number, attribute):
    """An attribute with to_ids; ``attribute`` is (type, value) or what differs."""
    if not isinstance(attribute, dict):
        attribute = {"type": attribute[0], "value": attribute[1]}
    return {
        "uuid": f"20000000-0000-4000-8000-{number:012d}",
        "category": "Network activity",
        "to_ids": True,
        "timestamp": "1790000000",
        "deleted": False,
        "comment": "",
        **attribute,
    }


def hosts(count, prefix="host"):
    """So many domain attributes."""
    return [("domain", f"{prefix}{n}.example.org") for n in range(count)]
