"""What status shows to people: the verdict first, then each destination, then what only somebody looks up. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from helpers.commands.explain.ledger_view import Json
from helpers.commands.monitoring import sightings
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.standing import EXPIRES_SOON
from helpers.commands.monitoring.status.run_table import run_table
from helpers.commands.monitoring.verdict import Verdict, cause_of, ended_badly, has_failed, result_of
from helpers.commands.screen import Line, Tone, columns, verdict
from helpers.context import kinds_in_words
from helpers.ledger import Blocked
from helpers.process import invocation
from helpers.text import counted, duration

_IN_FLIGHT = ", where what was sent and not yet answered counts, since it may have arrived"
_HELD = ", edited and not published again yet, or out of sight"
_HELD_BACK = "; what the guards hold back leaves with --force-withdraw"
_LEAVING = f" to be withdrawn{_HELD_BACK}"
_REFUSED = ", whose withdrawals a guard held back; they leave with --force-withdraw"
_AHEAD = "was ahead: the ledger has a run of {}, and a run of the future counts as unknown"
_IN_USE = (
    "They use its workspace, so don't empty that. To withdraw this source system alone, give it an entry in ms_tenants "
    "and withdraw it by the entry's name (docs/ledger.md#leaving-a-workspace)."
)
_DONE = ("new", "changed", "renewed", "again", "withdrawn", "rejected", "pending")
_OF_WITHDRAWALS = ("rejected", "pending")
# Of what stands beside indicators: what is said of each count, and how.
_CONTEXT = {
    "live": ("", Tone.PLAIN),
    "pending": (" waiting to be sent", Tone.ODD),
    "rejected": (" rejected by Microsoft", Tone.ODD),
    "kept_back": (" kept back, since Microsoft rejected what is named", Tone.ODD),
    "leaving": (" to be withdrawn", Tone.ODD),
}


class Row(NamedTuple):
    """One thing that is said of a destination; ODD and BAD are to be looked at."""

    title: str
    words: str
    tone: Tone = Tone.PLAIN


def lines_of(answer: Json, said: Verdict, watch: Watch) -> Iterator[Line]:
    """Yield the screen."""
    yield verdict(said.tone, said.words)
    yield from (verdict(said.tone, words) for words in said.more)
    for destination in answer["destinations"]:
        yield Line("")
        yield from _destination(destination, said.failure.sentence, watch)
    yield Line("")
    if said.failure.particulars:
        yield from columns(said.failure.particulars)
        yield Line("")
    place = f", state directory {answer['state_dir']}" if answer["state_dir"] else ""
    yield Line(f"MISP2Sentinel {answer['version']}{place}", Tone.QUIET)


def _destination(destination: Json, told: str, watch: Watch) -> Iterator[Line]:
    """Yield what is known of a destination; ``told`` is a cause that is not said again."""
    name = f"{destination['name']}: " if destination["name"] else ""
    yield Line(f"{name}Workspace {destination['workspace']}, source system {destination['sourcesystem']}", Tone.STRONG)
    if not destination["in_settings"]:
        yield Line(f"The settings don't name this destination. {_how_to_empty(destination)}", indent=2)
    rows = [*_last_run(destination, told, watch), *_objects(destination), *_context(destination)]
    rows += [*_sightings(destination, watch), *_background(destination, watch)]
    for line, row in zip(columns([row[:2] for row in rows], indent=2), rows, strict=True):
        yield replace(line, tone=row.tone)
    yield from run_table(destination["runs"], watch)


# -- runs ---------------------------------------------------------------------------------------------


def _last_run(destination: Json, told: str, watch: Watch) -> Iterator[Row]:
    """Yield how the last whole run went."""
    run = destination["last_run"]
    if run is None:
        yield Row("last run", "none yet", Tone.ODD)
    else:
        tone = Tone.BAD if has_failed(destination) else Tone.ODD if run.get("exit_code") else Tone.GOOD
        took = f", took {duration(run['seconds'])}" if run.get("seconds") else ""
        yield Row("last run", f"{watch.told(run['at'])}{took}: {result_of(run)}", tone)
        yield Row("", _what_it_did(destination, run))
        refusals, cause = run.get("refused_withdrawals", []), cause_of(run)[1].sentence
        again = any(refusal in cause for refusal in refusals)
        causes = ["" if again else cause, *refusals, *run.get("warnings", [])]
        yield from (Row("", words) for words in dict.fromkeys(causes) if words and words != told)
    if destination["unfinished_since"]:
        tone, how = (Tone.BAD, "was cut off") if destination["cut_off"] else (Tone.ODD, "is active")
        yield Row("unfinished", f"a run that began {watch.told(destination['unfinished_since'])} {how}", tone)


def _what_it_did(destination: Json, run: Json) -> str:
    """Say what the last whole run did, zeros left out; its row has more than an older report."""
    row = next((row for row in destination["runs"] if row["at"] == run["at"] and row["kind"] != "uuid"), None)
    counts = row or {"withdrawn": sum(run.get("withdrawals", {}).values()), **run.get("planned", {}), **run}
    done = [f"{counts[name]:,} {name}" for name in _DONE if counts.get(name)]
    for outcome in _OF_WITHDRAWALS:
        if count := counts.get(f"withdrawals_{outcome}"):
            done.append(f"{counted(count, 'withdrawal', 'withdrawals')} {outcome}")
    done = [", ".join(done), *_beside(run.get("context", {}))]
    # Where it failed before it knew what is wanted, nothing says that there was nothing.
    return "; ".join(filter(None, done)) or f"nothing was {_not_done(destination)} or withdrawn"


def _beside(context: Json) -> Iterator[str]:
    """Say what a run sent and withdrew beside indicators, and how much of it had another end."""
    for name, what in (("accepted", "sent"), ("withdrawn", "withdrawn")):
        if said := kinds_in_words(context.get(name, {})):
            yield f"{what} {said}"
    for outcome in _OF_WITHDRAWALS:
        if count := context.get(outcome):
            yield f"beside indicators {count:,} {outcome}"


def _not_done(destination: Json) -> str:
    return "sent" if has_failed(destination) else "to be sent"


# -- objects ------------------------------------------------------------------------------------------


def _objects(destination: Json) -> Iterator[Row]:
    """Yield what is at the destination, and what is left to be done; nothing for what is zero."""
    kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in destination["live_by_kind"].items())
    in_flight = destination["in_flight"]
    yield Row("live", f"{destination['live']:,}{f': {kinds}' if kinds else ''}{_IN_FLIGHT if in_flight else ''}")
    if expiring := destination[f"expiring_in_{EXPIRES_SOON}_days"]:
        yield Row("expiring", f"{expiring:,} of them within {EXPIRES_SOON} days")
    when = f", sent {Blocked(destination['blocked']).once}" if destination["blocked"] else ""
    if destination["pending"]:
        yield Row("pending", f"{destination['pending']:,} waiting to be sent{when}", Tone.ODD)
    if destination["waiting_withdrawals"]:
        yield Row("pending", f"{destination['waiting_withdrawals']:,} waiting to be withdrawn{when}", Tone.ODD)
    if in_flight:
        again = when.replace("sent", "sent again")
        yield Row("in flight", f"{in_flight:,} sent and not yet answered{again}", Tone.ODD)
    yield from _with_reasons("rejected", destination["rejected"], " by Microsoft", destination["rejections"])
    yield from _with_reasons("leaving", destination["leaving"], _LEAVING, destination["leaving_reasons"])
    if refused := destination["refused_events"]:
        yield Row("refused", f"{counted(refused, 'event', 'events')}{_REFUSED}", Tone.ODD)
    if held := destination["held_events"]:
        yield Row("held", f"{counted(held, 'event', 'events')}{_HELD}")
    if destination["withdrawn"]:
        yield Row("withdrawn", f"{destination['withdrawn']:,} in all")


def _with_reasons(title: str, count: int, words: str, reasons: Json) -> Iterator[Row]:
    if count:
        yield Row(title, f"{count:,}{words}", Tone.ODD)
        yield from (Row("", f"{number:,}  {reason}") for reason, number in reasons.items())


def _context(destination: Json) -> Iterator[Row]:
    """Yield what stands beside the indicators, and what of it is not as it is to be."""
    title, of_last_run = "context", (destination["last_run"] or {}).get("context", {})
    for name, (words, tone) in _CONTEXT.items():
        if said := kinds_in_words({kind: counts[name] for kind, counts in destination["context"].items()}):
            held_back = _HELD_BACK if name == "leaving" and of_last_run.get("refused") else ""
            yield Row(title, f"{said}{words}{held_back}", tone)
            title = ""
    if later := of_last_run.get("waiting_to_leave"):
        yield Row(title, f"{later:,} more leave with the next runs" if later > 1 else "1 more leaves with the next run")


def _sightings(destination: Json, watch: Watch) -> Iterator[Row]:
    """Yield how alerts were last read, and what of it MISP has not; nothing where they never were."""
    known = destination["sightings"]
    if known is None:
        return
    reading = known["last_reading"]
    if reading:
        tone = Tone.BAD if ended_badly(reading) else Tone.ODD if reading.get("exit_code") else Tone.GOOD
        yield Row("sightings", f"{watch.told(reading['at'])}: {result_of(reading)}", tone)
        yield Row("", "; ".join(filter(None, [sightings.until(known, watch), sightings.counts_of(reading)])))
        causes = [cause_of(reading)[1].sentence, *reading.get("warnings", [])]
        yield from (Row("", words) for words in causes if words)
    else:
        yield Row("sightings", sightings.until(known, watch))
    yield from (Row("", words) for words in (sightings.in_all(known), sightings.unwritten(known)) if words)


# -- what is seldom asked -----------------------------------------------------------------------------


def _background(destination: Json, watch: Watch) -> Iterator[Row]:
    if destination["in_the_future"]:
        yield Row("clock", _AHEAD.format(watch.at(destination["in_the_future"])), Tone.ODD)
    run, good, full = (destination[name] for name in ("last_run", "last_good_run", "last_full_run"))
    if run and (run.get("exit_code") or not good):
        yield Row("last good run", watch.told(good) if good else "none yet")
    if full or destination["in_the_future"]:
        yield Row("last full run", watch.told(full) if full else "none yet")
    if destination["misp"]:
        yield Row("MISP", str(destination["misp"].get("url")))


def _how_to_empty(destination: Json) -> str:
    """Say how to empty a destination; the command takes a workspace as a whole, so not where it is in use."""
    if not (destination["live"] or destination["leaving"]):
        return "Nothing of it is live."
    if destination["workspace_in_settings"]:
        return _IN_USE
    return f"To empty it: {invocation.to_type('withdraw', '--workspace', destination['workspace'])}"
