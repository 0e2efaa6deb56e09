"""Responses that arrive late or out of order, and changes based on them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service.web.actions import (
    HeldRequests,
    Served,
    choose,
    erase,
    jpeg,
    search,
    select,
    settle,
    wait_until_drawn,
)
from vitreid.service.gallery.maintenance.purging import purge
from vitreid.service.values.times import utc_now

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser
Make = Callable[..., bytes]


def queried_galleries(page: Page) -> list[str]:
    """The galleries of all queries sent from now on, in a list that grows."""
    found: list[str] = []

    def note(url: str) -> None:
        if "/v1/query" in url:
            found.append(parse_qs(urlsplit(url).query).get("gallery", ["none named"])[0])

    page.on("request", lambda request: note(request.url))
    return found


def persons(page: Page) -> list[str]:
    """The facts on the cards."""
    return page.locator(".card dl").all_inner_texts()


@pytest.mark.parametrize("slow", ["**/v1/info", "**/v1/galleries", "**/v1/galleries/*/cameras"])
def test_no_query_is_sent_before_the_gallery_of_the_url_is_loaded(
    page: Page, two: Served, make_image: Make, slow: str
) -> None:
    asked = queried_galleries(page)
    start = HeldRequests(page, slow)
    page.goto(f"{two.address}/?gallery=night&cameras=c2&k=5")
    start.wait()
    choose(page, make_image(3))
    page.click("#go")
    settle(page)
    assert asked == []
    assert page.url.endswith("/?gallery=night&cameras=c2&k=5")
    start.release()
    page.wait_for_selector(".answer:not(.busy) .card")
    assert set(asked) == {"night"}
    assert page.url.endswith("/?gallery=night&k=5&cameras=c2")
    assert all("night" in text for text in persons(page))
    shown = page.locator(".card").first.inner_text()
    select(page, 0)
    erase(page)
    assert len(two.service.gallery()) == 8
    left = {item.person_id for item in two.service.gallery("night").items()}
    assert [person for person in left if person and person in shown] == []
    assert len(left) == 7


def test_candidates_of_another_gallery_are_not_shown(page: Page, two: Served, make_image: Make) -> None:
    page.goto(two.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    queries, cameras = HeldRequests(page, "**/v1/query?*"), HeldRequests(page, "**/v1/galleries/night/cameras")
    choose(page, make_image(3))
    queries.wait()
    page.select_option("#gallery", "night")
    cameras.wait()
    queries.release()
    assert page.locator(".card").count() == 0
    cameras.release()
    queries.wait()
    queries.release()
    assert all("night" in text for text in persons(page))
    assert page.locator(".card").count() == 8


def test_samples_are_of_the_selected_gallery(page: Page, two: Served) -> None:
    page.goto(two.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    two.service.gallery("night").delete(1)
    samples = HeldRequests(page, "**/v1/items?*")
    cameras = HeldRequests(page, "**/v1/galleries/*/cameras")
    page.click("#samples-panel summary")
    samples.wait()
    page.select_option("#gallery", "night")
    cameras.wait(1)
    page.select_option("#gallery", "default")
    cameras.wait(2)
    page.select_option("#gallery", "night")
    cameras.wait(3)
    samples.release()
    assert page.locator("#samples li").count() == 0
    cameras.release(2)
    cameras.release(1)
    assert page.inner_text("#facts").startswith("7 images")
    cameras.release(0)
    assert page.inner_text("#facts").startswith("7 images")
    samples.wait()
    samples.release()
    assert page.locator("#samples li").count() == 7


def test_a_late_erasure_leaves_the_same_ids_of_another_gallery(page: Page, two: Served, make_image: Make) -> None:
    search(page, two.address, make_image(3))
    erasures = HeldRequests(page, "**/v1/erasures*")
    select(page, *range(8))
    page.click("#erase-selected")
    page.fill("#reason", "because")
    page.check("#reviewed")
    page.click("#erase-go")
    erasures.wait()
    page.keyboard.press("Escape")
    page.select_option("#gallery", "night")
    page.wait_for_selector(".card:has-text('night')")
    select(page, 0)
    erasures.release()
    page.wait_for_selector("#receipt:not([hidden])")
    assert page.inner_text("#receipt-title") == "8 images erased"
    assert page.locator(".card").count() == 8
    assert page.locator(".card .select:checked").count() == 1
    assert (len(two.service.gallery()), len(two.service.gallery("night"))) == (0, 8)


def test_images_go_to_the_gallery_that_was_chosen_when_they_were_sent(
    page: Page, two: Served, make_image: Make
) -> None:
    page.goto(two.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    sent = HeldRequests(page, "**/v1/items?*")
    page.click("#upload summary")
    page.set_input_files("#upload-files", [jpeg(f"{seed}.jpg", make_image(40 + seed)) for seed in range(9)])
    page.click("#add")
    sent.wait()
    page.select_option("#gallery", "night")
    sent.release()
    sent.wait()
    sent.release()
    page.wait_for_selector("#upload-summary:has-text('9 added')")
    assert (len(two.service.gallery()), len(two.service.gallery("night"))) == (17, 8)


def test_an_older_answer_never_replaces_a_newer_one(page: Page, shown: str, make_image: Make) -> None:
    page.goto(shown)
    page.wait_for_selector("#facts:has-text('8 images')")
    queries = HeldRequests(page, "**/v1/query?*")
    choose(page, make_image(3))
    queries.wait()
    page.fill("#k", "3")
    page.click("#go")
    queries.wait(2)
    queries.release(0)
    assert page.locator(".answer.busy").count() == 1
    assert page.locator(".card").count() == 0
    page.fill("#k", "2")
    page.click("#go")
    queries.wait(2)
    queries.release(1)
    assert page.locator(".card").count() == 2
    queries.release(0)
    assert page.locator(".card").count() == 2
    assert page.locator(".answer.busy").count() == 0


def test_a_late_stored_image_does_not_replace_a_newer_choice(page: Page, shown: str, make_image: Make) -> None:
    search(page, shown, make_image(3))
    images = HeldRequests(page, "**/v1/items/*/image")
    page.locator(".card").nth(1).get_by_text("Search with this").click()
    images.wait()
    choose(page, make_image(3), make_image(4))
    page.wait_for_selector("#images img >> nth=1")
    images.release()
    assert page.locator("#images img").count() == 2
    assert page.locator("#stored").is_hidden()


COUNT = """() => {
  window.drawn = [];
  const make = URL.createObjectURL;
  URL.createObjectURL = (blob) => { drawn.push(blob.size); return make.call(URL, blob); };
}"""


def test_a_late_image_is_not_shown_beside_the_facts_of_another(page: Page, shown: str, make_image: Make) -> None:
    search(page, shown, make_image(3))
    for image in page.locator(".card img").all():
        wait_until_drawn(image)
    images = HeldRequests(page, "**/v1/items/*/image")
    page.evaluate(COUNT)
    page.locator(".card .pic").nth(0).click()
    images.wait(1)
    page.keyboard.press("ArrowRight")
    images.wait(2)
    images.release(1)
    assert len(page.evaluate("drawn")) == 2  # the query and the second candidate
    images.release(0)
    assert len(page.evaluate("drawn")) == 2
    page.unroute("**/v1/items/*/image")


def test_failed_images_are_fetched_again(page: Page, shown: str, make_image: Make) -> None:
    refused: list[str] = []

    def once(route: Route) -> None:
        if route.request.url in refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=503, json={"title": "Busy", "detail": "later"}, headers={"retry-after": "1"})

    page.route("**/v1/items/*/image", once)
    search(page, shown, make_image(3))
    for image in page.locator(".card img").all():
        wait_until_drawn(image)
    assert len(refused) == 8


def test_an_older_receipt_never_replaces_a_newer_one(page: Page, filled: Served, make_image: Make) -> None:
    page.clock.install()
    search(page, filled.address, make_image(3))
    polls = HeldRequests(page, "**/v1/erasures/*")
    select(page, 0)
    erase(page, "the first")
    page.clock.fast_forward(2_000)
    polls.wait()
    page.wait_for_selector(".answer:not(.busy) .card")
    select(page, 0, 1)
    page.click("#erase-selected")
    page.fill("#reason", "the second")
    page.check("#reviewed")
    page.click("#erase-go")
    page.wait_for_selector("#receipt-title:has-text('2 images erased')")
    assert purge(filled.service.gallery(), utc_now)
    page.clock.resume()
    polls.release()
    assert page.inner_text("#receipt-title") == "2 images erased"
    assert "the second" in page.inner_text("#receipt-facts")


def test_a_wrong_value_in_the_url_selects_the_default(page: Page, shown: str, make_image: Make) -> None:
    search(page, f"{shown}/?rerank=nothing&group_by=unknown", make_image(3))
    assert page.eval_on_selector_all("#rerank, #group", "(all) => all.map((each) => each.selectedIndex)") == [0, 0]
    assert page.locator(".card").count() == 8


def test_erased_images_are_nowhere_on_the_page(page: Page, filled: Served, make_image: Make) -> None:
    search(page, filled.address, make_image(3))
    gone = page.locator(".card .source").first.inner_text()
    queries = HeldRequests(page, "**/v1/query?*")
    select(page, 0)
    erase(page)
    page.locator(".card .pic").first.click()
    assert page.inner_text("#compare-title") == "Candidate 1 of 7"
    page.keyboard.press("ArrowLeft")
    assert gone not in page.inner_text("#compare-facts")
    page.keyboard.press("Escape")
    queries.wait()
    queries.release()
    assert page.locator(".card .rank").all_inner_texts() == [f"#{place}" for place in range(1, 8)]
    assert "7 candidates from 7 searched" in page.inner_text("#summary")


def test_a_label_is_the_same_everywhere(page: Page, filled: Served, make_image: Make) -> None:
    search(page, filled.address, make_image(3))
    select(page, 0)
    page.click("#label-selected")
    page.fill("#label-text", "zed")
    page.click("#label-go")
    page.wait_for_selector("#selection", state="hidden")
    first = page.locator(".card").first
    assert "zed" in first.inner_text()
    assert "labelled zed" in (first.locator(".pic").get_attribute("aria-label") or "")
    first.locator(".pic").click()
    assert "zed" in page.inner_text("#compare-facts")
    page.keyboard.press("Escape")
    select(page, 0)
    page.click("#label-selected")
    assert page.input_value("#label-text") == "zed"
    page.click("#label-close")
    page.click("#deselect")
    first.get_by_text("Search with this").click()
    page.check("#select-query")
    page.click("#label-selected")
    assert page.input_value("#label-text") == "zed"


PASTE = """(content) => {
  const clipboardData = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  clipboardData.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: clipboardData, bubbles: true }));
}"""


def test_the_query_stays_while_a_dialog_is_open(page: Page, shown: str, make_image: Make) -> None:
    search(page, shown, make_image(3))
    asked = queried_galleries(page)
    pasted = base64.b64encode(make_image(5)).decode()
    page.locator(".card .pic").first.click()
    page.evaluate(PASTE, pasted)
    settle(page)
    assert asked == []
    page.keyboard.press("Escape")
    page.evaluate(PASTE, pasted)
    page.wait_for_selector(".answer:not(.busy) .card")
    settle(page)
    assert asked


@pytest.mark.parametrize("act", ["label", "erase"])
def test_a_change_is_refused_if_the_item_has_another_image(
    page: Page, filled: Served, make_image: Make, act: str
) -> None:
    def of_another(route: Route) -> None:
        answer = route.fetch().json()
        for match in answer["matches"]:
            match["image_hash"] = "0" * 64
        route.fulfill(json=answer)

    page.route("**/v1/query?*", of_another)
    search(page, filled.address, make_image(3))
    before = filled.service.gallery().items()
    select(page, 0)
    page.click(f"#{act}-selected")
    if act == "erase":
        page.fill("#reason", "because")
        page.check("#reviewed")
    page.click(f"#{act}-go")
    page.wait_for_selector(f"#{act}-error:not([hidden])")
    assert "another image" in page.inner_text(f"#{act}-error")
    assert filled.service.gallery().items() == before
