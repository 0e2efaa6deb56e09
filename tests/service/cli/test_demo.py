"""`vitreid demo`: from nothing to a first answer, twice, and its errors."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import vitreid
from vitreid.service.api.server.serving import bound_socket
from vitreid.service.cli import demo_steps
from vitreid.service.errors import PortInUse
from vitreid.service.gallery import Gallery


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    """Few people, and a tiny model for a starter."""
    monkeypatch.setattr(demo_steps, "PEOPLE", 4)
    monkeypatch.setattr(demo_steps, "CAMERAS", 2)
    monkeypatch.setattr("vitreid.service.models.bundle_choice.STARTER", tiny_bundle)


@pytest.mark.usefixtures("small")
def test_the_first_answer_comes_and_a_second_run_reuses_everything(tmp_path: Path) -> None:
    arguments = ["demo", "--no-serve", "--data", str(tmp_path / "demo"), "--port", "0"]
    first, second = (vitreid(*arguments) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert "8 added" in first.stdout
    assert "rank" in first.stdout
    assert "same person" in first.stdout
    assert "someone else" in first.stdout
    assert "a human decides" in first.stdout
    assert second.stdout.count("there already") == 2
    assert [path.name.partition("-")[0] for path in sorted((tmp_path / "demo").iterdir())] == ["people", "starter"]


@pytest.mark.usefixtures("small")
def test_its_gallery_says_that_its_people_are_drawn(tmp_path: Path) -> None:
    """Only there do the starter's probabilities hold."""
    demo_steps.run_demo(tmp_path, port=0, train=False, serve=False)
    [folder] = tmp_path.glob("starter-*/galleries/default")
    with Gallery.open_existing(folder) as gallery:
        assert gallery.settings().domain == "drawn"


@pytest.mark.usefixtures("small")
def test_the_port_is_that_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        monkeypatch.setenv("VITREID_PORT", str(taken.getsockname()[1]))
        result = vitreid("demo", "--data", str(tmp_path / "demo"))
    assert isinstance(result.exception, PortInUse)


@pytest.mark.usefixtures("small")
def test_a_taken_port_is_reported_before_any_work(tmp_path: Path) -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = vitreid("demo", "--data", str(tmp_path / "demo"), "--port", str(port))
    assert isinstance(result.exception, PortInUse)
    assert not (tmp_path / "demo").exists()


@pytest.mark.usefixtures("small")
def test_serving_goes_on_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(demo_steps, "_wait_for_stop", lambda: waited.append(True))
    result = vitreid("demo", "--data", str(tmp_path / "demo"), "--port", "0")
    assert result.exit_code == 0
    assert waited == [True]
    for text in ("/docs", "curl -s --data-binary", "until Ctrl-C", "stopped"):
        assert text in result.stdout


@pytest.mark.usefixtures("small")
def test_training_runs_the_commands_a_user_would_type(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        ran.append(command[3:])
        bundle = tmp_path / "demo" / "training" / "bundle"
        if command[3:5] == ["export", "onnx"]:
            bundle.parent.mkdir(parents=True)
            bundle.symlink_to(tiny_bundle)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    arguments = ["demo", "--train", "--no-serve", "--data", str(tmp_path / "demo"), "--port", "0"]
    assert vitreid(*arguments).exit_code == 0
    assert [command[0] for command in ran] == ["synth", "train", "export", "export", "evaluate"]
    assert any(path.name.startswith("trained-") for path in (tmp_path / "demo").iterdir())
    ran.clear()
    assert vitreid(*arguments).exit_code == 0
    assert [command[:2] for command in ran if command[0] in ("train", "export")] == [["export", "verify"]]


def test_a_missing_training_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = vitreid("demo", "--train", "--data", str(tmp_path / "demo"))
    assert isinstance(result.exception, demo_steps.DemoError)
    assert "pip install 'torch>=" in str(result.exception)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("code", "kind"), [(2, demo_steps.DemoError), (130, SystemExit)])
def test_a_failed_step_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[BaseException]
) -> None:
    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    result = vitreid("demo", "--train", "--data", str(tmp_path / "demo"), "--port", "0")
    assert isinstance(result.exception, kind)
    assert result.exit_code == (130 if code == 130 else 1)


@pytest.mark.slow
def test_signals_that_come_together_stop_it() -> None:
    # `timeout make demo` sends two at once; a handler that is interrupted by itself must not wait for itself.
    code = """
import os, signal, threading
from vitreid.service.cli.demo_steps import _wait_for_stop
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
def send():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        pass
    for _ in range(200):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
for _ in range(20):
    sender = threading.Thread(target=send)
    sender.start()
    _wait_for_stop()
    sender.join()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
