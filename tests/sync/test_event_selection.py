"""Which events are read, held or let go of: each rule by itself. Pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constants import WithdrawalReason
from helpers.indicators import DAY
from helpers.ledger import EventRecord
from helpers.misp import ListedEvent
from helpers.settings.model import Settings
from helpers.sync.event_selection import (
    Action,
    RunConditions,
    conversion_fingerprint,
    decide_event,
    decide_not_listed,
    settings_fingerprint,
)

UUID = "10000000-0000-4000-8000-000000000001"
OURS = "20000000-0000-4000-8000-000000000001"
NOW = 1_790_000_000
KNOWN = EventRecord(UUID, timestamp=100, published=True, listing="tags", listed=True)
ROW = ListedEvent(UUID, "1", timestamp=100, published=True, listing="tags")
EDITED = replace(ROW, timestamp=200, published=False)
RUN = RunConditions(NOW, own_organisation=OURS)
FULL, ANY = replace(RUN, full_run=1), replace(RUN, needs_published=False)


def yes():
    return True


def no():
    return False


def never():
    raise AssertionError("the ledger was asked, although the answer does not matter")


LISTED = {
    "new, and found by the filters": (None, None, ROW, RUN, never, Action.READ),
    "new, and in the index alone": (None, ROW, None, RUN, never, Action.NOTHING),
    "as it was": (KNOWN, ROW, ROW, RUN, never, Action.NOTHING),
    "edited and published": (KNOWN, replace(ROW, timestamp=200), None, RUN, never, Action.READ),
    "another tag": (KNOWN, ROW, replace(ROW, listing="other tags"), RUN, never, Action.READ),
    "unfinished": (replace(KNOWN, todo=True), ROW, ROW, RUN, never, Action.READ),
    "held, and published again": (replace(KNOWN, held_since=NOW), ROW, ROW, RUN, never, Action.READ),
    "a full run": (KNOWN, ROW, ROW, FULL, never, Action.READ),
    "a full run that has read it": (replace(KNOWN, full_run=1), ROW, ROW, FULL, never, Action.NOTHING),
    "out of the window, in a full run": (
        replace(KNOWN, listed=False), ROW, None, FULL, yes, Action.READ
    ),
    "out of the window before, and nothing live": (
        replace(KNOWN, listed=False), ROW, None, FULL, no, Action.NOTHING
    ),
    "out of the window now": (KNOWN, ROW, None, RUN, never, Action.READ),
    "out of the index": (KNOWN, None, None, RUN, never, Action.ASK),
    "out of the index before, and something live": (replace(KNOWN, listed=False), None, None, RUN, yes, Action.ASK),
    "out of the index before, and nothing live": (replace(KNOWN, listed=False), None, None, RUN, no, Action.NOTHING),
    "unpublished by hand": (KNOWN, replace(ROW, published=False), None, RUN, never, Action.LET_GO),
    "unpublished by an edit": (KNOWN, EDITED, None, RUN, never, Action.HOLD),
    "never published, and nothing live": (replace(KNOWN, published=False), EDITED, None, RUN, no, Action.NOTHING),
    "published or not, by the filters": (KNOWN, EDITED, EDITED, ANY, never, Action.READ),
}  # fmt: skip


@pytest.mark.parametrize(("event", "indexed", "listed", "run", "has_objects", "action"), LISTED.values(), ids=LISTED)
def test_what_is_done_about_an_event_that_is_listed_or_known(event, indexed, listed, run, has_objects, action):
    assert decide_event(event, indexed, listed, run, has_objects).action is action


GONE, LEFT = WithdrawalReason.GONE, WithdrawalReason.LEFT_FILTERS
NOT_LISTED = {
    "it may be hidden by an edit": (KNOWN, None, RUN, Action.HOLD, GONE),
    "our own, which nobody hides from us": (replace(KNOWN, organisation=OURS), None, RUN, Action.LET_GO, GONE),
    "a site admin sees all": (KNOWN, None, replace(RUN, site_admin=True), Action.LET_GO, GONE),
    "somebody accepts it": (KNOWN, None, replace(RUN, force=True), Action.LET_GO, GONE),
    "it was not published, and not hidden": (replace(KNOWN, published=False), None, RUN, Action.LET_GO, GONE),
    "held too long": (replace(KNOWN, held_since=NOW - 7 * DAY), None, RUN, Action.LET_GO, GONE),
    "held not long enough": (replace(KNOWN, held_since=NOW - 7 * DAY + 1), None, RUN, Action.HOLD, GONE),
    "published, and not wanted any more": (KNOWN, ROW, RUN, Action.LET_GO, LEFT),
    "unpublished by an edit": (KNOWN, EDITED, RUN, Action.HOLD, WithdrawalReason.UNPUBLISHED_FOR_GOOD),
}


@pytest.mark.parametrize(("event", "existing", "run", "action", "reason"), NOT_LISTED.values(), ids=NOT_LISTED)
def test_what_is_done_about_an_event_that_the_filters_do_not_find(event, existing, run, action, reason):
    decision = decide_not_listed(event, existing, run, never)
    assert (decision.action, decision.reason) == (action, reason)


def test_an_event_is_held_since_it_was_first_seen_so():
    assert decide_event(KNOWN, EDITED, None, RUN, never).held_since == NOW
    held_event = replace(KNOWN, held_since=NOW - DAY)
    assert decide_event(held_event, EDITED, None, RUN, never).held_since == NOW - DAY


# --- The settings' fingerprints ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed", [{"context": "techniques"}, {"context_private": True}, {"activity_group_labels": False}], ids=str
)
def test_what_is_sent_beside_indicators_has_events_read_again_and_no_attribute_converted_again(changed):
    before, after = Settings(), Settings(**changed)
    assert settings_fingerprint(before) != settings_fingerprint(after)
    assert conversion_fingerprint(before) == conversion_fingerprint(after)


def test_a_setting_without_effect_has_nothing_read_again():
    before, after = (Settings(state_url="none", context=level) for level in ("nothing", "techniques"))
    assert settings_fingerprint(before) == settings_fingerprint(after)
