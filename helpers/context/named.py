"""Which clusters the tags of an attribute and of its event name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers.context.cluster import GALAXY_TAXONOMY
from helpers.context.kinds import Kind, kind_of_galaxy
from helpers.indicators import Tag, Tags

# The tags that name clusters of each kind, sorted; a kind that none names is not there.
Named = Mapping[Kind, tuple[str, ...]]


def kind_named_by(tag: Tag) -> Kind | None:
    """Return what the cluster is sent as that a tag names (``misp-galaxy:threat-actor="Some Actor"``); mostly None."""
    taxonomy, galaxy, value = tag.words
    return kind_of_galaxy(galaxy) if taxonomy == GALAXY_TAXONOMY and value else None


def named_by(attribute_tags: Sequence[Tag], event_tags: Sequence[Tag], *, ignore_localtags: bool) -> Named:
    """Return the names of the tags that name clusters: for each kind the attribute's own, else those of its event.

    Local ones count unless ``ignore_localtags`` is on, as they do for labels.
    """
    return {**_found_in(event_tags, ignore_localtags), **_found_in(attribute_tags, ignore_localtags)}


def _found_in(tags: Sequence[Tag], ignore_localtags: bool) -> Named:
    """Tags that are asked again, by each attribute of an event, know the answer."""
    return tags.once(_named, ignore_localtags) if isinstance(tags, Tags) else _named(tags, ignore_localtags)


def _named(tags: Sequence[Tag], ignore_localtags: bool) -> Named:
    found: dict[Kind, set[str]] = {}
    for tag in tags:
        kind = kind_named_by(tag)
        if kind and not (tag.local and ignore_localtags):
            found.setdefault(kind, set()).add(tag.name)
    return {kind: tuple(sorted(names)) for kind, names in found.items()}
