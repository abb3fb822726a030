"""Running a config.py: the names that it sets, or why it stopped, in words without a secret."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple

from helpers.process import installation
from helpers.settings.config import printed, source_text, vault_failure
from helpers.settings.config.vault_failure import TookTooLong

LONGEST = 900.0  # seconds
# A variable that is asked for; one with a digit in it may be a key in the wrong place.
_NAME = re.compile(r"[A-Za-z_]{1,64}")


class Outcome(NamedTuple):
    """The names that a config.py sets, or why it stopped; ``azures``: it is not its fault, but Azure's."""

    names: Mapping[str, Any]
    problem: str = ""
    azures: bool = False


def run(path: Path, source: bytes, *, imports: bool) -> Outcome:
    """Run the file at ``path``, which holds ``source``; ``imports``: it may import what lies beside it."""
    problem = source_text.problem_of(source)
    if problem:
        return Outcome({}, problem)
    module = ModuleType("<config.py>")
    module.__file__ = str(path)
    try:
        with printed.aside(), _importing_from(path.parent if imports else None, module), _time_limit():
            exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102  it is the site's
        return Outcome(vars(module))
    # A site's SystemExit would end the run before the other problems are reported.
    except (Exception, SystemExit, TookTooLong) as error:
        words = vault_failure.of_azure(error, vars(module))
        if words:
            return Outcome({}, f"stopped in line {_line(error.__traceback__, path)}, {words}", azures=True)
        return Outcome({}, _failure(error, path, source))


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise TookTooLong in what takes too long: the SDK alone tries for an hour to reach what does not answer.

    Only in the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _end)
    left, _ = signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise TookTooLong


@contextmanager
def _importing_from(folder: Path | None, module: ModuleType) -> Iterator[None]:
    """Let config.py import from its folder, and leave no bytecode there; its classes find it among the modules."""
    wrote_bytecode, sys.dont_write_bytecode = not sys.dont_write_bytecode, True
    sys.path[:0] = [str(folder)] if folder else []
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        sys.dont_write_bytecode = not wrote_bytecode
        del sys.modules[module.__name__]
        if folder and str(folder) in sys.path:
            sys.path.remove(str(folder))


def _failure(error: BaseException, path: Path, source: bytes) -> str:
    """Say what went wrong without the source or a message that could hold a secret."""
    if isinstance(error, SyntaxError):
        return _no_python(error, path, source)
    where = f"stopped in line {_line(error.__traceback__, path)}"
    if isinstance(error, TookTooLong):
        return f"{where}, since it took more than {LONGEST / 60:.0f} minutes: does what it asks there answer?"
    if package := vault_failure.missing_package(error):
        how = installation.how_to_add("keyvault")
        return f"{where}, since the package {package} is not installed: {how}."
    advice = source_text.advice_on(error, source) if isinstance(error, NameError) else source_text.FIX
    return f"{where} with {type(error).__name__}{_harmless_message(error)}: {advice}."


def _no_python(error: SyntaxError, path: Path, source: bytes) -> str:
    if error.filename != str(path):
        return f"is not valid Python: line {error.lineno} of {error.filename}: {error.msg}; fix that line."
    advice = source_text.advice_on(error, source)
    return source_text.not_utf8(source) or f"is not valid Python: line {error.lineno}: {error.msg}; {advice}."


def _line(traceback: TracebackType | None, path: Path) -> int | str:
    """Return the last line of this file in a traceback."""
    line: int | str = "?"
    while traceback:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _was_of_environment(error: KeyError) -> bool:
    """Say whether a variable was asked for that is not there."""
    *_, (innermost, _) = walk_tb(error.__traceback__)
    return innermost.f_code is type(os.environ).__getitem__.__code__


def _harmless_message(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f" ({error})"
    if isinstance(error, KeyError) and _was_of_environment(error):
        name = str(error.args[0])
        return f" (the environment has no {name})" if _NAME.fullmatch(name) else ""
    # A name with a digit in it may be a key that lacks its quotes.
    if isinstance(error, NameError) and not any(letter.isdigit() for letter in str(error)):
        return f" ({error})"
    return ""
