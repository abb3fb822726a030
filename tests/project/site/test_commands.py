"""Every command in the docs: run for real, read by the program's own parser, or at least by its shell."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from helpers.commands import COMMANDS
from helpers.commands.command_line import make_parser
from sandbox.azure.app import AzureState
from sandbox.place import write_config
from sandbox.samples import EVENTS, STORY, demo_misp
from sandbox.serve import Sandbox
from tests.project.site.commands import PAGES, ROOT, SHELLS, blocks, calls, inline, ours
from tests.project.site.forked import run_all

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language in SHELLS]
# A program that is not here is new in the docs: say here how it is covered, and cover it.
PROGRAM = {"misp2sentinel", "python"}
PYTHON = {"pip", "pipx", "pytest"}
# What they do is known; what is read here is their syntax, and whether the files of this project that they name exist.
HOST = {"apt", "apt-get", "cat", "cd", "chgrp", "chmod", "chown", "code", "cp", "crontab", "curl", "echo", "fuser"}
HOST |= {"git", "id", "install", "journalctl", "kill", "ln", "mkdir", "mv", "openssl", "printf", "psql", "python3"}
HOST |= {"python3.12", "rm", "sendmail", "set", "sha256sum", "sqlite3", "sudo", "systemctl", "tar", "test", "umask"}
HOST |= {"pgrep", "sed", "unzip", "visudo", "zip"}
# They need an account, a registry or a cluster, so nobody has run these; the pages that show them say so.
CLOUDS = {"az", "buildah", "docker", "kubectl", "podman", "skopeo"}
COVERED = PROGRAM | PYTHON | HOST | CLOUDS | {"make", "install.sh", "cake"}  # cake is MISP's own
LANGUAGES = {*SHELLS, "", "none", "json", "python", "powershell", "kusto", "mermaid", "yaml", "ini"}
# What an indented block begins with that is no command.
NO_COMMAND = re.compile(
    r"\[Service\]|\w+ = |rule_files:|[\d*/-]+ [\d*/-]+ \S+ |[A-Z]\w+=[^$]*$|--parameters|@|GRANT|SELECT|CREATE"
)
OF_THE_PROJECT = re.compile(r"(?:/opt/misp2sentinel|misp2sentinel)/((?:deploy|azure_function|requirements)[\w/.@-]*)")
# What is run instead of what a page leaves to its reader.
REPORT = "/var/lib/misp2sentinel/report.html"
STANDS_FOR = {"EVENT": "3237f5c7-f806-4514-bc9b-7c6c8115c96d", "VALUE": "c2.loader.example"}
STANDS_FOR |= {"bad.example.org": "c2.loader.example", "story.json": str(STORY)}
STANDS_FOR |= {"Example Actor": "Sandbox Spider", "G0007": "G9999"}
STANDS_FOR |= {'misp-galaxy:threat-actor="Example Actor"': 'misp-galaxy:threat-actor="Sandbox Spider"'}
STANDS_FOR |= dict.fromkeys(("event.json", "/tmp/event.json"), str(EVENTS / "phishing.json"))
# Read by the parser alone: a destination by the name that `ms_tenants` gives it, questions to a person.
NOT_RUN = {"--workspace paris", "init"}


def indented() -> list[str]:
    return [block.text for block in BLOCKS if not block.language and not NO_COMMAND.match(block.text)]


def commands() -> list[list[str]]:
    return [call for text in [*(block.text for block in SHELL), *indented()] for call in calls(text)]


def own(found: list[list[str]]) -> list[tuple[str, ...]]:
    """The program's own among some commands, by their arguments, each once."""
    each = (ours(call) for call in found)
    return list(dict.fromkeys(tuple(arguments) for arguments in each if arguments is not None))


def in_sentences() -> list[list[str]]:
    known = COVERED - {"code", "test", "set", "id"}
    return [
        words.split()
        for page in PAGES
        for words in inline(page)
        if Path(words.split()[0]).name in known and " " in words
    ]


def test_every_block_says_what_it_is():
    assert {block.language for block in BLOCKS} <= LANGUAGES


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_what_is_said_to_a_shell_is_shell(name):
    texts = [block.text for block in SHELL if Path(block.page).name == name]
    texts += [
        block.text
        for block in BLOCKS
        if not block.language and Path(block.page).name == name and block.text in indented()
    ]
    said = [
        subprocess.run(["bash", "-n"], check=False, input=text, capture_output=True, text=True).stderr for text in texts
    ]
    assert [*filter(None, said)] == []


def test_every_command_has_its_cover():
    assert sorted({Path(call[0]).name for call in commands()} - COVERED) == [], "say in COVERED how it is covered"


def test_output_and_files_have_no_commands_that_nobody_reads():
    for block in BLOCKS:
        if block.language == "none":
            assert not re.match(r"(\$ )?(\.venv/bin/|misp2sentinel |make |az |kubectl )", block.text), block


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in {"json", "python"}], ids=lambda b: b.text[:30])
def test_what_is_to_be_pasted_into_a_file_can_be_read(block):
    ast.parse(block.text) if block.language == "python" else json.loads(block.text)


# --- the program's own --------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", own([*commands(), *in_sentences()]), ids=" ".join)
def test_the_program_takes_every_one_of_its_commands(arguments):
    if len(arguments) == 1 and arguments[0] in {*COMMANDS, *make_parser()._option_string_actions}:
        return  # a sentence names it
    make_parser().parse_args(
        ["00000000-0000-4000-8000-000000000000" if word == "EVENT" else word for word in arguments]
    )


def test_the_program_does_what_the_docs_tell_it_to(tmp_path):
    """Each command that stands in a block of its own, in an order in which one finds what another made."""
    wanted = [arguments for arguments in own(commands()) if " ".join(arguments) not in NOT_RUN]
    wanted.sort(
        key=lambda words: ("withdraw" in words, "explain" in words, "--dry-run" not in words, "adopt" not in words)
    )
    with Sandbox(AzureState(), demo_misp(time.time), directory=tmp_path) as box:
        stands_for = {**STANDS_FOR, "WORKSPACE-ID": box.azure.workspace_id, REPORT: str(tmp_path / "report.html")}
        asked = [[stands_for.get(word, word) for word in arguments] for arguments in wanted]
        settings = str(write_config(box, tmp_path))
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MISP2SENTINEL_CONFIG": settings}
        ends = run_all(asked, environ)
    failed = {" ".join(words): end for words, end in zip(asked, ends, strict=True) if end[0] != 0}
    assert failed == {}


# --- others -------------------------------------------------------------------------------------------


def test_every_module_that_is_run_is_there_and_knows_the_options():
    for call in [*commands(), *in_sentences()]:
        further = 4 if call[2:4] == ["deploy.supply", "locks"] else len(call)  # what follows locks is for uv
        if call[:2] == [".venv/bin/python", "-m"]:
            assert importlib.util.find_spec(call[2]), call
            package = ROOT / call[2].partition(".")[0]
            words = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
            assert [option for option in call[3:further] if option.startswith("--") and option not in words] == []


def test_every_target_can_be_made():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        word for call in [*commands(), *in_sentences()] if call[0] == "make" for word in call[1:] if "=" not in word
    }
    assert named <= targets | {"-C", ".venv/ready"}


def test_every_file_of_the_project_that_a_command_names_is_there():
    for block in [*SHELL, *(block for block in BLOCKS if not block.language)]:
        named = [found for found in OF_THE_PROJECT.findall(block.text) if not found.endswith((".", "-"))]
        assert [name for name in named if not (ROOT / name).exists()] == [], block.page
