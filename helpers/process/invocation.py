"""How this process was called: what people type to call it again, which help and advice repeat."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath

# A wrapper says here what it is called; it names the settings file as well, so that nobody needs to.
COMMAND = "MISP2SENTINEL_COMMAND"
SETTINGS = "MISP2SENTINEL_CONFIG"
_SCRIPT = "script.py"
_INSTALLED = "misp2sentinel"  # what a package's installation makes


def typed_name(environ: Mapping[str, str] | None = None, line: Sequence[str] | None = None) -> str:
    """Return what was typed before the first option: ``misp2sentinel``, ``.venv/bin/python script.py``.

    Options of Python itself are left out. Without a script, as in an Azure Function, it is what the docs have. An
    installed command is its name where the shell finds it, else its path.
    """
    environ, line = os.environ if environ is None else environ, sys.orig_argv if line is None else line
    script = next((word for word in line[1:] if PurePath(word).name in (_SCRIPT, _INSTALLED)), "")
    if wrapper := environ.get(COMMAND, "").strip():
        return wrapper
    if PurePath(script).name == _INSTALLED:
        return _INSTALLED if shutil.which(_INSTALLED, path=environ.get("PATH")) == script else shlex.quote(script)
    return shlex.join([line[0], script] if script else ["python", _SCRIPT])


def to_type(*words: str, config: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Return the command line that calls this program again, with these words and this settings file."""
    environ = os.environ if environ is None else environ
    comes_along = environ.get(COMMAND, "").strip() and environ.get(SETTINGS) == config
    option = ["--config", config] if config and not comes_along else []
    return " ".join(filter(None, [typed_name(environ), shlex.join([*option, *words])]))
