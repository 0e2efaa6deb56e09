"""Explanations of candidates: corresponding patches, offered if the bundle has `explain.onnx`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, choose, search, sent, serve, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def explaining(tmp_path: Path, explained_bundle: Path, make_image: Callable[..., bytes]) -> Iterator[Served]:
    """Eight images and a bundle that explains; requested before `page`, it outlives it."""
    with serve(tmp_path / "data", explained_bundle) as started:
        started.add_eight(make_image)
        yield started


def open_explanation(page: Page, place: int) -> tuple[str, str]:
    """URL and media type of the explanation of a card, after it is drawn."""
    from playwright.sync_api import expect

    with page.expect_response("**/v1/explain?*") as answered:
        page.locator(".card").nth(place).get_by_role("button", name="Explain").click()
    expect(page.locator("#explain-image")).to_have_js_property("naturalWidth", 8 + 192 + 96 + 192 + 8)
    return answered.value.url, answered.value.headers["content-type"]


def test_a_candidate_is_explained(explaining: Served, page: Page, make_image: Callable[..., bytes]) -> None:
    search(page, explaining.address, make_image(3))
    sent(page, lambda: page.select_option("#camera", "c1"))
    url, kind = open_explanation(page, 1)
    assert kind == "image/png"
    assert "camera_id=c1" in url
    assert page.inner_text("#explain-title") == "Explanation of candidate 2"
    assert "do not prove identity" in page.inner_text("#explain")
    page.click("#explain-close")
    assert page.locator("#explain").is_hidden()
    open_explanation(page, 4)
    assert page.inner_text("#explain-title") == "Explanation of candidate 5"


def test_of_several_images_the_first_is_explained(
    explaining: Served, page: Page, make_image: Callable[..., bytes]
) -> None:
    search(page, explaining.address, make_image(3), make_image(4))
    open_explanation(page, 0)
    assert page.inner_text("#explain-title") == "Explanation of candidate 1, first query image"


def test_axe_finds_nothing_in_an_explanation(
    explaining: Served, page: Page, make_image: Callable[..., bytes], axe: str
) -> None:
    page.emulate_media(reduced_motion="reduce")
    search(page, explaining.address, make_image(3))
    open_explanation(page, 1)
    assert violations(page, axe) == []
    assert page.evaluate("document.activeElement.closest('dialog')?.id") == "explain"  # a keyboard is inside
    page.keyboard.press("Escape")
    asked = page.locator(".card").nth(1).get_by_role("button", name="Explain")
    assert asked.evaluate("button => button === document.activeElement")
    explaining.service.gallery().delete(5)
    page.locator(".card", has_text="t4").get_by_role("button", name="Explain").click()
    page.wait_for_selector("#explain-error:has-text('no item 5')")
    assert violations(page, axe) == []


def test_the_query_is_a_stored_item(explaining: Served, page: Page, make_image: Callable[..., bytes]) -> None:
    search(page, explaining.address, make_image(3))
    sent(page, lambda: page.locator(".card", has_text="t5").get_by_text("Search with this").click())
    url, _ = open_explanation(page, 0)
    assert url.count("item_id=") == 2
    assert "item_id=6&" in url  # t5 is the sixth; the query comes first


def test_errors_are_reported(explaining: Served, page: Page, make_image: Callable[..., bytes]) -> None:
    search(page, explaining.address, make_image(3))
    explaining.service.gallery().delete(5)
    page.locator(".card", has_text="t4").get_by_role("button", name="Explain").click()
    page.wait_for_selector("#explain-error:has-text('no item 5')")
    page.keyboard.press("Escape")
    open_explanation(page, 0)
    assert page.locator("#explain-error").is_hidden()


def test_candidates_are_ordered_by_patches(explaining: Served, page: Page, make_image: Callable[..., bytes]) -> None:
    search(page, explaining.address, make_image(3))
    page.click("#options summary")
    _, asked = sent(page, lambda: page.select_option("#rerank", "patches"))
    assert asked["rerank"] == ["patches"]
    assert "re-ranked" in page.locator(".card").first.inner_text()


def test_a_model_without_patches_offers_no_explanation(
    page: Page, shown: str, make_image: Callable[..., bytes]
) -> None:
    search(page, shown, make_image(3))
    assert page.get_by_role("button", name="Explain").count() == 0
    assert page.locator("#by-patches").evaluate("option => option.disabled && option.hidden")


def test_a_candidate_without_an_image_has_no_button(
    explaining: Served, page: Page, make_image: Callable[..., bytes]
) -> None:
    explaining.service.gallery().change_settings(store_images=False)
    explaining.add([make_image(9)], [{"track_id": "t9"}])
    search(page, explaining.address, make_image(3))
    assert page.locator(".card", has_text="t9").get_by_role("button", name="Explain").count() == 0
    assert page.get_by_role("button", name="Explain").count() == 8
    choose(page, make_image(9))
    page.wait_for_selector(".answer:not(.busy) .card")
    assert page.get_by_role("button", name="Explain").count() == 8
