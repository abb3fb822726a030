"""What is installed, who checked it, and under which licence: docs/supply-chain.md walks through the commands."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from deploy.supply import SHIPPED

OSV = "https://api.osv.dev/v1/query"
HELP = {
    "locks": "write the files of requirements anew; without an option, each version that may stay does",
    "templates": "write the patterns of plain values anew, when misp-stix has another version",
    "wheels": "ask PyPI, for each Python, which packages have no wheel",
    "holes": "ask which versions have known holes: PyPI, or OSV",
    "licences": "show the licence of each package, and fail for one that is not allowed",
    "sbom": "write the list of what is shipped, as CycloneDX",
}


def main() -> int:
    """Run the command that was chosen and return its exit code: 0 all is well, 1 it is not, 2 nobody knows."""
    chosen = _parser().parse_args()
    run = {
        "locks": _locks,
        "templates": _templates,
        "wheels": _wheels,
        "holes": _holes,
        "licences": _licences,
        "sbom": _sbom,
    }[chosen.command]
    try:
        return run(chosen)
    except PackageNotFoundError as problem:
        said = f"{problem.name} is not installed, and its licence is read there. Run make .venv/ready."
    except ModuleNotFoundError as problem:
        said = f"{problem.name} is not installed here. Run make .venv/ready, then this with .venv/bin/python."
    except (FileNotFoundError, IsADirectoryError, PermissionError) as problem:
        said = f"{problem.filename}: {problem.strerror}. Name another file."
    print(said, file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.supply", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {name: commands.add_parser(name, help=words, description=words) for name, words in HELP.items()}
    made["locks"].add_argument("--upgrade", action="store_true", help="the newest of all that comes along")
    words = "the newest of one package; may be there several times"
    made["locks"].add_argument("--upgrade-package", action="append", default=[], metavar="NAME", help=words)
    for name in ("wheels", "holes"):
        words = f"file of requirements; without it {SHIPPED}, which has all that a site may install"
        made[name].add_argument("file", nargs="?", default=SHIPPED, metavar="FILE", help=words)
    words = f"ask OSV, which is at {OSV}, or its copy at an address of your own"
    made["holes"].add_argument("--osv", nargs="?", const=OSV, metavar="URL", help=words)
    made["sbom"].add_argument("file", metavar="FILE", help="where to write it")
    return parser


def _locks(chosen: argparse.Namespace) -> int:
    from deploy.supply import locks  # noqa: PLC0415 - each command needs packages that the others do without

    try:
        locks.write(["--upgrade"] * chosen.upgrade + [f"--upgrade-package={name}" for name in chosen.upgrade_package])
    except subprocess.CalledProcessError as problem:
        return problem.returncode
    return 0


def _templates(_: argparse.Namespace) -> int:
    from deploy.supply import templates  # noqa: PLC0415

    templates.write()
    return 0


def _wheels(chosen: argparse.Namespace) -> int:
    from deploy.supply import wheels  # noqa: PLC0415

    try:
        for line in wheels.check(chosen.file):
            print(line, flush=True)
    except LookupError as problem:
        print(problem.args[0])
        return 1
    except wheels.PipFailedError as problem:
        print(f"pip could not look: {problem}", file=sys.stderr)
        return 2
    return 0


def _holes(chosen: argparse.Namespace) -> int:
    import pip_audit  # noqa: F401, PLC0415 - a process of its own asks; without it, that is said as of the others

    from deploy.supply import holes  # noqa: PLC0415

    try:
        answer = holes.ask(chosen.file, chosen.osv)
    except holes.AuditFailedError as problem:
        print(f"There is no answer, so this says nothing: {problem}", file=sys.stderr)
        return 2
    print(*answer.holes, holes.sentence(answer), sep="\n")
    return holes.exit_code(answer)


def _licences(_: argparse.Namespace) -> int:
    from deploy.supply import licences  # noqa: PLC0415

    problems = licences.problems()
    print(*licences.table(), *problems, sep="\n")
    return 1 if problems else 0


def _sbom(chosen: argparse.Namespace) -> int:
    from deploy.supply import sbom  # noqa: PLC0415

    Path(chosen.file).write_text(sbom.document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
