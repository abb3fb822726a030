"""The docs as a site: built strictly, complete, and without another host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.site.__main__ import build, main
from deploy.site.contents import CONTENTS, PAGES
from deploy.site.links import name_of, relinked
from tests.commands.monitoring.page.browser import browser

__all__ = ["browser"]
ROOT = Path(__file__).resolve().parents[3]
LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]* src=\"([^\"]+)|<link [^>]*href=\"([^\"]+)|url\(([^)]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    place = tmp_path_factory.mktemp("docs") / "site"
    assert build(place) == 0, "a link or an anchor leads nowhere: Sphinx says above which"
    return place


def test_every_page_is_listed_beside_every_page(site):
    text = (site / "index.html").read_text()
    listed = re.findall(r'<a class="reference internal" href="([^"#]+)\.html">', text.partition("sidebar-tree")[2])
    assert listed[: len(PAGES) - 1] == [Path(name_of(page)).stem for page in PAGES[1:]], "in this order"
    assert all(f'<span class="caption-text">{heading}</span>' in text for heading in CONTENTS)
    assert all((site / name_of(page)).with_suffix(".html").exists() for page in PAGES)


def test_nothing_is_loaded_from_another_host(site):
    for path in [*site.glob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]:
        loaded = {target for found in LOADED.findall(path.read_text()) for target in found if target}
        assert not {target for target in loaded if re.match(r"['\"]?(https?:)?//", target)}, path.name


def test_a_browser_opens_it_as_files_and_finds_words(browser, site):
    with browser.page(site / "index.html") as shown:
        shown.fill(".sidebar-search", "withdrawn")
        shown.press(".sidebar-search", "Enter")
        shown.wait_for_selector("#search-results ul.search li a:text-is('The ledger')")
        assert {address.partition(":")[0] for address in shown.requests} <= {"file", "data"}
        assert shown.complaints == []


def test_a_number_is_found(browser, site):
    with browser.page(site / "index.html") as shown:
        shown.fill(".sidebar-search", "429")
        shown.press(".sidebar-search", "Enter")
        shown.wait_for_selector("#search-results ul.search li a:text-is('How it decides')")


@pytest.mark.parametrize("width", [390, 1280, 1366])
def test_a_page_is_no_wider_than_its_window(browser, site, width):
    with browser.page(site / "configure.html", width) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") == width


def test_what_leads_nowhere_stops_the_build(tmp_path, capfd):
    (tmp_path / "docs").mkdir()
    broken = ("[page](no-such-page.md)", "[heading](#no-such-heading)", "![picture](pictures/no-such-picture.svg)")
    (tmp_path / "docs" / "index.md").write_text("\n\n".join(["# Front", *broken]))
    assert build(tmp_path / "site", tmp_path, {}) != 0
    said = capfd.readouterr().err
    assert all(f"no-such-{what}" in said for what in ("page", "heading", "picture"))
    assert not (tmp_path / "site").exists()


def test_a_directory_that_is_no_site_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main([str(tmp_path)]) == 2
    assert "left alone" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("page", "written", "becomes"),
    [
        ("docs/index.md", "[a](install.md#cron)", "[a](install.md#cron)"),
        ("docs/index.md", "[a](../CHANGELOG.md)", "[a](changelog.md)"),
        ("CHANGELOG.md", "[a](docs/ledger.md#why)", "[a](ledger.md#why)"),
        ("docs/index.md", "[a](../LICENSE)", "[a](license.md)"),
        ("CHANGELOG.md", "[a](README.md)", "[a](index.md)"),
        ("SECURITY.md", "![a](docs/pictures/run.svg)", "![a](pictures/run.svg)"),
        ("docs/index.md", "[the `x`](../deploy/host/x) and [b](#b)", "the `x` and [b](#b)"),
        ("docs/index.md", "[a](https://example.org/README.md)", "[a](https://example.org/README.md)"),
        ("docs/index.md", "[![a](pictures/a.svg)](install.md)", "[![a](pictures/a.svg)](install.md)"),
    ],
)
def test_a_link_leads_to_the_same_page_in_the_site(page, written, becomes):
    assert relinked(written, page, PAGES) == becomes
