"""Queries by images or by a stored item: candidates, or the reason for no match."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, choose, jpeg, search, select, sent, wait_until_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser


def test_a_chosen_image_gives_candidates(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(3))
    assert page.inner_text("#facts") == "8 images · index flat · model tiny"
    assert page.locator(".card").count() == 8
    first = page.locator(".card").first
    assert first.locator(".score").inner_text() == "1.000"
    assert "0004" in first.inner_text()
    assert "1 May 2026" in first.inner_text()
    assert "13:30" in page.locator(".card", has_text="t3").inner_text()  # 11:30 in UTC is 13:30 in Berlin
    assert "not an identity" in page.inner_text(".caution")
    page.fill("#k", "3")
    _, asked = sent(page, lambda: page.click("#go"))
    assert asked == {"gallery": ["default"], "k": ["3"]}
    assert "3 candidates from 8 searched" in page.inner_text("#summary")
    assert page.locator(".card").count() == 3


WATCH = """
window.made = new Set();
window.given_up = new Set();
const [make, give_up] = [URL.createObjectURL, URL.revokeObjectURL];
URL.createObjectURL = (blob) => { const address = make.call(URL, blob); made.add(address); return address; };
URL.revokeObjectURL = (address) => { give_up.call(URL, address); given_up.add(address); };
"""


def test_blob_urls_are_revoked_after_drawing(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    page.add_init_script(WATCH)
    search(page, shown, make_image(3))
    for image in page.locator(".card img").all():
        wait_until_drawn(image)
    assert page.locator(".card img[src^='blob:']").count() == 8
    assert page.evaluate("made.size - given_up.size") == 0
    assert page.evaluate("made.size") >= 8 + 2  # the candidates, and the query twice


def test_several_images_are_one_query(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(1), make_image(5))
    assert page.locator("#images img").count() == 2
    with page.expect_response("**/v1/query?*") as answered:
        choose(page, make_image(9), field="#additional")
    assert answered.value.json()["query"]["images"] == 3
    page.get_by_label("Remove image 2").click()
    page.wait_for_selector(".answer:not(.busy)")
    assert page.locator("#images img").count() == 2
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove image 1"
    choose(page, *(make_image(seed) for seed in range(9)))
    assert page.locator("#images img").count() == 8
    assert page.locator("#more").is_hidden()
    assert "the first 8 are used" in page.inner_text("#choose")


DROP = """async (files) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  }
  for (const name of ["dragover", "drop"]) {
    document.querySelector("#results").dispatchEvent(new DragEvent(name, { dataTransfer: transfer, bubbles: true }));
  }
}"""


def test_files_can_be_dropped_anywhere(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    page.goto(shown)
    page.wait_for_selector("#facts:has-text('8 images')")
    files = [[f"{seed}.jpg", base64.b64encode(make_image(seed)).decode()] for seed in (2, 6)]
    page.evaluate(DROP, files)
    page.wait_for_selector(".card")
    assert page.locator("#images img").count() == 2
    assert page.locator(".over").count() == 0


def test_a_stored_image_is_a_query_of_its_own(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(3))
    path, asked = sent(page, lambda: page.locator(".card", has_text="t5").get_by_text("Search with this").click())
    assert path.startswith("/v1/query/")
    assert asked == {"gallery": ["default"], "k": ["12"]}
    assert page.locator(".card").count() == 7
    assert page.locator(".card", has_text="t5").count() == 0
    assert page.input_value("#camera") == "c2"
    assert page.is_disabled("#camera")
    assert page.evaluate("document.activeElement.id") == "answer-title"
    page.check("#select-query")
    select(page, 0)
    assert "2 images confirmed" in page.inner_text("#selection")
    choose(page, make_image(3))
    page.wait_for_selector(".answer:not(.busy)")
    assert page.is_enabled("#camera")
    assert page.input_value("#camera") == ""  # that of the stored image is not that of this one
    assert page.locator(".card .select:checked").count() == 2  # marks stay from search to search


def test_images_of_the_gallery_are_shown_to_those_who_ask(page: Page, shown: str) -> None:
    page.goto(shown)
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.locator("#samples button").count() == 0
    page.click("#samples-panel summary")
    page.wait_for_selector("#samples button")
    assert page.locator("#samples button").count() == 4  # one a person
    page.locator("#samples button").first.focus()
    path, _ = sent(page, lambda: page.keyboard.press("Enter"))
    assert path.startswith("/v1/query/")


def test_candidates_are_compared_side_by_side(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(3))
    page.locator(".card .pic").nth(1).click()
    assert page.inner_text("#compare-title") == "Candidate 2 of 8"
    wait_until_drawn(page.locator("#compare-image"))
    assert page.locator("#compare-query img").count() == 1
    page.check("#compare-select")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#compare-title") == "Candidate 3 of 8"
    assert not page.is_checked("#compare-select")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "pic"
    assert page.locator(".card .select").nth(1).is_checked()


def test_a_bad_file_is_reported_with_its_name_as_text(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    page.goto(shown)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.set_input_files("#file", [jpeg("<img src=x onerror=alert(1)>.jpg", b"this is not an image")])
    page.wait_for_selector("#error:not([hidden])")
    assert "<img src=x onerror=alert(1)>.jpg: is not an image in JPEG, PNG, WEBP" in page.inner_text("#error")
    assert page.locator("#retry").is_hidden()
    assert page.locator(".card").count() == 0
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    assert page.locator("#error").is_hidden()


def test_labels_are_text_and_never_markup(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    evil = "<img src=x onerror=alert(1)>"
    served.add([make_image(1)], [{"camera_id": evil, "person_id": "<b>x</b>", "track_id": "javascript:alert(2)"}])
    search(page, served.address, make_image(2))
    page.locator(".card .pic").click()
    page.wait_for_selector("#compare[open]")
    page.keyboard.press("Escape")
    page.click("#options summary")
    for area in (".card", "#only", "#camera", "#compare-facts"):
        assert evil in (page.text_content(area) or ""), area
    assert "<b>x</b>" in page.inner_text(".card")
    assert page.locator("img[src=x], .card b").count() == 0


PROBLEMS = {
    429: "Too many requests: d. Try again in 7 s.",
    503: "The service is unavailable: d. Try again in 7 s.",
    504: "The request took too long: d. Try again in 7 s. Fewer images or candidates take less time.",
    403: "This key does not have permission: d. Use another key, or ask the operator of the service for one.",
    413: "Too large: d.",
}
RETRYABLE = {429, 503, 504}


def test_problems_are_reported_in_plain_words(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=status, json={"title": "Too large", "detail": "d."}, headers={"retry-after": "7"})

    search(page, shown, make_image(3))
    for status, text in PROBLEMS.items():
        page.route("**/v1/query*", fail)
        sent(page, lambda: page.click("#go"))
        assert page.inner_text("#error-text") == text
        assert page.locator(".card").count() == 0
        assert page.is_visible("#retry") == (status in RETRYABLE)
        page.unroute("**/v1/query*")
        sent(page, lambda: page.click("#retry" if page.is_visible("#retry") else "#go"))
        assert page.locator(".card").count() == 8
        assert page.locator("#error").is_hidden()


def test_a_service_that_is_still_starting_is_reported(page: Page, shown: str) -> None:
    busy = {"title": "Not ready", "detail": "the gallery is loaded"}
    page.route("**/v1/info", lambda route: route.fulfill(status=503, json=busy))
    page.goto(shown)
    page.wait_for_selector("#error:not([hidden])")
    assert "service is unavailable: the gallery is loaded" in page.inner_text("#error-text")
    assert page.inner_text("#facts") == "not connected"
    page.unroute("**/v1/info")
    page.click("#retry")
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.locator("#error").is_hidden()


def test_an_answer_of_a_proxy_is_reported(page: Page, shown: str) -> None:
    page.route("**/v1/info", lambda route: route.fulfill(status=404, body="<h1>no such thing</h1>"))
    page.goto(shown)
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error-text") == "The service returned status 404."


def test_an_empty_gallery_shows_how_to_fill_it(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(served.address)
    page.wait_for_selector("#empty:not([hidden])")
    assert "vitreid index" in page.inner_text("#empty")
    assert page.locator("#samples-panel").is_hidden()
    choose(page, make_image(3))
    page.wait_for_selector(".answer:not(.busy)")
    assert page.locator("#empty").is_visible()
    assert page.locator("#none").is_hidden()


def test_drifting_scores_show_a_warning(page: Page, shown: str) -> None:
    def drifting(route: Route) -> None:
        info = route.fetch().json()
        drift = {"gallery": "default", "camera_id": "c1", "index": 0.4, "reference_mean": 0.71, "recent_mean": 0.5}
        route.fulfill(json=info | {"drift": [drift]})

    page.route("**/v1/info", drifting)
    page.goto(shown)
    page.wait_for_selector("#drift:not([hidden])")
    assert "camera c1 (mean 0.50, at first 0.71)" in page.inner_text("#drift")
