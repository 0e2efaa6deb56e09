"""Accessibility of the pages: axe finds nothing, the keyboard suffices, small and large windows work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.paths import REPOSITORY
from tests.service.web.actions import Served, choose, search, select, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WEB = REPOSITORY / "service" / "web"
MAX_BYTES = 72 * 1024


def test_axe_finds_nothing_while_searching(page: Page, shown: str, make_image: Callable[..., bytes], axe: str) -> None:
    page.emulate_media(reduced_motion="reduce")  # axe would see colours on their way
    page.goto(shown)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#upload summary")
    page.click("#samples-panel summary")
    page.wait_for_selector("#samples button")
    assert violations(page, axe) == []
    choose(page, make_image(3), make_image(4))
    page.wait_for_selector(".card")
    page.click("#options summary")
    page.locator("#only input").first.check()
    page.select_option("#group", "person")
    page.wait_for_selector("#summary:has-text('4 persons from 4')")
    select(page, 0)
    assert violations(page, axe) == []
    page.fill("#min-score", "1")
    page.click("#go")
    page.wait_for_selector("#none:not([hidden])")
    assert violations(page, axe) == []


def test_axe_finds_nothing_in_dialogs(page: Page, filled: Served, make_image: Callable[..., bytes], axe: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    search(page, filled.address, make_image(3))
    page.locator(".card .pic").first.click()
    page.wait_for_selector("#compare[open]")
    assert violations(page, axe) == []
    page.keyboard.press("Escape")
    select(page, 0, 1)
    for name in ("label", "erase"):
        page.click(f"#{name}-selected")
        page.wait_for_selector(f"#{name}[open]")
        assert violations(page, axe) == []
        page.keyboard.press("Escape")
    page.click("#erase-selected")
    page.fill("#reason", "asked for")
    page.check("#reviewed")
    with page.expect_response("**/v1/query?*"):
        page.click("#erase-go")
        page.wait_for_selector("#receipt:not([hidden])")
    page.wait_for_selector(".answer:not(.busy)")
    assert violations(page, axe) == []


def test_axe_finds_nothing_on_the_key_page(page: Page, locked: Served, axe: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(locked.address)
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-error:not([hidden])")
    assert violations(page, axe) == []


def test_axe_finds_nothing_in_the_description(page: Page, shown: str, axe: str) -> None:
    page.goto(f"{shown}/docs")
    page.wait_for_selector(".operation")
    assert violations(page, axe, "header, nav, #about, h2 + p + .operation, .operation:has(.patch)") == []


def test_a_keyboard_is_enough(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    def tab_to(element: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({element!r})"):
                visible = "input:focus + label" if element == "#file" else element
                assert page.evaluate(f"getComputedStyle(document.querySelector({visible!r})).outlineStyle") == "solid"
                return
        raise AssertionError(f"Tab never comes to {element}")

    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    tab_to("#skip")
    tab_to("#file")
    choose(page, make_image(3))
    page.wait_for_selector(".answer:not(.busy) .card")
    tab_to("#options summary")
    page.keyboard.press("Space")
    tab_to("#only input")
    page.keyboard.press("Space")
    page.wait_for_selector("#summary:has-text('from 4 searched')")
    tab_to(".card .pic")
    page.keyboard.press("Enter")
    tab_to("#compare-select")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    tab_to("#erase-selected")
    page.keyboard.press("Enter")
    page.keyboard.type("asked for")
    tab_to("#reviewed")
    page.keyboard.press("Space")
    tab_to("#erase-go")
    page.keyboard.press("Enter")
    page.wait_for_selector("#receipt:not([hidden])")
    tab_to("#receipt-close")
    page.keyboard.press("Enter")
    assert len(filled.service.gallery()) == 7


@pytest.mark.parametrize("width", [320, 1440])
def test_nothing_runs_out_of_the_window(page: Page, shown: str, make_image: Callable[..., bytes], width: int) -> None:
    def fits() -> bool:
        wide: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return wide

    page.set_viewport_size({"width": width, "height": 800})
    search(page, shown, *(make_image(seed) for seed in range(8)))
    page.click("#options summary")
    page.click("#upload summary")
    select(page, 0)
    assert fits()
    for opener in (".card .pic", "#label-selected", "#erase-selected"):
        page.locator(opener).first.click()
        assert page.evaluate(
            "[...document.querySelectorAll('dialog[open]')].every((box) => box.clientWidth <= innerWidth)"
        )
        page.keyboard.press("Escape")
    page.goto(f"{shown}/docs")
    page.wait_for_selector(".operation")
    assert fits()


def test_reduced_motion_is_respected(page: Page, shown: str) -> None:
    page.goto(shown)
    duration = "getComputedStyle(document.querySelector('#drop')).transitionDuration"
    assert page.evaluate(duration) != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(duration) == "0s"


def test_the_page_is_small() -> None:
    page = [file for file in WEB.iterdir() if not file.name.startswith("docs.")]
    assert sum(file.stat().st_size for file in page) < MAX_BYTES
