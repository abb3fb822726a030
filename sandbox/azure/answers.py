"""Answers: the two forms in which Microsoft's services refuse a request.

Microsoft: the OpenAPI description of the upload API, version 2024-02-01-preview, and the
examples of version 2022-12-01-preview.
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify


class Refused(Exception):
    """The whole request is refused with this answer."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(response.status)


def gateway(status: int, message: str) -> Response:
    """Give an error as the gateway in front of a service words it."""
    answer = jsonify(statusCode=status, message=message)
    answer.status_code = status
    return answer


def service(status: int, code: str, message: str) -> Response:
    """Give an error as a service itself words it."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "details": [],
        "target": None,
        "additionalInfo": None,
    }
    answer = jsonify(error=error)
    answer.status_code = status
    answer.headers["x-ms-error-code"] = code
    return answer
