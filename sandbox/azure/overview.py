"""Overview: what the sandbox's Azure holds, for people; these routes are the sandbox's own and not Microsoft's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify

from sandbox.azure.rules import observable

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState


class Overview:
    """A page of counts, and what is stored as JSON."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        app.add_url_rule("/", view_func=self.workspaces)
        app.add_url_rule("/workspaces/<workspace_id>/objects", view_func=self.objects)
        app.add_url_rule("/workspaces/<workspace_id>/indicators", view_func=self.indicators)
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

    def _stored(self, workspace_id: str, kind: str | None) -> Response:
        sources = self.state.sources(workspace_id)
        return jsonify({source: list(self.state.objects(workspace_id, source, kind).values()) for source in sources})


def count_shown(objects: dict[str, dict[str, Any]]) -> Counter[str]:
    """Count indicators by the observable key that Sentinel would show for them, and other objects by their kind."""
    return Counter(map(_shown_as, objects.values()))


def _shown_as(object_: dict[str, Any]) -> str:
    if object_["type"] != "indicator":
        return str(object_["type"])
    return (observable(object_) or ("(not parsed)",))[0]
