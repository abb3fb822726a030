"""Whose a refused file is, and what to do about it, as www-data sees what root left."""

import errno
import os
from types import SimpleNamespace

import pytest

from helpers import database, log, ownership
from helpers.database import Database
from helpers.errors import LedgerError, SettingsError
from helpers.ownership import mend, user_name

OTHER = os.geteuid() + 4321


@pytest.fixture
def as_another(monkeypatch):
    """This process takes itself for a user without a name, whose nothing here is."""
    monkeypatch.setattr(ownership.os, "geteuid", lambda: OTHER)


def refused(path, number=errno.EACCES):
    return OSError(number, os.strerror(number), str(path))


def made(tmp_path, mode, name="state"):
    place = tmp_path / name
    place.mkdir()
    place.chmod(mode)
    (place / "misp2sentinel.log").write_text("")
    return place, place / "misp2sentinel.log"


def test_a_private_directory_is_given_away_whole(tmp_path, as_another):
    place, file = made(tmp_path, 0o700, "of one")
    assert mend(refused(file)) == (
        f"{file} belongs to {user_name(os.getuid())} (did root run this once?). As root: chown -R {OTHER}: '{place}'"
    )


def test_what_root_left_in_this_users_directory(tmp_path, monkeypatch):
    place, file = made(tmp_path, 0o755)
    whole, real = f"chown -R {user_name()}: {place}", type(file).stat

    def of_another(path, **given):
        found = real(path, **given)
        return SimpleNamespace(st_uid=OTHER, st_mode=found.st_mode) if path == file else found

    monkeypatch.setattr(type(file), "stat", of_another)
    assert mend(refused(file)).endswith(whole)


def test_a_directory_that_others_use_is_not_given_away(tmp_path, as_another):
    place, file = made(tmp_path, 0o755)
    assert mend(refused(file)).endswith(f"chown {OTHER}: {file}")
    assert "chown" not in mend(refused(place / "absent.log"))


def test_nobodys_home_is_given_away(tmp_path, as_another, monkeypatch):
    place, _ = made(tmp_path, 0o700)
    monkeypatch.setattr(ownership.pwd, "getpwall", lambda: [SimpleNamespace(pw_dir=str(place))])
    assert "chown" not in mend(refused(place / "absent.log"))
    assert "chown" not in mend(refused(place / "far" / "absent.log"))


@pytest.mark.parametrize("error", [refused("/tmp", errno.ENOSPC), OSError(errno.EACCES, "no name")])
def test_nothing_is_said_of_other_troubles(as_another, error):
    assert mend(error) == ""


def test_log_and_ledger_say_it(tmp_path, as_another, monkeypatch):
    place, file = made(tmp_path, 0o700)

    def no(path, _flags):
        raise refused(path)

    monkeypatch.setattr(log, "open_private", no)
    monkeypatch.setattr(database, "open_private", no)
    with pytest.raises(SettingsError, match=f"log_file cannot be written .*chown -R {OTHER}: {place}"):
        log.try_out(file)
    with pytest.raises(LedgerError, match=rf"cannot be used \(state_url\).*chown -R {OTHER}: {place}"):
        Database(f"sqlite:///{place / 'ledger.sqlite'}")
