"""Whose a refused file is, and what to do about it, as www-data sees what root left."""

import errno
import os
from types import SimpleNamespace

import pytest

from helpers import files, log
from helpers.errors import LedgerError, SettingsError
from helpers.files import permission_hint, user_name
from helpers.ledger import database
from helpers.ledger.database import Database
from helpers.settings import validators

OTHER = os.geteuid() + 4321


@pytest.fixture
def as_another(monkeypatch):
    """This process takes itself for a user without a name, whose nothing here is."""
    monkeypatch.setattr(files.os, "geteuid", lambda: OTHER)


def refused(path, number=errno.EACCES):
    return OSError(number, os.strerror(number), str(path))


def make_state(tmp_path, mode, name="state"):
    place = tmp_path / name
    place.mkdir()
    place.chmod(mode)
    (place / "misp2sentinel.log").write_text("")
    return place, place / "misp2sentinel.log"


def test_a_private_directory_is_given_away_whole(tmp_path, as_another):
    place, file = make_state(tmp_path, 0o700, "of one")
    assert permission_hint(refused(file)) == (
        f"{file} belongs to {user_name(os.getuid())} (did root run this once?). As root: chown -R {OTHER}: '{place}'"
    )


def test_what_root_left_in_this_users_directory(tmp_path, monkeypatch):
    place, file = make_state(tmp_path, 0o755)
    whole, real = f"chown -R {user_name()}: {place}", type(file).stat

    def of_another(path, **options):
        status = real(path, **options)
        return SimpleNamespace(st_uid=OTHER, st_mode=status.st_mode) if path == file else status

    monkeypatch.setattr(type(file), "stat", of_another)
    assert permission_hint(refused(file)).endswith(whole)


def test_a_directory_that_others_use_is_not_given_away(tmp_path, as_another):
    place, file = make_state(tmp_path, 0o755)
    assert permission_hint(refused(file)).endswith(f"chown {OTHER}: {file}")
    assert "chown" not in permission_hint(refused(place / "absent.log"))


def test_nobodys_home_is_given_away(tmp_path, as_another, monkeypatch):
    place, _ = make_state(tmp_path, 0o700)
    monkeypatch.setattr(files.pwd, "getpwall", lambda: [SimpleNamespace(pw_dir=str(place))])
    assert "chown" not in permission_hint(refused(place / "absent.log"))
    assert "chown" not in permission_hint(refused(place / "far" / "absent.log"))


@pytest.mark.parametrize("error", [refused("/tmp", errno.ENOSPC), OSError(errno.EACCES, "no name")])
def test_other_errors_get_no_hint(as_another, error):
    assert permission_hint(error) == ""


def test_log_and_ledger_say_it(tmp_path, as_another, monkeypatch):
    place, file = make_state(tmp_path, 0o700)

    def no(path, _flags):
        raise refused(path)

    monkeypatch.setattr(log, "open_private", no)
    monkeypatch.setattr(database, "open_private", no)
    with pytest.raises(SettingsError, match=f"log_file cannot be written .*chown -R {OTHER}: {place}"):
        log.try_out(file)
    with pytest.raises(LedgerError, match=rf"cannot be used \(state_url\).*chown -R {OTHER}: {place}"):
        Database(f"sqlite:///{place / 'ledger.sqlite'}")


@pytest.fixture
def shut(tmp_path):
    """A directory that this process may not enter, also where root runs the tests."""
    place = tmp_path / "shut"
    place.mkdir(mode=0o700)
    place.chmod(0o000)
    before = os.getresuid()
    os.setresuid(*[before[1] or 65534] * 2, before[2])
    try:
        yield place
    finally:
        os.setresuid(*before)
        place.chmod(0o700)


def test_a_log_in_a_directory_that_may_not_be_entered_is_reported(shut):
    with pytest.raises(SettingsError, match="log_file cannot be written"):
        log.try_out(shut / "misp2sentinel.log")


def test_a_bundle_in_a_directory_that_may_not_be_entered_is_reported(shut):
    with pytest.raises(ValueError, match="may not read"):
        validators.certificates(str(shut / "ca.pem"))


def test_a_ledger_in_a_directory_that_may_not_be_entered_is_reported(shut):
    for dry in (True, False):
        with pytest.raises(LedgerError, match="Permission denied"):
            Database(f"sqlite:///{shut / 'ledger.sqlite'}", dry=dry)
