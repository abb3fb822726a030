"""Which of Microsoft's APIs the settings choose. Pure."""

from __future__ import annotations

from helpers.graph_api import GraphApi
from helpers.parts import Api
from helpers.settings import Settings
from helpers.upload_api import UploadApi


def api_of(settings: Settings) -> Api:
    """Return the API that a destination's objects go to."""
    return GraphApi(settings) if settings.graph else UploadApi(settings)
