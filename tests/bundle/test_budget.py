"""Images wait for room in the pixel budget, up to the timeout."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from vitreid.bundle import DecodingBusy, ImageError, ImageLimits, PixelBudget, decoded


def flat_webp(side: int) -> bytes:
    """An image of one colour: 34 bytes, whatever its size."""
    content = io.BytesIO()
    Image.new("RGB", (side, side)).save(content, "WEBP", lossless=True)
    return content.getvalue()


def test_no_more_pixels_are_held_than_the_budget_allows() -> None:
    content, budget = flat_webp(100), PixelBudget(20_000)
    limits = ImageLimits(budget=budget)
    now, peak, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)

    def decode(_: int) -> None:
        nonlocal now, peak
        with decoded(content, limits) as image:
            with lock:
                now += 1
                peak = max(peak, now)
            assert image.size == (100, 100)
            both.wait(30)  # two fit, so two come
            with lock:
                now -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(8)))
    assert peak == 2


def test_a_wait_over_the_timeout_is_reported() -> None:
    budget = PixelBudget(10_000, timeout_s=0.01)
    wanted = decoded(flat_webp(100), ImageLimits(budget=budget))
    with budget.held(9_000), pytest.raises(DecodingBusy, match="9,000 pixels are being decoded"), wanted:
        pytest.fail("it was let in")


def test_small_images_pass_large_ones_that_wait() -> None:
    budget = PixelBudget(10_000, timeout_s=30)
    entered = threading.Event()

    def large() -> None:
        with budget.held(10_000):
            entered.set()

    with budget.held(5_000):
        waiting = threading.Thread(target=large)
        waiting.start()
        with budget.held(5_000):
            assert not entered.is_set()
    waiting.join(30)
    assert entered.is_set()


def test_an_image_larger_than_the_budget_is_decoded_alone() -> None:
    limits = ImageLimits(budget=PixelBudget(100, timeout_s=0))
    with decoded(flat_webp(50), limits) as image:
        assert image.size == (50, 50)
        with pytest.raises(DecodingBusy), decoded(flat_webp(8), limits):
            pytest.fail("it was let in")


@pytest.mark.parametrize("content", [b"", b"text", flat_webp(2000), flat_webp(100)[:-4]])
def test_what_is_refused_holds_nothing(content: bytes) -> None:
    budget = PixelBudget(1_000_000, timeout_s=0)
    with pytest.raises(ImageError), decoded(content, ImageLimits(max_pixels=1_000_000, budget=budget)):
        pytest.fail("it was read")
    with budget.held(1_000_000):
        pass
