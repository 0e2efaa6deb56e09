"""The command line: help without heavy imports, and one line for every mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from vitreid import cli
from vitreid.bundle import Bundle


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in cli.COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("vitreid")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    assert f"vitreid {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "did you mean train?"),
        (["x"], "see vitreid --help"),
        (
            ["train", "imaginary", "--data", ".", "--out", "nowhere"],
            "there is no recipe imaginary; take one of `vitreid recipes`",
        ),
        (["train", "starter", "--data", "nowhere", "--out", "nowhere"], "nowhere is not a folder"),
        (["train", "starter", "--data", ".", "--out", "n", "--set", "optim.lrr=1"], "optim.lrr"),
        (["evaluate", "nowhere", "--data", "."], "none of the folders"),
        (["export", "onnx", "nowhere", "--out", "x"], "nowhere is not a checkpoint"),
        (["export", "verify", "nowhere"], "nowhere is not a bundle"),
        (["synth", "nowhere", "--identities", "0"], "identities"),
        (["synth", "nowhere", "--identities", "many"], "--identities"),
        (["train"], "recipe"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_error_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["export", "verify", "nowhere"], ["train"], ["synth", "x", "--nothing"]):
        assert cli.run(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("vitreid: ")
        assert error.count("\n") == 1


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "vitreid.training.run", raising=False)
    assert cli.run(["train", "starter", "--data", ".", "--out", "x"]) == 2
    assert "`vitreid train` needs torch; pip install 'torch>=" in capsys.readouterr().err


def test_a_missing_package_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("vitreid.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vitreid.export", None)  # as in the image of the service
    assert cli.run(["export", "verify", "x"]) == 2
    assert capsys.readouterr().err.startswith("vitreid: this installation is for serving only")


def test_a_missing_runtime_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_bundle: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert cli.run(["export", "verify", str(tiny_bundle)]) == 2
    assert "needs onnxruntime; pip install onnxruntime faiss-cpu" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "_run_command", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.run(["train"])


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def interrupted(*_: Any) -> Bundle:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "open", interrupted)
    assert cli.run(["export", "verify", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "vitreid: interrupted\n"


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from vitreid import cli
cli.run(["--help"])
sys.exit(any(module in sys.modules for module in ("torch", "numpy", "typer")))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["keys", "create", "--help"], ["recipes", "--json"]])
def test_whoever_stops_reading_gets_no_traceback(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from vitreid import cli; cli.main()", *arguments],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode in (1, 141), done.stderr) == (True, "")  # 1 where Rich printed
