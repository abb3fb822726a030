"""Everything that talks to Microsoft: tokens, the upload APIs, Graph, management, Key Vault."""

from helpers.microsoft.apis import api_of
from helpers.microsoft.graph_api import outgoing
from helpers.microsoft.management_api import ManagementApi
from helpers.microsoft.rate_limit import Clock, RateLimiters
from helpers.microsoft.request_manager import Outcome, OutcomeState, RequestManager
from helpers.microsoft.responses import Answer

__all__ = [
    "Answer",
    "Clock",
    "ManagementApi",
    "Outcome",
    "OutcomeState",
    "RateLimiters",
    "RequestManager",
    "api_of",
    "outgoing",
]
