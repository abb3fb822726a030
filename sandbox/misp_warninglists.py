"""Warninglists: the routes about values that are known to be harmless (measured on MISP 2.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, request

from sandbox.misp_answers import WARNINGLIST, answer
from sandbox.misp_records import Record

if TYPE_CHECKING:
    from sandbox.misp import MispState


class Warninglists:
    """The one list that the sandbox has, of plain values, unless tests have put records of others there."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {"/warninglists/index": self.index, "/warninglists/checkValue": self.check_values}

    def index(self) -> Response:
        """warninglists/index."""
        shown = self.state.warninglists or [_record(len(self.state.warninglist))]
        return answer({"Warninglists": [{"Warninglist": each} for each in shown]})

    def check_values(self) -> Response:
        """warninglists/checkValue: the values that are listed; a PHP list when there is none."""
        body = request.get_json(force=True, silent=True)
        values = body.get("[]", ()) if isinstance(body, dict) else body or ()
        hit = {"id": WARNINGLIST["warninglist_id"], "name": WARNINGLIST["warninglist_name"]}
        return answer({each: [{**hit, "matched": each}] for each in values if each in self.state.warninglist} or [])


def _record(entries: int) -> Record:
    return {
        "id": WARNINGLIST["warninglist_id"],
        "name": WARNINGLIST["warninglist_name"],
        "type": "string",
        "description": "",
        "version": "1",
        "enabled": True,
        "default": False,
        "category": WARNINGLIST["warninglist_category"],
        "warninglist_entry_count": str(entries),
        "valid_attributes": "domain, hostname",
    }
