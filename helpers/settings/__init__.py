"""``config.py`` and the environment as one frozen ``Settings``; every problem is named at once."""

from helpers.settings.addresses import secrets_in, without_secrets
from helpers.settings.attribute_filters import AttributeFilters, NamePatterns
from helpers.settings.config.config_file import written
from helpers.settings.environment import variable
from helpers.settings.loading import DEFAULT_CONFIG, load
from helpers.settings.model import FROM_VAULT, Settings
from helpers.settings.sections import MsAuth

__all__ = [
    "DEFAULT_CONFIG",
    "FROM_VAULT",
    "AttributeFilters",
    "MsAuth",
    "NamePatterns",
    "Settings",
    "load",
    "secrets_in",
    "variable",
    "without_secrets",
    "written",
]
