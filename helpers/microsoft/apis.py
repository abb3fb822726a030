"""Which of Microsoft's APIs the settings choose. Pure."""

from __future__ import annotations

from helpers.microsoft.api import Api
from helpers.microsoft.graph_api import GraphApi
from helpers.microsoft.upload_api import UploadApi
from helpers.settings import Settings


def api_of(settings: Settings) -> Api:
    """Return the API that a destination's objects go to."""
    return GraphApi(settings) if settings.graph else UploadApi(settings)
