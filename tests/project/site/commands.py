"""The commands in the docs: where they stand, and which programs they call."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
SHELLS = {"sh", "bash"}
_FENCE = re.compile(r"^( *)(`{3,})(\w*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|(?<=\A))(?: {4,}\S.*\n|\n(?= {4}))+")
_LIST = re.compile(r"^ *([-*]|\d+\.) ")
_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?([^\n]*\n)(.*?)^\s*\1$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#( .*|!.*)?$", re.MULTILINE)
_ASSIGNED = re.compile(r"\w+=")
_ENDS = set("&|;()\n")
_WORDS = {
    "if",
    "then",
    "else",
    "fi",
    "do",
    "done",
    "while",
    "for",
    "!",
    "{",
    "}",
    "exec",
    "time",
    "sudo",
    "env",
    "nohup",
}


class Block(NamedTuple):
    """Some lines of a page that are set apart: a fence has its language, what is indented has none."""

    page: str
    language: str
    text: str


def blocks(path: Path) -> Iterator[Block]:
    """Yield what stands apart on a page."""
    page, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for indent, _, language, lines in _FENCE.findall(text):
        yield Block(page, language or "none", re.sub(f"^{indent}", "", lines, flags=re.MULTILINE))
    for found in _INDENTED.finditer(_FENCE.sub("", text)):
        lines = found[0].strip("\n")
        if not _LIST.match(_before(text, lines)):
            yield Block(page, "", re.sub("^ {4}", "", lines, flags=re.MULTILINE))


def _before(text: str, lines: str) -> str:
    """Return the line of the page that the paragraph before begins with."""
    return text.partition(lines)[0].rstrip().rpartition("\n\n")[2]


def calls(text: str) -> list[list[str]]:
    """Return each command of some lines of shell, as words, without what is before it: a variable, sudo, runuser."""
    text = _COMMENT.sub("", _HEREDOC.sub(r"\2", text.replace("\\\n", " ")))
    words = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t", True, ""
    return [call for call in map(_bare, _split(list(words))) if call]


def _split(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if set(word) <= _ENDS:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _bare(call: list[str]) -> list[str]:
    while call and (_ASSIGNED.match(call[0]) or call[0] in _WORDS):
        call = call[1:]
    if call and call[0] == "-u":  # whom sudo becomes
        return _bare(call[2:])
    if call[:1] == ["runuser"]:
        return _bare(call[call.index("--") + 1 :] if "--" in call else [])
    return call


def inline(path: Path) -> Iterator[str]:
    """Yield what stands between backticks within the sentences of a page, on one line."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for words in re.findall(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)", text):
        yield " ".join(words.split()).replace("\\|", "|")


def ours(call: Sequence[str]) -> list[str] | None:
    """Return the arguments of a call of the program, without where its settings are; None where it is another one."""
    if Path(call[0]).name == "misp2sentinel":
        arguments = list(call[1:])
    elif list(call[:2]) == [".venv/bin/python", "script.py"]:
        arguments = list(call[2:])
    else:
        return None
    if "--config" in arguments:
        at = arguments.index("--config")
        del arguments[at : at + 2]
    return [*takewhile(lambda word: not set(word) <= set("<>|"), arguments)]
