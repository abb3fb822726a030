"""The rules of the architecture that can be held: which package imports which, what is pure, who reaches out."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# From left to right: each may import what stands before it. The first four stand for what all share.
ORDER = (
    *("shared", "process", "http", "settings", "indicators", "context", "misp", "ledger", "microsoft", "sync"),
    *("stories", "commands"),
)
PACKAGES = ORDER[1:]


def modules(package: str) -> dict[str, Path]:
    """Return a tree's modules, each under its dotted name without the package's own."""
    top = ROOT / package
    named = {".".join(path.relative_to(top).with_suffix("").parts): path for path in sorted(top.rglob("*.py"))}
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


HELPERS = modules("helpers")
SANDBOX = modules("sandbox")
EDITED = {"config": ROOT / "config.py", "constants": ROOT / "constants.py"}

PURE = {
    *(name for name in HELPERS if name.startswith(("indicators.", "context."))),
    *(
        "text",
        "process.part",
        "http.certificate_faults",
        "http.faults",
        "http.origin",
        "http.waits",
        "settings.clouds",
        "settings.credentials",
        "settings.attribute_filters",
    ),
    *(
        "settings.addresses",
        "settings.config.doubled_keys",
        "settings.config.values.filter_values",
        "settings.config.values.observable_kinds",
        "settings.config.values.receivers",
        "settings.config.values.site_constants",
        "settings.config.state_place",
        "settings.config.values.tlp",
        "settings.config.trust",
        "settings.filter_names",
        "misp.search_filters",
        "misp.detours",
        "misp.decaying_models",
        "misp.event_slices",
        "misp.galaxy_clusters",
        "misp.page_bounds",
        "misp.pymisp_errors",
        "misp.responses",
    ),
    *(
        "ledger.records",
        "ledger.history.runs",
        "ledger.history.sighting_records",
        "ledger.facts",
        "ledger.bodies.dictionary",
        "ledger.bodies.marks",
        "ledger.bodies.names",
        "ledger.bodies.packing",
        "ledger.questions.spellings",
        "microsoft.api",
        "microsoft.batch",
        "microsoft.reading.logs_answers",
        "microsoft.reading.logs_endpoints",
        "microsoft.reading.queries",
        "microsoft.responses",
    ),
    *("microsoft.upload_api", "microsoft.graph_api", "microsoft.graph_responses", "microsoft.particulars"),
    *("sync.context.desired", "sync.context.recognised", "sync.context.weaving", "sync.context.unasked"),
    "sync.report.published_rules",
    *("sync.sightings.window", "sync.sightings.naming", "sync.sightings.deciding", "commands.sightings.summary"),
    *("sync.event_selection", "sync.ownership", "sync.plan", "stories.story", "stories.misp_event", "stories.changes"),
    *("stories.indicators", "stories.proposals", "stories.share_outcome", "stories.urls"),
    *("commands.explain.advice", "commands.explain.dates", "commands.explain.state", "commands.explain.items"),
    *("commands.explain.outlook", "commands.explain.sentences", "commands.explain.lines", "commands.explain.details"),
    "commands.explain.sightings",
    *("commands.init.settings_text", "commands.screen.line", "commands.run.how_far", "sync.report.problems"),
    *("commands.run.verdict", "commands.run.context_rows", "commands.check.result", "commands.explain.context.lines"),
    *(f"commands.monitoring.{name}" for name in ("moments", "run_rows", "sightings", "verdict")),
    *(
        f"commands.monitoring.report.{name}"
        for name in ("blocks", "charts", "contents", "glance", "over_time", "parts", "scale")
    ),
    *("commands.monitoring.metrics.measures", "commands.monitoring.metrics.samples"),
    *(f"commands.monitoring.told.{name}" for name in ("causes", "due", "ending", "own_words", "pings", "words")),
}
# The only modules of others that a pure module may use, beside what cannot reach out.
HARMLESS = {
    *(
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "email",
        "enum",
        "fnmatch",
        "functools",
        "ipaddress",
        "itertools",
    ),
    *("ast", "bisect", "difflib", "hashlib", "html", "json", "math", "posixpath", "re", "shlex", "stat", "typing"),
    *("unicodedata", "urllib", "uuid", "warnings", "zlib"),
}
LIBRARIES = {
    "http.certificate_faults": {"ssl"},  # its exceptions
    "http.faults": {"requests"},  # its exceptions, see below
    "http.origin": {"urllib3"},  # how it reads an address
    "commands.screen.line": {"rich"},  # how wide a text is
    "commands.monitoring.report.charts": {"pygal", "xml", "sys"},  # draws, takes apart what was drawn, its finder
    "indicators.values.hosts": {"idna"},
    "indicators.dates": {"dateutil"},
    "sync.plan": {"dateutil"},
    "indicators.patterns": {"stix2patterns"},
    # The converter, its values, its version, and what it leaves.
    "indicators.misp_stix": {"misp_stix_converter", "pymisp", "importlib", "gc"},
    "misp.pymisp_errors": {"requests", "pymisp"},  # their exceptions, see below
    "stories.story": {"pydantic", "pydantic_core"},
    "stories.misp_event": {"pydantic"},
    "stories.indicators": {"ioc_finder", "pymisp"},  # of PyMISP, what it does to values
}
HEAVY = {
    *("azure", "cryptography", "ioc_finder", "pymisp", "misp_stix_converter", "stix2", "msal", "rich"),
    *("apprise", "stix2patterns", "filelock", "prometheus_client", "pygal", "jinja2"),
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
    names: set[str] = set()
    for node, runs_at_once in nodes(path):
        if at_once and not runs_at_once:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def package_of(module: str) -> str:
    """Return which of the packages a module of helpers is in."""
    first = module.partition(".")[0]
    return first if first in PACKAGES else "shared"


def module_of(name: str, known: Mapping[str, Path]) -> str:
    """Return the module of a tree that an imported name stands for: itself, or where a package has it from."""
    tree, *parts = name.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    module = next(name for name in candidates if name in known)
    if known[module].name != "__init__.py" or module == ".".join(parts):
        return module
    exported = getattr(importlib.import_module(f"{tree}.{module}"), parts[-1])
    origin = str(getattr(exported, "__module__", "")).removeprefix(f"{tree}.")
    return origin if origin in known else module


def imported(path: Path, tree: str = "helpers") -> set[str]:
    """Return the modules of a tree that a file imports, through a package's exports too."""
    known = modules(tree)
    return {module_of(name, known) for name in imports(path) if name.startswith(f"{tree}.")}


@pytest.mark.parametrize("module", HELPERS)
def test_imports_run_one_way_over_the_packages(module):
    mine = ORDER.index(package_of(module))
    wrong = {name for name in imported(HELPERS[module]) if ORDER.index(package_of(name)) > mine}
    assert not wrong, f"{module} imports from a package that stands after its own"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_every_name_that_it_exports(package):
    module = importlib.import_module(f"helpers.{package}")
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", HELPERS)
def test_a_name_of_another_package_is_one_that_it_exports(module):
    """Its modules may be imported whole, for what they are called, and late, for what they cost."""
    for node, at_once in nodes(HELPERS[module]):
        if not at_once or not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("helpers."):
            continue
        name = node.module.removeprefix("helpers.")
        if package_of(name) not in ("shared", package_of(module), "commands"):
            assert name in PACKAGES, f"{module} reaches into helpers/{name}"
            exported = importlib.import_module(f"helpers.{name}").__all__
            assert {alias.name for alias in node.names} <= {*exported, *(other.rpartition(".")[2] for other in HELPERS)}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_lives_there(package):
    docstring = importlib.import_module(f"helpers.{package}").__doc__ or ""
    assert docstring.endswith(".") and len(docstring.splitlines()) == 1


MOST_ENTRIES = 14


def entries(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"__pycache__", "__init__.py"}


@pytest.mark.parametrize("folder", ["helpers", "sandbox", "tests"])
def test_no_directory_has_too_many_entries(folder):
    tree = [ROOT / folder, *(ROOT / folder).rglob("*")]
    numbers = {path: len(entries(path)) for path in tree if path.is_dir() and path.name != "__pycache__"}
    assert {str(path): number for path, number in numbers.items() if number > MOST_ENTRIES} == {}


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_reaches_neither_network_nor_clock_nor_disk(module):
    names = imports(HELPERS[module])
    allowed = HARMLESS | {"constants", "helpers"} | LIBRARIES.get(module, set())
    assert tops(names) <= allowed
    assert not any(name.startswith("urllib.request") for name in names)


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_asks_no_clock_and_opens_no_file(module):
    calls = [node for node in ast.walk(ast.parse(HELPERS[module].read_text())) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func) for call in calls}
    assert not called & {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "uuid4"}


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_needs_only_pure_modules(module):
    """Settings and errors are values that come in; what they are made of is not asked."""
    assert imported(HELPERS[module]) <= {*PURE, "settings.model", "settings", "errors", *PACKAGES}


def test_pure_modules_use_of_network_libraries_only_what_is_pure_there():
    names = {
        name
        for module in PURE
        for name in imports(HELPERS[module])
        if tops({name}) <= {"requests", "urllib3", "pymisp"}
    }
    assert names <= {
        "requests",
        "urllib3.util.parse_url",
        "pymisp.PyMISPError",
        "pymisp.tools.attributevalidationtool.AttributeValidationTool",
    }
    trees = [ast.parse(HELPERS[module].read_text()) for module in ("misp.pymisp_errors", "http.faults")]
    attributes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert {node.attr for node in attributes if is_name(node.value, "requests")} <= {"RequestException"}


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_every_wait_is_one_that_a_signal_ends():
    sleeping = [name for name, path in HELPERS.items() if "time.sleep" in path.read_text(encoding="utf-8")]
    assert not sleeping, "interrupts.sleep is for that"


def test_only_the_client_talks_to_misp():
    with_client = {name for name, path in HELPERS.items() if imports(path) & {"pymisp", "pymisp.PyMISP", "pymisp.*"}}
    assert with_client == {"misp.client"}
    assert {name for name, path in HELPERS.items() if "pymisp" in tops(imports(path))} <= {"misp.client", *PURE}


def test_only_the_modules_for_it_talk_http():
    http = {"requests", "urllib3", "httpx", "http", "socket", "ssl", "aiohttp"}
    with_http = {name for name, path in HELPERS.items() if tops(imports(path)) & http}
    assert with_http == {
        *(
            "http.adapter",
            "http.certificate_faults",
            "http.connection",
            "http.faults",
            "http.origin",
            "http.sessions",
            "http.socks_connection",
            "http.trust",
        ),
        *("microsoft.client", "microsoft.tokens"),
        *("misp.client", "misp.pymisp_errors"),
    }
    assert not any("urllib.request" in name for path in HELPERS.values() for name in imports(path))


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("msal", "microsoft.tokens"),
        ("azure", "microsoft.key_vault"),
        ("cryptography", "settings.certificates"),
        ("misp_stix_converter", "indicators.misp_stix"),
        ("idna", "indicators.values.hosts"),
        ("ioc_finder", "stories.indicators"),
        ("apprise", "commands.monitoring.told.messages"),
        ("pygal", "commands.monitoring.report.charts"),
        ("jinja2", "commands.monitoring.report.page"),
        ("prometheus_client", "commands.monitoring.metrics.exposition"),
    ],
)
def test_a_library_has_one_module(library, module):
    assert {name for name, path in HELPERS.items() if library in tops(imports(path))} == {module}


def test_only_the_ledger_touches_the_database():
    databases = {"sqlalchemy", "psycopg", "sqlite3"}
    with_database = {name for name, path in HELPERS.items() if tops(imports(path)) & databases}
    assert with_database == {
        *("ledger.database", "ledger.databases.sqlite", "ledger.databases.postgresql", "ledger.databases.trouble"),
        *("ledger.questions.counts", "ledger.questions.lookup", "ledger.rows", "ledger.store", "ledger.tables"),
        *("ledger.together", "ledger.history.told", "ledger.history.sightings", "ledger.writing"),
        "ledger.questions.origins",
        *("ledger.context.clusters", "ledger.context.standings", "ledger.questions.context"),
        *(f"ledger.upgrades.{name}" for name in ("joining", "moving", "steps", "tables_5")),
    }


@pytest.mark.parametrize("path", EDITED.values(), ids=EDITED)
def test_what_sites_edit_imports_nothing_of_ours(path):
    assert tops(imports(path)) <= {"enum", "typing"}


@pytest.mark.parametrize("path", HELPERS.values(), ids=HELPERS)
def test_helpers_know_neither_sandbox_nor_front_door(path):
    assert not tops(imports(path)) & {"sandbox", "script", "config", "tests", "flask", "trustme"}


@pytest.mark.parametrize("module", [name for name in SANDBOX if name != "compare"])
def test_the_sandbox_knows_nothing_of_helpers(module):
    """What compares it with a real MISP does: it sends what the program sends."""
    assert not tops(imports(SANDBOX[module])) & {"helpers", "script", "config", "constants", "tests"}


def test_the_front_door_opens_on_helpers_only():
    path = ROOT / "script.py"
    ours = {"helpers", "constants", "sandbox", "config"}
    assert tops(imports(path)) & ours == {"helpers"}
    assert tops(imports(path)) - sys.stdlib_module_names - {"helpers"} <= {"rich"}


def test_the_command_line_is_parsed_before_anything_of_others_is_imported():
    first = {
        "commands",
        "commands.command_line",
        *(f"commands.command_line.{name}" for name in ("builder", "help_screen", "options", "parser")),
        "commands.screen.line",
        "commands.screen.log_lines",
        "commands.screen.service",
        "commands.screen.terminal",
        "errors",
        "files",
        "process",
        "process.installation",
        "process.interrupts",
        "process.invocation",
        "process.log",
        "process.part",
        "process.streams",
        "text",
    }
    at_once = {name for name in imports(ROOT / "script.py", at_once=True) if name.startswith("helpers")}
    assert {module_of(name, HELPERS) for name in at_once} <= first
    for name in first:
        assert tops(imports(HELPERS[name], at_once=True)) <= {*sys.stdlib_module_names, "helpers"}
        assert imported(HELPERS[name]) <= first


@pytest.mark.parametrize("tree", ["helpers", "sandbox"])
def test_no_module_is_its_own_way_in(tree):
    """graphlib raises CycleError, which names the modules of the circle."""
    files = {name: path for name, path in modules(tree).items() if path.name != "__init__.py"}
    graph = {name: imported(path, tree) & files.keys() for name, path in files.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(files)


@pytest.mark.parametrize("path", [*HELPERS.values(), ROOT / "script.py"], ids=[*HELPERS, "script"])
def test_slow_imports_wait_until_they_are_needed(path):
    assert not tops(imports(path, at_once=True)) & HEAVY
