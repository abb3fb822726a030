"""Debian's Chromium, driven by playwright: what a person sees of a page, at a width and in a colour scheme."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

MISSING = "Chromium was not found: install Debian's packages chromium and fonts-dejavu-core"
_QUIET = ("no-first-run", "background-networking", "component-update", "sync", "quic", "gpu")
FLAGS = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in _QUIET[1:])]
# Notes what the page's policy forbids, and is in each page before anything of the page's own.
_WATCH = "addEventListener('securitypolicyviolation', told => (window.forbidden ??= []).push(told.violatedDirective))"


class Browser:
    """A Chromium with a profile that ends with it."""

    def __init__(self, chromium):
        self._chromium = chromium

    @contextmanager
    def page(self, path, width=1280, scheme="light", media="screen"):
        """A page as it is shown; ``requests`` has what it asked for, ``complaints`` what the browser says of it."""
        context = self._chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto(path.as_uri())
        try:
            yield page
        finally:
            context.close()


@contextmanager
def running():
    """The browser for as long as it is used; Chromium must be there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield Browser(chromium)
        finally:
            chromium.close()


@pytest.fixture(scope="module")
def browser():
    """The browser; without Chromium tests are skipped, and fail where CI runs."""
    if executable() is None:
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(MISSING)
    with running() as known:
        yield known


def executable():
    """Where Chromium is, by the names that distributions give it."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
