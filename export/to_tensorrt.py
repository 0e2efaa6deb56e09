"""TensorRT engines of a bundle's graph for the GPU of this machine, added to the bundle after a check of parity.

TensorRT computes in the types of the graph: version 11 always, version 10 as configured here. An
engine of 16 bits comes from a bundle that was exported with `--precision fp16`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleRunner
from vitreid.bundle.gpu import first_gpu
from vitreid.bundle.run import expected_inputs
from vitreid.bundle.run_engine import EngineRunner, engine_name, load_tensorrt
from vitreid.export.closeness import batches, compare, sides_of
from vitreid.export.errors import EngineError, ParityError
from vitreid.export.tolerance import TOLERANCES


@dataclass(frozen=True)
class Profile:
    """The batch sizes that an engine takes: from one to `largest`, fastest at `usual`."""

    usual: int = 8
    largest: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.usual <= self.largest:
            raise EngineError(
                f"an engine for at most {self.largest} images cannot be fastest at {self.usual}; give 1 <= --batch <= "
                "--max-batch"
            )


def export_tensorrt(
    bundle: Bundle, images: NDArray[np.uint8], *, profile: Profile, timings: Path | None = None
) -> Bundle:
    """Build an engine and add it to the bundle, under the name that EngineRunner.open expects.

    `timings` is a file with the speeds of single kernels, which makes the next build on this GPU shorter.

    Raises RuntimeMissing without TensorRT or a GPU, EngineError if the graph cannot be built, and ParityError, with
    the numbers and without writing anything, if the engine's embeddings of `images` (N, H, W, 3) are further from the
    graph's than its precision explains.
    """
    if timings is not None and (timings.is_dir() or not timings.parent.is_dir()):
        raise EngineError(f"--timings {timings} must be a file, in a folder that exists")
    gpu, trt = first_gpu(), load_tensorrt()
    engine = build_engine(trt, bundle, profile, timings)
    runners = EngineRunner(bundle.manifest, engine), BundleRunner(bundle)
    cameras, views = sides_of(bundle.manifest, len(images))
    found, expected = (
        np.concatenate([runner.run(images[rows], cameras[rows], views[rows]) for rows in batches(len(images))])
        for runner in runners
    )
    manifest = bundle.manifest
    runtime = f"TensorRT {trt.__version__} {gpu.name}"
    parity = compare(found, expected, manifest.precision).model_copy(update={"runtime": runtime})
    if faults := TOLERANCES[manifest.precision].faults(parity):
        raise ParityError(
            f"{runtime} differs from {bundle.model_path} in onnxruntime on {len(images)} images: "
            f"{', '.join(faults)}; the engine was not added"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.engine"
        file.write_bytes(engine)
        others = tuple(each for each in manifest.parity if each.runtime != parity.runtime)
        return bundle.extend({engine_name(manifest, gpu, trt.__version__): file}, parity=(*others, parity))


def build_engine(trt: Any, bundle: Bundle, profile: Profile, timings: Path | None) -> bytes:
    """Build the engine as bytes, in minutes. Raises EngineError."""
    log = _log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(bundle.model_path)):
        reasons = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise EngineError(
            f"TensorRT {trt.__version__} does not support {bundle.model_path} ({_one_line(reasons)}); export it "
            "with --opset 18, whose operators older versions know"
        )
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 is not rounded to TF32
    shapes = builder.create_optimization_profile()
    for name, (_, shape) in expected_inputs(bundle.manifest).items():
        shapes.set_shape(name, *([size, *shape] for size in (1, profile.usual, profile.largest)))
    config.add_optimization_profile(shapes)
    _read_timings(config, timings)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"TensorRT {trt.__version__} could not build {bundle.model_path} ({_one_line(log.errors)})")
    if timings is not None:
        timings.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _read_timings(config: Any, timings: Path | None) -> None:
    """Load the timings of earlier builds, unless they are of another TensorRT or GPU."""
    if timings is None:
        return
    saved = timings.read_bytes() if timings.is_file() else b""
    if not config.set_timing_cache(config.create_timing_cache(saved), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _log(trt: Any) -> Any:
    """Return a logger that collects errors; TensorRT's own prints them."""

    class Log(trt.ILogger):  # type: ignore[misc]  # the module's type is not known
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(message)

    return Log()


def _one_line(reasons: list[str]) -> str:
    return " ".join("; ".join(reasons).split())[:300] or "no reason given"
