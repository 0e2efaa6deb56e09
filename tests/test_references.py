"""Names in comments, docstrings and the manual exist: dotted names of our packages, and files."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

PACKAGES = ("bundle", "scoring", "synthetic", "training", "export", "service", "benchmarks", "vitreid", "tests")
PAGES = (*sorted((REPOSITORY / "docs").glob("*.md")), *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")))
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+(?![\w/])")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)}|docker|docs)(?:/[\w.-]+)*/(?:[\w-]+\.\w+|)(?![\w*<{{])")
MODULE = re.compile(r"(?<![\w./*-])[a-z_]+\.py(?!\w)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
"""Code of the manual, which other tests run: its variables may be called as our packages are."""
OTHERS = frozenset({"vitreid.example", "vitreid.access"})
"""A host and a logger."""
SUFFIXES = ("md", "toml", "json", "db", "onnx", "py", "sh", "js", "yml", "txt")
"""Of `bundle.json` and the like: files, not names in a package."""


def comments_and_docstrings(file: Path) -> Iterator[str]:
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def texts() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for file in sorted((REPOSITORY / package).rglob("*.py")):
            yield from ((file, text) for text in comments_and_docstrings(file))
    for page in PAGES:
        yield page, FENCED.sub("", page.read_text())


@cache
def exists(name: str) -> bool:
    """Import as much of a dotted name as is modules, and look up the rest in it."""
    top, *parts = name.split(".")
    found = importlib.import_module(top if top in {"tests", "benchmarks", "vitreid"} else f"vitreid.{top}")
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            fields = getattr(found, "__dataclass_fields__", {}) | getattr(found, "model_fields", {})
            if part in fields or part in getattr(found, "__annotations__", {}):
                return True
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except (AttributeError, ModuleNotFoundError):
                return False
    return True


@pytest.mark.slow
def test_dotted_names_exist() -> None:
    missing = [
        f"{file.relative_to(REPOSITORY)}: {name}"
        for file, text in texts()
        for name in DOTTED.findall(text)
        if name.rpartition(".")[2] not in SUFFIXES and name not in OTHERS and not exists(name)
    ]
    assert not missing, "\n".join(missing)


def test_names_that_do_not_exist_are_found() -> None:
    text = "see bundle.manifest.Manifest, service.state.Gone, service/gone.py, gone.py and tests/paths.py"
    assert [name for name in DOTTED.findall(text) if not exists(name)] == ["service.state.Gone"]
    assert PATH.findall(text) == ["service/gone.py", "tests/paths.py"]
    assert MODULE.findall(text) == ["gone.py"]


@pytest.mark.slow
def test_files_exist() -> None:
    modules = {path.name for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")}
    modules |= {path.name for path in (REPOSITORY / "docker").rglob("*.py")}
    missing = [
        f"{file.relative_to(REPOSITORY)}: {name}"
        for file, text in texts()
        for name in [*PATH.findall(text), *MODULE.findall(text)]
        if not (REPOSITORY / name).exists() and name not in modules
    ]
    assert not missing, "\n".join(missing)
