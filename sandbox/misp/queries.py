"""Queries: the parameters of a search in the forms in which MISP takes them, and why it takes none."""

from __future__ import annotations

from flask import Response, request

from sandbox.misp.answers import error
from sandbox.misp.records import Record

BAD_JSON = (
    "Invalid JSON input. Make sure that the JSON input is a correctly formatted JSON string. This request has"
    " been blocked to avoid an unfiltered request."
)
NO_PARAMETERS = (
    "Restsearch queries using GET and no parameters are not allowed. If you have passed parameters via a JSON"
    " body, make sure you use POST requests."
)
OTHER_FORMATS = frozenset({"csv", "stix", "stix2", "xml", "text", "suricata", "snort", "yara", "openioc", "rpz"})


def query_of() -> Record:
    """Read the parameters: named in the path or the query string, or in the body, which wins."""
    parameters = dict(part.split(":", 1) for part in request.path.split("/") if ":" in part)
    parameters |= request.args.to_dict() | request.form.to_dict()
    body = {} if request.form else (request.get_json(force=True, silent=True) or {})
    return {**parameters, **body.get("request", body)} if isinstance(body, dict) else parameters


def unreadable(query: Record) -> Response | None:
    """Refuse a request without parameters, or one whose body is no JSON."""
    if request.method == "GET" and not query:
        return error(400, NO_PARAMETERS)
    sent = request.get_data() and not request.form
    if sent and not isinstance(request.get_json(force=True, silent=True), dict | list):
        return error(405, BAD_JSON)
    return None


def refusal(query: Record) -> Response | None:
    """Refuse what cannot be read, and a format that is not known."""
    format_ = query.get("returnFormat", "json")
    unread = unreadable(query)
    if unread or format_ == "json":
        return unread
    if format_ in OTHER_FORMATS:
        return error(501, f"The sandbox does not answer in the format {format_}.")
    return error(404, "Invalid output format.")
