"""Batches of concurrent embedding requests: one thread runs the model on all that wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.service.errors import EmbeddingFailed, ModelFailed, NotReady, QueueFull
from vitreid.service.models.embedder import Embedder
from vitreid.service.values.embeddings import check_embeddings

Pixels = NDArray[np.uint8]
Row = NDArray[np.float32]
logger = logging.getLogger("vitreid")


class Model(Protocol):
    """A model that embeds batches."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        ...

    def run(self, pixels: Sequence[Pixels], camera_ids: Sequence[str | None]) -> NDArray[np.float32]:
        """(N, D) unit embeddings of N prepared images."""
        ...


@dataclass(frozen=True, eq=False)
class Embedded:
    """The results of one request."""

    rows: list[Row | EmbeddingFailed]
    """A (D,) unit embedding per image in their order, or the error of that image."""
    wait_ms: float
    """From the request until its first image was in a run."""
    run_ms: float
    """The runs that had images of the request in them."""

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, D). Raises EmbeddingFailed where an image has none."""
        return np.stack([_checked(row) for row in self.rows])


@dataclass(eq=False)
class _Request:
    pixels: Sequence[Pixels]
    cameras: Sequence[str | None]
    rows: list[Row | EmbeddingFailed]
    future: Future[Embedded] = field(default_factory=Future)
    submitted_s: float = field(default_factory=perf_counter)
    wait_s: float = 0.0
    run_s: float = 0.0
    begun: int = 0  # images that are or were in a run


class MicroBatcher:
    """Runs a model for many threads at once, on one thread of its own.

    A run takes up to `max_batch` of the images that wait, without delay, one of each request in turn, so that a
    request with many images does not stall those with one. `observe` is called with the size and the seconds of each
    run.
    """

    def __init__(
        self,
        model: Model,
        canary: Pixels,
        *,
        max_batch: int,
        max_waiting: int,
        observe: Callable[[int, float], None] = lambda size, run_s: None,
    ) -> None:
        self._model = model
        self._canary = canary
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._observe = observe
        self._changed = threading.Condition()  # of all below
        self._requests: deque[_Request] = deque()
        self._waiting = 0
        self._closed = False
        self._running_since: float | None = None
        self._alive = False
        self._thread = self._started()

    @property
    def waiting(self) -> int:
        """Images that wait for a run."""
        return self._waiting

    @property
    def running_s(self) -> float:
        """Duration of the current run so far; 0 without one."""
        since = self._running_since
        return 0.0 if since is None else perf_counter() - since

    def submit(self, pixels: Sequence[Pixels], cameras: Sequence[str | None]) -> Future[Embedded]:
        """Embed N prepared images with their learned cameras (None: unknown); cancelling removes those that wait.

        The future raises ModelFailed if the model embeds nothing any more. Raises QueueFull, NotReady once closed.
        """
        request = _Request(pixels, cameras, rows=[EmbeddingFailed("not run yet")] * len(pixels))
        with self._changed:
            if self._waiting and self._waiting + len(pixels) > self._max_waiting:
                raise QueueFull(
                    f"{self._waiting} images wait for the model; at most {self._max_waiting} are allowed; try again"
                )
            self._enqueue(request, first=False)
        return request.future

    def try_model(self) -> Future[Embedded]:
        """Embed a grey image before all that waits, even where the queue is full. Raises NotReady once closed."""
        request = _Request([self._canary], [None], rows=[EmbeddingFailed("not run yet")])
        with self._changed:
            self._enqueue(request, first=True)
        return request.future

    def close(self, drain_s: float) -> None:
        """Take no more requests, finish those that wait within `drain_s`, and fail the others with NotReady."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(drain_s)
        self._fail_waiting(NotReady("the service is stopping"))

    def _enqueue(self, request: _Request, *, first: bool) -> None:
        if self._closed:
            raise NotReady("the service is stopping")
        if not request.pixels:
            request.future.set_result(Embedded([], 0.0, 0.0))
            return
        if not self._alive:
            logger.error("the model's thread had ended; it is started again")
            self._thread = self._started()
        (self._requests.appendleft if first else self._requests.append)(request)
        self._waiting += len(request.pixels)
        request.future.add_done_callback(lambda future: self._withdraw(request))
        self._changed.notify()

    def _withdraw(self, request: _Request) -> None:
        """Remove the waiting images of a request that was cancelled or has failed."""
        with self._changed:
            if request in self._requests:
                self._requests.remove(request)
                self._waiting -= len(request.pixels) - request.begun

    def _started(self) -> threading.Thread:
        self._alive = True
        thread = threading.Thread(target=self._work, name="model", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        batch: list[tuple[_Request, int]] = []
        try:
            while batch := self._take():
                self._run(batch)
        except BaseException as error:  # whatever it is, the thread ends here: nobody may wait for it any longer
            logger.critical("the model's thread failed", exc_info=True)
            failed = ModelFailed(f"the model's thread failed ({type(error).__name__}); see the log")
            self._fail_waiting(failed, alive=False)
            for request, _ in batch:
                _settle(request, failed)

    def _take(self) -> list[tuple[_Request, int]]:
        """Return the next images to run, as requests with positions; none once closed and drained."""
        batch: list[tuple[_Request, int]] = []
        with self._changed:
            self._running_since = None
            self._changed.wait_for(lambda: self._requests or self._closed)
            now = perf_counter()
            while self._requests and len(batch) < self._max_batch:
                request = self._requests.popleft()
                if not request.begun:
                    request.wait_s = now - request.submitted_s
                batch.append((request, request.begun))
                request.begun += 1
                if request.begun < len(request.pixels):
                    self._requests.append(request)
            self._waiting -= len(batch)
            if batch:
                self._running_since = now
        return batch

    def _run(self, batch: list[tuple[_Request, int]]) -> None:
        begin = perf_counter()
        pixels = [request.pixels[at] for request, at in batch]
        cameras = [request.cameras[at] for request, at in batch]
        failed: ModelFailed | None = None
        try:
            rows: Sequence[Row | EmbeddingFailed] = self._embed(pixels, cameras)
        except Exception as error:  # whatever a runtime raises: is it one of the images, or the model?
            logger.warning("a run of %d images failed", len(batch), exc_info=True)
            failed = self._fault(error)
            rows = [self._embed_alone(*each) for each in zip(pixels, cameras, strict=True)] if failed is None else []
        run_s = perf_counter() - begin
        self._observe(len(batch), run_s)
        for request in dict.fromkeys(request for request, _ in batch):
            request.run_s += run_s
        for (request, at), row in zip(batch, rows, strict=False):
            request.rows[at] = row
        for request, at in batch:
            if failed is not None or at == len(request.pixels) - 1:
                _settle(request, failed)

    def _embed(self, pixels: Sequence[Pixels], cameras: Sequence[str | None]) -> list[Row]:
        rows = list(self._model.run(pixels, cameras))
        check_embeddings(rows, self._model.dimension)
        if len(rows) != len(pixels):
            raise ValueError(f"the model returned {len(rows)} embeddings for {len(pixels)} images")
        return rows

    def _fault(self, error: Exception) -> ModelFailed | None:
        """Return the model's failure if it cannot embed a grey image either."""
        try:
            self._embed([self._canary], [None])
        except Exception:  # as above: the kind of failure does not matter, only that there is one
            return ModelFailed(f"the model embeds nothing any more ({type(error).__name__}); see the log")
        return None

    def _embed_alone(self, pixels: Pixels, camera: str | None) -> Row | EmbeddingFailed:
        try:
            return self._embed([pixels], [camera])[0]
        except Exception as error:  # as above
            logger.warning("an image fails alone", exc_info=True)
            return EmbeddingFailed(f"the model cannot embed this image ({type(error).__name__}); try another one")

    def _fail_waiting(self, failure: NotReady | ModelFailed, *, alive: bool = True) -> None:
        with self._changed:
            self._alive = alive
            waiting = list(self._requests)
            self._requests.clear()
            self._waiting = 0
            self._running_since = None
        for request in waiting:
            _settle(request, failure)


def _settle(request: _Request, failure: Exception | None) -> None:
    """Complete a request, unless it is complete or cancelled."""
    if request.future.done() or not request.future.set_running_or_notify_cancel():
        return
    if failure is not None:
        request.future.set_exception(failure)
    else:
        request.future.set_result(Embedded(request.rows, request.wait_s * 1000, request.run_s * 1000))


def _checked(row: Row | EmbeddingFailed) -> Row:
    if isinstance(row, EmbeddingFailed):
        raise row
    return row


class EmbeddingQueue:
    """Prepares images and embeds them in batches; `observe(stage, ms)` gets the times of each call."""

    def __init__(self, embedder: Embedder, batcher: MicroBatcher, observe: Callable[[str, float], None]) -> None:
        self._embedder = embedder
        self._batcher = batcher
        self._observe = observe

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize an RGB image to the (height, width, 3) pixels that the model takes."""
        return self._embedder.prepare(image)

    async def embed(self, pixels: Sequence[NDArray[np.uint8]], model_cameras: Sequence[str | None]) -> Embedded:
        """Embed N prepared images; a cancelled call leaves the queue.

        Raises QueueFull, ModelFailed, NotReady.
        """
        embedded = await asyncio.wrap_future(self._batcher.submit(pixels, model_cameras))
        self._observe("wait", embedded.wait_ms)
        self._observe("run", embedded.run_ms)
        return embedded
