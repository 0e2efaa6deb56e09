"""Imports point one way, also those inside functions, and starting the service leaves torch alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LEAVES = {"bundle", "scoring", "synthetic"}
ALLOWED = {
    "bundle": set(),
    "scoring": set(),
    "synthetic": set(),
    "training": LEAVES,
    "export": LEAVES | {"training"},
    "service": LEAVES,
}
FORBIDDEN_OUTSIDE = {"bundle": {"torch"}, "scoring": {"torch"}, "synthetic": {"torch"}, "service": {"torch", "onnx"}}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package: str) -> None:
    files = sorted((REPOSITORY / package).rglob("*.py"))
    assert files
    for file in files:
        names = imported(file)
        ours = (names & set(ALLOWED)) - {package}
        assert ours <= ALLOWED[package], f"{file.relative_to(REPOSITORY)} imports {sorted(ours - ALLOWED[package])}"
        outside = names & FORBIDDEN_OUTSIDE.get(package, set())
        assert not outside, f"{file.relative_to(REPOSITORY)} imports {sorted(outside)}"


def test_nothing_but_the_command_imports_all(tmp_path: Path) -> None:
    """Every package is reachable from the command alone: none imports `reid`."""
    for package in ALLOWED:
        for file in (REPOSITORY / package).rglob("*.py"):
            assert "reid" not in imported(file), file


def test_starting_the_service_leaves_out_what_is_slow_or_not_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from fastapi.testclient import TestClient
from service.http.app import create_app
from service.config import ServiceConfig
config = ServiceConfig(data={str(tmp_path)!r}, bundle={str(tiny_bundle)!r})
with TestClient(create_app(config)) as client:
    assert client.get("/readyz").status_code == 200
wrong = sorted({{"torch", "timm", "scipy", "training", "export"}} & set(sys.modules))
sys.exit(str(wrong) if wrong else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", sorted(path.parent.name for path in (REPOSITORY / "service").glob("*/__init__.py")))
def test_any_package_of_the_service_can_be_imported_first(package: str) -> None:
    """None needs another one to have been imported before it."""
    command = [sys.executable, "-c", f"import service.{package}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
