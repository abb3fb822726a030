"""How many examples the slow groups of tests try: few of them, unless the environment says ``EXAMPLES=all``.

``EXAMPLES=all-unshrunk`` tries all too, and tells a failure at once instead of searching for a smaller one first:
for runs whose time is limited.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = os.environ.get("EXAMPLES") or "few"
SHARE = 6


def load_profile() -> None:
    """Let Hypothesis try what the environment says; a value that is none of the three is an error."""
    # Nothing here is timed, and a run is the same wherever it runs.
    usual = settings(deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("few", usual)
    settings.register_profile("all", usual)
    settings.register_profile("all-unshrunk", usual, phases=set(usual.phases) - {Phase.shrink, Phase.explain})
    settings.load_profile(EXAMPLES)


def examples(number: int) -> int:
    """Give how many of so many examples are tried: all, or one in six."""
    return number // SHARE if EXAMPLES == "few" else number
