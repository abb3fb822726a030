"""What the report page is made of: its charts, its words, how large it gets, and that nothing in it becomes markup."""

import base64
import hashlib
import re
import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from constants import Skip
from helpers.commands.monitoring.report import over_time
from helpers.commands.monitoring.report.charts import Said, areas, bars
from helpers.commands.monitoring.report.over_time import Counted
from helpers.commands.monitoring.report.scale import at_some, once, short, thinned, ticks
from helpers.process.log import redact
from tests.commands.monitoring.page.answers import (
    DAY,
    EMPTY,
    LONG,
    NOW,
    PAGES,
    destination,
    failed,
    holdings,
    moment,
    page,
    run,
    sightings,
)
from tests.support.examples import examples

SAID = Said("a", "A title", "What it shows.")


class Structure(HTMLParser):
    """The tags of a page, each with the names of its attributes, and its texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def told(text):
    """A destination of which everything that others say is this text."""
    last = {"at": run(0)["at"], "exit_code": 4, "failures": [text], "failure": text, "warnings": [text]}
    return destination(
        name=text or "x",
        workspace=text,
        sourcesystem=text,
        last_run=last,
        seconds_ago=7,
        rejections={text: 3},
        leaving_reasons={text: 2},
        sightings=sightings(exit_code=4, failure=text, misp_error=text, warnings=[text]),
        runs=[run(0, exit_code=4, cause=text, live={text: 3}), run(1, live={text: 5})],
        holdings=holdings([text or "x"], tlp={text or "x": 3}, skips={text or "x": 2}),
    )


# -- nothing becomes markup -------------------------------------------------------------------------


HOSTILE = st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("<>\"'&/=`;{}%-\u202e\x00\x1b"))


@given(HOSTILE)
@settings(max_examples=examples(48), deadline=None)
@example("</style><script>alert(1)</script>")
@example("\"onmouseover='x' ]]> --> <!-- {{ 7*7 }} {% if %}")
@example("</title></svg><img src=x onerror=alert(1)>")
@example("a\ud800b\x00c\u202ed")
def test_what_others_say_is_text_wherever_it_stands(words):
    seen = Structure(page(told(f"<{words}"), told("second")))
    plain = Structure(page(told("x"), told("second")))
    assert seen.tags == plain.tags
    assert "".join(seen.texts).encode()


def test_secrets_are_not_in_a_page():
    redact.add(["a-secret-in-words"])
    assert "a-secret-in-words" not in page(told("Microsoft said a-secret-in-words"))
    assert "a-secret" not in page(told("x" * 490 + " a-secret-in-words"))


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_a_page_needs_nothing_and_runs_nothing(make):
    text = make()
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    names = {name for tag, names in Structure(text).tags for name in names}
    assert not names & {"style", "src", "href", "xlink:href"} and not any(name.startswith("on") for name in names)
    assert "url(" not in style and "@import" not in style and "http" not in text.replace("http-equiv", "")


# -- what it says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (destination(0, holdings=EMPTY), "The ledger has no run of this destination yet."),
        (destination(1), "All of it is of one moment so far."),
        (destination([run(0), run(0)]), "All of it is of one moment so far."),
        (destination([run(0, live={}), run(1, live={})]), "No indicator was live at the end of any run until now."),
        (destination([run(-9)]), "No indicator was live at the end of any run until now."),
        (destination(holdings=EMPTY), "No live indicator ends in the next 30 days."),
        (destination(holdings=EMPTY), "No event is held."),
        (failed(), "was cut off. What it did by then is in the ledger"),
        (failed(), "A clock was ahead: the ledger has a run of 2026-12-08 05:10."),
        (destination(in_settings=False), "The settings don&#39;t name this destination"),
        (destination(credential_ends=moment(NOW + 9 * DAY)), "in 8 days"),
    ],
)
def test_what_there_is_nothing_to_draw_of_is_said(made, words):
    assert words in page(made)


def test_every_reason_for_skipping_has_its_words_and_what_to_do():
    text = page(destination(holdings=holdings(skips=dict.fromkeys((skip.name for skip in Skip), 2) | {"OF_LATER": 1})))
    plain = "".join(Structure(text).texts)
    assert (
        all(skip.value in plain for skip in Skip)
        and "of_later" in plain
        and "set to_ids on the attribute in MISP" in plain
    )


def seen_in_alerts(known):
    """The texts of the part about alerts, one on a line."""
    texts = [text.strip() for text in Structure(page(destination(sightings=known))).texts if text.strip()]
    first = texts.index("Seen in alerts") if "Seen in alerts" in texts else len(texts)
    return texts[first + 1 : texts.index("Why attributes are skipped", first)] if texts[first:] else []


def test_what_alerts_matched_is_shown_where_they_were_read():
    assert seen_in_alerts(None) == []
    words, numbers = seen_in_alerts(sightings())[:3], seen_in_alerts(sightings())[-12:]
    assert words == [
        "Alerts read until 3 h ago (2026-11-29 04:10 UTC).",
        "The last reading was 2 h ago (2026-11-29 04:11 UTC): done.",
        "It found 1,204 alerts, 731 matches, 702 written, 20 there already, 1 refused, 8 left out.",
    ]
    assert numbers == [
        *("what became of them", "sightings", "waiting to be written into MISP", "3", "written into MISP", "14,702"),
        *("in MISP already", "20", "refused by MISP", "1", "left out, for their TLP or a warninglist", "8"),
    ]
    none = dict.fromkeys(sightings()["states"], 0)
    assert seen_in_alerts({"read_until": None, "last_reading": None, "states": none, "configured": True}) == [
        "No alerts read yet."
    ]


def test_why_alerts_could_not_be_read_is_one_sentence():
    known = sightings(exit_code=3, misp_error="the key is refused. Make another one.")
    assert seen_in_alerts(known)[1].endswith("UTC): MISP failed: the key is refused. Make another one.")


def test_a_failed_run_does_not_count_as_nothing_live():
    rows = [run(0, exit_code=3, live={}), run(1, live={"url": 5}), run(2, live={})]
    assert [one.live for one in over_time.counted_runs(rows, NOW)] == [{}, {"url": 5}]


def test_several_destinations_have_their_sum_an_overview_and_a_section_each():
    text = page(*(destination(name=f"site-{number}", live=1_000) for number in range(3)))
    seen = "".join(Structure(text).texts)
    assert "3,000" in seen and "All 3 destinations together" in seen
    assert [f'id="d{number}"' in text for number in (1, 2, 3, 4)] == [True, True, True, False]


def in_trouble(name, words):
    """A destination where everything that others say is long."""
    rows = [run(number, exit_code=4, cause=words[:300], rejected=1_234, pending=55, again=2) for number in range(30)]
    reasons = {f"{number} {words}": 3 for number in range(5)}
    last = {"at": rows[0]["at"], "exit_code": 4, "failure": words, "warnings": [f"{n} {words}" for n in range(40)]}
    known = holdings([f"{name}{n}" for n in range(40)], skips={skip.name: 5 for skip in Skip})
    more = {"rejections": reasons, "leaving_reasons": reasons, "last_run": last, "seconds_ago": 9}
    return destination(rows, name=name, holdings=known, **more)


def test_what_others_say_is_cut_short_before_a_page_gets_too_large():
    text = page(*(in_trouble(f"site-{number}", "words of Microsoft " * 25) for number in range(16)))
    assert len(text.encode()) < 1_000_000 and 'id="d16"' in text
    assert "36 more warnings: the log has all of them." in text


def test_of_more_destinations_than_a_page_holds_there_is_the_overview():
    text = page(*(in_trouble(f"{LONG}<{number}", "<&>'" * 125) for number in range(60)))
    assert len(text.encode()) < 1_000_000
    assert "too many destinations for a section each" in text and f"{LONG}&lt;59" in text and 'id="d1"' not in text


def test_sums_are_of_the_destinations_of_the_settings_as_the_verdict_is():
    left = destination(
        name="", workspace="left", in_settings=False, live=9_000_000, last_good_run=moment(NOW - 99 * DAY)
    )
    seen = "".join(Structure(page(destination(name="ours", live=1_000), left, not_in_ledger=["late"])).texts)
    together = seen.partition("Destinations")[0]
    assert "1,000" in together and "9,000,000" not in together and "99 days" not in together
    assert "Those of the settings alone." in together and "late" in seen.partition("Destinations")[2]
    assert "Workspace left" in seen
    assert "9,000,000" in page(left) and "9,000,000" in page(left, left)


def test_a_run_of_the_future_does_not_stretch_the_time_in_a_chart():
    text = page(destination([run(-30_000), run(0, at=moment(0)), *(run(number) for number in range(5))]))
    assert "Indicators from 2026-11-25 to 2026-11-29" in text


def test_why_the_last_run_failed_is_one_sentence():
    words = "the key is refused. Make another one."
    last = {"at": run(0)["at"], "exit_code": 4, "failure": words}
    text = page(destination(last_run=last, seconds_ago=7))
    assert "Microsoft failed: the key is refused. Make another one.<" in text


def test_a_page_of_fifty_destinations_stays_below_one_megabyte():
    long = "x" * 60
    many = (
        destination(name=f"{long}{number}", holdings=holdings([f"{long}{n}" for n in range(9)])) for number in range(50)
    )
    assert len(page(*many).encode()) < 1_000_000


def test_a_page_of_one_destination_is_small_whatever_the_ledger_has():
    rows = [run(number, live={f"kind-{n}": 10**7 + number for n in range(9)}) for number in range(800)]
    assert len(page(destination(runs=rows)).encode()) < 200_000


# -- drawing ----------------------------------------------------------------------------------------


def test_a_chart_has_bars_labels_and_what_it_shows_and_nothing_else():
    picture = ElementTree.fromstring(bars(SAID, [0, 1, 1_000_000], ["a", "", "c"]))
    assert [element.tag for element in picture[:2]] == ["title", "desc"]
    heights = [float(bar.get("height")) for bar in picture.iter("rect")]
    assert len(heights) == 2 and heights[0] == 1.5 < heights[1]
    assert [text.text for text in picture.iter("text")] == ["0", "500k", "1M", "a", "c"]
    assert {element.tag for element in picture.iter()} <= {"svg", "title", "desc", "g", "path", "rect", "text"}
    assert {name for element in picture.iter() for name in element.attrib} <= {
        *("viewBox", "role", "aria-labelledby", "id", "class", "transform", "d", "x", "y", "width", "height")
    }


def test_drawing_leaves_nothing_in_the_way_of_later_imports():
    program = (
        "import sys\n"
        "from importlib.metadata import version\n"
        "from helpers.commands.monitoring.report.charts import Said, bars\n"
        "bars(Said('name', 'title', 'words'), [1], ['a'])\n"
        "assert version('pygal')\n"
        "sys.exit(any(not hasattr(finder, 'find_spec') for finder in sys.meta_path))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_areas_stand_upon_each_other():
    picture = ElementTree.fromstring(areas(SAID, [[1, 2, 3], [3, 2, 1]], ["a", "", "c"]))
    lower, upper = (group.find("path").get("d") for group in picture.iter("g") if "color" in group.get("class", ""))
    assert lower != upper and bars(SAID, [1], ["a"]) == bars(SAID, [1], ["a"])


@given(st.integers(0, 10**12), st.integers(2, 5))
def test_an_axis_begins_at_zero_and_holds_every_value(largest, steps):
    marks = ticks(largest, steps)
    assert marks[0] == 0 and marks[-1] >= largest and 2 <= len(marks) <= 2 * steps + 3
    assert len({later - earlier for earlier, later in pairwise(marks)}) == 1


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (999, "999"), (1_000, "1k"), (1_500_000, "1.5M"), (2_000_000_000, "2G")]
)
def test_numbers_on_an_axis_are_short(number, words):
    assert short(number) == words


@given(st.lists(st.integers(), max_size=200), st.integers(2, 50))
def test_thinning_keeps_the_first_and_the_last(items, most):
    left = thinned(items, most)
    assert len(left) == min(len(items), most) and left[:1] == items[:1] and left[-1:] == items[-1:]


def test_labels_are_left_out_where_there_is_no_room():
    assert at_some(list("abcdefg"), 3) == ["a", "", "", "d", "", "", "g"]


def test_a_label_is_not_shown_twice_in_a_row():
    assert once(["a", "", "a", "b", "", "b", "a"]) == ["a", "", "", "b", "", "", "a"]


def test_runs_of_one_day_are_told_apart_by_their_time():
    hourly = [run(0, at=moment(NOW - number * 3_600)) for number in range(4)]
    times = [f"{datetime.fromisoformat(one['at']):%H:%M}" for one in hourly]
    shown = page(destination(hourly))
    assert all(f">{time}<" in shown for time in times)
    nightly = page(destination(4))
    assert not any(f">{time}<" in nightly for time in times)


def test_the_page_says_that_it_does_not_age():
    assert "It knows nothing of what came later." in page(destination())


def test_a_failed_run_says_once_who_failed():
    shown = page(destination([run(0, exit_code=3, cause="MISP failed: the key is refused"), run(1)]))
    assert "MISP failed: the key is refused" in shown and "MISP failed: MISP failed" not in shown


def test_what_was_live_holds_until_the_next_run():
    counted = [Counted(0, {"url": 1}), Counted(90, {"url": 5}), Counted(100, {"url": 7})]
    assert [one.live["url"] for one in over_time.evenly(counted, 11)] == [1] * 9 + [5, 7]


def test_kinds_beyond_the_most_frequent_are_one():
    counted = [Counted(0, {f"kind-{number}": number for number in range(9)})]
    kinds = over_time.kinds_of(counted, 3)
    assert kinds == ["kind-8", "kind-7", over_time.OTHERS]
    assert over_time.by_kind(counted[0], kinds) == [8, 7, 21]
