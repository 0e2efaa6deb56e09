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
# Inside service/ and service/gallery/: a folder or module, and what it may import; each names what stands above it.
IN_SERVICE: dict[str, set[str]] = {
    "errors": set(),
    "values": {"errors"},
    "db": {"errors", "values"},
    "indexes": {"errors", "values"},
    "models": {"errors", "values"},
    "gallery": {"errors", "values", "db", "indexes"},
    "access": {"errors", "values", "db", "gallery"},
    "config": {"errors", "values", "models"},
    "search": {"errors", "values", "gallery", "models"},
    "intake": {"errors", "values", "gallery", "models"},
    "api": {"errors", "values", "db", "gallery", "models", "access", "config", "search", "intake"},
    "cli": {"errors", "values", "db", "gallery", "models", "access", "config", "search", "intake", "api"},
    "starter": set(),
}
IN_GALLERY: dict[str, set[str]] = {
    "errors": set(),
    "items": set(),
    "metadata": set(),
    "filters": {"items"},
    "lock": {"errors"},
    "rows": {"errors", "items", "filters", "lock"},
    "view": {"errors", "items", "filters", "rows"},
    "snapshots": {"errors", "view"},
    "live_view": {"errors", "filters", "rows", "view", "snapshots"},
    "gallery": {"errors", "items", "filters", "lock", "rows", "snapshots", "live_view"},
    "maintenance": {"errors", "items", "filters", "lock", "rows", "snapshots", "gallery"},
    "galleries": {"errors", "rows", "gallery", "maintenance"},
    "__init__": {"items", "filters", "rows", "gallery"},
}
OF_GALLERY_FOR_ACCESS = {"errors", "items", "filters"}
API_FOR_COMMANDS = {"serve.py", "demo_steps.py", "query.py", "query_table.py"}
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


def modules(file: Path, package: str) -> set[str]:
    """Return the parts of a package (`vitreid.service`) that a file imports, by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = {name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}.")}
    return {name.partition(".")[0] for name in inside}


@pytest.mark.parametrize(
    ("folder", "table"), [("service", IN_SERVICE), ("service/gallery", IN_GALLERY)], ids=["service", "gallery"]
)
def test_parts_import_only_those_below_them(folder: str, table: dict[str, set[str]]) -> None:
    root, package = REPOSITORY / folder, f"vitreid.{folder.replace('/', '.')}"
    for file in sorted(root.rglob("*.py")):
        part = file.relative_to(root).parts[0].removesuffix(".py")
        if (folder, part) == ("service", "__init__"):
            continue
        found = {"gallery" if name == "Gallery" else name for name in modules(file, package)} - {part}
        assert found <= table[part], f"{file.relative_to(REPOSITORY)} imports {sorted(found - table[part])}"


@pytest.mark.parametrize("table", [IN_SERVICE, IN_GALLERY], ids=["service", "gallery"])
def test_no_parts_import_each_other(table: dict[str, set[str]]) -> None:
    placed: set[str] = set()
    while rest := table.keys() - placed:
        below = {part for part in rest if table[part] <= placed}
        assert below, f"a cycle among {sorted(rest)}"
        placed |= below


def test_access_knows_little_of_galleries_and_few_commands_know_the_api() -> None:
    for file in sorted((REPOSITORY / "service" / "access").rglob("*.py")):
        assert modules(file, "vitreid.service.gallery") <= OF_GALLERY_FOR_ACCESS, file
    for file in sorted((REPOSITORY / "service" / "cli").rglob("*.py")):
        assert "api" not in modules(file, "vitreid.service") or file.name in API_FOR_COMMANDS, file


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
