"""Pictures of screens: what a terminal got, with its colours."""

from __future__ import annotations

import re

from sandbox import screens
from sandbox.screens import Scene
from sandbox.terminal import Shown


def test_a_command_makes_a_picture_of_each_screen_on_dark_and_on_light(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(screens, "SCENES", (Scene("help", ["--help"]), Scene("run", until="MISP events")))
    monkeypatch.setattr(screens, "WIDTHS", (80,))
    assert screens.main([str(tmp_path / "pictures")]) == 0
    names = {f"{scene}-80-{theme}.svg" for scene in ("help", "run") for theme in ("dark", "light")}
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
    assert {line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()} == names
    assert "exit&#160;codes" in (tmp_path / "pictures" / "help-80-dark.svg").read_text()
    assert "MISP&#160;events" in (tmp_path / "pictures" / "run-80-light.svg").read_text()


def test_colours_are_in_the_picture(tmp_path):
    raw = b"\x1b[1;31mFAILED\x1b[0m and \x1b[38;5;2mgreen\x1b[0m"
    screens.save(Scene("failure"), Shown(4, raw, 80, 50), tmp_path)
    picture = (tmp_path / "failure-80-dark.svg").read_text()
    styles = {words: style for style, words in re.findall(r'class="[^"]*-(r\d+)"[^>]*>([^<]*)</text>', picture)}
    assert re.search(rf"-{styles['FAILED']} {{ fill: #cc555a;font-weight: bold }}", picture), picture[:3000]
    assert re.search(rf"-{styles['green']} {{ fill: #00cd00 }}", picture)
    assert "exit&#160;code&#160;4" in picture


def test_every_scene_has_its_name():
    assert len({scene.name for scene in screens.SCENES}) == len(screens.SCENES)
