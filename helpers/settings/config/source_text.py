"""What the bytes of a config.py are, where they are not the Python that it should be: named, with what to do. Pure."""

from __future__ import annotations

import ast
import codecs
import json
import keyword
import re
import tokenize
from contextlib import suppress
from io import BytesIO

# UTF-32's begin as UTF-16's do, so they are looked for first.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
FIX = "fix that line"
_BEGINNING = 400  # bytes; a multiple of 4, and enough to see where the zeros stand
_SAVE = "save it as UTF-8 (Notepad: Save As; PowerShell: Out-File -Encoding utf8)."
_QUOTES = "‘’‚‛“”„‟«»′″"
_VARIABLE = re.compile(r"\s*(?:export\s+|set\s+)?[A-Za-z_]\w*=(?![=\s]).*")
_PAIR = re.compile(r"\s*([A-Za-z_][\w-]*)\s*:(?:\s.*)?")
_ASIDE = re.compile(r"\s*(?:[#;]|---)")  # comments, and where a document of YAML begins


def problem_of(source: bytes) -> str | None:
    """Say what a file is that cannot be Python, or is another language; None if nothing is seen."""
    encoding = _wide_encoding(source)
    if encoding:
        return f"is {encoding}: {_SAVE}"
    if b"\0" in source:
        line = _line_at(source, source.index(b"\0"))
        return f"has a null byte in line {line}, as no text has: take it out, or write the file again."
    return _other_language(_text(source))


def advice_on(error: SyntaxError | NameError, source: bytes) -> str:
    """Say what to do about a file that is no Python, by what it looks like."""
    letters = set(str(error.msg if isinstance(error, SyntaxError) else ""))
    if letters & set(_QUOTES):
        return "write straight quotes, as word processors do not"
    lines = [line for line in _text(source).splitlines() if line.strip() and not _ASIDE.match(line)]
    if lines and all(_VARIABLE.fullmatch(line) for line in lines):
        return (
            "this looks like a file of environment variables: name it to systemd, docker or a shell, or write "
            'Python, name = "value"'
        )
    pair = lines and _PAIR.fullmatch(lines[0])
    if pair and not keyword.iskeyword(pair[1]):
        return 'this looks like YAML: write Python, name = "value"'
    return FIX


def without_value(tree: ast.Module) -> dict[str, int]:
    """Return the names that have only a type, as YAML's ``misp_timeout: 10`` is in Python, each with its line."""
    return {
        statement.target.id: statement.lineno
        for statement in tree.body
        if isinstance(statement, ast.AnnAssign) and statement.value is None and isinstance(statement.target, ast.Name)
    }


def _wide_encoding(source: bytes) -> str | None:
    """Return UTF-16 or UTF-32, by its mark or by where the zeros of plain letters stand."""
    for mark, encoding in _MARKS.items():
        if source.startswith(mark):
            return encoding
    start = source[:_BEGINNING]
    whole = len(start) - len(start) % 4
    zeros = [start[place:whole:4].count(0) for place in range(4)]
    most = whole // 4 * 3 // 4  # of the letters, three quarters may be expected to be plain
    if not most:
        return None
    if sum(zero >= most for zero in zeros) == 3:
        return "UTF-32"
    pairs = [zeros[place] >= most and zeros[place + 2] >= most for place in (0, 1)]
    return "UTF-16" if pairs[0] is not pairs[1] else None


def not_utf8(source: bytes) -> str | None:
    """Say where a file is not in the encoding that Python takes, which in a comment may not matter to it."""
    try:
        source.decode(_encoding(source))
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (line {_line_at(source, error.start)}): {_SAVE}"
    return None


def _line_at(source: bytes, place: int) -> int:
    return source[:place].count(b"\n") + 1


def _text(source: bytes) -> str:
    return source.decode(_encoding(source), "replace")


def _encoding(source: bytes) -> str:
    """Return what Python reads a file as, which its first lines may name."""
    try:
        return tokenize.detect_encoding(BytesIO(source).readline)[0]
    except SyntaxError:  # which running it says
        return "utf-8-sig"


def _other_language(text: str) -> str | None:
    """Name what begins as no line of Python does, or what is Python by chance and sets nothing."""
    if text.lstrip().startswith("<"):
        return "is HTML or XML, as of a page that was saved in its place: write Python, or copy the file again."
    if text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            json.loads(text)
            return 'is JSON: write Python, name = "value" on a line of its own for each setting.'
    return None
