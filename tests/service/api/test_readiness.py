"""Readiness: found out by a query, shared by all that ask, and never longer than it may take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitreid.service.api.readiness import Readiness
from vitreid.service.errors import NotReady
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.models.batching import Embedded, MicroBatcher

GREY = np.zeros((2, 2, 3), dtype=np.uint8)
OK: dict[str, Any] = {"embedding": "ok", "search": "ok"}
WAIT_S = 30


class Model:
    """Always the same embedding; counts, fails and waits on command."""

    dimension = 4

    def __init__(self) -> None:
        self.runs = 0
        self.error: Exception | None = None
        self.begun = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def run(self, pixels: Sequence[NDArray[np.uint8]], camera_ids: Sequence[str | None]) -> NDArray[np.float32]:
        self.runs += 1
        self.begun.set()
        assert self.open.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return np.array([[1, 0, 0, 0]] * len(pixels), dtype=np.float32)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def galleries(tmp_path: Path) -> Iterator[Galleries]:
    def opener(folder: Path) -> Gallery:
        return Gallery.open(folder, bundle_id="b" * 64, dimension=4, load=False)

    with Galleries(tmp_path, opener, command="test") as opened:
        yield opened.open_all()


@pytest.fixture
def batcher(model: Model) -> Iterator[MicroBatcher]:
    made = MicroBatcher(model, GREY, max_batch=1, max_waiting=1)
    yield made
    model.open.set()
    made.close(WAIT_S)


def full_queue(model: Model, batcher: MicroBatcher) -> tuple[Future[Embedded], Future[Embedded]]:
    """A request in a run that does not end, and one that fills the queue behind it."""
    model.open.clear()
    running = batcher.submit([GREY], [None])
    assert model.begun.wait(WAIT_S)
    return running, batcher.submit([GREY], [None])


def test_one_try_serves_all_that_ask_within_a_second(model: Model, batcher: MicroBatcher, galleries: Galleries) -> None:
    clock = Clock()
    readiness = Readiness(batcher, galleries, clock=clock)

    async def ask(times: int) -> list[dict[str, str]]:
        return await asyncio.gather(*(readiness.check() for _ in range(times)))

    assert asyncio.run(ask(50)) == [OK] * 50
    assert model.runs == 1
    clock.now_s = 0.9
    assert asyncio.run(ask(1)) == [OK]
    assert model.runs == 1
    clock.now_s = 1.0
    assert asyncio.run(ask(5)) == [OK] * 5
    assert model.runs == 2


def test_a_broken_model_and_one_that_works_again(model: Model, batcher: MicroBatcher, galleries: Galleries) -> None:
    clock = Clock()
    readiness = Readiness(batcher, galleries, clock=clock)
    model.error = RuntimeError("/secret/device")
    with pytest.raises(NotReady, match="ModelFailed") as caught:
        asyncio.run(readiness.check())
    assert "secret" not in str(caught.value)
    model.error = None
    clock.now_s = 2
    assert asyncio.run(readiness.check()) == OK


def test_a_gallery_that_cannot_be_searched(
    batcher: MicroBatcher, galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise GalleryDamaged("/secret/gallery.db")

    galleries.create("night")
    monkeypatch.setattr(galleries.get("night"), "search", broken)
    with pytest.raises(NotReady, match="GalleryDamaged") as caught:
        Readiness(batcher, galleries).attempt()
    assert "secret" not in str(caught.value)


def test_one_that_is_dropped_meanwhile_is_no_failure(
    batcher: MicroBatcher, galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dropped(*_: Any, **__: Any) -> None:
        galleries.drop("night")
        raise GalleryDamaged("its files are gone")

    galleries.create("night")
    monkeypatch.setattr(galleries.get("night"), "search", dropped)
    assert Readiness(batcher, galleries).attempt() == OK


def test_a_stuck_model_is_reported_and_not_waited_for(
    model: Model, batcher: MicroBatcher, galleries: Galleries
) -> None:
    running, waiting = full_queue(model, batcher)
    readiness = Readiness(batcher, galleries, try_s=0.05)
    with pytest.raises(NotReady, match=r"within 0\.05 s"):
        asyncio.run(readiness.check())
    model.open.set()
    assert running.result(WAIT_S).embeddings.shape == waiting.result(WAIT_S).embeddings.shape == (1, 4)


def test_a_full_queue_does_not_keep_probes_out(model: Model, batcher: MicroBatcher, galleries: Galleries) -> None:
    running, waiting = full_queue(model, batcher)
    trying = threading.Thread(target=lambda: tried.append(Readiness(batcher, galleries).attempt()))
    tried: list[dict[str, str]] = []
    trying.start()
    model.open.set()
    trying.join(WAIT_S)
    assert tried == [OK]
    assert running.result(WAIT_S)
    assert waiting.result(WAIT_S)
