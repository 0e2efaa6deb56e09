"""The wheel in a clean environment, beside another project's package `reid` and a user's own `service/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

pytestmark = pytest.mark.slow

SOURCES = ("vitreid", "bundle", "scoring", "synthetic", "training", "export", "service")
FILES = ("pyproject.toml", "README.md", "LICENSE")
STAND_IN = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "reid"
version = "9.0"
[project.scripts]
reid = "reid:main"
[tool.setuptools]
packages = ["reid"]
"""


def build_wheel(source: Path, out: Path) -> Path:
    """Build a wheel with the setuptools that is installed here: nothing is fetched."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": ""})
    [wheel] = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / "source" / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder / "source" / name)
    return build_wheel(folder / "source", folder / "wheels")


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of another project whose package and command are called `reid`."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "source" / "reid").mkdir(parents=True)
    (folder / "source" / "pyproject.toml").write_text(STAND_IN)
    (folder / "source" / "reid" / "__init__.py").write_text("def main():\n    print('another project')\n")
    return build_wheel(folder / "source", folder / "wheels")


@pytest.fixture(scope="module")
def environment(wheel: Path, stand_in: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with both wheels; the packages that they need are seen from this one."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps"]
    subprocess.run([*install, str(wheel), str(stand_in)], check=True, capture_output=True)
    (packages(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def packages(environment: Path) -> Path:
    [found] = environment.glob("lib/python*/site-packages")
    return found


def run(environment: Path, *command: str, folder: Path) -> str:
    """Run a command of the environment without any variable that points to this checkout."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VITREID_"))}
    variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_one_package_with_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"vitreid"}
    for name in ("py.typed", "training/recipes/transreid/transreid.toml", "service/starter/manifest.json"):
        assert f"vitreid/{name}" in names
    sources = {path.relative_to(REPOSITORY).as_posix() for top in SOURCES for path in (REPOSITORY / top).rglob("*.py")}
    assert names >= {name if name.startswith("vitreid/") else f"vitreid/{name}" for name in sources}
    web = {path.name for path in (REPOSITORY / "service" / "web").iterdir() if path.is_file()}
    assert {name.rpartition("/")[2] for name in names if name.startswith("vitreid/service/web/")} >= web


def test_an_install_adds_one_name_and_leaves_others_theirs(environment: Path, tmp_path: Path) -> None:
    top = {path.name.partition("-")[0] for path in packages(environment).iterdir()}
    assert top - {"dependencies.pth", "__pycache__"} == {"vitreid", "reid"}
    assert run(environment, "python", "-c", "import reid; reid.main()", folder=tmp_path) == "another project\n"
    where = run(environment, "python", "-c", "import vitreid; print(vitreid.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(environment)


def test_the_demo_runs_beside_a_users_own_service_and_training(environment: Path, tmp_path: Path) -> None:
    for name in ("service", "training", "export", "bundle", "scoring", "synthetic"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('this is the package of the user')\n")
    for command in (["vitreid"], ["python", "-m", "vitreid"]):
        printed = run(environment, *command, "demo", "--no-serve", "--data", "demo", "--port", "0", folder=tmp_path)
        assert "first answer after" in printed
    assert (tmp_path / "demo").is_dir()
