"""Which of the decaying models that ``filters`` name MISP does not have. Pure.

An attribute that no model scores passes, so a model that is not there would leave nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from helpers.misp.responses import dictionaries_in, dictionary_in
from helpers.settings import AttributeFilters, NamePatterns, Settings

# MISP 2.5.1 lists so many (DecayingModelController, paginate); a full list may not be all.
LISTED = 50


class Model(NamedTuple):
    """A decaying model of MISP, as far as the key sees it; only those that are ``enabled`` give scores."""

    id: str
    name: str
    enabled: bool


def models_in(answer: Any) -> list[Model]:
    """Return the models of MISP's answer. Raises MispBusy when it is no list."""
    rows = [dictionary_in(row, "DecayingModel") for row in dictionaries_in(answer)]
    return [Model(str(row.get("id")), str(row.get("name")), bool(row.get("enabled"))) for row in rows if row]


def any_in_filters(settings: Settings) -> bool:
    """Say whether the filters of any destination name a decaying model."""
    return any(
        filters.decaying_models for destination in settings.destinations() for filters in destination.every_filter
    )


def absent(settings: Settings, models: Sequence[Model]) -> list[str]:
    """Return a sentence for each model that a destination's filters name and that gives no score."""
    shared, own = settings.every_filter
    scoring = ", ".join(sorted(repr(model.name) for model in models if model.enabled)) or "none"
    origins = [
        (f"filters ({settings.source_of('filters')})", shared),
        (f"filters of {settings.name} (ms_tenants)", own),
    ]
    return [
        f"{origin} name the decaying model {word!r}, {why}: MISP scores by {scoring}."
        for origin, filters in origins
        for word, why in _without_scores(filters, models)
    ]


def _without_scores(filters: AttributeFilters, models: Sequence[Model]) -> Iterable[tuple[str, str]]:
    for word in filters.decaying_models.words:
        meant = [model for model in models if NamePatterns((word,)).first([model.id, model.name])]
        if not meant and len(models) < LISTED:
            yield word, "which MISP does not have, or not for this key"
        elif meant and not any(model.enabled for model in meant):
            yield word, "which is switched off in MISP"
