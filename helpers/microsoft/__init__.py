"""Everything that talks to Microsoft: tokens, the upload APIs, Graph, management, Key Vault."""

from helpers.microsoft.apis import api_of
from helpers.microsoft.graph_api import outgoing
from helpers.microsoft.management_api import ManagementApi
from helpers.microsoft.rate_limit import Clock, Pacers
from helpers.microsoft.request_manager import Outcome, RequestManager, State
from helpers.microsoft.responses import Answer

__all__ = [
    "Answer",
    "Clock",
    "ManagementApi",
    "Outcome",
    "Pacers",
    "RequestManager",
    "State",
    "api_of",
    "outgoing",
]
