"""The public interface of `vitreid`: few names, documented, imported when used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vitreid
from tests.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "python.md"
HEAVY = {"numpy", "PIL", "pydantic", "onnxruntime", "faiss", "sqlalchemy", "fastapi", "typer", "torch", "scipy"}


def in_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return done.stdout


def test_every_public_name_resolves_and_is_listed() -> None:
    assert dir(vitreid) == vitreid.__all__ == sorted(vitreid._MODULES)
    for name in vitreid.__all__:
        assert getattr(vitreid, name).__name__ == name


def test_editors_and_mypy_see_the_same_names() -> None:
    tree = ast.parse(Path(vitreid.__file__).read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == vitreid._MODULES


def test_nothing_else_is_public() -> None:
    code = """
import vitreid
names = set(vars(vitreid)) - set(vitreid.__all__)
print(sorted(name for name in names if not name.startswith("_")))
"""
    assert in_new_process(code).strip() == "['TYPE_CHECKING', 'annotations', 'import_module']"
    with pytest.raises(AttributeError, match="no attribute 'Galery'"):
        _ = vitreid.Galery


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"""
import sys, vitreid
print(sorted({HEAVY!r} & set(sys.modules)), sorted(each for each in sys.modules if each.startswith("vitreid.")))
"""
    assert in_new_process(code).strip() == "[] []"


def test_the_client_needs_the_standard_library_alone() -> None:
    code = f"import sys; from vitreid import Client; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert in_new_process(code).strip() == "[]"


@pytest.mark.parametrize("name", vitreid.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(vitreid, name)
    assert inspect.getdoc(public)
    assert f"`{name}" in PAGE.read_text()
    if inspect.isclass(public):
        methods = [each for key, each in vars(public).items() if not key.startswith("_") and inspect.isfunction(each)]
        assert all(inspect.getdoc(each) for each in methods)
