"""Running a config.py: the names that it sets, or why it stopped, in words without a secret."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from helpers.settings.config import source_text


def run(path: Path, source: bytes, *, imports: bool) -> tuple[dict[str, Any], str | None]:
    """Run the file at ``path``, which holds ``source``; return the names that it sets, and why it stopped, if it did.

    ``imports``: it may import what lies beside it.
    """
    problem = source_text.problem_of(source)
    if problem:
        return {}, problem
    module = ModuleType("<config.py>")
    module.__file__ = str(path)
    try:
        with _importing_from(path.parent if imports else None, module):
            exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102  it is the site's
        return vars(module), None
    # A site's SystemExit would end the run before the other problems are reported.
    except (Exception, SystemExit) as error:
        return {}, _failure(error, path, source)


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
    advice = source_text.advice_on(error, source) if isinstance(error, NameError) else source_text.FIX
    where = f"in line {_line(error.__traceback__, path)}"
    return f"stopped {where} with {type(error).__name__}{_harmless_message(error)}: {advice}."


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


def _harmless_message(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f" ({error})"
    # A name with a digit in it may be a key that lacks its quotes.
    if isinstance(error, NameError) and not any(letter.isdigit() for letter in str(error)):
        return f" ({error})"
    return ""
