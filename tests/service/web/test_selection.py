"""Confirmed candidates: labelled, or erased with a receipt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, choose, erase, item_id, search, select
from vitreid.service.gallery.maintenance.purging import purge
from vitreid.service.values.times import utc_now

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_selected_images_get_one_label(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    search(page, filled.address, make_image(3))
    select(page, 0, 2, 4)
    page.locator(".card .select").nth(4).uncheck()
    assert page.inner_text("#selection-count") == "2 images confirmed by you as the same person"
    ids = [item_id(page, place) for place in (0, 2)]
    page.click("#label-selected")
    assert page.inner_text("#label-title") == "Label 2 images"
    assert page.locator("#label-images img").count() == 2
    assert page.input_value("#label-text") == "0004"
    page.keyboard.type("visitor 7")  # the old label was selected
    page.keyboard.press("Enter")
    page.wait_for_selector("#selection", state="hidden")
    gallery = filled.service.gallery()
    assert [gallery.get(item_id).person_id for item_id in ids] == ["visitor 7"] * 2
    assert "visitor 7" in page.locator(".card").nth(2).inner_text()
    assert "2 images labelled visitor 7" in page.inner_text("#summary")
    assert page.locator(".select:checked").count() == 0

    select(page, 0)
    page.click("#label-selected")
    page.fill("#label-text", "")
    page.click("#label-go")
    page.wait_for_selector("#selection", state="hidden")
    assert gallery.get(ids[0]).person_id is None


def test_images_that_were_not_labelled_stay_selected(
    page: Page, filled: Served, make_image: Callable[..., bytes]
) -> None:
    search(page, filled.address, make_image(3))
    select(page, 0, 1)
    gone = item_id(page, 1)
    filled.service.gallery().delete(gone)
    page.click("#label-selected")
    page.fill("#label-text", "x")
    page.click("#label-go")
    page.wait_for_selector("#label-error:not([hidden])")
    assert f"no item {gone} in this gallery" in page.inner_text("#label-error")
    page.click("#label-close")
    assert page.inner_text("#selection-count").startswith("1 image confirmed")


def test_nothing_is_erased_without_a_reason_and_a_review(
    page: Page, filled: Served, make_image: Callable[..., bytes]
) -> None:
    search(page, filled.address, make_image(3))
    select(page, 0, 1)
    page.click("#erase-selected")
    assert page.inner_text("#erase-title") == "Erase 2 images"
    assert "cannot be undone" in page.inner_text("#erase-warning")
    assert page.locator("#erase-images img").count() == 2
    assert page.evaluate("document.activeElement.id") == "reason"
    page.click("#erase-go")
    page.fill("#reason", "because")
    page.click("#erase-go")
    assert page.locator("#reviewed:invalid").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#erase").is_hidden()
    assert page.evaluate("document.activeElement.id") == "erase-selected"
    assert len(filled.service.gallery()) == 8
    page.click("#deselect")
    assert page.locator("#selection").is_hidden()
    assert page.evaluate("document.activeElement.id") == "answer-title"


def test_an_erasure_ends_with_its_receipt(
    page: Page, filled: Served, make_image: Callable[..., bytes], tmp_path: Path
) -> None:
    page.clock.install()
    search(page, filled.address, make_image(3))
    select(page, 0, 1)
    ids = [item_id(page, place) for place in (0, 1)]
    erase(page)
    gallery = filled.service.gallery()
    assert len(gallery) == 6
    assert page.inner_text("#receipt-title") == "2 images erased"
    assert page.evaluate("document.activeElement.id") == "receipt-title"
    assert "not yet" in page.inner_text("#receipt-facts")
    assert page.locator(".card").count() == 6  # the others stay, and so do those still to be looked at
    assert page.locator("#selection").is_hidden()
    page.wait_for_selector("#facts:has-text('6 images')")

    with page.expect_response("**/v1/erasures/*"):
        page.clock.fast_forward(2_000)
    assert "not yet" in page.inner_text("#receipt-facts")
    assert purge(gallery, utc_now)
    with page.expect_response("**/v1/erasures/*"):
        page.clock.fast_forward(3_000)
    page.wait_for_selector("#receipt-state:has-text('no file of the gallery')")
    assert "not yet" not in page.inner_text("#receipt-facts")

    with page.expect_download() as downloading:
        page.click("#download")
    downloading.value.save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert downloading.value.suggested_filename == f"erasure-{receipt['id']}.json"
    assert receipt["item_ids"] == sorted(ids)
    assert receipt["reason"] == "request of 2026-11-20"
    assert receipt["purged_at"] > receipt["unsearchable_at"]
    page.click("#receipt-close")
    assert page.locator("#receipt").is_hidden()


def test_a_stored_query_can_be_erased_with_its_candidates(
    page: Page, filled: Served, make_image: Callable[..., bytes]
) -> None:
    search(page, filled.address, make_image(3))
    page.locator(".card").first.get_by_text("Search with this").click()
    page.wait_for_selector("#stored:not([hidden])")
    page.check("#select-query")
    select(page, 0)
    erase(page)
    assert len(filled.service.gallery()) == 6
    assert page.is_disabled("#go")  # there is nothing to ask with any more
    assert page.locator(".card, #images img").count() == 0
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    assert page.locator(".card").count() == 6


def test_an_erasure_that_fails_keeps_the_dialog(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    search(page, filled.address, make_image(3))
    select(page, 0)
    page.route("**/v1/erasures*", lambda route: route.fulfill(status=503, json={"title": "Busy", "detail": "later"}))
    page.click("#erase-selected")
    page.fill("#reason", "because")
    page.check("#reviewed")
    page.click("#erase-go")
    page.wait_for_selector("#erase-error:not([hidden])")
    assert "service is unavailable" in page.inner_text("#erase-error")
    assert page.is_enabled("#erase-go")
    assert page.input_value("#reason") == "because"
    page.click("#erase-close")
    assert page.locator("#selection").is_visible()
