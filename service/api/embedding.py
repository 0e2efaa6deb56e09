"""Embedding for routes: images of concurrent requests share runs of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.service.models.batching import Embedded, MicroBatcher
from vitreid.service.models.embedder import Embedder


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
