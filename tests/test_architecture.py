"""The rules of the house that can be held: who imports whom, and what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELPERS = {path.stem: path for path in sorted((ROOT / "helpers").glob("*.py"))}
SANDBOX = {path.stem: path for path in sorted((ROOT / "sandbox").glob("*.py"))}
ALONE = {"config": ROOT / "config.py", "constants": ROOT / "constants.py"}

PURE = (
    *("values", "tags", "patterns", "indicator_dates", "misp_stix", "moulds", "request_objects", "conversion"),
    *(
        "misp_filters",
        "detours",
        "slices",
        "misp_answers",
        "microsoft_answers",
        "upload_api",
        "remembered",
        "marks",
        "plan",
    ),
    *("analyst_values", "advice", "clouds", "credentials", "filter_terms", "attribute_filters", "connection_words"),
    *("stories", "story_event", "story_changes", "story_indicators", "story_urls"),
    *("graph_objects", "graph_api", "graph_items", "parts", "apis"),
)
# The only modules of others that a pure room may use, beside what cannot reach out.
HARMLESS = {
    *("__future__", "collections", "dataclasses", "datetime", "email", "enum", "functools", "ipaddress", "itertools"),
    *("ast", "difflib", "hashlib", "json", "math", "re", "typing", "unicodedata", "uuid", "urllib", "zlib"),
}
LIBRARIES = {
    "values": {"idna"},
    "indicator_dates": {"dateutil"},
    "plan": {"dateutil"},
    "patterns": {"stix2patterns"},
    "misp_stix": {"misp_stix_converter", "pymisp"},  # the converter, and what it does to values
    "misp_answers": {"requests", "pymisp"},  # their exceptions, see below
    "stories": {"pydantic", "pydantic_core"},
    "story_event": {"pydantic"},
    "story_indicators": {"ioc_finder", "pymisp"},  # of PyMISP, what it does to values
}
HEAVY = {
    *("azure", "cryptography", "ioc_finder", "pymisp", "misp_stix_converter", "stix2", "msal", "rich"),
    *("stix2patterns", "filelock"),
}


def nodes(path: Path) -> Iterator[tuple[ast.AST, bool]]:
    """Yield each import of a file, and whether it runs as soon as the file is imported."""
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), True)]
    while waiting:
        node, at_once = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_once
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        body = node.orelse if isinstance(node, ast.If) and for_types else ast.iter_child_nodes(node)
        waiting += [(child, at_once and not inside) for child in body]


def imports(path: Path, *, at_once: bool = False) -> set[str]:
    """Return what a file imports, each name in full; imports for type checkers alone do not count."""
    found: set[str] = set()
    for node, runs_at_once in nodes(path):
        if at_once and not runs_at_once:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def rooms(path: Path, package: str) -> set[str]:
    """Return the rooms of a package that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith(f"{package}.")}


def modules_of_others(path: Path) -> set[str]:
    return tops(imports(path)) - sys.stdlib_module_names - {"helpers", "constants", "sandbox"}


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_reaches_neither_network_nor_clock_nor_disk(room):
    names = imports(HELPERS[room])
    allowed = HARMLESS | {"constants", "helpers"} | LIBRARIES.get(room, set())
    assert tops(names) <= allowed
    assert not any(name.startswith("urllib.request") for name in names)


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_asks_no_clock_and_opens_no_file(room):
    calls = [node for node in ast.walk(ast.parse(HELPERS[room].read_text())) if isinstance(node, ast.Call)]
    said = {ast.unparse(call.func) for call in calls}
    assert not said & {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "uuid4"}


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_needs_only_pure_rooms(room):
    """Settings and errors are values that come in; what they are made of is not asked."""
    assert rooms(HELPERS[room], "helpers") <= {*PURE, "settings", "errors"}


def test_pure_rooms_use_of_network_libraries_only_what_is_pure_there():
    names = {name for room in PURE for name in imports(HELPERS[room]) if tops({name}) <= {"requests", "pymisp"}}
    assert names <= {
        "requests",
        "pymisp.PyMISPError",
        "pymisp.tools.attributevalidationtool.AttributeValidationTool",
    }
    tree = ast.parse(HELPERS["misp_answers"].read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_name(node.value, "requests")}
    assert used <= {"RequestException", "TooManyRedirects", "ConnectionError", "Timeout"}


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_only_the_misp_room_talks_to_misp():
    with_client = {room for room, path in HELPERS.items() if imports(path) & {"pymisp", "pymisp.PyMISP", "pymisp.*"}}
    assert with_client == {"misp"}
    assert {room for room, path in HELPERS.items() if "pymisp" in tops(imports(path))} <= {"misp", *PURE}


def test_only_the_rooms_for_it_talk_http():
    http = {"requests", "urllib3", "httpx", "http", "socket", "ssl", "aiohttp"}
    with_http = {room for room, path in HELPERS.items() if tops(imports(path)) & http}
    assert with_http == {"request_manager", "management", "microsoft_token", "transport", "misp", "misp_answers"}
    assert not any("urllib.request" in name for path in HELPERS.values() for name in imports(path))


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("msal", "microsoft_token"),
        ("azure", "key_vault"),
        ("cryptography", "certificates"),
        ("misp_stix_converter", "misp_stix"),
        ("idna", "values"),
        ("ioc_finder", "story_indicators"),
    ],
)
def test_a_library_has_one_room(library, room):
    assert {each for each, path in HELPERS.items() if library in tops(imports(path))} == {room}


def test_only_the_ledger_touches_the_database():
    databases = {"sqlalchemy", "psycopg", "sqlite3"}
    with_database = {room for room, path in HELPERS.items() if tops(imports(path)) & databases}
    assert with_database == {"database", "ledger", "ledger_questions", "ledger_tables"}


@pytest.mark.parametrize("path", ALONE.values(), ids=ALONE)
def test_what_sites_edit_imports_nothing_of_ours(path):
    assert tops(imports(path)) <= {"enum", "typing"}


@pytest.mark.parametrize("path", HELPERS.values(), ids=HELPERS)
def test_helpers_know_neither_sandbox_nor_front_door(path):
    assert not tops(imports(path)) & {"sandbox", "script", "config", "tests", "flask", "trustme"}


@pytest.mark.parametrize("room", sorted(SANDBOX.keys() - {"compare"}))
def test_the_sandbox_knows_nothing_of_helpers(room):
    assert not tops(imports(SANDBOX[room])) & {"helpers", "script", "config", "constants", "tests"}


def test_only_the_command_that_compares_knows_both_sandbox_and_helpers():
    assert not tops(imports(SANDBOX["compare"])) & {"script", "config", "constants", "tests"}
    assert not any("compare" in rooms(path, "sandbox") for path in SANDBOX.values())


def test_the_front_door_opens_on_helpers_only():
    path = ROOT / "script.py"
    ours = {"helpers", "constants", "sandbox", "config"}
    assert tops(imports(path)) & ours == {"helpers"}
    assert modules_of_others(path) <= {"rich"}


def test_the_command_line_is_parsed_before_anything_of_others_is_imported():
    at_once = {name.split(".")[1] for name in imports(ROOT / "script.py", at_once=True) if name.startswith("helpers.")}
    assert at_once == {"command_line", "errors", "interrupts", "log"}
    with_them = {*at_once, "ownership"}
    assert not any(modules_of_others(HELPERS[each]) | rooms(HELPERS[each], "helpers") - with_them for each in with_them)


@pytest.mark.parametrize(("package", "files"), [("helpers", HELPERS), ("sandbox", SANDBOX)])
def test_no_room_is_its_own_way_in(package, files):
    """graphlib raises CycleError, which names the rooms of the circle."""
    graph = {room: rooms(path, package) for room, path in files.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(files)


@pytest.mark.parametrize("path", [*HELPERS.values(), ROOT / "script.py"], ids=[*HELPERS, "script"])
def test_slow_imports_wait_until_they_are_needed(path):
    assert not tops(imports(path, at_once=True)) & HEAVY
