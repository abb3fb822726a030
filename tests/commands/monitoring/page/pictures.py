"""Pictures of the report page: ``python -m tests.commands.monitoring.page.pictures DIRECTORY``.

Sixty nights of a made-up site are played (a minute), then its page is taken at 1280 and 390 pixels, light and dark.
"""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.commands.monitoring.report import write_report
from tests.commands.monitoring.page.browser import running
from tests.commands.monitoring.page.demo import END, Demo

TWO_HOURS, UPPER = 7_200, 1_010


def main(directory: Path) -> None:
    """Make the page and the pictures, and say where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    page = directory.absolute() / "report.html"
    with TemporaryDirectory(prefix="demo-") as state:
        demo = Demo(Path(state))
        demo.play()
        write_report(demo.site.settings, page, END + TWO_HOURS, UTC)
    print(page)
    with running() as browser:
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                picture = directory / f"report-{width}-{scheme}.png"
                with browser.page(page, width, scheme) as shown:
                    shown.screenshot(path=picture, full_page=True)
                print(picture)
        with browser.page(page) as shown:  # the upper part, for docs/monitor.md
            shown.screenshot(
                path=directory / "report.png", full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": UPPER}
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
