"""Adding images on the page: a word about each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.service.web.acting import Served, jpeg

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

pytestmark = pytest.mark.browser


def add(page: Page, *files: FilePayload) -> list[str]:
    if page.get_attribute("#adding", "open") is None:
        page.click("#adding summary")
    page.set_input_files("#adding-files", list(files))
    page.click("#add")
    page.wait_for_selector(f"#outcomes li:nth-child({len(files)})")
    page.wait_for_selector("#add:enabled")
    return page.locator("#outcomes li").all_inner_texts()


def test_each_image_is_told_what_became_of_it(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    filled.service.gallery().change_settings(reject={"width": (None, 40.0)})
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    told = add(
        page,
        jpeg("0009_c2s1_000001_00.jpg", make_image(50)),
        jpeg("again.jpg", make_image(3)),
        jpeg("wide.jpg", make_image(51, size=(64, 64))),
        jpeg("<b onclick=alert(1)>.jpg", b"nothing"),
    )
    assert told[0] == "added 0009_c2s1_000001_00.jpg"
    assert told[1] == "there already again.jpg"
    assert told[2].startswith("not taken wide.jpg: ")
    assert "width" in told[2]
    assert told[3].startswith("failed <b onclick=alert(1)>.jpg: ")
    assert page.locator("#outcomes b[onclick]").count() == 0
    assert page.inner_text("#adding-summary") == "1 added, 1 there already, 1 not taken, 1 failed."
    page.wait_for_selector("#facts:has-text('9 images')")
    item = filled.service.gallery().items(after=8)[0]
    assert (item.person_id, item.camera_id) == ("0009", "c2")  # read from the name


def test_camera_and_local_time_go_along(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#adding summary")
    page.fill("#adding-camera", "gate")
    page.fill("#adding-time", "2026-12-01T12:00:30")  # in Berlin, in winter
    add(page, jpeg("0009_c2s1_000001_00.jpg", make_image(50)))
    page.wait_for_selector("#facts:has-text('9 images')")
    item = filled.service.gallery().items(after=8)[0]
    assert (item.person_id, item.camera_id) == ("0009", "gate")
    assert item.captured_at == datetime(2026, 12, 1, 11, 0, 30, tzinfo=UTC)
    page.wait_for_selector("#camera option[value=gate]", state="attached")


def test_labels_that_were_not_taken_and_doubtful_ones_are_told(
    page: Page, filled: Served, make_image: Callable[..., bytes]
) -> None:
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#adding summary")
    page.fill("#adding-camera", "gate")
    page.fill("#adding-time", "2096-12-01T12:00")
    told = add(page, jpeg("again.jpg", make_image(3)), jpeg("new.jpg", make_image(50)))
    assert told[0] == "there already again.jpg: its camera_id, captured_at of before were kept"
    assert told[1].startswith("added new.jpg: ")
    assert "2096" in told[1]


def test_many_images_go_in_several_requests(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(served.address)
    page.wait_for_selector("#empty:not([hidden])")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method) if "/v1/items" in request.url else None)
    add(page, *(jpeg(f"{seed}.jpg", make_image(seed)) for seed in range(19)))
    page.wait_for_selector("#facts:has-text('19 images')")
    assert requests.count("POST") == 3
    assert page.locator("#empty").is_hidden()
    assert page.inner_text("#adding-summary") == "19 added."


def test_what_was_not_sent_stays_chosen(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(served.address)
    page.wait_for_selector("#empty:not([hidden])")
    page.click("#adding summary")
    page.route(
        "**/v1/items*",
        lambda route: route.fulfill(status=503, json={"title": "Busy", "detail": "no"}, headers={"retry-after": "3"}),
    )
    page.set_input_files("#adding-files", [jpeg(f"{seed}.jpg", make_image(seed)) for seed in range(2)])
    page.click("#add")
    page.wait_for_selector("#outcomes .unsent")
    assert page.locator("#outcomes li").all_inner_texts() == ["not sent 0.jpg", "not sent 1.jpg"]
    assert "cannot answer just now: no. Try again in 3 s." in page.inner_text("#adding-summary")
    page.unroute("**/v1/items*")
    page.click("#add")
    page.wait_for_selector("#outcomes .added")
    assert page.inner_text("#adding-summary") == "2 added."
