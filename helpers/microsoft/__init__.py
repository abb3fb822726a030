"""Everything that talks to Microsoft: tokens, the upload APIs, Graph, management, Key Vault."""

from helpers.microsoft.api import Api, api_for, principal_of
from helpers.microsoft.batch import Outcome, OutcomeState, OutgoingObject, SharedTexts, TextOf, text_of
from helpers.microsoft.batch_sender import BatchSender
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.particulars import Failure, taken_apart
from helpers.microsoft.rate_limit import Clock, RateLimiters
from helpers.microsoft.reading.logs_answers import AlertHit, FalsePositive
from helpers.microsoft.reading.logs_api import AlertWindow, LogsApi, VerdictWindow
from helpers.microsoft.reading.management_api import NAMES, ManagementApi, is_named
from helpers.microsoft.request_manager import RequestManager
from helpers.microsoft.responses import Answer
from helpers.microsoft.tokens import credential_ends

__all__ = [
    "NAMES",
    "AlertHit",
    "AlertWindow",
    "Answer",
    "Api",
    "BatchSender",
    "Clock",
    "Failure",
    "FalsePositive",
    "LogsApi",
    "ManagementApi",
    "MicrosoftClient",
    "Outcome",
    "OutcomeState",
    "OutgoingObject",
    "RateLimiters",
    "RequestManager",
    "SharedTexts",
    "TextOf",
    "VerdictWindow",
    "api_for",
    "credential_ends",
    "is_named",
    "principal_of",
    "taken_apart",
    "text_of",
]
