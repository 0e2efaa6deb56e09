"""The reference runner: arithmetic, unknown cameras, and graphs that do not match the manifest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import Bundle, BundleDamaged, BundleRunner, ImageSpec, OutputSpec
from vitreid.bundle.cores import cores
from vitreid.bundle.run import open_session


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


def test_rows_are_unit_and_independent_of_the_batch(tiny_bundle: Path, images: np.ndarray) -> None:
    runner = BundleRunner(Bundle.open(tiny_bundle), threads=1)
    together = runner.run(images)
    alone = np.concatenate([runner.run(images[i : i + 1]) for i in range(5)])
    assert together.shape == (5, 48)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_no_camera_means_unknown(tiny_bundle: Path, images: np.ndarray) -> None:
    runner = BundleRunner(Bundle.open(tiny_bundle), threads=1)
    unknown = runner.run(images, np.full(5, -1))
    np.testing.assert_array_equal(runner.run(images), unknown)
    assert np.abs(runner.run(images, np.zeros(5, dtype=np.int64)) - unknown).max() > 1e-3


def test_a_graph_of_another_size_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    wrong = Bundle.save(
        tmp_path / "wrong",
        tiny_bundle / "model.onnx",
        name="wrong",
        image=ImageSpec(height=128, width=32),
        output=OutputSpec(dimension=48),
        cameras=("c1", "c2"),
    )
    with pytest.raises(BundleDamaged, match="the manifest expects"):
        BundleRunner(wrong)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")  # a version, and no graph
    bundle = Bundle.save(
        tmp_path / "bundle",
        tmp_path / "model.onnx",
        name="text",
        image=ImageSpec(height=64, width=32),
        output=OutputSpec(dimension=48),
    )
    with pytest.raises(BundleDamaged, match="does not load"):
        BundleRunner(bundle)


def test_onnxruntime_sends_no_telemetry(tiny_bundle: Path, tmp_path: Path) -> None:
    code = f"""
import json, os, pathlib
from vitreid.bundle import Bundle, BundleRunner
BundleRunner(Bundle.open(pathlib.Path({str(tiny_bundle)!r})), threads=1)
print(json.dumps([os.environ["ORT_DISABLE_TELEMETRY"], [str(p) for p in pathlib.Path.home().rglob("*")]]))
"""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["1", []]


def test_cores_are_counted_and_left_to_others_when_idle(tiny_bundle: Path) -> None:
    for threads, counted in ((2, 2), (None, cores())):
        options = open_session(Bundle.open(tiny_bundle), threads=threads).get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (counted, 1)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
