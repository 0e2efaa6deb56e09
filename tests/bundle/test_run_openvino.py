"""The OpenVINO runner: the same embeddings as the reference runner, and its errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import (
    Bundle,
    BundleDamaged,
    BundleRunner,
    ImageSpec,
    OpenVinoRunner,
    OutputSpec,
    RuntimeMissing,
    run_openvino,
)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


CAMERAS = np.array([0, 1, -1, 1, 0])


def test_its_embeddings_are_those_of_the_reference(tiny_bundle: Path, images: np.ndarray) -> None:
    bundle = Bundle.open(tiny_bundle)
    reference, runner = BundleRunner(bundle, threads=1), OpenVinoRunner(bundle, threads=1)
    for cameras in (None, CAMERAS):
        np.testing.assert_allclose(runner.run(images, cameras), reference.run(images, cameras), atol=1e-6)
    np.testing.assert_allclose(runner.run(images[3:], CAMERAS[3:]), reference.run(images, CAMERAS)[3:], atol=1e-6)
    assert runner.run(images[:0]).shape == (0, 48)


def test_sizes_with_a_graph_of_their_own_change_nothing(tiny_bundle: Path, images: np.ndarray) -> None:
    bundle = Bundle.open(tiny_bundle)
    reference, runner = BundleRunner(bundle, threads=1), OpenVinoRunner(bundle, threads=1, batches=[1, 4])
    for size in (1, 2, 4, 5, 1, 4):
        expected = reference.run(images[:size], CAMERAS[:size])
        np.testing.assert_allclose(runner.run(images[:size], CAMERAS[:size]), expected, atol=1e-6)


def test_a_run_does_not_change_the_result_of_the_one_before(tiny_bundle: Path, images: np.ndarray) -> None:
    runner = OpenVinoRunner(Bundle.open(tiny_bundle), threads=1)
    first = runner.run(images)
    copied = first.copy()
    runner.run(images[::-1].copy())
    np.testing.assert_array_equal(first, copied)


def test_runs_may_overlap(tiny_bundle: Path) -> None:
    runner = OpenVinoRunner(Bundle.open(tiny_bundle), threads=1)
    batches = np.random.default_rng(2).integers(0, 256, (40, 3, 64, 32, 3), dtype=np.uint8)
    expected = [runner.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(runner.run, batches))
    np.testing.assert_allclose(np.stack(found), np.stack(expected), atol=1e-6)


@pytest.mark.skipif("bf16" not in run_openvino.precisions(), reason="this processor does not compute in bf16")
def test_bf16_is_near(tiny_bundle: Path, images: np.ndarray) -> None:
    bundle = Bundle.open(tiny_bundle)
    found = OpenVinoRunner(bundle, threads=1, precision="bf16").run(images, CAMERAS)
    expected = BundleRunner(bundle, threads=1).run(images, CAMERAS)
    assert np.sum(found * expected, axis=1).min() > 0.999
    assert np.abs(found - expected).max() > 1e-6


def test_a_processor_without_bf16_is_reported(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    class OldProcessor:
        def get_property(self, device: str, name: str) -> list[str]:
            return {"OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"]}[name]

    monkeypatch.setattr(run_openvino, "open_core", OldProcessor)
    with pytest.raises(RuntimeMissing, match="OpenVINO on this processor does not compute in bf16; choose one of fp32"):
        OpenVinoRunner(Bundle.open(tiny_bundle), precision="bf16")


def test_an_unknown_precision_is_reported(tiny_bundle: Path) -> None:
    with pytest.raises(RuntimeMissing, match="OpenVINO does not compute in fp8; choose one of fp32"):
        OpenVinoRunner(Bundle.open(tiny_bundle), precision="fp8")


def test_signals_do_not_crash_after_another_thread_released_the_runner(tiny_bundle: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from threading import Thread
from vitreid.bundle import Bundle, OpenVinoRunner
runners = [OpenVinoRunner(Bundle.open(Path(sys.argv[1])), threads=1)]
last = Thread(target=runners.clear)
last.start()
last.join()
taken = [bytearray(20_000) for _ in range(500)]
signal.signal(signal.SIGUSR1, lambda *_: None)
for _ in range(500):
    os.kill(os.getpid(), signal.SIGUSR1)
print(sum(map(any, taken)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny_bundle)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(RuntimeMissing, match="pip install openvino"):
        OpenVinoRunner(Bundle.open(tiny_bundle))


def test_a_graph_that_does_not_match_the_manifest_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    wrong = Bundle.save(
        tmp_path / "wrong",
        tiny_bundle / "model.onnx",
        name="wrong",
        image=ImageSpec(height=128, width=32),
        output=OutputSpec(dimension=48),
        cameras=("c1", "c2"),
    )
    with pytest.raises(BundleDamaged, match="the manifest expects"):
        OpenVinoRunner(wrong)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")  # a version, and no graph
    image, output = ImageSpec(height=64, width=32), OutputSpec(dimension=48)
    bundle = Bundle.save(tmp_path / "bundle", tmp_path / "model.onnx", name="empty", image=image, output=output)
    with pytest.raises(BundleDamaged, match="does not load in OpenVINO") as message:
        OpenVinoRunner(bundle)
    assert "\n" not in str(message.value)


def test_openvino_sends_no_telemetry(tiny_bundle: Path, tmp_path: Path) -> None:
    """By default it writes an id into the home folder and starts a process that reports, on import."""
    code = f"""
import json, pathlib, sys
from urllib import request
def called(*arguments, **options): raise SystemExit("the network was used")
request.urlopen = called
from vitreid.bundle import Bundle, OpenVinoRunner
OpenVinoRunner(Bundle.open(pathlib.Path({str(tiny_bundle)!r})), threads=1)
loaded = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
print(json.dumps([loaded, "multiprocessing" in sys.modules, [str(p) for p in pathlib.Path.home().rglob("*")]]))
"""
    # With these variables OpenVINO sends nothing by itself.
    outside_ci = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment = {**outside_ci, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], False, []]
