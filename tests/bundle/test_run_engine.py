"""The engine runner against the reference runner, with fakes of TensorRT and CUDA."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.tensorrt_standin import GPU, VERSIONS, install, plan_of
from vitreid.bundle import Bundle, BundleDamaged, BundleRunner, RuntimeMissing
from vitreid.bundle.gpu import Gpu
from vitreid.bundle.run_engine import EngineRunner, engine_name

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 64, 32, 3), dtype=np.uint8)
CAMERAS = np.arange(9, dtype=np.int64) % 3 - 1


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.mark.parametrize("major", VERSIONS)
@pytest.mark.parametrize("count", [1, 3, 4, 9, 0])
def test_embeddings_are_those_of_the_reference(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, major: int, count: int
) -> None:
    made = install(monkeypatch, major)
    runner = EngineRunner(bundle.manifest, plan_of(bundle, major))
    found = runner.run(IMAGES[:count], CAMERAS[:count])
    if count:
        expected = BundleRunner(bundle, threads=1).run(IMAGES[:count], CAMERAS[:count])
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.shape == (count, 48)
    sizes = [call[1] for call in made.calls if call[0] == "execute"]
    assert sum(sizes) == count
    assert max(sizes, default=0) <= 4


def test_images_need_not_lie_in_one_piece(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    runner = EngineRunner(bundle.manifest, plan_of(bundle))
    np.testing.assert_allclose(
        runner.run(IMAGES[::2, :, ::-1]), BundleRunner(bundle, threads=1).run(IMAGES[::2, :, ::-1]), atol=1e-6
    )


def test_the_engine_of_this_machine_is_opened(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    (tmp_path / "engine").write_bytes(plan_of(bundle))
    other = Bundle.save(
        tmp_path / "bundle",
        bundle.model_path,
        name="tiny",
        image=bundle.manifest.image,
        output=bundle.manifest.output,
        cameras=bundle.manifest.cameras,
    )
    with pytest.raises(RuntimeMissing, match=r"has no engines/NVIDIA-H200-10.16.1.11-fp32.engine \(but no engines\)"):
        EngineRunner.open(other)
    extended = other.extend({engine_name(other.manifest, Gpu("NVIDIA L4", (8, 9)), "10.16.1.11"): tmp_path / "engine"})
    with pytest.raises(RuntimeMissing, match=r"has no .*H200.* \(but engines/NVIDIA-L4-10.16.1.11-fp32.engine\)"):
        EngineRunner.open(extended)
    extended = other.extend({engine_name(other.manifest, GPU, "10.16.1.11"): tmp_path / "engine"})
    assert EngineRunner.open(Bundle.open(extended.path)).run(IMAGES).shape == (9, 48)


def test_an_engine_of_another_version_is_reported(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 11)
    with pytest.raises(BundleDamaged, match=r"does not load in TensorRT 11\.4\.0\.106 on this GPU; build it again"):
        EngineRunner(bundle.manifest, plan_of(bundle, 10))


def test_an_engine_of_another_graph_is_reported(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    without = bundle.manifest.model_copy(update={"cameras": ()})
    with pytest.raises(BundleDamaged, match="camera, embeddings, images; the bundle's graph has images, embeddings"):
        EngineRunner(without, plan_of(bundle))


def test_a_full_gpu_is_reported(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch)
    made.full = True
    with pytest.raises(RuntimeMissing, match="not enough memory for the engine; build one with a smaller --max-batch"):
        EngineRunner(bundle.manifest, plan_of(bundle))
    made.full, made.cuda_error = False, 2
    with pytest.raises(RuntimeMissing, match=r"the GPU cannot be used \(CUDA error 2\)"):
        EngineRunner(bundle.manifest, plan_of(bundle))


@pytest.mark.parametrize(
    ("module", "package"), [("tensorrt", "tensorrt-cu13"), ("cuda.bindings.runtime", "cuda-python")]
)
def test_a_missing_library(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeMissing, match=rf"{module} cannot be imported .*: pip install {package}"):
        EngineRunner(bundle.manifest, plan_of(bundle))
