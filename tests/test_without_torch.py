"""Commands on bundles in an environment without torch, as the service has it: they run, the others name what to add."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.export.foreign import save_foreign
from tests.paths import REPOSITORY
from vitreid.bundle import Bundle
from vitreid.synthetic import draw_dataset

EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
IN_THE_IMAGE = {"cpu", "adopt"}
"""The extras of the service's image."""

RUN = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from vitreid import cli
sys.exit(cli.run(sys.argv[2:]))
"""


def names(extra: str) -> set[str]:
    """Modules of the packages of an extra."""
    return {re.split(r"[^\w-]", each)[0].replace("-", "_") for each in EXTRAS[extra]}


ABSENT = names("train") - set().union(*map(names, IN_THE_IMAGE))


def without(absent: set[str], *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, ",".join(absent), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "people"
    draw_dataset(folder, identities=16, cameras=3, images=2, seed=0, workers=1)
    return folder


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_absent() -> None:
    assert {"torch", "timm", "torchvision", "onnxscript", "safetensors", "matplotlib"} <= ABSENT
    assert not {"onnx", "onnx_ir"} & ABSENT
    assert names("plot") <= names("train")


@pytest.mark.slow
def test_evaluate(bundle: Path, people: Path) -> None:
    options = ("--intervals", "--camera-pairs", "--open-set", "--multi-query", "--rerank", "--json")
    done = without(ABSENT, "evaluate", bundle, "--data", people, *options)
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["mAP"] <= 1


@pytest.mark.slow
def test_evaluate_several_with_patches_and_a_image(explained_bundle: Path, people: Path, tmp_path: Path) -> None:
    several = without(ABSENT, "evaluate", explained_bundle, explained_bundle, "--data", people, "--table", "csv")
    assert several.returncode == 0, several.stderr
    drawn = tmp_path / "ranks.png"
    options = ("--patches", "--rank-lists", drawn, "--compare", explained_bundle)
    done = without(ABSENT, "evaluate", explained_bundle, "--data", people, *options)
    assert done.returncode == 0, done.stderr
    assert drawn.is_file()


@pytest.mark.slow
def test_calibrate(bundle: Path, people: Path) -> None:
    done = without(ABSENT, "export", "calibrate", bundle, "--data", people, "--json")
    assert done.returncode == 0, done.stderr
    assert Bundle.open(bundle).manifest.calibration is not None


@pytest.mark.slow
def test_adopt(tmp_path: Path) -> None:
    done = without(ABSENT, "export", "adopt", save_foreign(tmp_path / "model.onnx"), "--out", tmp_path / "adopted")
    assert done.returncode == 0, done.stderr
    assert Bundle.open(tmp_path / "adopted").manifest.source["adopted"] == "model.onnx"


@pytest.mark.slow
def test_verify(bundle: Path) -> None:
    done = without(ABSENT, "export", "verify", bundle, "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("export adopt MODEL --out OUT", "onnx", "adopt"),
        ("export adopt MODEL --out OUT", "onnx_ir", "adopt"),
        ("export calibrate BUNDLE --data PEOPLE --plot PLOT.png", "matplotlib", "plot"),
        ("evaluate RUN --data PEOPLE", "torch", "train"),
        ("export onnx RUN --out OUT", "torch", "train"),
        ("export verify BUNDLE --checkpoint RUN", "torch", "train"),
        ("train starter --data PEOPLE --out OUT", "torch", "train"),
    ],
)
def test_what_lacks_a_package_says_what_installs_it(
    bundle: Path, people: Path, tmp_path: Path, command: str, package: str, extra: str
) -> None:
    model = save_foreign(tmp_path / "model.onnx")
    for name, path in {"MODEL": model, "BUNDLE": bundle, "PEOPLE": people, "RUN": tmp_path}.items():
        command = command.replace(name, str(path))
    command = command.replace("OUT", str(tmp_path / "out")).replace("PLOT", str(tmp_path / "plot"))
    done = without(ABSENT | {package}, *command.split())
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("vitreid: ")]
    assert f"needs {package}; pip install" in line
    assert shlex.split(line.partition("pip install ")[2]) == EXTRAS[extra]
