"""What a run's summary says of actors, techniques, organisations and relationships: four rows at most. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from constants import AdoptionKind
from helpers.context import kinds_in_words
from helpers.indicators import Tag
from helpers.text import counted, shorten

if TYPE_CHECKING:
    from helpers.sync.report.context import ContextReport

Row = tuple[str, str]

_LONGEST_VALUE = 30
# What a screen of 80 columns has room for beside a title, in one line.
_ROOM = 65
_ADOPTED = {
    AdoptionKind.MATCHED: "taken over",
    AdoptionKind.UNMATCHED: "left as it is, not MISP's",
    AdoptionKind.REVOKED: "revoked there already",
}
_MANY = "with more than 2,000 relationships, whose techniques are left out"
_CUT = "with more than 2,000 relationships to actors, of which the first 2,000 are sent"


def rows_of_context(context: ContextReport, *, dry: bool) -> Iterator[Row]:
    """Yield what was done, or in a ``dry`` run would be, and what of it is lacking; nothing for what is none."""
    title = "context"
    for words in filter(None, (_going(context, dry=dry), _leaving(context, dry=dry), _lacking(context))):
        yield title, words
        title = ""
    if context.not_asked:
        yield "clusters", "MISP does not say what tags name (see check); known ones stay"
    if context.none_shown:
        yield "clusters", context.none_shown
    if context.without_cluster and not context.not_asked:
        yield "no cluster", _unnamed(context)


def adopted_of_context(context: ContextReport, *, dry: bool) -> Iterator[Row]:
    """Yield what ``adopt`` made of what stands beside indicators in the workspace, or in a ``dry`` run would."""
    title, words = "context", {**_ADOPTED, **({AdoptionKind.MATCHED: "to take over"} if dry else {})}
    for what, kinds in sorted(context.adopted.items()):
        yield title, f"{words[what]}: {kinds_in_words(kinds)}"
        title = ""


def kinds_of_context(context: ContextReport) -> Iterator[tuple[int, str, str, Sequence[str]]]:
    """Yield why things leave, and what is lacking: how many, its name, why, and examples."""
    yield from ((count, "withdraw", reason, ()) for reason, count in context.to_leave.most_common())
    if context.left_out:
        yield len(context.left_out), "events", _MANY, context.left_out
    if context.cut:
        yield len(context.cut), "events", _CUT, context.cut
    for tag, events in context.most_without_cluster:
        yield events, "no cluster", tag, ()


def _going(context: ContextReport, *, dry: bool) -> str:
    went = kinds_in_words(context.planned if dry else context.accepted)
    return f"{'to send' if dry else 'sent'}: {went}" if went else ""


def _leaving(context: ContextReport, *, dry: bool) -> str:
    left, more = kinds_in_words(context.leaving if dry else context.withdrawn), context.waiting_to_leave
    said = f"{'to withdraw' if dry else 'withdrawn'}: {left}" if left else ""
    later = f"{more:,} more later" if left else f"to leave later: {more:,}"
    return "; ".join(filter(None, [said, later if more else ""]))


def _lacking(context: ContextReport) -> str:
    """Say what is not sent: since an end was refused, has no answer yet, or since there would be too many."""
    counts = {"kept back": context.kept_back, "waiting": context.waiting}
    first, *others = [(count, what) for what, count in counts.items() if count] or [(0, "")]
    said = [f"{counted(first[0], 'relationship', 'relationships')} {first[1]}"] if first[0] else []
    said += [f"{count:,} {what}" for count, what in others]
    events = {"without techniques": len(context.left_out), "with too many relationships": len(context.cut)}
    said += [f"{counted(count, 'event', 'events')} {what}" for what, count in events.items() if count]
    return ", ".join(said)


def _unnamed(context: ContextReport) -> str:
    """Count the tags that name no cluster, and quote the values of those that most events have: what a line holds."""
    values = [f'"{shorten(Tag(tag).words[2] or tag, _LONGEST_VALUE)}"' for tag, _ in context.most_without_cluster]
    tags = f"in MISP for {counted(len(context.without_cluster), 'tag', 'tags')}"
    whole = f"{tags}: {', '.join(values)}"
    if len(values) == len(context.without_cluster) and (len(whole) <= _ROOM or len(values) == 1):
        return whole
    said = f"{tags}, such as {values[0]}"
    for value in values[1:]:
        if len(said) + len(f", {value}") > _ROOM:
            break
        said += f", {value}"
    return said
