"""script.py as a process of its own, over TLS, against the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sandbox.terminal import Shown, in_terminal
from tests.support import environ_for, hosts, misp_event

__all__ = ["ROOT", "Host", "HurriedHost", "Shown", "in_terminal", "load"]

ROOT = Path(__file__).parents[2]


class Host:
    """A host with a state directory; hosts with the same ``state_url`` share a ledger."""

    def __init__(self, box, state, state_url="", **settings):
        state.mkdir(parents=True, exist_ok=True)
        self.config = state / "config.py"
        self.config.write_text("misp_event_filters = {'published': 1}\n")
        self.process = None
        named = {
            "MISP_DOMAIN": box.misp_url,
            "MISP_KEY": box.misp.readonly_key,
            "MISP_VERIFYCERT": box.ca_file,
            "MS_VERIFYCERT": box.ca_file,
            **{f"MS_ENDPOINTS__{name}": box.azure_url for name in ("AUTHORITY", "UPLOAD", "UPLOAD_LEGACY")},
            "STATE_DIR": str(state),
            **({"STATE_URL": state_url} if state_url else {}),
            **settings,
        }
        self.environ = {
            **environ_for(box.azure),
            **{f"MISP2SENTINEL_{name}": value for name, value in named.items()},
            "PATH": os.environ["PATH"],
            "HOME": str(state),
        }

    def run(self, *arguments):
        """Run script.py to its end, or to its death; how it ended."""
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=1200)
            except BaseException:
                process.kill()  # nothing would end it, and leaving the block waits for its end
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def show(self, *arguments, columns=80, rows=50, typed="", env=None):
        """Run script.py in a pseudo-terminal to its end; what a person sees. ``env`` is added to the host's."""
        environ = {**self.environ, **(env or {})}
        return in_terminal(self.command(*arguments), columns=columns, rows=rows, typed=typed, env=environ)

    def command(self, *arguments):
        """Return the words that run script.py with these arguments."""
        return [sys.executable, str(ROOT / "script.py"), "--config", str(self.config), *arguments]

    def start(self, *arguments, **options):
        """Start script.py; the process, whose output is to be read."""
        self.process = subprocess.Popen(
            self.command(*arguments),
            env=self.environ,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        return self.process

    def kill(self):
        """End the process that runs now as kill -9 does."""
        self.process.kill()


class HurriedHost(Host):
    """A host whose runs do not wait for each other."""

    def command(self, *arguments):
        hurried = "from helpers.process import turns; turns.RUN_SECONDS = turns.EVENT_SECONDS = 0"
        words = super().command(*arguments)
        return [words[0], "-c", f"{hurried}; import script; raise SystemExit(script.main())", *words[2:]]


def load(box, events, attributes):
    """Give MISP so many events of so many domains."""
    box.misp.load(misp_event(n, hosts(attributes, f"e{n}h")) for n in range(1, events + 1))
