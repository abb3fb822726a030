"""``script.py convert`` as somebody types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVENT = {
    "uuid": "cccccccc-0000-4000-8000-000000000001",
    "info": "A campaign",
    "Attribute": [
        {"uuid": "aaaaaaaa-0000-4000-8000-000000000001", "type": "domain", "value": "Evil.Example", "to_ids": True},
        {"uuid": "aaaaaaaa-0000-4000-8000-000000000002", "type": "text", "value": "a text", "to_ids": True},
        {"uuid": "aaaaaaaa-0000-4000-8000-000000000003", "type": "md5", "value": "zz", "to_ids": True},
        {
            "uuid": "aaaaaaaa-0000-4000-8000-000000000004",
            "type": "domain|ip",
            "value": "bücher.example|10.0.0.1",
            "to_ids": True,
        },
    ],
}
OTHER = {
    "uuid": "cccccccc-0000-4000-8000-000000000002",
    "info": "Another",
    "Attribute": [{"uuid": "aaaaaaaa-0000-4000-8000-000000000009", "type": "mutex", "value": "m", "to_ids": True}],
}


@pytest.fixture
def convert(tmp_path):
    """A function that runs ``script.py convert`` on files with these contents, by name."""

    def run(*names, options=(), environ=None, **contents):
        for name, content in contents.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (tmp_path / f"{name}.json").write_bytes(data)
        surroundings = {key: value for key, value in os.environ.items() if not key.startswith("MISP2SENTINEL_")}
        return subprocess.run(
            [sys.executable, ROOT / "script.py", *options, "convert", *(f"{name}.json" for name in names or contents)],
            cwd=tmp_path,
            env={**surroundings, "LC_ALL": "C", **(environ or {})},
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
        )

    return run


def patterns(run):
    return [indicator["pattern"] for indicator in json.loads(run.stdout)]


def test_indicators_on_stdout_and_skips_on_stderr_with_the_config_as_it_comes(convert):
    run = convert(event={"Event": EVENT})
    assert run.returncode == 0
    assert patterns(run) == ["[domain-name:value = 'evil.example']", "[domain-name:value = 'xn--bcher-kva.example']"]
    assert {indicator["type"] for indicator in json.loads(run.stdout)} == {"indicator"}
    text, md5, half = sorted(run.stderr.splitlines(), key=lambda line: line.partition("attribute ")[2])
    assert "skipped: " in text
    assert "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES" in text
    assert "misp-stix did not convert the attribute" in md5
    assert "expected: 32 hexadecimal characters" in md5
    assert half.startswith("half left out: ")
    assert "private" in half
    assert all(EVENT["uuid"] in line for line in (text, md5, half))


@pytest.mark.parametrize(
    "content",
    [
        EVENT | {"Attribute": []},
        [{"Event": EVENT | {"Attribute": []}}],
        {"response": [{"Event": EVENT | {"Attribute": []}}]},
        {"response": {"Event": {"info": "no attributes"}}},
        b"\xef\xbb\xbf" + json.dumps({"Event": EVENT | {"Attribute": None}}).encode(),
    ],
)
def test_every_form_of_event_and_nothing_to_say(convert, content):
    run = convert(event=content)
    assert (run.returncode, run.stderr, json.loads(run.stdout)) == (0, "", [])


def test_several_files_make_one_array(convert):
    run = convert(first=[{"Event": EVENT}, {"Event": OTHER}], second=OTHER)
    assert run.returncode == 0
    assert patterns(run)[2:] == ["[mutex:name = 'm']"] * 2


BROKEN = {
    "cut": json.dumps(EVENT).encode()[:-20],
    "empty": b"",
    "binary": b"\xff\xfe\x00\x01",
    "deep": b"[" * 100_000,
    "number": 7,
    "nothing": [],
    "other": {"hello": "world"},
    "mixed": [{"Event": OTHER}, "and a text"],
    "null": {"Event": None},
}


def test_files_that_cannot_be_used_are_named_and_the_rest_converted(convert, tmp_path):
    (tmp_path / "folder.json").mkdir()
    contents = {**BROKEN, "good": OTHER}
    run = convert(*list(BROKEN), "folder", "missing", "good", **contents)
    assert run.returncode == 2
    assert patterns(run) == ["[mutex:name = 'm']"]
    lines = run.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"{name}.json" for name in (*BROKEN, "folder", "missing")]
    assert "is not whole JSON" in lines[0]
    assert "Traceback" not in run.stderr


def test_where_no_file_can_be_used_stdout_has_no_empty_array(convert):
    run = convert("missing", "cut", cut=BROKEN["cut"])
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 2)


def test_a_good_file_without_indicators_is_an_empty_array_beside_a_bad_one(convert):
    run = convert("missing", "quiet", quiet=EVENT | {"Attribute": []})
    assert (run.returncode, json.loads(run.stdout)) == (2, [])


def test_settings_count_and_bad_ones_are_reported(convert, tmp_path):
    run = convert(event=EVENT, environ={"MISP2SENTINEL_SEND_PRIVATE_AND_CIDR": "true"})
    assert "[ipv4-addr:value = '10.0.0.1']" in patterns(run)
    run = convert(event=EVENT, environ={"MISP2SENTINEL_DAYS_TO_EXPIRE": "soon"})
    assert run.returncode == 2
    assert "days_to_expire" in run.stderr
    assert run.stdout == ""
    config = tmp_path / "site.py"
    config.write_text('misp_domain = "https://misp.example.org"\n', encoding="utf-8")
    run = convert(event=EVENT, options=["--config", str(config)])
    page = json.loads(run.stdout)[0]["external_references"][0]["url"]
    assert page == f"https://misp.example.org/events/view/{EVENT['uuid']}"


def test_filters_on_attributes_count(convert):
    scored = {
        **EVENT["Attribute"][0],
        "decay_score": [{"score": 3, "decayed": True, "DecayingModel": {"name": "Nids"}}],
    }
    filters = '{"exclude_types": ["domain|ip"], "exclude_decayed": true}'
    files = {"event": EVENT, "scored": {**EVENT, "Attribute": [scored]}}
    run = convert(environ={"MISP2SENTINEL_FILTERS": filters}, **files)
    assert patterns(run) == ["[domain-name:value = 'evil.example']"], "a file without scores is not filtered by them"
    assert "filters leave out the attribute's type" in run.stderr
    assert "decayed further than filters allow (Nids)" in run.stderr
    assert "half left out" not in run.stderr


def test_no_file_is_usage(convert):
    run = convert()
    assert run.returncode == 2
    assert "FILE" in run.stderr
