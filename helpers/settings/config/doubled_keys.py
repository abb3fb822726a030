"""What is there twice in a config.py or in JSON, of which the last one counts without a word. Pure."""

from __future__ import annotations

import ast
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_EMPTY = frozenset({"''", "None", "{}", "[]", "()"})


class DoubledKeys(ValueError):
    """A JSON text with a key that is twice in one of its objects."""


class DoubledKey(NamedTuple):
    """Where a key is twice: as it stands in config.py (``misp_event_filters['tags']``), and in which lines."""

    place: str
    lines: tuple[int, ...]

    @property
    def problem(self) -> str:
        """What is wrong, and how to fix it."""
        distinct = sorted(set(self.lines))
        where = f"line{'s' if distinct[1:] else ''} {' and '.join(map(str, distinct))}"
        return f"is there more than once, in {where}, and only the last one would count: keep one of them."


def parse(source: bytes) -> ast.Module:
    """Return a module's syntax tree; an empty one where it is no valid Python, which running it says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # running it warns of the same
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def in_tree(tree: ast.Module) -> list[DoubledKey]:
    """Return the keys that are twice in one dictionary of a module, by line."""
    return sorted(_in_tree(tree), key=lambda doubled: doubled.lines)


def assigned_twice(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield each name that a module sets twice, one after the other and without using the first value, with its lines.

    What is set in an ``if`` or the like is no slip, nor is a default that is empty.
    """
    lines: dict[str, int] = {}
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                lines.pop(node.id, None)
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
            if target.id in lines:
                yield target.id, lines[target.id], statement.lineno
            if ast.unparse(statement.value) not in _EMPTY:
                lines[target.id] = statement.lineno


def loads(text: str) -> Any:
    """Return what a JSON text says. Raises DoubledKeys, and ValueError where it is no JSON."""
    return json.loads(text, object_pairs_hook=_object)


def _in_tree(tree: ast.AST) -> Iterator[DoubledKey]:
    open_: list[tuple[str, ast.AST]] = [("", tree)]  # and no recursion: a long sum is a deep tree
    while open_:
        place, node = open_.pop()
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            place = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        if isinstance(node, ast.Dict):
            yield from _twice(node, place)
        open_.extend(_parts(node, place))


def _parts(node: ast.AST, place: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the parts of a node, each with its place: of a dictionary and of a list, a key or an index further."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            name = _written(key)
            yield (f"{place}[{name}]" if place and name else place), value
    elif isinstance(node, ast.List | ast.Tuple):
        yield from ((place and f"{place}[{index}]", entry) for index, entry in enumerate(node.elts))
    else:
        yield from ((place, inner) for inner in ast.iter_child_nodes(node))


def _twice(node: ast.Dict, place: str) -> Iterator[DoubledKey]:
    lines: dict[str, list[int]] = {}
    for key in node.keys:
        if key and (name := _written(key)):
            lines.setdefault(name, []).append(key.lineno)
    for name, found in lines.items():
        if len(found) > 1:
            yield DoubledKey(f"{place}[{name}]" if place else f"the key {name} of a dictionary", tuple(found))


def _written(key: ast.expr | None) -> str:
    """Return a key as it is written, where it is the same each time; none is what ``**others`` has instead."""
    return ast.unparse(key) if isinstance(key, ast.Constant | ast.Name | ast.Attribute) else ""


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    twice = [key for key, times in Counter(key for key, _ in listed).items() if times > 1]
    if twice:
        raise DoubledKeys(
            f"has {' and '.join(map(repr, twice))} more than once, and only the last one would count: keep one."
        )
    return dict(listed)
