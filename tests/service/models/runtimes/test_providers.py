"""Providers of onnxruntime: with a stand-in for the GPU, and on the real one if there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from vitreid.bundle import Bundle, BundleRunner, RuntimeMissing
from vitreid.bundle.gpu import Gpu, first_gpu
from vitreid.bundle.run import open_session
from vitreid.service.errors import UnknownName
from vitreid.service.models.runtimes import RuntimeChoice, cuda, load_runtime
from vitreid.service.models.runtimes.buckets import BucketedRuntime
from vitreid.service.models.runtimes.tensorrt import engine_folder, profile

GPU = Gpu("NVIDIA H200", (9, 0))
CAMERAS = np.array([0, 1, -1, 0, -1], dtype=np.int64)


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


class StandIn:
    """A session on the CPU that says it has the providers it was asked for, and keeps its memory on the CPU."""

    def __init__(self, bundle: Bundle, providers: list[str], computing: str) -> None:
        self._session = open_session(bundle, threads=1)
        self.get_providers = lambda: providers
        self._computing = computing
        self.io_binding = self._session.io_binding
        self.run_with_iobinding = self._session.run_with_iobinding

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        real = self._session.get_provider_graph_assignment_info()
        return [SimpleNamespace(ep_name=self._computing, get_nodes=part.get_nodes) for part in real]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Makes this machine one with a GPU, TensorRT and an onnxruntime for them; gives the sessions' providers."""

    def make(used: list[str] | None = None, computing: str | None = None) -> list[Any]:
        asked: list[Any] = []

        def opened(bundle: Bundle, *, providers: list[Any]) -> StandIn:
            asked.append(providers)
            names = used or [name for name, _ in providers]
            return StandIn(bundle, names, computing or names[0])

        names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
        monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.16.1"))
        monkeypatch.setattr(cuda, "first_gpu", lambda: GPU)
        monkeypatch.setattr(cuda, "open_session", opened)
        monkeypatch.setattr(cuda, "BucketedRuntime", partial(BucketedRuntime, device="cpu"))
        return asked

    return make


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_embeddings_are_those_of_the_reference(gpu, bundle, images, tmp_path, provider) -> None:
    gpu()
    runtime = load_runtime(bundle, RuntimeChoice(providers=(provider,), engines=tmp_path))
    np.testing.assert_allclose(
        runtime.run(images, CAMERAS), BundleRunner(bundle, threads=1).run(images, CAMERAS), atol=1e-6
    )
    assert (runtime.provider, runtime.precision, runtime.threads) == (provider, "fp32", None)


def test_without_the_gpu_build_the_extra_is_named(bundle, monkeypatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for provider, name in {"cuda": "CUDA", "tensorrt": "Tensorrt"}.items():
        with pytest.raises(RuntimeMissing, match=rf"has no {name}ExecutionProvider; pip uninstall "):
            load_runtime(bundle, RuntimeChoice(providers=(provider,)))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_without_a_gpu_it_is_reported(gpu, bundle, monkeypatch, provider) -> None:
    gpu()
    monkeypatch.setattr(cuda, "first_gpu", first_gpu)
    monkeypatch.setattr("vitreid.bundle.gpu.DRIVER", "libcuda-that-is-not-there.so")
    with pytest.raises(RuntimeMissing, match="there is no NVIDIA driver here"):
        load_runtime(bundle, RuntimeChoice(providers=(provider,)))


def test_a_substitute_that_onnxruntime_took_by_itself_is_refused(gpu, bundle) -> None:
    gpu(used=["CPUExecutionProvider"])
    with pytest.raises(RuntimeMissing, match="could not load CUDAExecutionProvider and would compute on CPUExec"):
        load_runtime(bundle, RuntimeChoice(providers=("cuda",)))
    gpu(used=["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(RuntimeMissing, match=r"could not load TensorrtExecutionProvider .* install 'tensorrt-cu13"):
        load_runtime(bundle, RuntimeChoice(providers=("tensorrt",)))


@pytest.mark.parametrize(
    ("provider", "computing", "left"),
    [
        ("cuda", "CPUExecutionProvider", "MatMul"),
        ("tensorrt", "CPUExecutionProvider", "MatMul"),
        ("tensorrt", "CUDAExecutionProvider", "all"),
    ],
)
def test_a_provider_that_leaves_the_products_to_others_is_refused(gpu, bundle, provider, computing, left) -> None:
    gpu(computing=computing)
    with pytest.raises(RuntimeMissing, match=rf"leaves {left} of .*model\.onnx to others than .*in fp32 or fp16, and"):
        load_runtime(bundle, RuntimeChoice(providers=(provider,)))


def test_a_gpu_that_cannot_run_the_largest_batch_is_reported(gpu, bundle, monkeypatch) -> None:
    def out_of_memory(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("Failed to allocate memory\nfor requested buffer")

    gpu()
    monkeypatch.setattr(cuda, "BucketedRuntime", out_of_memory)
    with pytest.raises(RuntimeMissing, match=r"up to 64 images \(Failed to allocate memory for .* VITREID_MAX_BATCH"):
        load_runtime(bundle, RuntimeChoice(providers=("cuda",), max_batch=64))


def test_a_substitute_that_was_named_is_taken(gpu, bundle, caplog) -> None:
    gpu(used=["CPUExecutionProvider"])
    runtime = load_runtime(bundle, RuntimeChoice(providers=("tensorrt", "cuda", "cpu"), threads=1))
    assert (runtime.provider, runtime.threads) == ("cpu", 1)
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "the model cannot run on tensorrt",
        "the model cannot run on cuda",
    ]


def test_where_none_can_the_first_ones_reason_is_reported(gpu, bundle, monkeypatch) -> None:
    gpu(used=["CPUExecutionProvider"])
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(RuntimeMissing, match="TensorRT cannot be imported"):
        load_runtime(bundle, RuntimeChoice(providers=("tensorrt", "cuda")))


def test_an_unknown_provider_is_reported_before_any_is_tried(bundle) -> None:
    with pytest.raises(UnknownName, match="unknown provider 'gpu': choose one of cpu, cuda, tensorrt"):
        load_runtime(bundle, RuntimeChoice(providers=("cpu", "gpu")))


def test_tensorrt_comes_before_cuda_and_both_before_the_cpu(gpu, bundle, tmp_path) -> None:
    asked = gpu()
    load_runtime(bundle, RuntimeChoice(providers=("tensorrt",), engines=tmp_path, max_batch=6))
    [providers] = asked
    assert [name for name, _ in providers] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    options = providers[0][1]
    assert options["trt_profile_min_shapes"] == "images:1x64x32x3,camera:1"
    assert options["trt_profile_max_shapes"] == options["trt_profile_opt_shapes"] == "images:8x64x32x3,camera:8"
    assert options["trt_fp16_enable"] is False
    [folder] = tmp_path.iterdir()
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    assert options["trt_engine_cache_enable"] is options["trt_timing_cache_enable"] is True


def test_a_graph_of_16_bits_is_computed_so(bundle) -> None:
    half = bundle.manifest.model_copy(update={"precision": "fp16"})
    assert profile(half, 4)["trt_fp16_enable"] is True


def test_without_a_folder_nothing_is_kept(gpu, bundle) -> None:
    asked = gpu()
    load_runtime(bundle, RuntimeChoice(providers=("tensorrt",)))
    assert not [name for name in asked[0][0][1] if "cache" in name]


def test_an_engine_is_for_one_gpu_one_of_each_library_and_one_model(bundle, monkeypatch, tmp_path) -> None:
    manifest = bundle.manifest
    other_model = manifest.model_copy(
        update={"files": {"model.onnx": manifest.files["model.onnx"].model_copy(update={"sha256": "0" * 64})}}
    )
    folders = {
        engine_folder(tmp_path, manifest, GPU, "10.16.1"),
        engine_folder(tmp_path, manifest, Gpu("NVIDIA L4", (8, 9)), "10.16.1"),
        engine_folder(tmp_path, manifest, Gpu("NVIDIA H200", (8, 9)), "10.16.1"),
        engine_folder(tmp_path, manifest, GPU, "10.14.0"),
        engine_folder(tmp_path, other_model, GPU, "10.16.1"),
    }
    monkeypatch.setattr(onnxruntime, "__version__", "2.0.0")
    folders.add(engine_folder(tmp_path, manifest, GPU, "10.16.1"))
    assert len(folders) == 6
    assert {folder.parent for folder in folders} == {tmp_path}


def problem() -> str | None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this onnxruntime is for the CPU"
    try:
        first_gpu()
    except RuntimeMissing as missing:
        return str(missing)
    return None


@pytest.mark.gpu
@pytest.mark.skipif(problem() is not None, reason=f"no GPU can be used: {problem()}")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_the_real_one(bundle, images, tmp_path, provider) -> None:
    for _ in range(2):  # the second time with the engine of the first
        runtime = load_runtime(bundle, RuntimeChoice(providers=(provider,), engines=tmp_path))
        found = runtime.run(images, CAMERAS)
        assert runtime.provider == provider
        assert np.sum(found * BundleRunner(bundle).run(images, CAMERAS), axis=1).min() > 0.9999
