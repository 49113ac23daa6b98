"""Mutation test of one module: which small faults do its tests not notice?

    python test/mutate.py sketch_cell.control.play test/control/test_control_play.py [--most 60]

One comparison, operator or number at a time is changed, and the tests run in a forked child that imports the changed
source; the file itself is never touched. A mutant that lives is a missing test, or makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "src"
LONGEST_S = 60  # a mutant that never ends is noticed, too
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, what was changed there, and the whole changed source; words of errors and types are left alone."""
    kept = {id(inner) for node in ast.walk(tree) for part in _not_code(node) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in kept:
            continue
        for holder, name, new in _changes(node):
            old = holder[name] if isinstance(holder, list) else getattr(holder, name)
            _set(holder, name, new)
            yield node.lineno, ast.unparse(node), ast.unparse(tree)  # type: ignore[attr-defined]
            _set(holder, name, old)


def _not_code(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, (ast.Raise, ast.JoinedStr)):
        return [node]
    notes = [getattr(node, name, None) for name in ("annotation", "returns")]
    return [note for note in notes if note is not None]


def _changes(node: ast.AST) -> list[tuple[Any, Any, Any]]:
    """Where (object or list, attribute or place) and by what a node can be changed."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        return [(node.ops, 0, SWAPS[type(node.ops[0])]())]
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        return [(node, "op", SWAPS[type(node.op)]())]
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return [(node, "value", not node.value if isinstance(node.value, bool) else node.value + 1)]
    return []


def _set(holder: Any, name: Any, value: Any) -> None:
    if isinstance(holder, list):
        holder[name] = value
    else:
        setattr(holder, name, value)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module from other source."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, name: str, *_: Any) -> Any:
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes | Any) -> bytes:
        return self._source.encode()

    def path_stats(self, path: Any) -> Any:
        raise OSError  # never from a cache


def lives(module: str, path: Path, source: str, tests: list[str]) -> bool:
    """Whether all tests pass with this source."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        signal.alarm(LONGEST_S)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.meta_path.insert(0, _Changed(module, path, source))
        import pytest

        status = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
    finally:
        os._exit(status)


def main() -> None:
    """Try the mutants of one module in random order, the same each time, and list those that live."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("module")
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--most", type=int, default=60)
    given = parser.parse_args()
    sys.path.insert(0, str(SOURCE))
    path = SOURCE / (given.module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not lives(given.module, path, ast.unparse(tree), given.tests):
        sys.exit("The tests fail without any mutant: mend them first.")
    found = list(mutants(tree))
    random.Random(1).shuffle(found)
    tried = found[: given.most]
    living = 0
    for line, words, source in tried:
        if lives(given.module, path, source, given.tests):
            living += 1
            print(f"{path.name}:{line} lives: {words}", flush=True)
    print(f"{given.module}: {len(tried) - living} of {len(tried)} killed, of {len(found)} mutants")


if __name__ == "__main__":
    main()
