"""Numbers as Prometheus reads them from a text file, written by its own client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.commands.monitoring.metrics.measures import MEASURES, PREFIX
from helpers.commands.monitoring.metrics.samples import Sample
from helpers.process import safe_to_show

if TYPE_CHECKING:
    from prometheus_client import Metric


def exposition(samples: Iterable[Sample]) -> str:
    """Return the text of a metrics file; a metric without any number is not in it."""
    from prometheus_client import generate_latest  # noqa: PLC0415  brings an HTTP server along

    of_name: dict[str, list[Sample]] = {}
    for sample in samples:
        of_name.setdefault(sample.name, []).append(sample)
    known = [_family(name, of_name[name]) for name in MEASURES if name in of_name]
    return generate_latest(_Collected(known)).decode()


@dataclass(frozen=True)
class _Collected:
    """What its client asks for metrics; its own gauges would take their values from the environment's directory."""

    metrics: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.metrics


def _family(name: str, samples: Iterable[Sample]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    measure = MEASURES[name]
    family = GaugeMetricFamily(f"{PREFIX}{name}", measure.words, labels=measure.all_labels)
    for sample in samples:
        family.add_metric([safe_to_show(sample.labels[label]) for label in measure.all_labels], sample.value)
    return family
