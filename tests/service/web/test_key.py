"""API keys on the page: requested, kept in the tab, sent as a header, forgotten; limited keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, choose, search, select, sent, wait_until_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WRONG = f"vitreid_aaaaaaaa_{'x' * 43}"


def enter(page: Page, key: str) -> None:
    page.fill("#key", key)
    page.keyboard.press("Enter")


def log_in(page: Page, address: str, key: str) -> None:
    page.goto(address)
    page.wait_for_selector("#key-page:not([hidden])")
    enter(page, key)
    page.wait_for_selector("#facts:has-text('model')")


def test_a_key_opens_the_page_and_stays_in_the_tab(
    page: Page, locked: Served, make_image: Callable[..., bytes]
) -> None:
    key = locked.service.access.keys.create("gate", ["read"])[1]
    page.goto(locked.address)
    page.wait_for_selector("#key-page:not([hidden])")
    assert page.locator("#main").is_hidden()
    assert page.locator("#forget-key").is_hidden()
    assert page.evaluate("document.activeElement.id") == "key"
    assert page.get_attribute("#key", "type") == "password"
    enter(page, WRONG)
    page.wait_for_selector("#key-error:not([hidden])")
    assert "not valid" in page.inner_text("#key-error")
    assert page.evaluate("document.activeElement.id") == "key"
    assert page.locator("#main").is_hidden()
    enter(page, f" {key} ")
    page.wait_for_selector("#facts:has-text('8 images')")
    assert page.locator("#key-page").is_hidden()
    assert page.evaluate("document.activeElement.id") == "query-title"
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    wait_until_drawn(page.locator(".card img").first)  # an <img> by itself would have sent no key
    assert page.evaluate("Object.values(sessionStorage)") == [key]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert key not in page.url
    assert key not in page.content()
    page.reload()
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#forget-key")
    page.wait_for_selector("#key-page:not([hidden])")
    assert page.evaluate("sessionStorage.length") == 0
    assert page.locator(".card").count() == 0


def test_a_query_continues_with_another_key(page: Page, locked: Served, make_image: Callable[..., bytes]) -> None:
    keys = locked.service.access.keys
    old, text = keys.create("old", ["write"])
    log_in(page, locked.address, text)
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    select(page, 0)
    page.click("#erase-selected")
    page.fill("#reason", "asked for")
    page.check("#reviewed")
    # one that is fetched later would ask for a key already
    for image in page.locator(".card img, #erase img").all():
        wait_until_drawn(image)
    keys.revoke(old.id)
    page.click("#erase-go")
    page.wait_for_selector("#key-page:not([hidden])")
    assert "no longer valid" in page.inner_text("#key-error")
    assert page.locator("#main").is_hidden()  # nothing that was found is left to be seen
    assert page.locator("#erase").is_hidden()
    enter(page, keys.create("new", ["write"])[1])
    page.wait_for_selector("#receipt:not([hidden])")
    assert "new" in page.inner_text("#receipt-facts")


def test_too_many_wrong_keys_are_reported(page: Page, locked: Served) -> None:
    page.goto(locked.address)
    page.wait_for_selector("#key-page:not([hidden])")
    page.route("**/v1/info", lambda route: route.fulfill(status=429, json={}))
    enter(page, WRONG)
    page.wait_for_selector("#key-error:not([hidden])")
    assert "Too many wrong keys" in page.inner_text("#key-error")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_forbidden_action_is_reported_and_then_hidden(
    page: Page, locked: Served, make_image: Callable[..., bytes]
) -> None:
    log_in(page, locked.address, locked.service.access.keys.create("gate", ["read"])[1])
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    select(page, 0, 1)
    page.click("#label-selected")
    page.click("#label-go")
    page.wait_for_selector("#label-error:not([hidden])")
    assert "needs the scope 'write'; key 'gate' has read" in page.inner_text("#label-error")
    page.click("#label-close")
    assert page.locator("#selection").is_hidden()
    assert page.locator(".card .check").first.is_hidden()
    assert len(locked.service.gallery()) == 8


def test_a_key_for_one_gallery_and_one_camera(page: Page, locked: Served, make_image: Callable[..., bytes]) -> None:
    locked.service.galleries.create("night")
    locked.add([make_image(40), make_image(41)], [{"camera_id": "c1"}, {"camera_id": "c2"}], gallery="night")
    text = locked.service.access.keys.create("night watch", ["read"], galleries=["night"], cameras=["c2"])[1]
    log_in(page, locked.address, text)
    assert page.locator("#gallery-field").is_hidden()
    assert "1 image " in page.inner_text("#facts")
    _, asked = sent(page, lambda: choose(page, make_image(41)))
    assert asked["gallery"] == ["night"]
    assert page.locator(".card").count() == 1
    assert page.locator("#error").is_hidden()


def test_a_key_with_limits_may_label_and_not_erase(
    page: Page, locked: Served, make_image: Callable[..., bytes]
) -> None:
    log_in(page, locked.address, locked.service.access.keys.create("gate", ["write"], cameras=["c1"])[1])
    choose(page, make_image(3))
    page.wait_for_selector(".card")
    select(page, 0, 1)
    page.click("#erase-selected")
    page.fill("#reason", "asked for")
    page.check("#reviewed")
    page.click("#erase-go")
    page.wait_for_selector("#erase-error:not([hidden])")
    assert "needs a key without limits" in page.inner_text("#erase-error")
    page.click("#erase-close")
    assert page.locator("#erase-selected").is_hidden()
    page.click("#label-selected")
    page.click("#label-go")
    page.wait_for_selector("#selection", state="hidden")
    assert "2 images labelled 0004" in page.inner_text("#summary")


def test_without_keys_the_page_is_open(page: Page, shown: str, make_image: Callable[..., bytes]) -> None:
    search(page, shown, make_image(3))
    assert page.locator("#key-page").is_hidden()
    assert page.locator("#forget-key").is_hidden()
