"""The engine of a bundle as a runtime, with TensorRT and CUDA made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.tensorrt_standin import GPU, VERSIONS, install, plan_of
from vitreid.bundle import Bundle, BundleRunner, RuntimeMissing
from vitreid.bundle.run_engine import engine_name
from vitreid.service.models.runtimes import RuntimeChoice, load_runtime

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)
CAMERAS = np.array([0, 1, -1, 0, -1], dtype=np.int64)
CHOICE = RuntimeChoice("engine", ("tensorrt",))


@pytest.mark.parametrize("major", VERSIONS)
def test_embeddings_are_those_of_the_reference(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    install(monkeypatch, major)
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    (tmp_path / "engine").write_bytes(plan_of(bundle, major))
    bundle = bundle.extend({engine_name(bundle.manifest, GPU, VERSIONS[major]): tmp_path / "engine"})
    runtime = load_runtime(bundle, CHOICE)
    expected = BundleRunner(bundle, threads=1).run(IMAGES, CAMERAS)
    np.testing.assert_allclose(runtime.run(IMAGES, CAMERAS), expected, atol=1e-6)
    assert (runtime.provider, runtime.precision, runtime.threads) == ("tensorrt", "fp32", None)


def test_a_bundle_without_an_engine_is_reported(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(RuntimeMissing, match=r"but no engines.*build it on this machine with `vitreid export"):
        load_runtime(Bundle.open(tiny_bundle), CHOICE)


@pytest.mark.parametrize("choice", [RuntimeChoice("engine"), RuntimeChoice("engine", ("tensorrt",), precision="fp16")])
def test_it_is_an_engine_and_nothing_else(tiny_bundle: Path, choice: RuntimeChoice) -> None:
    with pytest.raises(RuntimeMissing, match="engine computes on tensorrt and in the bundle's precision, fp32, only"):
        load_runtime(Bundle.open(tiny_bundle), choice)
