"""onnxruntime on an NVIDIA GPU by TensorRT, with engines that are built once and stored."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from vitreid.bundle import Bundle, Manifest, RuntimeMissing
from vitreid.bundle.gpu import Gpu
from vitreid.bundle.manifest import MODEL
from vitreid.bundle.run import expected_inputs, load_onnxruntime
from vitreid.service.models.runtimes.buckets import BucketedRuntime, bucket_sizes
from vitreid.service.models.runtimes.cuda import CPU, CUDA, find_gpu, load_on_gpu
from vitreid.service.models.runtimes.protocol import RuntimeChoice

TENSORRT = "TensorrtExecutionProvider"


def load_tensorrt(bundle: Bundle, choice: RuntimeChoice) -> BucketedRuntime:
    """Load the graph as a TensorRT engine on the first GPU; what TensorRT does not take, CUDA computes.

    The engine is built now, which takes minutes, and is read from the choice's folder the next time.
    Raises RuntimeMissing, BundleDamaged.
    """
    gpu, version = find_gpu(TENSORRT), import_tensorrt()
    options = profile(bundle.manifest, choice.max_batch)
    if choice.engines is not None:
        folder = engine_folder(choice.engines, bundle.manifest, gpu, version)
        folder.mkdir(parents=True, exist_ok=True)
        options |= caches(folder)
    return load_on_gpu(bundle, [(TENSORRT, options), CUDA, CPU], provider="tensorrt", max_batch=choice.max_batch)


def import_tensorrt() -> str:
    """Load TensorRT, so that onnxruntime finds its libraries, and return its version. Raises RuntimeMissing."""
    try:
        version: str = importlib.import_module("tensorrt").__version__
    except ImportError as error:
        raise RuntimeMissing(
            f"TensorRT cannot be imported ({error}); pip install 'tensorrt-cu13>=10.14,<11'"
        ) from error
    return version


def profile(manifest: Manifest, max_batch: int) -> dict[str, Any]:
    """Return the batch sizes of an engine; with them, it is built when the session is made."""
    largest = bucket_sizes(max_batch)[-1]
    names = {"min": 1, "opt": largest, "max": largest}
    shapes = {name: shape for name, (_, shape) in expected_inputs(manifest).items()}
    return {
        "device_id": 0,
        "trt_fp16_enable": manifest.precision == "fp16",  # TensorRT 10 computes a 16-bit graph in 32 bits without
        "trt_layer_norm_fp32_fallback": True,
    } | {
        f"trt_profile_{name}_shapes": ",".join(
            f"{input_name}:{'x'.join(map(str, [size, *shape]))}" for input_name, shape in shapes.items()
        )
        for name, size in names.items()
    }


def caches(folder: Path) -> dict[str, Any]:
    """Return the options that store the engine and its timings in a folder."""
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
    }


def engine_folder(engines: Path, manifest: Manifest, gpu: Gpu, tensorrt: str) -> Path:
    """Return the folder of this model's engine: one for each GPU, TensorRT, onnxruntime and model.

    An engine of another one would be refused, or would be used and be wrong.
    """
    name = re.sub("[^A-Za-z0-9]+", "-", gpu.name) + "-" + ".".join(map(str, gpu.capability))
    versions = f"tensorrt-{tensorrt}_onnxruntime-{load_onnxruntime().__version__}"
    return engines / f"{name}_{versions}_{manifest.files[MODEL].sha256}"
