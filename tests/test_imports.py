"""Imports point one way, also those inside functions, and starting the service leaves torch alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

LEAVES = {"bundle", "scoring", "synthetic"}
TERMINAL = "terminal"  # vitreid/terminal.py: what commands print
ALLOWED = {
    "bundle": set(),
    "scoring": set(),
    "synthetic": set(),
    "training": LEAVES | {TERMINAL},
    "export": LEAVES | {TERMINAL, "training"},
    "service": LEAVES | {TERMINAL},
}
FORBIDDEN_OUTSIDE = {"bundle": {"torch"}, "scoring": {"torch"}, "synthetic": {"torch"}, "service": {"torch", "onnx"}}


def imported(file: Path) -> set[str]:
    """Return the packages that a file imports: `vitreid.bundle` and such for ours, the top-level name for others."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "vitreid":
            names |= {f"vitreid.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {".".join(name.split(".")[: 1 + name.startswith("vitreid.")]) for name in names}


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package: str) -> None:
    files = sorted((REPOSITORY / package).rglob("*.py"))
    assert files
    for file in files:
        names = imported(file)
        assert not names & set(ALLOWED), f"{file.relative_to(REPOSITORY)} imports without `vitreid.`"
        ours = {name.partition(".")[2] for name in names if name.startswith("vitreid.")} - {package}
        assert ours <= ALLOWED[package], f"{file.relative_to(REPOSITORY)} imports {sorted(ours - ALLOWED[package])}"
        outside = names & FORBIDDEN_OUTSIDE.get(package, set())
        assert not outside, f"{file.relative_to(REPOSITORY)} imports {sorted(outside)}"


def test_every_link_leads_to_its_folder() -> None:
    for package in ALLOWED:
        link = REPOSITORY / "vitreid" / package
        assert link.is_symlink(), link
        assert link.readlink() == Path("..", package)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tests", "benchmarks", "docker"])
def test_everything_is_imported_by_its_one_name(folder: str) -> None:
    for file in (REPOSITORY / folder).rglob("*.py"):
        assert not imported(file) & set(ALLOWED), file


@pytest.mark.slow
def test_starting_the_service_leaves_out_what_is_slow_or_not_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from fastapi.testclient import TestClient
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig
config = ServiceConfig(data={str(tmp_path)!r}, bundle={str(tiny_bundle)!r})
with TestClient(create_app(config)) as client:
    assert client.get("/readyz").status_code == 200
wrong = sorted({{"torch", "timm", "scipy", "vitreid.training", "vitreid.export"}} & set(sys.modules))
sys.exit(str(wrong) if wrong else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("package", sorted(path.parent.name for path in (REPOSITORY / "service").glob("*/__init__.py")))
def test_any_package_of_the_service_can_be_imported_first(package: str) -> None:
    """None needs another one to have been imported before it."""
    command = [sys.executable, "-c", f"import vitreid.service.{package}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
