"""``config.py`` and the environment as one frozen ``Settings``; every problem is named at once."""

from helpers.settings.addresses import canonical_address, secrets_in, without_secrets
from helpers.settings.attribute_filters import AttributeFilters, NamePatterns
from helpers.settings.config.config_file import written
from helpers.settings.config.values.receivers import DESTINATION, EXIT_CODE
from helpers.settings.config.values.site_constants import default_threat_type, default_tlp
from helpers.settings.config.values.tlp import tlp_word
from helpers.settings.environment import variable
from helpers.settings.loading import load, problems_with
from helpers.settings.model import FROM_VAULT, Settings, canonical_workspace
from helpers.settings.sections import WORKSPACE_NAMES, MsAuth

__all__ = [
    "DESTINATION",
    "EXIT_CODE",
    "FROM_VAULT",
    "WORKSPACE_NAMES",
    "AttributeFilters",
    "MsAuth",
    "NamePatterns",
    "Settings",
    "canonical_address",
    "canonical_workspace",
    "default_threat_type",
    "default_tlp",
    "load",
    "problems_with",
    "secrets_in",
    "tlp_word",
    "variable",
    "without_secrets",
    "written",
]
