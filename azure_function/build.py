"""Builds the archive that is deployed as the Function: ``python azure_function/build.py ARCHIVE``.

The same files give the same archive, byte by byte, so that a changed one has a reason.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = ("LICENSE", "constants.py")
OWN = ("function_app.py", "host.json", "requirements.txt")
# The earliest time that an archive can hold.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


def build(archive: Path) -> None:
    """Write the archive, in place of one that is there."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zip_file:
        for name, content in sorted(contents().items()):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = _MODE << 16
            zip_file.writestr(entry, content)


def contents() -> dict[str, bytes]:
    """Return what is in the archive, by the names that Azure wants: the program itself is the one in use."""
    files = [*(ROOT / name for name in PROGRAM), *(HERE / name for name in OWN)]
    content = {path.name: path.read_bytes() for path in files}
    helpers = [path for path in ROOT.glob("helpers/**/*") if path.suffix in (".py", ".html", ".css")]
    return content | {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in helpers}


if __name__ == "__main__":
    build(Path(sys.argv[1]))
