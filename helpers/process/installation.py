"""How this program came to this host: with a clone around it, or as a package of Python alone, as pipx installs it."""

from __future__ import annotations

import os
from pathlib import Path

# Where init suggests to write the settings.
SETTINGS_OF_USER = Path("~/misp2sentinel.py")
SETTINGS_OF_ROOT = Path("/etc/misp2sentinel/config.py")
# What script.py, constants.py and helpers/ lie in, and in a clone everything else.
HOME = Path(__file__).resolve().parents[2]


def is_package(home: Path = HOME) -> bool:
    """Say whether it is a package among others, beside which nothing is its own, a ``config.py`` least of all."""
    return home.name in ("site-packages", "dist-packages")


def places_of_settings(home: Path = HOME) -> tuple[Path, ...]:
    """Return where settings are looked for when nobody names them; the first one that is there counts."""
    if not is_package(home):
        return (home / "config.py",)
    return (Path(os.path.expanduser(SETTINGS_OF_USER)), SETTINGS_OF_ROOT)  # noqa: PTH111  no home is no error here


def default_config(home: Path = HOME) -> Path | None:
    """Return the settings that count when nobody names any; None where there are none that this user may see."""
    return next((path for path in places_of_settings(home) if os.path.exists(path)), None)  # noqa: PTH110  see above


def how_to_add(extra: str, home: Path = HOME) -> str:
    """Return what somebody does to get the packages of an extra: ``keyvault`` or ``notify``."""
    if is_package(home):
        return f"install MISP2Sentinel again, with its extra {extra} (docs/deploy.md)"
    return f"run .venv/bin/pip install -r requirements-{extra}.txt"


def missing(module: str | None, home: Path = HOME) -> str:
    """Say that a module is missing which every run needs, and what somebody does about it."""
    if is_package(home):
        return f"The Python module {module} is missing: run the installation of MISP2Sentinel again (docs/deploy.md)."
    return (
        f"The Python module {module} is missing: run .venv/bin/python script.py; if that is what you ran, "
        ".venv/bin/pip install -r requirements.txt (docs/install.md)."
    )
