"""Speed of a bundle on this machine: by runtime, precision, number of cores and images per run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleError
from vitreid.bundle.closeness import corrected_cosines
from vitreid.bundle.cores import cores
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import Runtime, RuntimeChoice, load_runtime

CONFIGURATIONS = (
    RuntimeChoice("onnx", ("cpu",)),
    RuntimeChoice("openvino", ("cpu",)),
    RuntimeChoice("openvino", ("cpu",), precision="bf16"),
    RuntimeChoice("onnx", ("cuda",)),
    RuntimeChoice("onnx", ("tensorrt",)),
    RuntimeChoice("engine", ("tensorrt",)),
)
"""The configurations that are measured; without a precision, in the bundle's own."""

BATCHES = {"cpu": (1, 4, 16), "cuda": (1, 8, 32), "tensorrt": (1, 8, 32)}
MIN_RUNS = 2
NEAR_COSINE = 0.999
"""Minimum corrected cosine of what is recommended: below, scores are no longer those of the model."""
SPEED_TOLERANCE = 1.03
"""Factors of speed below this are noise, on a machine that does other things as well."""
COMPARED = 8  # images whose embeddings are compared with the reference's

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Measured:
    """Runs of `batch` images in one configuration, with the precision and cores that were really used."""

    choice: RuntimeChoice
    batch: int
    run_ms: NDArray[np.float64]
    min_cosine: float
    """Minimum corrected cosine of its embeddings to the reference's, over a few made-up images."""

    @property
    def images_per_s(self) -> float:
        """Images per second, over all runs."""
        return self.batch * len(self.run_ms) / float(self.run_ms.sum()) * 1000

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the durations of the runs, in milliseconds."""
        return float(np.percentile(self.run_ms, percent))


@dataclass(frozen=True)
class FailedConfiguration:
    """A configuration that machine, installation or bundle do not allow, and why."""

    configuration: RuntimeChoice
    reason: str


@dataclass
class Bench:
    """The measurements so far."""

    bundle: Bundle
    measured: list[Measured] = field(default_factory=list)
    unavailable: list[FailedConfiguration] = field(default_factory=list)
    interrupted: bool = False


def bench(bundle: Bundle, settings: RuntimeChoice, *, seconds: float, progress: Progress) -> Bench:
    """Measure for about this many seconds at most, loading not counted; Ctrl-C ends it with what there is.

    Of the settings, the folder of engines is used. `progress` is called with the number of measurements that are done,
    of all, and with what is measured next. Raises BundleError where the reference cannot run the bundle, or gives no
    embeddings.
    """
    found = Bench(bundle)
    try:
        for each in _try_all(bundle, settings, seconds, progress):
            if isinstance(each, Measured):
                found.measured.append(each)
            else:
                found.unavailable.append(each)
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def _try_all(
    bundle: Bundle, settings: RuntimeChoice, seconds: float, progress: Progress
) -> Iterator[Measured | FailedConfiguration]:
    images = made_up_images(bundle, max(max(batches) for batches in BATCHES.values()))
    expected = Embedder(bundle).runtime.run(images[:COMPARED], unknown(COMPARED))
    plan = {each: loads_of(each) for each in CONFIGURATIONS}
    total = sum(len(batches) for loads in plan.values() for _, batches in loads)
    done = 0
    for configuration, loads in plan.items():
        for threads, batches in loads:
            progress(done, total, name_of(configuration))
            choice = replace(configuration, threads=threads, max_batch=max(batches), engines=settings.engines)
            try:
                runtime = load_runtime(bundle, choice)
            except BundleError as error:
                yield FailedConfiguration(configuration, str(error))
                break
            used = replace(choice, precision=runtime.precision, threads=runtime.threads)
            cosine = min_cosine(runtime, images, expected)
            for batch in batches:
                yield Measured(used, batch, time_runs(runtime, images[:batch], seconds / total), cosine)
                done += 1
                progress(done, total, name_of(configuration))


def loads_of(configuration: RuntimeChoice) -> list[tuple[int | None, tuple[int, ...]]]:
    """Return the loads of the model in a configuration: cores of a run, and numbers of images to measure with them.

    Cores are one, half of them and all. A GPU is prepared for all sizes at once, which may take minutes.
    """
    [provider] = configuration.providers
    if provider != "cpu":
        return [(None, BATCHES[provider])]
    counts = sorted({1, max(1, cores() // 2), cores()})
    return [(threads, (batch,)) for threads in counts for batch in BATCHES[provider]]


def name_of(configuration: RuntimeChoice) -> str:
    """Return its name for people, as "openvino on cpu in bf16"."""
    precision = f" in {configuration.precision}" if configuration.precision else ""
    return f"{configuration.runtime} on {configuration.providers[0]}{precision}"


def made_up_images(bundle: Bundle, count: int) -> NDArray[np.uint8]:
    """Draw (count, height, width, 3) images of coloured cells with noise, always the same."""
    image, random = bundle.manifest.image, np.random.default_rng(0)
    rows, columns = np.arange(image.height) * 8 // image.height, np.arange(image.width) * 4 // image.width
    cells = random.integers(32, 224, (count, 8, 4, 3))[:, rows][:, :, columns]
    return (cells + random.integers(-32, 32, cells.shape)).astype(np.uint8)


def unknown(count: int) -> NDArray[np.int64]:
    """Return (count,) camera indices, all unknown."""
    return np.full(count, -1, dtype=np.int64)


def time_runs(runtime: Runtime, images: NDArray[np.uint8], seconds: float) -> NDArray[np.float64]:
    """Time runs of these images, in milliseconds, for this many seconds and MIN_RUNS at least, after one to warm up."""
    cameras = unknown(len(images))
    runtime.run(images, cameras)
    durations: list[float] = []
    while len(durations) < MIN_RUNS or sum(durations) < 1000 * seconds:
        started = time.perf_counter()
        runtime.run(images, cameras)
        durations.append(1000 * (time.perf_counter() - started))
    return np.array(durations)


def min_cosine(runtime: Runtime, images: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    """Return the minimum corrected cosine of a runtime's embeddings of N images to (N, D) expected ones; -1 for NaN."""
    found = runtime.run(images[: len(expected)], unknown(len(expected)))
    return max(-1.0, float(corrected_cosines(found, expected).min()))


OBJECTIVES: dict[str, Callable[[Measured], float]] = {
    "throughput": lambda each: each.images_per_s,
    "latency": lambda each: 1 / each.percentile_ms(50),
}
"""What settings are recommended for: a figure to maximise."""


def recommended(found: Bench, objective: str) -> Measured | None:
    """Return the best measurement for an objective; of equally good ones, that with the fewest cores and images a run.

    A latency is that of single images. None where nothing was measured that gives the reference's embeddings.
    """
    figure = OBJECTIVES[objective]
    able = [each for each in found.measured if each.min_cosine >= NEAR_COSINE]
    if objective == "latency":
        able = [each for each in able if each.batch == 1]
    if not able:
        return None
    best = max(map(figure, able))
    good = [each for each in able if figure(each) * SPEED_TOLERANCE >= best]
    return min(good, key=lambda each: (each.choice.threads or 0, each.batch))


def settings_of(found: Bench, best: Measured) -> dict[str, str]:
    """Return the VITREID_* variables of a measurement."""
    choice, written = best.choice, found.bundle.manifest.precision
    settings = {"VITREID_RUNTIME": choice.runtime, "VITREID_PROVIDER": choice.providers[0]}
    if choice.precision is not None and choice.precision != written:
        settings["VITREID_PRECISION"] = choice.precision
    if choice.threads is not None:
        settings["VITREID_THREADS"] = str(choice.threads)
    return settings | {"VITREID_MAX_BATCH": str(best.batch)}
