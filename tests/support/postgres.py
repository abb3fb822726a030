"""A real PostgreSQL server for tests, of Debian's package ``postgresql``: started once, a fresh database each time."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

PASSWORD = "a-word-that-no-error-shows"
MISSING = "PostgreSQL's initdb was not found: install Debian's package postgresql"
_NUMBERS = count(1)


class Server:
    """A PostgreSQL on loopback that keeps nothing beyond its own end."""

    def __init__(self, programs, place):
        self._programs = programs
        self._data = place / "data"
        self._log = place / "log"
        self._socket = place
        self.port = _free_port()

    def start(self):
        """Make a cluster and serve it; nothing is flushed to disk."""
        secret = self._socket / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        named = ["-U", "ledger", f"--pwfile={secret}"]
        self._run("initdb", "-D", self._data, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync", *named)
        tuned = f"-p {self.port} -k {self._socket} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._log, "-o", tuned, "start")

    def stop(self):
        """End the server with everything that it does."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def url(self, database):
        """The address of a database, as state_url has it."""
        return f"postgresql://ledger:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new(self):
        """Create a database; its address."""
        name = f"ledger_{next(_NUMBERS)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _run(self, program, *arguments):
        """Run one of PostgreSQL's programs, never as root, whom they refuse."""
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            check=True,
            cwd=self._socket,
            stdout=subprocess.DEVNULL,
            **_somebody(),
        )


@pytest.fixture(scope="session")
def postgres_server():
    """The server; without its programs tests are skipped, and fail where CI runs."""
    if programs() is None:
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(MISSING)
    with running_server() as server:
        yield server


@contextmanager
def running_server():
    """A server for as long as it is used; its programs must be there."""
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    owner = _somebody().get("user")
    if owner:
        shutil.chown(place, owner)
    server = Server(programs(), place)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server):
    """The address of an empty database."""
    return postgres_server.new()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """The address of an empty ledger, once of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def programs():
    """Where initdb and pg_ctl are: on the path, or where Debian puts the newest version's."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    candidates = [*debian, *([Path(on_path)] if on_path else [])]
    return candidates[-1].parent if candidates else None


def _somebody():
    """Whom the server runs as, where that is not us."""
    if os.geteuid() != 0:
        return {}
    known = {account.pw_name for account in pwd.getpwall()}
    name = "postgres" if "postgres" in known else "nobody"
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
