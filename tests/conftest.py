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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape what is half a character in captured logs: xdist sends reports as UTF-8, and a worker ends at one."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
