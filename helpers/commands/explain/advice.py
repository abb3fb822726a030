"""What would bring to Sentinel what is not there: for each reason, the setting, flag or edit. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from constants import Skip, WithdrawalReason

PUBLISH: Final = "publish the event in MISP"
_FLATTEN = "set misp_flatten_attributes = True, which converts every attribute of an object by itself"

FOR_SKIP: Final = {
    Skip.NO_TO_IDS: f"set to_ids on the attribute in MISP, then {PUBLISH}",
    Skip.DELETED: f"restore the attribute in MISP, then {PUBLISH}",
    Skip.TYPE_NOT_ACCEPTED: "add the type to UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES in constants.py",
    Skip.RULE_LANGUAGE: "no setting: run the rule where its language is understood, or add to the event the values "
    "that it looks for",
    Skip.BAD_UUID: f"give the attribute a valid UUID: delete it in MISP and add it again, then {PUBLISH}",
    Skip.DUPLICATE_UUID: f"delete one of the two attributes in MISP and add it again, then {PUBLISH}",
    Skip.TOO_LONG: "correct the attribute in MISP; where the value is a real one, raise its type in LONGEST_VALUES in "
    "constants.py",
    Skip.BAD_VALUE: f"correct the value or the type of the attribute in MISP, then {PUBLISH}",
    Skip.CIDR: "set send_private_and_cidr = True; rules of your own must then match blocks",
    Skip.PRIVATE_ADDRESS: "set send_private_and_cidr = True",
    Skip.REFUSED: f"correct the attribute in MISP; where an object as a whole was refused, {_FLATTEN}",
    Skip.NOT_MATCHABLE: _FLATTEN,
    Skip.FILE_NAME: "no setting: the file is matched by its hashes; a file name that is to be matched by itself "
    "goes into the event as an attribute outside the object",
    Skip.FILTERED_TYPE: "take it out of filters['exclude_types'], or add it to filters['types']",
    Skip.FILTERED_ORGANISATION: "take it out of filters['exclude_organisations'], or add it to "
    "filters['organisations']",
    Skip.MISSING_TAG: f"tag the attribute or the event in MISP, then {PUBLISH}; or change filters['include_tags']",
    Skip.FILTERED_TAG: f"take the tag off in MISP, then {PUBLISH}; or change filters['exclude_tags']",
    Skip.LOW_CONFIDENCE: f"raise misp:confidence-level in MISP, then {PUBLISH}; or lower "
    "filters['min_confidence']; where no tag says it, default_confidence counts",
    Skip.TLP_TOO_STRICT: f"tag it with a wider TLP in MISP, then {PUBLISH}; or raise filters['max_tlp']; where no "
    "tag says it, SENTINEL_DEFAULT_TLP in constants.py counts",
    Skip.DECAYED: "add a sighting in MISP and run with --full; or lower filters['min_decay_score'], take out "
    "filters['exclude_decayed'], or name other models in filters['decaying_models']",
    Skip.EXPIRED: "raise days_to_expire or days_to_expire_mapping, or set days_to_expire_start = "
    '"current_date"; where last_seen has passed, days_to_expire_ignore_misp_last_seen = True',
    Skip.NO_VALID_UNTIL: "correct last_seen in MISP or set days_to_expire_ignore_misp_last_seen = True; "
    "else lower days_to_expire or days_to_expire_mapping",
    Skip.NO_GRAPH_PROPERTY: "use the upload API: ms_auth['graph_api'] = False",
    Skip.EVENT_NAME: "nothing is to be done: it goes out with the event's indicators, when there are any",
    Skip.NO_OBSERVABLE: "nothing is to be done: the names of malware go out with the event's other indicators",
    Skip.STIX_TYPE_NOT_ACCEPTED: 'keep "indicator" in UPLOAD_INDICATOR_API_ACCEPTED_TYPES in constants.py',
}
_MORE_CONTEXT = 'set context = "techniques", or "actors" for actors without techniques'
_SENT_OTHERWISE = "nothing is to be done: what MISP still has was sent under another id; explain its value"
FOR_WITHDRAWAL: Final = {
    WithdrawalReason.UNPUBLISHED: PUBLISH,
    WithdrawalReason.UNPUBLISHED_FOR_GOOD: f"{PUBLISH}; unpublished_grace_days says how long it may take",
    WithdrawalReason.LEFT_FILTERS: "widen misp_event_filters, or tag the event in MISP so that they find it",
    WithdrawalReason.GONE: "restore the event in MISP, or let the key (misp_key) see it",
    WithdrawalReason.NOT_SHOWN: f"restore the attribute in MISP, or take its value off the warninglist; then {PUBLISH}",
    WithdrawalReason.NOT_FLAGGED: "set to_ids on the attribute in MISP again, restore it, or take its value off the "
    f"warninglist; then {PUBLISH}",
    WithdrawalReason.CHANGED: "nothing is to be done: what the attribute says now is another indicator; explain its "
    "value",
    WithdrawalReason.DEDUPLICATE_CHANGED: _SENT_OTHERWISE,
    WithdrawalReason.NO_TWINS: "nothing is to be done where the URL as MISP has it is enough; else set "
    "lowercase_url_twins = True",
    WithdrawalReason.EXPIRED: FOR_SKIP[Skip.EXPIRED],
    WithdrawalReason.WORKSPACE_LEFT: "nothing is to be done, as somebody asked for it (withdraw); while the settings "
    "name the workspace, a run sends what MISP has under new ids",
    WithdrawalReason.NOT_IN_MISP: "add the value to an event in MISP, if it is to be matched: adopt found it in "
    "Sentinel alone",
    WithdrawalReason.SECOND: _SENT_OTHERWISE,
    WithdrawalReason.INDICATOR_LEFT: "explain the indicator: what brings it back brings this back",
    WithdrawalReason.NOT_NAMED: f"tag the attribute or the event in MISP again, then {PUBLISH}",
    WithdrawalReason.TOO_MANY: "nothing is to be done, or let fewer attributes name it: tag these in MISP and not the "
    "event, or split the event",
    WithdrawalReason.POINTED_BY_NONE: "nothing is to be done: it comes back with an indicator that points to it",
    WithdrawalReason.CONTEXT_SENDS_LESS: _MORE_CONTEXT,
    WithdrawalReason.CLUSTER_GONE: "restore the cluster in MISP; where it is for few, set context_private = True",
}

NEXT_RUN: Final = "nothing is to be done: the next run takes it up"
WITHDRAWN_NEXT: Final = "the next run withdraws it, unless a guard holds that back"
WITHDRAW: Final = "nothing is to be done; --force-withdraw lets go what the guards hold back"
REFUSED: Final = (
    "look at --dry-run --list --force-withdraw; where it is right, run once with --force-withdraw, where not, "
    "correct MISP or the settings"
)
RETRY: Final = "correct it in MISP, or send it once more as it is with --retry-rejected"
NOT_IN_SETTINGS: Final = "no run takes it up, as the settings do not name this destination"
NAME_IT: Final = "name the destination in the settings again, or empty it with withdraw --workspace"
UNSETTLED: Final = "the next run reads it again"
HELD: Final = f"{PUBLISH}, or wait: it leaves then"


class Obstacle(StrEnum):
    """What keeps an attribute that MISP shows from being sent, beside the reasons for skipping it."""

    NOT_PUBLISHED = "the event is not published"
    NOT_IN_FILTERS = "misp_event_filters do not find the event, time windows set aside"
    OUTSIDE_WINDOW = "the event is outside the time window of misp_event_filters, and was never sent"
    ON_WARNINGLIST = "a warninglist holds the value"


FOR_OBSTACLE: Final = {
    Obstacle.NOT_PUBLISHED: f"{PUBLISH} (or take published out of misp_event_filters)",
    Obstacle.NOT_IN_FILTERS: FOR_WITHDRAWAL[WithdrawalReason.LEFT_FILTERS],
    Obstacle.OUTSIDE_WINDOW: "widen the time window in misp_event_filters, or send this event by itself with "
    "--uuid {event}",
    Obstacle.ON_WARNINGLIST: "take the value off the warninglist in MISP, or take enforceWarninglist out of "
    "misp_event_filters",
}


class NotSent(StrEnum):
    """Why nothing is sent of an actor or a technique that MISP has."""

    LESS = "the setting context does not send it"
    FEW = "MISP shows it to few"
    TOO_MANY = "its events have more than 2,000 relationships"
    POINTED_BY_NONE = "no indicator that is sent points to it"


FOR_NOT_SENT: Final = {
    NotSent.LESS: f"{_MORE_CONTEXT}; it takes the STIX objects API",
    NotSent.FEW: "set context_private = True, or share its cluster with more in MISP (distribution)",
    NotSent.TOO_MANY: FOR_WITHDRAWAL[WithdrawalReason.TOO_MANY],
    NotSent.POINTED_BY_NONE: "nothing is to be done: it is sent with the first indicator that points to it",
}
# Objects that leave carry the sentence of their reason, of whichever of the two kinds it is.
_BY_SENTENCE: Final = {
    **{skip.value: words for skip, words in FOR_SKIP.items()},
    **{reason.value: words for reason, words in FOR_WITHDRAWAL.items()},
}


def skip_as_json(name: str, words: str) -> dict[str, str]:
    """Say why something is skipped, and what to do about it; of a reason of another version, its name alone."""
    known = Skip.__members__.get(name)
    why = known.value if known else name.lower()
    return {
        "skip": name.lower(),
        "why": f"{why} ({words})" if words else why,
        "advice": FOR_SKIP[known] if known else "",
    }


def obstacle_as_json(obstacle: Obstacle, event: str, words: str = "") -> dict[str, str]:
    """Say what keeps an attribute of an event (its UUID) out, and what to do about it."""
    return {
        "why": f"{obstacle}: {words}" if words else obstacle.value,
        "advice": FOR_OBSTACLE[obstacle].format(event=event),
    }


def for_withdrawal(reason: str) -> str:
    """Return what would keep, or bring back, an object that leaves for a reason; nothing for another version's."""
    return _BY_SENTENCE.get(reason, "")
