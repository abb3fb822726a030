"""``config.py`` and the environment as one frozen ``Settings``; every problem is named at once."""

from helpers.settings.attribute_filters import AttributeFilters, NamePatterns
from helpers.settings.config_file import written
from helpers.settings.environment import variable
from helpers.settings.model import FROM_VAULT, MsAuth, Settings, load

__all__ = [
    "FROM_VAULT",
    "AttributeFilters",
    "MsAuth",
    "NamePatterns",
    "Settings",
    "load",
    "variable",
    "written",
]
