"""The batcher with a model that runs on command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitreid.service.errors import EmbeddingFailed, ModelFailed, NotReady, QueueFull
from vitreid.service.models.batching import Embedded, MicroBatcher

Pixels = NDArray[np.uint8]
GREY, POISON = 0, 255
WAIT_S = 30


def make_image(value: int) -> Pixels:
    return np.full((2, 2, 3), value, dtype=np.uint8)


class Held:
    """Embeds an image's value as an angle; each run waits for a permit, and a poisoned image in it fails it."""

    dimension = 2

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.cameras: list[str | None] = []
        self.error: BaseException | None = None

    def run(self, pixels: Sequence[Pixels], camera_ids: Sequence[str | None]) -> NDArray[np.float32]:
        values = [int(each[0, 0, 0]) for each in pixels]
        self.batches.append(values)
        self.cameras += camera_ids
        self.entered.release()
        assert self.permits.acquire(timeout=WAIT_S)
        if self.error is not None:
            raise self.error
        if POISON in values:
            raise RuntimeError("poisoned")
        return np.array([expected(value) for value in values], dtype=np.float32)

    def begun(self) -> None:
        """Wait until a run has begun."""
        assert self.entered.acquire(timeout=WAIT_S)

    def allow(self, runs: int = 1000) -> None:
        self.permits.release(runs)


def expected(value: int) -> tuple[float, float]:
    return float(np.cos(value / 100)), float(np.sin(value / 100))


@pytest.fixture
def model() -> Held:
    return Held()


@pytest.fixture
def make(model: Held) -> Iterator[Callable[..., MicroBatcher]]:
    made: list[MicroBatcher] = []

    def batcher(max_batch: int = 4, max_waiting: int = 100, **options: Any) -> MicroBatcher:
        made.append(MicroBatcher(model, make_image(GREY), max_batch=max_batch, max_waiting=max_waiting, **options))
        return made[-1]

    yield batcher
    model.allow()
    for each in made:
        each.close(WAIT_S)


def ask(batcher: MicroBatcher, *values: int) -> Future[Embedded]:
    return batcher.submit([make_image(value) for value in values], [f"c{value}" for value in values])


def rows(future: Future[Embedded]) -> list[tuple[float, ...]]:
    return [tuple(row) for row in future.result(WAIT_S).embeddings.tolist()]


def assert_rows(future: Future[Embedded], *values: int) -> None:
    np.testing.assert_allclose(rows(future), [expected(value) for value in values], atol=1e-6)


def test_what_waits_when_the_model_gets_free_is_one_run(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make()
    first = ask(batcher, 1)
    model.begun()
    others = [ask(batcher, value) for value in (2, 3, 4)]
    assert batcher.waiting == 3
    model.allow()
    for future, value in zip([first, *others], (1, 2, 3, 4), strict=True):
        assert_rows(future, value)
    assert model.batches == [[1], [2, 3, 4]]
    assert model.cameras == ["c1", "c2", "c3", "c4"]
    assert batcher.waiting == 0


def test_a_large_request_does_not_stall_small_ones(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=2)
    held = ask(batcher, 100)
    model.begun()
    large, small = ask(batcher, 1, 2, 3, 4, 5), ask(batcher, 50)
    model.allow()
    assert_rows(large, 1, 2, 3, 4, 5)
    assert_rows(small, 50)
    assert_rows(held, 100)
    assert model.batches == [[100], [1, 50], [2, 3], [4, 5]]


def test_waiting_and_running_are_reported_apart(make: Callable[..., MicroBatcher], model: Held) -> None:
    seen: list[tuple[int, float]] = []
    batcher = make(max_batch=2, observe=lambda size, run_s: seen.append((size, run_s)))
    model.allow()
    embedded = ask(batcher, 1, 2, 3).result(WAIT_S)
    assert [size for size, _ in seen] == [2, 1]
    assert embedded.run_ms == pytest.approx(1000 * sum(run_s for _, run_s in seen))
    assert embedded.wait_ms >= 0
    assert batcher.running_s == 0


def test_nothing_to_embed_waits_for_nothing(make: Callable[..., MicroBatcher]) -> None:
    assert ask(make()).result(0).rows == []


def test_a_full_queue_refuses_and_takes_again(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_waiting=3)
    running = ask(batcher, 1)
    model.begun()
    waiting = ask(batcher, 2, 3)
    with pytest.raises(QueueFull, match="2 images wait for the model; at most 3 are allowed"):
        ask(batcher, 4, 5)
    fits = ask(batcher, 4)
    model.allow()
    for future, values in ((running, [1]), (waiting, [2, 3]), (fits, [4])):
        assert_rows(future, *values)
    assert_rows(ask(batcher, *range(10)), *range(10))  # more than may wait, but nothing waits


def test_a_request_given_up_frees_its_place_and_is_not_run(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_waiting=2)
    running = ask(batcher, 1)
    model.begun()
    left = ask(batcher, 2, 3)
    with pytest.raises(QueueFull):
        ask(batcher, 4)
    assert left.cancel()
    assert batcher.waiting == 0
    stays = ask(batcher, 4)
    assert running.cancel()  # its run goes on, nobody hears of it
    model.allow()
    assert_rows(stays, 4)
    assert model.batches == [[1], [4]]


def test_the_rest_of_a_request_given_up_half_way_is_not_run(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=2)
    left = ask(batcher, 1, 2, 3, 4)
    model.begun()
    assert batcher.waiting == 2
    left.cancel()
    assert batcher.waiting == 0
    model.allow()
    assert_rows(ask(batcher, 9), 9)
    assert model.batches == [[1, 2], [9]]


def test_a_poisoned_image_fails_alone(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make()
    running = ask(batcher, 1)
    model.begun()
    mixed, good = ask(batcher, 2, POISON), ask(batcher, 3)
    model.allow()
    assert_rows(running, 1)
    assert_rows(good, 3)
    first, second = mixed.result(WAIT_S).rows
    assert isinstance(first, np.ndarray)
    np.testing.assert_allclose(first, np.array(expected(2)), atol=1e-6)
    assert isinstance(second, EmbeddingFailed)
    with pytest.raises(EmbeddingFailed):
        mixed.result().embeddings  # noqa: B018 - asking is the test
    assert_rows(ask(batcher, 4), 4)
    assert model.batches == [[1], [2, 3, POISON], [GREY], [2], [3], [POISON], [4]]


def test_a_model_that_embeds_nothing_is_not_blamed_on_images(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make()
    model.allow()
    model.error = RuntimeError("/secret/device lost")
    failed = ask(batcher, 1, 2, 3, 4, 5)
    with pytest.raises(ModelFailed) as caught:
        failed.result(WAIT_S)
    assert "secret" not in str(caught.value)
    assert batcher.waiting == 0
    assert model.batches == [[1, 2, 3, 4], [GREY]]
    model.error = None
    assert_rows(ask(batcher, 6), 6)


@pytest.mark.parametrize(
    "wrong",
    [np.full((1, 2), np.nan), np.zeros((1, 2)), np.ones((1, 3)), np.ones((2, 2)) / np.sqrt(2)],
    ids=["nan", "zero", "shape", "count"],
)
def test_embeddings_that_are_none_are_failures(
    make: Callable[..., MicroBatcher], model: Held, monkeypatch: pytest.MonkeyPatch, wrong: NDArray[np.float32]
) -> None:
    def run(pixels: Sequence[Pixels], cameras: Sequence[str | None]) -> NDArray[np.float32]:
        if pixels[0].max() == POISON:
            return wrong
        return np.array([expected(0)] * len(pixels), dtype=np.float32)

    monkeypatch.setattr(model, "run", run)
    [row] = ask(make(), POISON).result(WAIT_S).rows
    assert isinstance(row, EmbeddingFailed)


def test_a_thread_that_breaks_fails_its_requests_and_is_started_again(
    make: Callable[..., MicroBatcher], model: Held
) -> None:
    batcher = make(max_batch=1)
    model.error = SystemExit()
    running = ask(batcher, 1)
    model.begun()
    waiting = ask(batcher, 2)
    model.allow()
    for future in (running, waiting):
        with pytest.raises(ModelFailed, match="SystemExit"):
            future.result(WAIT_S)
    model.error = None
    assert_rows(ask(batcher, 3), 3)


def test_the_model_is_tried_before_all_that_waits(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=1, max_waiting=1)
    running, waiting = ask(batcher, 1), None
    model.begun()
    waiting = ask(batcher, 2)
    tried = batcher.try_model()
    model.allow()
    assert_rows(tried, GREY)
    assert_rows(running, 1)
    assert_rows(waiting, 2)
    assert model.batches == [[1], [GREY], [2]]


def test_closing_finishes_what_waits_and_takes_no_more(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=1)
    futures = [ask(batcher, value) for value in (1, 2, 3)]
    model.begun()
    closing = threading.Thread(target=batcher.close, args=(WAIT_S,))
    closing.start()
    model.allow()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    for future, value in zip(futures, (1, 2, 3), strict=True):
        assert_rows(future, value)
    with pytest.raises(NotReady):
        ask(batcher, 4)
    with pytest.raises(NotReady):
        batcher.try_model()


def test_closing_waits_no_longer_than_it_is_reported(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=1)
    running, waiting = ask(batcher, 1), ask(batcher, 2)
    model.begun()
    batcher.close(0)
    with pytest.raises(NotReady, match="stopping"):
        waiting.result(WAIT_S)
    model.allow()
    assert_rows(running, 1)


def test_many_threads_each_get_their_own_rows(make: Callable[..., MicroBatcher], model: Held) -> None:
    batcher = make(max_batch=3)
    model.allow(100_000)
    wrong: list[int] = []

    def client(value: int) -> None:
        for turn in range(20):
            values = [(value + turn + place) % 200 for place in range(1 + value % 4)]
            found = np.array(rows(ask(batcher, *values)))
            if not np.allclose(found, [expected(each) for each in values], atol=1e-6):
                wrong.append(value)

    threads = [threading.Thread(target=client, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert not wrong
    assert max(map(len, model.batches)) <= 3
