"""Stories over TLS with the real command line: from news to Sentinel, and what check says."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.stories.indicators import indicators_in
from helpers.stories.story import read_story
from sandbox.__main__ import ADVICE
from sandbox.faults import Fault
from sandbox.misp.accounts import ROLES, USER
from sandbox.samples import STORY as STORY_FILE
from sandbox.serve import Sandbox
from tests.support.processes import Host
from tests.support.story_site import STORY, THEM, URL, US, item, story

ROOT = Path(__file__).parents[2]


@pytest.fixture
def box():
    with Sandbox() as opened:
        yield opened


def host_of(box, folder, role="Publisher", **settings):
    key = box.misp.add_user(role, US)
    box.misp.tags |= {"loader", "tlp:amber"}
    stories_settings = {
        "API_KEY": key,
        "ORGANISATION_ID": US["id"],
        "DISTRIBUTION": "1",
        "SSL_CHECK": box.ca_file,
        **settings,
    }
    return Host(box, folder / "state", **{f"MISP_STORIES__{name}": value for name, value in stories_settings.items()})


def test_a_story_shared_and_published_reaches_sentinel_under_its_title(box, tmp_path):
    host = host_of(box, tmp_path)
    file = tmp_path / "story.json"
    file.write_text(
        json.dumps(story(news_items=[item(content="It calls hxxp://evil[.]example[.]org/a from 192.0.2.7")]))
    )
    shared = host.run("share", "--to-ids", "--publish", "--json", str(file))
    assert (shared.returncode, shared.stderr) == (0, "")
    (outcome,) = json.loads(shared.stdout)["stories"]
    assert (outcome["outcome"], outcome["notes"]) == ("created", ["published"])
    assert host.run().returncode == 0
    sent = {indicator["pattern"]: indicator for indicator in box.azure.live().values()}
    assert set(sent) == {f"[url:value = '{URL}']", "[ipv4-addr:value = '192.0.2.7']"}
    assert {indicator["name"] for indicator in sent.values()} == {story()["title"]}
    assert all(STORY in json.dumps(indicator) for indicator in sent.values())


def test_a_story_that_was_not_published_or_without_to_ids_does_not(box, tmp_path):
    host = host_of(box, tmp_path)
    file = tmp_path / "story.json"
    for number, options in enumerate((["--to-ids"], ["--publish"])):
        file.write_text(json.dumps(story(id=f"0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d2{number}")))
        assert host.run("share", *options, str(file)).returncode == 0
    assert host.run().returncode == 0
    assert box.azure.live() == {}


def test_collected_stories_can_be_piped_into_share(box, tmp_path):
    host = host_of(box, tmp_path)
    file = tmp_path / "story.json"
    file.write_text(json.dumps(story()))
    assert host.run("share", str(file)).returncode == 0
    collected = host.run("collect", "--full")
    assert collected.returncode == 0
    assert collected.stderr.strip() == "1 story, 0 unchanged since the last collection"
    again = subprocess.run(
        [sys.executable, str(ROOT / "script.py"), "--config", str(host.config), "share", "-"],
        input=collected.stdout,
        env=host.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == "1 unchanged"
    nothing = host.run("collect")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    file.write_text("")
    shared = host.run("share", str(file))
    assert (shared.returncode, shared.stdout) == (0, "no story\n")


def test_problems_end_with_their_exit_codes(box, tmp_path):
    host = host_of(box, tmp_path)
    file = tmp_path / "story.json"
    file.write_text(json.dumps(story(id="x")))
    assert host.run("share", str(file)).returncode == 1
    for name in ("API_KEY", "ORGANISATION_ID"):
        kept = host.environ.pop(f"MISP2SENTINEL_MISP_STORIES__{name}")
        for command in (["share", str(file)], ["collect"]):
            ended = host.run(*command)
            assert ended.returncode == 2
            assert f"misp_stories['{name.lower()}'] is missing" in ended.stderr
        host.environ[f"MISP2SENTINEL_MISP_STORIES__{name}"] = kept
    host.environ["MISP2SENTINEL_MISP_STORIES__API_KEY"] = "wrong" * 8
    ended = host.run("share", "--json", str(file))
    assert ended.returncode == 3 and json.loads(ended.stdout)["exit_code"] == 3
    assert "wrong" * 8 not in ended.stdout + ended.stderr
    ended = host.run("share", "--full", str(file))
    assert ended.returncode == 2 and "--full" in ended.stderr


def test_letters_that_the_locale_lacks_end_no_share(box, tmp_path):
    host = host_of(box, tmp_path)
    host.environ["PYTHONIOENCODING"] = "ascii"
    file = tmp_path / "story.json"
    file.write_text(
        json.dumps([story(title="\u041d\u043e\u0432\u044b\u0439 loader"), story(id=STORY.replace("0b", "0c"))])
    )
    shared = host.run("share", str(file))
    assert (shared.returncode, shared.stderr) == (0, "")
    assert "\\u041d\\u043e\\u0432\\u044b\\u0439 loader" in shared.stdout
    assert shared.stdout.splitlines()[-1] == "2 created"


def test_what_misp_says_of_an_event_that_cannot_be_read_commands_no_terminal(box, tmp_path):
    host = host_of(box, tmp_path)
    file = tmp_path / "story.json"
    file.write_text(json.dumps(story()))
    assert host.run("share", str(file)).returncode == 0
    box.misp.faults.add(Fault("/events/view", "status", status=405, body={"message": "\x1b[2Jno"}, times=None))
    ended = host.run("collect")
    assert ended.returncode == 3
    assert "\x1b" not in ended.stderr and "\\x1b[2Jno" in ended.stderr


CHECKS = {
    "ours": ("Publisher", {}, 0, "ok   MISP stories: the key is of organisation 5 (NEWSROOM), ours; the role"),
    "a role that may not publish": ("User", {}, 0, "lacks perm_publish (events are not published), perm_tag_editor"),
    "a role that may not write": ("Read Only", {}, 3, "FAIL MISP stories: the role Read Only lacks perm_add"),
    "a role that may not update its colleagues' events": (
        "Own events",
        {},
        0,
        "lacks perm_modify_org (events that somebody else of the organisation added cannot be updated)",
    ),
    "another organisation": ("Publisher", {"ORGANISATION_ID": THEM["id"]}, 2, "FAIL MISP stories: misp_stories.organi"),
    "a sharing group out of sight": (
        "Publisher",
        {"SHARING_GROUP_ID": "9", "DISTRIBUTION": "4"},
        2,
        "which the key's user does not see",
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_check_says_whether_stories_can_be_shared(name, box, tmp_path, monkeypatch):
    monkeypatch.setitem(ROLES, "Own events", ("7", USER - {"perm_modify_org"}, "1", "manage_own"))
    role, settings, code, words = CHECKS[name]
    box.misp.load(
        [{"uuid": STORY, "info": "x", "published": True, "Attribute": [{"type": "domain", "value": "a.example.org"}]}]
    )
    ended = host_of(box, tmp_path, role, **settings).run("check")
    assert ended.returncode == code
    (line,) = [line for line in ended.stdout.splitlines() if "MISP stories:" in line]
    assert words in line


def test_check_says_nothing_of_stories_where_none_are_shared(box, tmp_path):
    ended = Host(box, tmp_path / "state").run("check")
    assert "stories" not in ended.stdout


def test_help_and_missing_settings_import_nothing_slow(tmp_path):
    code = "import sys, script; script.main(['share', '/x']); print({'pymisp', 'ioc_finder'} & set(sys.modules))"
    config = tmp_path / "config.py"
    config.write_text("")
    environ = {"PATH": os.environ["PATH"], "MISP2SENTINEL_CONFIG": str(config)}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.stdout.strip() == "set()" and "misp_stories['api_key'] is missing" in ended.stderr


def test_the_sandbox_that_is_started_by_hand_takes_the_story_that_lies_beside_it(tmp_path):
    """Its advice is typed in a shell: where to go, the one export, and the command that shares."""
    place = tmp_path / "a place"
    lines = ADVICE.replace("{directory}", shlex.quote(str(place))).splitlines()
    typed = [line.strip() for line in lines if line.startswith(("  cd ", "  export ", "  misp2sentinel share "))]
    assert [line.split()[0] for line in typed] == ["cd", "export", "misp2sentinel"]
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox", "--dir", str(place), "--run", "--", "sh", "-ec", "\n".join(typed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 created" in ended.stdout and "published" in ended.stdout


def test_the_story_that_the_sandbox_names_has_indicators():
    parsed = read_story(json.loads(STORY_FILE.read_text(encoding="utf-8")))
    assert [indicator.value for indicator in indicators_in(parsed.story).indicators] == [
        "198.51.100.23",
        "0123456789abcdef0123456789abcdef",
        "http://stage.example.net/a",
    ]
