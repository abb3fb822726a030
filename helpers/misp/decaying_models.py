"""Which of the decaying models that ``filters`` name MISP does not have. Pure.

An attribute that no model scores passes, so a model that is not there would leave nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from helpers.misp import responses as misp_answers
from helpers.settings import AttributeFilters, NamePatterns, Settings

# MISP 2.5.1 lists so many (DecayingModelController, paginate); a full list may not be all.
LISTED = 50


class Model(NamedTuple):
    """A decaying model of MISP, as far as the key sees it; only those that are ``enabled`` give scores."""

    id: str
    name: str
    enabled: bool


def read(answer: Any) -> list[Model]:
    """Return the models of MISP's answer. Raises MispBusy when it is no list."""
    found = [misp_answers.part(each, "DecayingModel") for each in misp_answers.records(answer)]
    return [Model(str(each.get("id")), str(each.get("name")), bool(each.get("enabled"))) for each in found if each]


def named(settings: Settings) -> bool:
    """Say whether the filters of any destination name a decaying model."""
    return any(each.decaying_models for place in settings.destinations() for each in place.every_filter)


def absent(settings: Settings, models: Sequence[Model]) -> list[str]:
    """Return a sentence for each model that a destination's filters name and that gives no score."""
    shared, own = settings.every_filter
    there = ", ".join(sorted(repr(each.name) for each in models if each.enabled)) or "none"
    told = [(f"filters ({settings.source_of('filters')})", shared), (f"filters of {settings.name} (ms_tenants)", own)]
    return [
        f"{where} name the decaying model {word!r}, {why}: MISP scores by {there}."
        for where, filters in told
        for word, why in _idle(filters, models)
    ]


def _idle(filters: AttributeFilters, models: Sequence[Model]) -> Iterable[tuple[str, str]]:
    for word in filters.decaying_models.words:
        found = [each for each in models if NamePatterns((word,)).first([each.id, each.name])]
        if not found and len(models) < LISTED:
            yield word, "which MISP does not have, or not for this key"
        elif found and not any(each.enabled for each in found):
            yield word, "which is switched off in MISP"
