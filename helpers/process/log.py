"""The log: private to its owner, without secrets, and on the terminal only when that is asked for.

Each record is made clean where it is made, so every handler gets clean text, also those of a host that runs us.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from helpers.errors import SettingsError
from helpers.files import OddFile, is_null_device, open_private, permission_hint, user_name
from helpers.text import printable

logger = logging.getLogger(__name__)

_SHORTEST_SECRET = 4
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Redactor:
    """Takes secrets out of text that people and programs will see."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take out these secrets too; what is shorter than four characters is none."""
        forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
        self._secrets = sorted(forms.union(self._secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret in it replaced."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def within(self, value: Any) -> Any:
        """Return lists and dictionaries with the secrets taken out of every string in them."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self.within(inner) for key, inner in value.items()}
        return [self.within(inner) for inner in value] if isinstance(value, list) else value


def _forms(secret: str) -> set[str]:
    """Return a secret as it stands in plain text, in Python's repr (by itself or beside quotes), in JSON and in what is
    sent as a form or an address, which a proxy may quote."""
    in_repr = repr(secret)[1:-1]
    return {
        secret,
        in_repr,
        in_repr.replace("'", "\\'"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    }


# What this process must not show: the settings' secrets, and each token that it is given.
redact = Redactor()


def safe_to_show(text: str, keep: str = "") -> str:
    """Return a text as people may see it, whatever MISP and Microsoft said: see ``redact`` and ``printable``."""
    return printable(redact(text), keep)


def traceback_to_show(error: BaseException) -> str:
    """Return a traceback as people may see it; it is indented, so that no line of it looks like one of the log's."""
    lines = safe_to_show("".join(traceback.format_exception(error)).rstrip("\n"), keep="\n\t")
    return "  " + lines.replace("\n", "\n  ")


@dataclass(frozen=True)
class _CleanRecords:
    """Makes records whose message stays on its line, without secrets; of an exception, only the text is left."""

    make: Callable[..., logging.LogRecord]

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self.make(*arguments, **named)
        record.msg, record.args = safe_to_show(_message(record)), None
        if record.exc_info and record.exc_info[1]:
            record.exc_text = traceback_to_show(record.exc_info[1])
        record.exc_info = None
        return record


def _make_clean_records() -> None:
    make = logging.getLogRecordFactory()
    if not isinstance(make, _CleanRecords):
        logging.setLogRecordFactory(_CleanRecords(make))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a library's arguments do not fit, which handlers report; making a record must not fail
        return str(record.msg)


class _LogFile(logging.FileHandler):
    """A log that says once, in one line, when it can no longer be written."""

    _reported = False

    def _open(self) -> TextIOWrapper:
        """Open the file as ``open_private`` does, each time that logging opens it; /dev/null is how sites want none."""
        path, flags = Path(self.baseFilename), os.O_WRONLY | os.O_APPEND
        descriptor = os.open(os.devnull, flags) if is_null_device(path) else open_private(path, flags)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's own
        """Say that the log cannot be written; the run goes on."""
        if not self._reported:
            self._reported = True
            sys.stderr.write(f"The log {self.baseFilename} cannot be written: {sys.exc_info()[1]}\n")


class DestinationLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that puts the name of its destination before each message, where there are several."""

    def __init__(self, logger: logging.Logger, name: str) -> None:
        super().__init__(logger)
        self._name = name

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message with the name."""
        return f"{self._name}: {msg}" if self._name else msg, kwargs


def set_up(path: Path, *, detailed: bool, beside: logging.Handler | None = None) -> None:
    """Send everything to the log file, and to the handler ``beside`` it, where somebody looks on.

    Raises SettingsError when the file cannot be the log.
    """
    handlers: list[logging.Handler] = [_file_handler(path)]
    if beside:
        handlers.append(beside)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if detailed else logging.INFO)
    _make_clean_records()
    silence_libraries()


def leave_to_host(*, detailed: bool) -> None:
    """Write no log of our own: the host that runs us has one, which gets what ours would get."""
    _make_clean_records()
    logging.getLogger("helpers").setLevel(logging.DEBUG if detailed else logging.INFO)
    silence_libraries()


def note_beginning(version: str, command: str, settings_file: Path | None) -> None:
    """Write down what begins: which version does what, as whom, with which settings, and what the log's times mean."""
    logger.info(
        "MISP2Sentinel %s begins: %s (settings %s, user %s, process %d, time zone %s, Python %s)",
        version,
        command,
        settings_file or "of the environment",
        user_name(),
        os.getpid(),
        time.strftime("%Z %z"),
        platform.python_version(),
    )


def silence_libraries() -> None:
    """Log of the libraries only what we cannot say ourselves: PyMISP would log the key, and whole bodies."""
    for name in ("pymisp", "apprise", "oauthlib", "requests_oauthlib"):  # of those after it, addresses and tokens
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings have whole addresses, of pings too
    for name in ("msal", "azure", "misp_stix_converter", "stix2", "filelock"):
        logging.getLogger(name).setLevel(logging.WARNING)


def is_kept() -> bool:
    """Say whether this process writes a log."""
    return any(isinstance(handler, _LogFile) for handler in logging.getLogger().handlers)


def try_out(path: Path) -> None:
    """Raise SettingsError when this user cannot write the log there."""
    _file_handler(path).close()


def _file_handler(path: Path) -> logging.Handler:
    try:
        return _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OddFile as error:
        raise SettingsError([f"log_file cannot be used: {error}: name a plain file"]) from error
    except OSError as error:
        advice = permission_hint(error) or "name a file that this user may write"
        raise SettingsError([f"log_file cannot be written ({error}): {advice}"]) from error
