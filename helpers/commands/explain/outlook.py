"""What becomes of an indicator or attribute next, at one destination, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from constants import WithdrawalReason
from helpers.commands.explain import advice
from helpers.commands.explain.dates import day
from helpers.commands.explain.items import Destination, Item
from helpers.commands.explain.state import LEAVING, MAY_BE_LIVE, NewerForm, NextRun, State

_TO_BE_SENT = (State.UNKNOWN, State.WAITING, State.REVOKED, State.TO_COME)
_OPEN = (*LEAVING, State.WITHDRAWING, State.UNKNOWN, State.WAITING, State.REVOKED)
_FULL_RUN = "a full run reads its event, which has not changed since: --full does so now"
_GUARD = "unless a guard holds that back"
_EDITED = "it was edited and not published again, or is out of sight"
_NOT_SHOWN = "MISP does not show its attribute any more (deleted for good, or out of sight)"
_TWINLESS = WithdrawalReason.NO_TWINS.value
_CHANGED = "MISP's attribute says something else now"


@dataclass(frozen=True)
class Outlook:
    """A sentence without its full stop, and what to do; either may be empty."""

    words: str = ""
    advice: str = ""


def outlook(item: Item, destination: Destination) -> Outlook:
    """Say what comes next of an item at its destination."""
    if not destination.in_settings:
        open_ = item.state in _OPEN or item.newer_form not in (NewerForm.NONE, NewerForm.REJECTED)
        return Outlook(advice.NOT_IN_SETTINGS, advice.NAME_IT) if open_ else Outlook()
    if is_held(item):
        return _held(item)
    if item.misp.unwanted:
        return _unwanted(item, destination)
    if item.misp.wanted:
        return _wanted(item, destination)
    return _by_ledger(item, destination)


def is_held(item: Item) -> bool:
    """Whether the next run leaves the event of an item as it is, since that waits for being published."""
    return bool(item.held) and item.misp.next_run not in (NextRun.READS, NextRun.LETS_GO)


def _held(item: Item) -> Outlook:
    """Say what holds an item back: the hold of its event, or of the last of its events."""
    hold = item.held[-1]
    if hold["over"]:
        return Outlook(f"its event was held until {day(hold['until'])}, and the next run lets go of it", advice.PUBLISH)
    why = item.misp.in_the_way[0]["why"] if item.misp.in_the_way else _EDITED
    words = (
        f"its event is held since {day(hold['since'])}, as {why}: nothing of it is sent or withdrawn "
        f"before it is published, or {day(hold['until'])}"
    )
    return Outlook(words, advice.HELD if item.state in MAY_BE_LIVE else advice.PUBLISH)


# -- what MISP does not want ----------------------------------------------------------------------------


def _unwanted(item: Item, destination: Destination) -> Outlook:
    why = _why_unwanted(item)
    what_to_do = "; ".join(dict.fromkeys(said["advice"] for said in item.misp.in_the_way if said["advice"]))
    if item.state not in (*MAY_BE_LIVE, State.WAITING, State.NOT_WANTED):
        known = item.state is State.NOT_SENT or (item.why and item.why in why)
        return Outlook("" if known else why, what_to_do or item.advice)
    return Outlook(f"{why}: {_leaves(item, destination)}", what_to_do)


def _why_unwanted(item: Item) -> str:
    misp = item.misp
    if misp.in_the_way:
        return f"MISP now: {', and '.join(said['why'] for said in misp.in_the_way)}"
    if misp.twinless:
        return _TWINLESS
    return _CHANGED if misp.changed else _NOT_SHOWN


def _leaves(item: Item, destination: Destination) -> str:
    if item.misp.shown and item.misp.next_run is NextRun.PASSES_OVER:
        if item.state in (*LEAVING, State.WITHDRAWING):  # that is decided, and takes no further look at its event
            return _withdrawn_next(item, destination).words
        return f"it stays as it is until {_FULL_RUN}"
    if item.misp.next_run is NextRun.HOLDS:
        return "the next run holds its event, and nothing of it is sent or withdrawn for unpublished_grace_days"
    if destination.blocked and item.state is not State.WAITING:
        return f"it is withdrawn {destination.blocked.once}"
    who = "the next run" if item.misp.shown else "the run that next reads its event"
    if item.state is State.WAITING:
        return f"{who} lets go of it"
    guard = "once the guard that held that back lets it" if item.refused or destination.guards else _GUARD
    return f"{who} withdraws it, {guard}"


# -- what MISP wants ------------------------------------------------------------------------------------


def _wanted(item: Item, destination: Destination) -> Outlook:
    if item.state in LEAVING:
        return Outlook(f"MISP wants it again, and {_kept(item)}")
    if item.state in (State.WITHDRAWN, State.WITHDRAWING):
        return Outlook(f"MISP wants it again: {_sent(item, destination)}, under a new id")
    if item.state is State.TO_COME and not item.why:
        return Outlook(f"nothing stands in its way: {_sent(item, destination)}")
    if item.state is State.TO_COME:
        return Outlook(f"nothing stands in its way any more: {_sent(item, destination)}")
    return _by_ledger(item, destination)


def _by_ledger(item: Item, destination: Destination) -> Outlook:
    """Say what comes next where MISP wants it, or was not asked."""
    if item.newer_form == NewerForm.REJECTED:
        return Outlook(advice=advice.RETRY)
    if item.newer_form or item.state in _TO_BE_SENT:
        return Outlook(_sent(item, destination))
    if item.state in (*LEAVING, State.WITHDRAWING):
        return _withdrawn_next(item, destination)
    if item.state is State.LIVE and item.refused and not item.misp.asked:
        return Outlook("a guard held back the withdrawals of what its event no longer has", advice.REFUSED)
    return Outlook() if item.state is State.LIVE else Outlook(advice=item.advice)


def _withdrawn_next(item: Item, destination: Destination) -> Outlook:
    if destination.blocked:
        return Outlook(f"it is withdrawn {destination.blocked.once}")
    if item.state is State.WITHDRAWING:
        return Outlook("the next run sends its withdrawal again")
    return Outlook(advice.WITHDRAWN_NEXT, advice.WITHDRAW)


def _kept(item: Item) -> str:
    return "the next run keeps it" if item.state is State.LEAVING else "the next run takes it up again"


def _sent(item: Item, destination: Destination) -> str:
    """Say when it is sent; by the next run only where that is so."""
    if destination.blocked:
        return f"it is sent {destination.blocked.once}"
    again = " again" if item.state is State.UNKNOWN else ""
    if item.state in (State.TO_COME, State.WITHDRAWN) and item.misp.next_run is not NextRun.READS:
        return f"it is sent when {_FULL_RUN}"
    return f"the next run sends it{again}"
