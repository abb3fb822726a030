"""Build the site: ``python -m deploy.site [DIRECTORY]``, which is ``dist/site`` where it is not given."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from constants import VERSION
from deploy.site.contents import CONTENTS
from deploy.site.staging import lay_out

ROOT = Path(__file__).resolve().parents[2]


def build(target: Path, root: Path = ROOT, contents: Mapping[str, Sequence[str]] = CONTENTS) -> int:
    """Build a site of the pages below ``root``, and return Sphinx' exit code: 0 where no link or anchor is broken."""
    with TemporaryDirectory(prefix="site-") as directory:
        pages, cache, made = (Path(directory) / name for name in ("pages", "cache", "made"))
        pages.mkdir()
        lay_out(root, contents, pages)
        strictly = ("--fail-on-warning", "--keep-going", "--quiet")
        told = (*strictly, "-c", Path(__file__).parent, "-d", cache, "-D", f"html_title=MISP2Sentinel {VERSION}")
        code = subprocess.run([sys.executable, "-m", "sphinx", *told, pages, made], check=False).returncode  # noqa: S603
        if code == 0:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(made, target)
        return code


def main(arguments: Sequence[str]) -> int:
    """Build the site where the arguments say, and say where it is."""
    target = Path(arguments[0]) if arguments else ROOT / "dist" / "site"
    if target.exists() and not (target / "searchindex.js").exists():
        print(f"{target} is there and is no site, so it is left alone. Name another directory.", file=sys.stderr)
        return 2
    code = build(target)
    made = f"{target / 'index.html'}: open it in a browser. It needs no server."
    print(made if code == 0 else "No site was made. Put right what is said above, and try again.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
