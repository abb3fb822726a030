"""What a site would write without this project: PyMISP, misp-stix, msal and requests as their documentation shows.

It reads every event, converts it, and uploads the indicators in batches, waiting when it is told to. It is
measured by ``benchmarks.side_by_side``, and takes its settings from the same environment variables.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import msal
import requests
from misp_stix_converter import MISPtoSTIX21Parser
from pymisp import PyMISP

PER_PAGE, PER_REQUEST, TRIES = 50, 100, 10
ROUTE = "/workspaces/{}/threat-intelligence-stix-objects:upload?api-version=2024-02-01-preview"


def setting(name: str) -> str:
    """Return a setting of the site."""
    return os.environ[f"MISP2SENTINEL_{name}"]


def events() -> Iterator[dict[str, Any]]:
    """Read MISP's published events, page by page."""
    misp = PyMISP(setting("MISP_DOMAIN"), setting("MISP_KEY"), setting("MISP_VERIFYCERT"))
    page = 1
    while events_of_page := misp.search(controller="events", published=True, limit=PER_PAGE, page=page):
        yield from events_of_page
        page += 1


def indicators(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Convert an event."""
    converter = MISPtoSTIX21Parser()
    converter.parse_misp_event(event)
    return [
        json.loads(stix_object.serialize()) for stix_object in converter.stix_objects if stix_object.type == "indicator"
    ]


def main() -> None:
    """Read, convert and upload, and print how many were sent."""
    session = requests.Session()
    session.trust_env, session.verify = False, setting("MS_VERIFYCERT")
    app = msal.ConfidentialClientApplication(
        setting("MS_AUTH__CLIENT_ID"),
        setting("MS_AUTH__CLIENT_SECRET"),
        f"{setting('MS_ENDPOINTS__AUTHORITY')}/{setting('MS_AUTH__TENANT')}",
        http_client=session,
        validate_authority=False,
        instance_discovery=False,
    )
    token = app.acquire_token_for_client(["https://management.azure.com/.default"])["access_token"]
    url = setting("MS_ENDPOINTS__UPLOAD") + ROUTE.format(setting("MS_AUTH__WORKSPACE_ID"))
    headers = {"Authorization": f"Bearer {token}"}
    all_indicators = [indicator for event in events() for indicator in indicators(event)]
    for start in range(0, len(all_indicators), PER_REQUEST):
        body = {"sourcesystem": "MISP", "stixobjects": all_indicators[start : start + PER_REQUEST]}
        for _ in range(TRIES):
            answer = session.post(url, json=body, headers=headers, timeout=60)
            if answer.status_code != requests.codes.too_many_requests:
                break
            time.sleep(10)
    print(json.dumps({"sent": len(all_indicators), "exit_code": 0}))


if __name__ == "__main__":
    main()
