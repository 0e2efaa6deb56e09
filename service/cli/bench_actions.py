"""How fast a bundle runs here: by each runtime, in each precision, with more or fewer cores and images a run."""

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

WAYS = (
    RuntimeChoice("onnx", ("cpu",)),
    RuntimeChoice("openvino", ("cpu",)),
    RuntimeChoice("openvino", ("cpu",), precision="bf16"),
    RuntimeChoice("onnx", ("cuda",)),
    RuntimeChoice("onnx", ("tensorrt",)),
    RuntimeChoice("engine", ("tensorrt",)),
)
"""What is tried; where no precision is given, it is the bundle's own."""

BATCHES = {"cpu": (1, 4, 16), "cuda": (1, 8, 32), "tensorrt": (1, 8, 32)}
LEAST_RUNS = 2
COMPARED = 8  # images whose embeddings are compared with the reference's

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Measured:
    """One way of running the bundle with `batch` images a run: what was really in use, and how it went."""

    choice: RuntimeChoice
    batch: int
    run_ms: NDArray[np.float64]
    least_cosine: float
    """Corrected for the spread, of its embeddings to the reference's, over a few made-up images."""

    @property
    def images_per_s(self) -> float:
        """Images a second, over all runs."""
        return self.batch * len(self.run_ms) / float(self.run_ms.sum()) * 1000

    def percentile_ms(self, percent: float) -> float:
        """Milliseconds within which so many per cent of the runs ended."""
        return float(np.percentile(self.run_ms, percent))


@dataclass(frozen=True)
class Missing:
    """A way that this machine or installation does not have, or the bundle does not allow, and why."""

    way: RuntimeChoice
    reason: str


@dataclass
class Bench:
    """What was found out, so far."""

    bundle: Bundle
    measured: list[Measured] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    interrupted: bool = False


def bench(bundle: Bundle, settings: RuntimeChoice, *, seconds: float, progress: Progress) -> Bench:
    """Measure for at most about so many seconds, loading not counted; Ctrl-C ends it with what there is.

    Of the settings, the folder of engines is used. `progress` hears how many of how many measurements are done, and
    what comes next. Raises BundleError where the reference cannot run the bundle, or gives no embeddings.
    """
    found = Bench(bundle)
    try:
        for each in _try_all(bundle, settings, seconds, progress):
            if isinstance(each, Measured):
                found.measured.append(each)
            else:
                found.missing.append(each)
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def _try_all(
    bundle: Bundle, settings: RuntimeChoice, seconds: float, progress: Progress
) -> Iterator[Measured | Missing]:
    images = made_up_images(bundle, max(max(batches) for batches in BATCHES.values()))
    expected = Embedder(bundle).runtime.run(images[:COMPARED], unknown(COMPARED))
    plan = {way: loads_of(way) for way in WAYS}
    total = sum(len(batches) for loads in plan.values() for _, batches in loads)
    done = 0
    for way, loads in plan.items():
        for threads, batches in loads:
            progress(done, total, name_of(way))
            choice = replace(way, threads=threads, max_batch=max(batches), engines=settings.engines)
            try:
                runtime = load_runtime(bundle, choice)
            except BundleError as error:
                yield Missing(way, str(error))
                break
            used = replace(choice, precision=runtime.precision, threads=runtime.threads)
            cosine = least_cosine(runtime, images, expected)
            for batch in batches:
                yield Measured(used, batch, time_runs(runtime, images[:batch], seconds / total), cosine)
                done += 1
                progress(done, total, name_of(way))


def loads_of(way: RuntimeChoice) -> list[tuple[int | None, tuple[int, ...]]]:
    """How often to load a model, each time with cores of a run and images of runs to try.

    Cores are one, half of them and all. A GPU is made ready for all sizes at once, which may take minutes.
    """
    [provider] = way.providers
    if provider != "cpu":
        return [(None, BATCHES[provider])]
    counts = sorted({1, max(1, cores() // 2), cores()})
    return [(threads, (batch,)) for threads in counts for batch in BATCHES[provider]]


def name_of(way: RuntimeChoice) -> str:
    """How people are told of it, as "openvino on cpu in bf16"."""
    return f"{way.runtime} on {way.providers[0]}" + (f" in {way.precision}" if way.precision else "")


def made_up_images(bundle: Bundle, count: int) -> NDArray[np.uint8]:
    """(count, height, width, 3) images of coloured cells with noise, always the same."""
    image, random = bundle.manifest.image, np.random.default_rng(0)
    rows, columns = np.arange(image.height) * 8 // image.height, np.arange(image.width) * 4 // image.width
    cells = random.integers(32, 224, (count, 8, 4, 3))[:, rows][:, :, columns]
    return (cells + random.integers(-32, 32, cells.shape)).astype(np.uint8)


def unknown(count: int) -> NDArray[np.int64]:
    """(count,) indices of cameras that the model does not know."""
    return np.full(count, -1, dtype=np.int64)


def time_runs(runtime: Runtime, images: NDArray[np.uint8], seconds: float) -> NDArray[np.float64]:
    """Milliseconds of each run of these images, for so many seconds and some runs at least, after one to warm up."""
    cameras = unknown(len(images))
    runtime.run(images, cameras)
    lasted: list[float] = []
    while len(lasted) < LEAST_RUNS or sum(lasted) < 1000 * seconds:
        begin = time.perf_counter()
        runtime.run(images, cameras)
        lasted.append(1000 * (time.perf_counter() - begin))
    return np.array(lasted)


def least_cosine(runtime: Runtime, images: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    """The least corrected cosine of a runtime's embeddings of N images to the expected ones (N, D); -1 for a NaN."""
    found = runtime.run(images[: len(expected)], unknown(len(expected)))
    return max(-1.0, float(corrected_cosines(found, expected).min()))
