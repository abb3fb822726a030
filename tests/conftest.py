"""What every room's tests may use."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from helpers.settings import load

# Nothing here is timed, and a run is the same wherever it runs.
hypothesis_settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("ci")


@pytest.fixture(scope="session")
def make_settings(tmp_path_factory):
    """A function that returns the default settings, but for what it is given by name."""
    config = tmp_path_factory.mktemp("site") / "config.py"
    config.write_text('misp_domain = "https://misp.example.org"\n', encoding="utf-8")
    settings = load(config, {}, offline=True).settings

    def make(**overrides):
        return settings.model_copy(update=overrides)

    return make
