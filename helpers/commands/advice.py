"""What would bring to Sentinel what is not there: for each reason, the setting, flag or edit. Pure."""

from __future__ import annotations

from typing import Final

from constants import Skip, WithdrawalReason

_PUBLISH = "publish the event in MISP"
_PUBLISH_IT = f"then {_PUBLISH}"
_FLATTEN = "set misp_flatten_attributes = True, which converts every attribute of an object by itself"

ADVICE: Final = {
    Skip.NO_TO_IDS: f"set to_ids on the attribute in MISP, then {_PUBLISH}",
    Skip.DELETED: f"restore the attribute in MISP, then {_PUBLISH}",
    Skip.TYPE_NOT_ACCEPTED: "add the type to UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES in constants.py",
    Skip.RULE_LANGUAGE: "no setting: run the rule where its language is understood, or add to the event the values "
    "that it looks for",
    Skip.BAD_UUID: f"give the attribute a valid UUID: delete it in MISP and add it anew, then {_PUBLISH}",
    Skip.DUPLICATE_UUID: f"delete one of the two attributes in MISP and add it anew, then {_PUBLISH}",
    Skip.BAD_VALUE: f"correct the value or the type of the attribute in MISP, then {_PUBLISH}",
    Skip.CIDR: "set send_private_and_cidr = True; rules of your own must then match blocks",
    Skip.PRIVATE_ADDRESS: "set send_private_and_cidr = True",
    Skip.REFUSED: f"correct the attribute in MISP; where an object as a whole was refused, {_FLATTEN}",
    Skip.NOT_MATCHABLE: _FLATTEN,
    Skip.FILE_NAME: "no setting: the file is matched by its hashes; a file name that is to be matched by itself "
    "goes into the event as an attribute outside the object",
    Skip.FILTERED_TYPE: "take it out of filters['exclude_types'], or add it to filters['types']",
    Skip.FILTERED_ORGANISATION: "take it out of filters['exclude_organisations'], or add it to "
    "filters['organisations']",
    Skip.MISSING_TAG: f"tag the attribute or the event in MISP, then {_PUBLISH}; or change filters['include_tags']",
    Skip.FILTERED_TAG: f"take the tag off in MISP, then {_PUBLISH}; or change filters['exclude_tags']",
    Skip.LOW_CONFIDENCE: f"raise misp:confidence-level in MISP, then {_PUBLISH}; or lower "
    "filters['min_confidence']; where no tag says it, default_confidence counts",
    Skip.TLP_TOO_STRICT: f"tag it with a wider TLP in MISP, then {_PUBLISH}; or raise filters['max_tlp']; where no "
    "tag says it, SENTINEL_DEFAULT_TLP in constants.py counts",
    Skip.DECAYED: "add a sighting in MISP and run with --full; or lower filters['min_decay_score'], take out "
    "filters['exclude_decayed'], or name other models in filters['decaying_models']",
    Skip.EXPIRED: "raise days_to_expire or days_to_expire_mapping, or set days_to_expire_start = "
    '"current_date"; where last_seen has passed, days_to_expire_ignore_misp_last_seen = True',
    Skip.NO_VALID_UNTIL: "correct last_seen in MISP or set days_to_expire_ignore_misp_last_seen = True; "
    "else lower days_to_expire or days_to_expire_mapping",
    Skip.NO_GRAPH_PROPERTY: "use the upload API: ms_auth['graph_api'] = False",
    Skip.NO_OBSERVABLE: "nothing is to be done: the names of malware go out with the event's other indicators",
    Skip.STIX_TYPE_NOT_ACCEPTED: 'keep "indicator" in UPLOAD_INDICATOR_API_ACCEPTED_TYPES in constants.py',
}
_SENT_OTHERWISE = "nothing is to be done: what MISP still has was sent under another id; explain its value"
ON_LEAVING: Final = {
    WithdrawalReason.UNPUBLISHED: _PUBLISH,
    WithdrawalReason.UNPUBLISHED_FOR_GOOD: f"{_PUBLISH}; unpublished_grace_days says how long it may take",
    WithdrawalReason.LEFT_FILTERS: "widen misp_event_filters, or tag the event in MISP so that they find it",
    WithdrawalReason.GONE: "restore the event in MISP, or let the key (misp_key) see it",
    WithdrawalReason.NOT_SHOWN: f"restore the attribute in MISP, or take its value off the warninglist; {_PUBLISH_IT}",
    WithdrawalReason.NOT_FLAGGED: "set to_ids on the attribute in MISP again, restore it, or take its value off the "
    f"warninglist; {_PUBLISH_IT}",
    WithdrawalReason.CHANGED: "nothing is to be done: what the attribute says now is another indicator; explain its "
    "value",
    WithdrawalReason.DEDUPLICATE_CHANGED: _SENT_OTHERWISE,
    WithdrawalReason.EXPIRED: ADVICE[Skip.EXPIRED],
    WithdrawalReason.WORKSPACE_LEFT: "nothing is to be done, as somebody asked for it (withdraw); while the settings "
    "name the workspace, a run sends what MISP has under new ids",
    WithdrawalReason.NOT_IN_MISP: "add the value to an event in MISP, if it is to be matched: adopt found it in "
    "Sentinel alone",
    WithdrawalReason.SECOND: _SENT_OTHERWISE,
}

NEXT_RUN: Final = "nothing is to be done: the next run takes it up"
WITHDRAW: Final = "the next run withdraws it; --force-withdraw lets go what the guards hold back"
REFUSED: Final = (
    "look at --dry-run --list --force-withdraw; where it is right, run once with --force-withdraw, where not, mend "
    "MISP or the settings"
)
RETRY: Final = "correct it in MISP, or send it once more as it is with --retry-rejected"
HELD: Final = f"{_PUBLISH}, or wait: it leaves then"
PUBLISH: Final = f"{_PUBLISH} (or take published out of misp_event_filters)"
FILTERS: Final = ON_LEAVING[WithdrawalReason.LEFT_FILTERS]
WINDOW: Final = "widen the time window in misp_event_filters, or send this event alone with --uuid {}"
WARNINGLIST: Final = "take the value off the warninglist in MISP, or take enforceWarninglist out of misp_event_filters"


def on_skip(name: str, words: str) -> dict[str, str]:
    """Say why something is skipped, and what to do about it; of a reason of another version, its name alone."""
    known = Skip.__members__.get(name)
    why = known.value if known else name.lower()
    return {
        "skip": name.lower(),
        "why": f"{why} ({words})" if words else why,
        "advice": ADVICE[known] if known else "",
    }


def for_leaving(reason: str) -> str:
    """Return what would keep, or bring back, an object that leaves for a reason; nothing for another version's."""
    of_skips = {skip.value: advice for skip, advice in ADVICE.items()}
    of_withdrawals = {known.value: advice for known, advice in ON_LEAVING.items()}
    return {**of_skips, **of_withdrawals}.get(reason, "")
