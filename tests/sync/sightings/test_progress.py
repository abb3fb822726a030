"""In a terminal somebody sees how far it is; elsewhere nothing is drawn."""

from __future__ import annotations

import io
import sys
from argparse import Namespace

from helpers.commands.sightings.progress_bar import progress_bar
from helpers.sync import SightingProgress, run_sightings
from tests.sync.sightings.site import Site

PLAIN = {"verbose": False, "list": False, "quiet": False}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_what_is_read_and_how_many_are_written(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    with progress_bar(Namespace(**PLAIN)) as progress:
        progress.reads("contoso")
        progress.written(7, 1_000)
        progress.waiting("MISP's rate limit asks to wait", 12)
    assert "MISP's rate limit asks to wait, 12 s" in terminal.getvalue()
    assert "7/1000" in terminal.getvalue()


def test_without_a_terminal_nothing_is_drawn(capsys):
    with progress_bar(Namespace(**PLAIN)) as progress:
        progress.reads("contoso")
        progress.written(1, 2)
    assert capsys.readouterr().err == ""


def test_a_site_is_told_how_far_it_is(tmp_path):
    site, told = Site(tmp_path), []
    site.run()
    site.alert(indicators=[site.indicator(0), site.indicator(1)])
    progress = SightingProgress(told.append, lambda done, of: told.append((done, of)))
    with site.patched():
        run_sightings(site.settings, clock=site.waiting.clock, now=lambda: site.seconds, progress=progress)
    assert told == ["", (1, 2), (2, 2)]
