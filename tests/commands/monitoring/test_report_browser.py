"""The report page in a real browser: what a person sees of it, on a screen, on a telephone and on paper."""

import re
from pathlib import Path

import pytest

from tests.commands.monitoring.page.answers import LONG, PAGES, destination, page
from tests.commands.monitoring.page.browser import browser

__all__ = ["browser"]
LOOKS = (Path(__file__).parent / "page" / "looks.js").read_text(encoding="utf-8").partition("\n")[2]
OPEN_ALL = "document.querySelectorAll('details').forEach(details => details.open = true)"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A function that writes a page once, and says where it is."""
    place = tmp_path_factory.mktemp("pages")

    def write(name, text):
        path = place / f"{name}.html"
        if not path.exists():
            path.write_text(text if isinstance(text, str) else text(), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_a_person_can_read_all_of_it_and_the_browser_has_nothing_to_complain_of(browser, written, name, width):
    path = written(name, PAGES[name])
    for scheme in ("light", "dark"):
        with browser.page(path, width, scheme) as shown:
            shown.evaluate(OPEN_ALL)
            found = shown.evaluate(LOOKS)
            assert found["wrong"] == [] and found["texts"] >= 4 and found["smallest"] >= 9
            assert shown.requests == [path.as_uri()] and shown.complaints == []


def test_every_heading_and_number_is_there(browser, written):
    with browser.page(written("one", PAGES["one"]), 390) as shown:
        seen = shown.inner_text("body")
        told = [heading.inner_text() for heading in shown.locator("h2").all()]
    assert told == [
        *("To be looked at", "At a glance", "Live over time", "Sent, withdrawn, rejected"),
        *("Rejected or leaving, and why", "Actors, techniques, organisations and relationships"),
        "Seen in alerts",
        *("Why attributes are skipped", "What expires in the next 30 days"),
        *("Held events", "Organisations", "TLP", "Confidence", "Last runs"),
    ]
    for words in ("1,234,567", LONG, "TLP:AMBER", "10000000-0000-4000-8000-000000000000", "OK, but 3 rejected by"):
        assert words in seen


def test_light_and_dark_are_not_the_same_and_paper_is_always_light(browser, written):
    grounds = {}
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        with browser.page(written("one", PAGES["one"]), 700, scheme, media) as shown:
            grounds[scheme, media] = shown.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            if media == "print":
                assert shown.evaluate(LOOKS)["wrong"] == []
                assert shown.pdf(format="A4").startswith(b"%PDF")
    assert grounds["dark", "print"] == "rgb(255, 255, 255)"
    assert len(set(grounds.values())) == 3


def test_what_would_be_markup_is_text_and_does_nothing(browser, written):
    evil = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\"'></style>"
    text = page(destination(name=evil, workspace=evil, rejections={evil: 3}), destination(name="other"))
    with browser.page(written("evil", text)) as shown:
        assert evil in shown.inner_text("body") and shown.title() != "taken"
        assert shown.evaluate(LOOKS)["wrong"] == [] and shown.complaints == []


@pytest.mark.parametrize(
    ("markup", "complaint"),
    [
        ("<script>document.title='taken'</script>", "script"),
        ("<p style='color: red'>red</p>", "style"),
        ("<img src='https://192.0.2.1/pixel.png'>", "img"),
    ],
)
def test_what_got_into_a_page_nevertheless_would_be_forbidden(browser, written, markup, complaint):
    path = written(complaint, PAGES["no-ledger"]().replace("</body>", f"{markup}</body>"))
    with browser.page(path) as shown:
        assert shown.title() != "taken"
        assert any(directive.startswith(complaint) for directive in shown.evaluate("window.forbidden"))
        assert shown.evaluate(LOOKS)["wrong"] != []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("main { width: 1400px; }", "it scrolls sideways"),
        ("h1 { color: #999; }", "contrast"),
        (".part > p { margin-top: -1.6rem; }", "one upon the other"),
    ],
)
def test_what_would_look_wrong_is_found(browser, written, rule, words):
    """These checks can fail."""
    text = re.sub(r"<meta http-equiv.*", "", PAGES["one"]()).replace("</style>", f"{rule}</style>")
    with browser.page(written(re.sub(r"\W", "", rule), text)) as shown:
        assert any(words in told for told in shown.evaluate(LOOKS)["wrong"])
