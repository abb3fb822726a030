"""Overview: what the sandbox's Azure holds, for people; these routes are the sandbox's own and not Microsoft's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from sandbox.azure.answers import Refused, gateway
from sandbox.azure.logs.alerts import FIELDS, RULE, shown
from sandbox.azure.rules import observable

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState


NOT_AN_ALERT = f'Say {{"indicator": ID}} or {{"value": VALUE, "kind": {"|".join(FIELDS)}}}, and a "rule" if you like.'


class Overview:
    """A page of counts, what is stored as JSON, and alerts by hand."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        app.add_url_rule("/", view_func=self.workspaces)
        app.add_url_rule("/workspaces/<workspace_id>/objects", view_func=self.objects)
        app.add_url_rule("/workspaces/<workspace_id>/indicators", view_func=self.indicators)
        app.add_url_rule("/workspaces/<workspace_id>/alerts", view_func=self.alerts)
        app.add_url_rule("/workspaces/<workspace_id>/alerts", view_func=self.add_alert, methods=["POST"])
        app.add_url_rule("/tiIndicators", view_func=self.ti_indicators)

    def workspaces(self) -> Response:
        """List the workspaces with their live objects: indicators by observable key, others by kind."""
        lines = ["The sandbox's Azure. Live objects by workspace, source system and observable key or kind:"]
        for workspace in sorted(self.state.workspaces):
            lines.append(workspace)
            for source in self.state.sources(workspace):
                counts = count_shown(self.state.live(workspace, source, kind=None))
                lines += [f"  {source}  {key}  {count}" for key, count in sorted(counts.items())]
        return Response("\n".join(lines) + "\n", mimetype="text/plain")

    def objects(self, workspace_id: str) -> Response:
        """Give all stored objects of a workspace, by source system."""
        return self._stored(workspace_id, None)

    def indicators(self, workspace_id: str) -> Response:
        """Give those of them that are indicators."""
        return self._stored(workspace_id, "indicator")

    def ti_indicators(self) -> Response:
        """Give what the Graph API holds."""
        with self.state.lock:
            return jsonify(list(self.state.ti_indicators.values()))

    def alerts(self, workspace_id: str) -> Response:
        """Give the rows of SecurityAlert in a workspace, oldest first."""
        with self.state.lock:
            return jsonify([shown(row) for row in self.state.table("SecurityAlert", workspace_id)])

    def add_alert(self, workspace_id: str) -> Response:
        """Let a rule of a workspace have found something lately, an indicator's id or a value; give the alert's row."""
        if workspace_id not in self.state.workspaces:
            return gateway(404, f"There is no workspace {workspace_id}.")
        try:
            rule, found = _found(request.get_json(force=True, silent=True))
        except Refused as refused:
            return refused.response
        with self.state.lock:
            self.state.raise_alert(rule, workspace_id, **found)
            answer = jsonify(shown(self.state.table("SecurityAlert", workspace_id)[-1]))
        answer.status_code = 201
        return answer

    def _stored(self, workspace_id: str, kind: str | None) -> Response:
        sources = self.state.sources(workspace_id)
        return jsonify({source: list(self.state.objects(workspace_id, source, kind).values()) for source in sources})


def _found(body: Any) -> tuple[str, dict[str, Any]]:
    """Read which rule found what. Raises Refused."""
    fields = body if isinstance(body, dict) and all(isinstance(value, str) for value in body.values()) else {}
    rule = fields.get("rule") or RULE
    if fields.keys() - {"rule"} == {"indicator"}:
        return rule, {"indicators": [fields["indicator"]]}
    if fields.keys() - {"rule"} == {"value", "kind"} and fields["kind"] in FIELDS:
        return rule, {"entities": [(fields["kind"], fields["value"])]}
    raise Refused(gateway(400, NOT_AN_ALERT))


def count_shown(objects: dict[str, dict[str, Any]]) -> Counter[str]:
    """Count indicators by the observable key that Sentinel would show for them, and other objects by their kind."""
    return Counter(map(_shown_as, objects.values()))


def _shown_as(object_: dict[str, Any]) -> str:
    if object_["type"] != "indicator":
        return str(object_["type"])
    return (observable(object_) or ("(not parsed)",))[0]
