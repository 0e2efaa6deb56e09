"""Query parameters: sent as chosen, kept in the URL, and applied to the candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service.web.actions import Served, choose, search, sent, wait_until_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PARAMETERS = {
    "gallery": ["default"],
    "camera_id": ["c1"],
    "k": ["5"],
    "cameras": ["c2"],
    "exclude_same_camera": ["true"],
    "since": ["2026-05-01T10:00:00.000Z"],
    "until": ["2026-05-01T15:45:00.000Z"],
    "person_id": ["0002"],
    "track_id": ["t5"],
    "min_score": ["-0.5"],
    "group_by": ["person"],
    "rerank": ["k-reciprocal"],
    "expand": ["2"],
}


def chip(page: Page, box: str, camera: str) -> None:
    page.locator(f"{box} .chips label", has_text=camera).locator("input").check()


def test_parameters_are_sent_and_kept_in_the_url(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(1))
    page.click("#options summary")
    page.select_option("#camera", "c1")
    page.fill("#k", "5")
    chip(page, "#only", "c2")
    page.check("[name=exclude_same_camera]")
    page.fill("#since", "2026-05-01T12:00")  # in Berlin
    page.fill("#until", "2026-05-01T17:45")
    page.fill("#person", " 0002 ")
    page.fill("#track", "t5")
    page.fill("#min-score", "-0.5")
    page.select_option("#group", "person")
    page.select_option("#rerank", "k-reciprocal")
    page.fill("#expand", "2")
    _, asked = sent(page, lambda: page.click("#go"))
    assert asked == PARAMETERS
    assert page.inner_text("#option-count") == "10 set"
    assert parse_qs(urlsplit(page.url).query) == PARAMETERS

    page.reload()
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.get_attribute("#options", "open") is not None
    assert page.locator("#images img").count() == 0  # an image is never kept
    _, again = sent(page, lambda: choose(page, make_image(1)))
    assert again == PARAMETERS
    assert page.input_value("#since") == "2026-05-01T12:00"
    page.click("#clear")
    page.wait_for_selector("#option-count:empty", state="attached")
    assert page.input_value("#camera") == "c1"


def test_cameras_can_be_excluded(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(1))
    page.click("#options summary")
    _, asked = sent(page, lambda: chip(page, "#not", "c2"))  # a change searches by itself
    assert asked["exclude_cameras"] == ["c2"]
    assert page.locator(".card").count() == 4
    assert "4 candidates from 4 searched (of 8)" in page.inner_text("#summary")


def test_odd_values_in_the_url_do_no_harm(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    page.goto(f"{shown}/?k=x&since=yesterday&group_by=<b>&cameras=nowhere&camera_id=gone&unknown=1&min_score=")
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.locator("#only input:checked").count() == 1  # a camera without images can be asked for, too
    assert page.input_value("#camera") == "gone"
    assert page.input_value("#since") == ""
    choose(page, make_image(1))
    page.wait_for_selector("#k:invalid")
    page.fill("#k", "4")
    _, asked = sent(page, lambda: page.click("#go"))
    assert asked == {"gallery": ["default"], "k": ["4"], "camera_id": ["gone"], "cameras": ["nowhere"]}


def test_an_invalid_value_in_the_closed_section_is_shown(
    page: Page, shown: str, make_image: Callable[..., bytes]
) -> None:
    search(page, shown, make_image(1))
    page.evaluate("document.querySelector('#min-score').value = '7'")
    page.click("#go")
    page.wait_for_selector("#options[open] #min-score:focus")


def test_no_match_is_explained(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(20))
    page.click("#options summary")
    page.fill("#person", "9999")
    sent(page, lambda: page.click("#go"))
    assert page.inner_text("#none-reason") == "None of the 8 images passes the filters."
    page.fill("#person", "")
    page.fill("#min-score", "0.999")
    sent(page, lambda: page.click("#go"))
    assert "8 images searched: the best score is 0." in page.inner_text("#none-reason")
    assert "below the minimum of 0.999" in page.inner_text("#none-reason")
    assert page.inner_text("#summary").startswith("no match among 8 searched")
    sent(page, lambda: page.click("#none-clear"))
    assert page.locator(".card").count() == 8
    assert page.locator("#none").is_hidden()


def test_a_group_shows_its_best_image_and_opens(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(1))
    page.click("#options summary")
    sent(page, lambda: page.select_option("#group", "person"))
    assert "4 persons from 8 searched" in page.inner_text("#summary")
    assert page.locator(".card").count() == 4
    _, asked = sent(page, lambda: page.locator(".card").first.get_by_text("Show all 2").click())
    assert asked == {"gallery": ["default"], "k": ["12"], "person_id": ["0002"]}
    assert page.locator(".card").count() == 2
    assert page.evaluate("document.activeElement.id") == "answer-title"


def test_one_of_several_galleries(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    filled.service.galleries.create("night")
    filled.add([make_image(30), make_image(31)], [{"camera_id": "c9"}, {}], gallery="night")
    search(page, filled.address, make_image(30))
    page.locator(".card .select").first.check()
    _, asked = sent(page, lambda: page.select_option("#gallery", "night"))
    assert asked["gallery"] == ["night"]
    page.wait_for_selector("#facts:has-text('2 images')")
    assert page.locator(".card").count() == 2
    wait_until_drawn(page.locator(".card img").first)  # of this gallery
    assert page.locator("#selection").is_hidden()
    assert page.locator("#only .chips label").all_text_contents() == ["c91"]  # c9 with 1 image
    page.reload()
    page.wait_for_selector("#facts:has-text('2 images')")
    assert page.input_value("#gallery") == "night"
    page.goto(f"{filled.address}/?gallery=<b>gone</b>")
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.inner_text("#error-text") == "Gallery <b>gone</b> does not exist or is not accessible; showing default."


def test_a_narrow_window_scrolls_to_the_answer_but_not_away_from_the_form(
    page: Page, shown: str, make_image: Callable[..., bytes]
) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    search(page, shown, make_image(1))
    assert page.evaluate("document.querySelector('.answer-head').getBoundingClientRect().top") < 100
    page.click("#options summary")
    sent(page, lambda: chip(page, "#not", "c2"))
    assert page.evaluate("document.querySelector('#not').getBoundingClientRect().top") > 0
