"""Asks for the six values that a run needs, and writes the file of settings."""

from __future__ import annotations

import getpass
import os
import pwd
import stat
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from helpers.commands.init.settings_text import QUESTIONS, Question, settings_text
from helpers.commands.screen import Line, Say, Screen, Tone, verdict
from helpers.errors import SettingsError
from helpers.files import group_name, permission_hint, user_name, write_new
from helpers.process import installation, invocation, redact
from helpers.settings import problems_with, written

MOST_TRIES = 5
_NO_TERMINAL = (
    "init asks questions, so it needs a terminal. Without one: copy config.py to a place of its own, put your values "
    "where its placeholders are, let nobody but its user read it, and run check (docs/install.md)."
)
_NOTHING_WRITTEN = "Nothing was written."
_INTRODUCTION = "Six values are needed; docs/install.md says where each is found. Secrets are not shown as you type."

# Returns what is wrong with an answer, each sentence on a line; nothing where it can be used.
Check = Callable[[str], str]


def main(_settings: None, arguments: Namespace, say: Say) -> Path | None:
    """Write the file of settings; return its path, or None where another user has to check it.

    Raises SettingsError where there is no terminal, where no file can be written, and when answers stay unusable.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingsError([_NO_TERMINAL])
    path = _place(arguments.config)
    _show(Line(_INTRODUCTION))
    values: dict[str, str] = {}
    for question in QUESTIONS:
        values[question.name] = _value(question, values)
    _write(path, settings_text(values))
    if group := _group_of_runs(path.parent):
        _hand_over(path, group, say)
        return None
    say(verdict(Tone.GOOD, f"{path} is written; only {user_name()} may read it."))
    user = _user_of_runs()
    if user is None:
        return path
    _show_how_to_hand_over(path, user, say)
    return None


def _group_of_runs(directory: Path) -> int | None:
    """Return the group that root's directory is for, as /etc/misp2sentinel is for that of cron's user."""
    status = directory.stat()
    is_for_group = os.geteuid() == status.st_uid == 0 and not status.st_mode & stat.S_IRWXO
    return status.st_gid if is_for_group and status.st_gid else None


def _hand_over(path: Path, group: int, say: Say) -> None:
    os.chown(path, 0, group)
    path.chmod(0o640)
    say(verdict(Tone.GOOD, f"{path} is written; only root and the group {group_name(group)} may read it."))
    say(Line(f"Then: {invocation.to_type('check', config=str(path))}"))


def _place(named: Path | None) -> Path:
    """Return where to write: the place that was named, else what is answered. Raises SettingsError."""
    named = named or (Path(name) if (name := os.environ.get(invocation.SETTINGS, "").strip()) else None)
    if named is not None:
        path = named.expanduser().absolute()
        if problem := _trouble_with_place(str(path)):
            raise SettingsError([f"{problem} Name another one with --config."])
        return path
    default = str(installation.SETTINGS_OF_USER.expanduser() if os.geteuid() else installation.SETTINGS_OF_ROOT)
    answer = _ask(Line("Where the settings are to be"), default, _trouble_with_place, default=default)
    return Path(answer).expanduser().absolute()


def _trouble_with_place(answer: str) -> str:
    path = Path(answer).expanduser()
    if os.path.lexists(path):
        return f"{path} is there already, and is not overwritten: change it by hand (docs/configure.md)."
    if not path.parent.is_dir():
        return f"The directory {path.parent} is not there: make it first (docs/install.md)."
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"{user_name()} may not write in {path.parent}."
    return ""


def _value(question: Question, values: dict[str, str]) -> str:
    """Ask for a setting until the answer is one that it takes, beside those that are known."""

    def check(answer: str) -> str:
        redact.add([answer] if question.secret else [])
        return "\n".join(problems_with({**values, question.name: answer}, question.name))

    return _ask(Line(question.words), written(question.name), check, secret=question.secret)


def _user_of_runs() -> str | None:
    """Return the user that root lets run it; None where that is whoever runs this."""
    if os.geteuid():
        return None
    user = _ask(Line("The user that cron will run it as"), "root", _trouble_with_user, default="root")
    return None if user == "root" else user


def _trouble_with_user(name: str) -> str:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return f"There is no user {name} on this machine."
    return ""


def _show_how_to_hand_over(path: Path, user: str, say: Say) -> None:
    """Say what lets another user read the file, and what that user checks: root's check would make root's files."""
    group = group_name(pwd.getpwnam(user).pw_gid)
    say(Line(f"{user} has to be able to read it; then check as that user (docs/install.md):"))
    for command in (
        f"chown root:{group} {path}",
        f"chmod 640 {path}",
        f"runuser -u {user} -- {invocation.to_type('check', config=str(path))}",
    ):
        say(Line(command, Tone.STRONG, indent=4))


def _ask(question: Line, name: str, check: Check, *, default: str = "", secret: bool = False) -> str:
    """Ask until an answer can be used. Raises SettingsError after a few tries, and when nobody answers."""
    _show(question)
    for _ in range(MOST_TRIES):
        answer = _read(f"{name}: " if not default else f"[{default}]: ", secret=secret).strip() or default
        problem = check(answer)
        if not problem:
            return answer
        for sentence in problem.splitlines():
            _show(Line(sentence, Tone.ODD))
    raise SettingsError([f"{name} could not be used {MOST_TRIES} times. {_NOTHING_WRITTEN}"])


def _read(prompt: str, *, secret: bool) -> str:
    """Return a line from the terminal, what is typed unseen where it is a secret. Raises SettingsError at its end."""
    try:
        if secret:
            return getpass.getpass(prompt, sys.stderr)
        sys.stderr.write(prompt)
        sys.stderr.flush()
        if line := sys.stdin.readline():
            return line
    except EOFError:
        pass
    raise SettingsError([f"The questions were not answered. {_NOTHING_WRITTEN}"])


def _write(path: Path, content: str) -> None:
    try:
        write_new(path, content)
    except OSError as error:
        advice = permission_hint(error) or "Name another place with --config."
        raise SettingsError([f"{path} cannot be written ({error.strerror}). {advice}"]) from error


def _show(line: Line) -> None:
    Screen(sys.stderr).show(line)
