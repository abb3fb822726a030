"""What all tests may use."""

from __future__ import annotations

import pytest

from helpers.settings import load
from tests.support.examples import load_profile

load_profile()


@pytest.fixture(scope="session")
def make_settings(tmp_path_factory):
    """A function that returns the default settings, but for what it is given by name."""
    config = tmp_path_factory.mktemp("site") / "config.py"
    config.write_text('misp_domain = "https://misp.example.org"\n', encoding="utf-8")
    settings = load(config, {}, offline=True).settings

    def make(**overrides):
        return settings.model_copy(update=overrides)

    return make
