"""The pip commands in messages work."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY
from vitreid.bundle.extras import gpu_command, install_command

PRODUCT = ("bundle", "scoring", "synthetic", "training", "export", "service")


@pytest.mark.slow
@pytest.mark.parametrize("extras", [("train",), ("openvino",), ("cpu", "train")])
def test_the_command_runs(extras: tuple[str, ...]) -> None:
    """Every requirement in it is valid for pip and already installed here."""
    pip, install, *requirements = shlex.split(install_command(*extras))
    assert (pip, install) == ("pip", "install")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


def test_an_extra_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no extra 'trian'; declared are .*train"):
        install_command("trian")


def test_the_gpu_builds_replace_those_for_the_cpu() -> None:
    """Both install the same modules."""
    uninstall, install = gpu_command().split(" && ")
    assert set(shlex.split(uninstall)[3:]) == set(shlex.split(install_command("cpu"))[2:])
    assert shlex.split(install)[2:] == ["onnxruntime-gpu[cuda,cudnn]", "faiss-gpu"]


@pytest.mark.slow
def test_no_message_installs_vitreid_from_an_index() -> None:
    """It is in none, so the command would fail."""
    files = [
        REPOSITORY / "vitreid" / "cli.py",
        *(file for name in PRODUCT for file in (REPOSITORY / name).rglob("*.py")),
    ]
    wrong = [
        f"{file.relative_to(REPOSITORY)}: {node.value}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
        if re.search(r"vitreid\[[a-z,]+\]", node.value)
    ]
    assert not wrong
