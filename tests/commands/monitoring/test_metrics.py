"""Metrics: each number is what status says, what is not known is absent, and the file is whole or as it was."""

import stat
from argparse import Namespace
from contextlib import closing
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from constants import VERSION, Skip
from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.holdings import HeldEvent, Holdings
from helpers.commands.monitoring.metrics import main
from helpers.commands.monitoring.metrics.command import metrics, write_metrics
from helpers.commands.monitoring.metrics.exposition import exposition
from helpers.commands.monitoring.metrics.measures import MEASURES, PREFIX
from helpers.commands.monitoring.metrics.samples import Sample, samples_of
from helpers.commands.monitoring.moments import Watch
from helpers.errors import LedgerError, NoLedger, OutputError, SettingsError
from helpers.indicators import DAY
from helpers.ledger.history.runs import MOST_OF_EVENTS, RunKind, RunRecord
from helpers.ledger.records import AttributeRecord, EventRecord, Stage
from helpers.ledger.store import Ledger
from helpers.process.log import redact
from helpers.settings import MsAuth
from helpers.settings import load as settings_from
from helpers.settings.sections import Tenant
from tests.commands.test_explain import NOW, OTHER, WORKSPACE, object_record
from tests.support import Said
from tests.support.files.odd_files import ODD_FILES
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.processes import Host, load
from tests.support.tls_site import event_uuid, sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
RUN = RunRecord(at=NOW - 60, events=3, attributes=9, requests=2, skipped={"no_to_ids": 4}, accepted=5, new=5, pending=1)


@pytest.fixture
def settings(ledger_url, make_settings, tmp_path):
    return make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))


@pytest.fixture
def keep(settings):
    """A function that writes into a destination's part of the ledger."""

    def write(*objects, workspace=WORKSPACE, events=(), attributes=(), runs=(), **facts):
        with closing(Ledger(settings.state_url, workspace, "MISP")) as ledger:
            numbered = (replace(known, id=f"{known.id}-{n}", key=f"{known.key}-{n}") for n, known in enumerate(objects))
            ledger.keep(objects=numbered, events=events, attributes=attributes)
            for run in runs:
                ledger.keep_run(run)
            ledger.save_facts(replace(ledger.facts(), **facts))

    return write


def read(text):
    """Every number of a metrics file, by its name without the prefix and its labels' values in their order."""
    families = list(text_string_to_metric_families(text))
    assert all(family.type == "gauge" and family.documentation.endswith(".") for family in families)
    samples = [sample for family in families for sample in family.samples]
    keys = [(s.name.removeprefix(PREFIX), *(s.labels[label] for label in labels_of(s.name))) for s in samples]
    assert len(keys) == len({*keys}), "one number twice"
    return dict(zip(keys, (sample.value for sample in samples), strict=True))


def labels_of(name):
    return MEASURES[name.removeprefix(PREFIX)].all_labels


def numbers(settings):
    return read(metrics(settings, NOW))


def of(settings, name):
    """The numbers of one metric at the only destination, by the value of its label."""
    found = {key[2:]: value for key, value in numbers(settings).items() if key[0] == name}
    return {key[0] if key else "": value for key, value in found.items()}


# -- what is known, and what is not -------------------------------------------------------------------


def test_of_a_destination_without_a_run_only_its_name_is_known(settings):
    assert numbers(settings) == {("build_info", VERSION): 1, ("destination_info", WORKSPACE): 1}


def test_what_was_never_noted_is_absent(settings, keep):
    keep(object_record())
    known = {key[0] for key in numbers(settings)}
    assert known.isdisjoint(name for name in MEASURES if name.startswith("last_"))
    assert known.isdisjoint({"oldest_held_event_timestamp_seconds", "credential_expiry_timestamp_seconds"})
    assert of(settings, "live_indicators") == {"": 1}
    assert of(settings, "held_events") == of(settings, "rejected_indicators") == {"": 0}


def test_moments_are_seconds_since_1970(settings, keep):
    keep(last_run={"at": NOW - 60, "exit_code": 3, "seconds": 12.5}, last_good=NOW - DAY, full_at=NOW - 2 * DAY)
    assert of(settings, "last_good_run_timestamp_seconds") == {"": NOW - DAY}
    assert of(settings, "last_full_run_timestamp_seconds") == {"": NOW - 2 * DAY}
    assert of(settings, "last_run_timestamp_seconds") == {"": NOW - 60}
    assert of(settings, "last_run_exit_code") == {"": 3}
    assert of(settings, "last_run_duration_seconds") == {"": 12.5}


def test_what_a_run_signs_in_with_ends_where_that_is_known(settings, keep):
    keep(credential_ends=NOW + 9 * DAY)
    assert of(settings, "credential_expiry_timestamp_seconds") == {"microsoft": NOW + 9 * DAY}
    keep(misp_key_ends=NOW + DAY)
    assert of(settings, "credential_expiry_timestamp_seconds")["misp_key"] == NOW + DAY


def test_the_last_whole_run_is_counted_and_no_run_of_one_event(settings, keep):
    of_events = [RunRecord(at=NOW - 50 + n, kind=RunKind.UUID, accepted=99) for n in range(MOST_OF_EVENTS + 5)]
    keep(runs=[replace(RUN, accepted=1), RUN, *of_events], last_run={"at": RUN.at, "exit_code": 0})
    assert of(settings, "last_run_indicators") == {
        **dict.fromkeys(("rejected", "unchanged", "withdrawn", "withdrawals_rejected", "withdrawals_pending"), 0),
        **{"accepted": 5, "pending": 1},
    }
    assert of(settings, "last_run_planned_indicators") == {"new": 5, "changed": 0, "renewed": 0, "again": 0}
    assert of(settings, "last_run_skipped_attributes") == {"no_to_ids": 4}
    assert [of(settings, f"last_run_{name}")[""] for name in ("events", "attributes", "requests")] == [3, 9, 2]


def test_what_no_version_says_is_one_reason(settings, keep):
    keep(runs=[replace(RUN, skipped={"no_to_ids": 1, "<b>": 2, 'a"\n': 3})], last_run={"at": RUN.at, "exit_code": 0})
    assert of(settings, "last_run_skipped_attributes") == {"no_to_ids": 1, "other": 5}


def test_every_number_is_the_one_of_status(settings, keep):
    held = EventRecord(event_uuid(2), NOW, False, held_since=NOW - 9 * DAY)
    skipped = AttributeRecord(event_uuid(2), event_uuid(9), "p", "comment", "x", skip=Skip.NO_TO_IDS.name)
    keep(
        object_record(),
        object_record(pattern="[url:value = 'https://example.org/']", valid_until=NOW + 7 * DAY),
        object_record(stage=Stage.PENDING, live=False),
        object_record(stage=Stage.WITHDRAWING, accepted_at=None),
        object_record(stage=Stage.SENDING, accepted_at=None, perhaps_taken=True),
        object_record(stage=Stage.REJECTED, live=False, words="no"),
        object_record(leaving="gone"),
        events=[held, replace(held, uuid=event_uuid(3), held_since=NOW - DAY)],
        attributes=[skipped],
        refused_events=[event_uuid(1)],
    )
    (status,) = answer_of(settings, Watch(NOW))["destinations"]
    assert of(settings, "live_indicators")[""] == status["live"]
    assert of(settings, "live_indicators_by_kind") == status["live_by_kind"]
    assert of(settings, "live_indicators_by_tlp") == {"amber": status["live"]}
    assert of(settings, "pending_indicators") == {"send": status["pending"], "withdraw": status["waiting_withdrawals"]}
    assert of(settings, "in_flight_indicators") == {"send": status["unknown"], "withdraw": 0}
    for name in ("rejected", "leaving"):
        assert of(settings, f"{name}_indicators")[""] == status[name] == 1
    assert of(settings, "held_events")[""] == status["held_events"] == 2
    assert of(settings, "refused_events")[""] == status["refused_events"] == 1
    assert of(settings, "expiring_indicators") == {"7d": 1, "30d": 1}
    assert of(settings, "oldest_held_event_timestamp_seconds") == {"": NOW - 9 * DAY}
    assert of(settings, "skipped_attributes") == {"no_to_ids": 1}


def test_a_run_that_was_cut_off_is_seen(settings, keep):
    keep(last_run={"at": NOW - DAY, "exit_code": 0}, begun_at=NOW - 60)
    assert of(settings, "run_cut_off") == {"": 1}


def test_every_metric_that_is_named_is_written():
    counts = {"no_to_ids": 1}
    run = {**asdict(RUN), "at": "", "skipped": counts}
    known = {
        **dict.fromkeys(("live", "pending", "waiting_withdrawals", "unknown", "unknown_withdrawals", "rejected"), 1),
        **dict.fromkeys(("leaving", "held_events", "refused_events"), 1),
        **dict.fromkeys(
            ("last_good_run", "last_full_run", "credential_ends", "misp_key_ends"), "2026-01-01T00:00:00+00:00"
        ),
        "last_run": {"at": "2026-01-01T00:00:00+00:00", "seconds": 1, "exit_code": 0},
        "name": "paris",
        "in_settings": True,
        "cut_off": False,
        "runs": [run],
        "live_by_kind": {"url": 1},
        "context": {"identity": {"live": 1}},
        "sightings": {
            "configured": True,
            "read_until": "2026-01-01T00:00:00Z",
            "states": {"waiting": 1},
            "last_reading": {"exit_code": 0, "alerts": 1, "matches": 1},
        },
        "holdings": Holdings([1] * 30, {"": 1}, {}, {}, counts, [HeldEvent(event_uuid(1), "", NOW)]),
    }
    answer = {"version": VERSION, "not_in_ledger": [], "destinations": [known]}
    written = [(sample.name, {*sample.labels}) for sample in samples_of(answer)]
    assert {name for name, _ in written} == MEASURES.keys()
    assert all(labels == {*MEASURES[name].all_labels} for name, labels in written)


# -- destinations -------------------------------------------------------------------------------------


def test_each_destination_of_the_settings_has_its_name_and_no_other_has_numbers(settings, keep):
    keep(object_record())
    keep(object_record(), workspace=OTHER)
    login = {"tenantId": "contoso.example.org", "id": OTHER, "secret": "s3cret"}
    named = {"paris": WORKSPACE, "oslo": f"{OTHER[:-1]}5"}
    tenants = [Tenant(name=name, workspaceId=workspace, **login) for name, workspace in named.items()]
    found = numbers(settings.model_copy(update={"ms_tenants": tenants}))
    assert {key[1] for key in found if key[0] == "destination_info"} == {"paris", "oslo"}
    assert [key[1] for key in found if key[0] == "live_indicators"] == ["paris"]


@given(st.text(), st.floats(allow_nan=False))
def test_whatever_a_label_says_it_is_read_as_one(name, value):
    text = exposition([Sample("live_indicators", {"destination": name}, value)])
    ((key, read_value),) = read(text).items()
    assert key[0] == "live_indicators" and read_value == value
    assert len(text.splitlines()) == 3


def test_a_label_shows_no_secret(monkeypatch):
    monkeypatch.setattr(redact, "_secrets", ["s3cret"])
    assert "s3cret" not in exposition([Sample("live_indicators", {"destination": "of s3cret"}, 1)])


# -- the file -----------------------------------------------------------------------------------------


def test_the_file_is_for_everybody_and_whole(settings, keep, tmp_path):
    keep(object_record())
    path = tmp_path / "misp2sentinel.prom"
    write_metrics(settings, path, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text() == metrics(settings, NOW)


def test_a_ledger_that_cannot_be_read_leaves_the_file_as_it_was(settings, tmp_path):
    path, broken = tmp_path / "misp2sentinel.prom", tmp_path / "broken.sqlite"
    path.write_text("as it was")
    broken.write_text("no database")
    with pytest.raises(LedgerError):
        write_metrics(settings.model_copy(update={"state_url": f"sqlite:///{broken}"}), path, NOW)
    assert path.read_text() == "as it was"


@pytest.mark.parametrize("kind", ODD_FILES)
def test_nothing_but_a_file_is_written(settings, tmp_path, kind):
    path = tmp_path / "misp2sentinel.prom"
    ODD_FILES[kind](path)
    with pytest.raises(OutputError, match=kind):
        write_metrics(settings, path, NOW)


def test_a_file_that_cannot_be_written_is_said_with_what_to_do(settings, tmp_path):
    said = Said()
    with pytest.raises(OutputError, match=r"No such file or directory.* in a directory that is there"):
        main(settings, Namespace(file=tmp_path / "missing" / "misp2sentinel.prom"), said.say)
    assert said == []


def test_without_a_ledger_nothing_is_known(settings, tmp_path):
    with pytest.raises(NoLedger):
        write_metrics(settings.model_copy(update={"state_url": "none"}), tmp_path / "misp2sentinel.prom", NOW)
    assert not [*tmp_path.glob("*.prom")]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('metrics_file = "/srv/misp2sentinel.txt"', "ends with .prom"),
        ('metrics_file = "misp2sentinel.prom"', "an absolute path"),
        ('metrics_file = "/srv/misp2sentinel.prom"\nstate_url = "none"', "take one of the two out"),
    ],
)
def test_a_file_that_nobody_would_read_is_an_error_of_the_settings(tmp_path, lines, problem):
    config = tmp_path / "config.py"
    config.write_text(f'misp_domain = "https://misp.example.org"\n{lines}\n')
    with pytest.raises(SettingsError, match=f"metrics_file .*{problem}"):
        settings_from(config, {}, offline=True)


# -- as it is typed -----------------------------------------------------------------------------------


def test_a_real_run_is_measured(tmp_path):
    with sandbox()[0] as box:
        load(box, 2, 3)
        host = Host(box, tmp_path / "state")
        assert host.run().returncode == 0
        path = tmp_path / "misp2sentinel.prom"
        written = host.run("metrics", str(path))
        assert (written.returncode, written.stdout, written.stderr) == (0, f"Metrics: {path}\n", "")
        shown = host.run("metrics", "-")
    found, (workspace,) = read(path.read_text()), {key[1] for key in read(shown.stdout) if key[0] == "destination_info"}
    assert read(shown.stdout).keys() == found.keys()
    assert found["live_indicators", workspace] == found["last_run_indicators", workspace, "accepted"] == 6
    assert found["last_run_exit_code", workspace] == 0
    assert found["last_good_run_timestamp_seconds", workspace] == found["last_run_timestamp_seconds", workspace]
