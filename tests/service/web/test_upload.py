"""Upload of images on the page, with the result of each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, jpeg

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

pytestmark = pytest.mark.browser


def add(page: Page, *files: FilePayload) -> list[str]:
    if page.get_attribute("#upload", "open") is None:
        page.click("#upload summary")
    page.set_input_files("#upload-files", list(files))
    page.click("#add")
    page.wait_for_selector(f"#outcomes li:nth-child({len(files)})")
    page.wait_for_selector("#add:enabled")
    return page.locator("#outcomes li").all_inner_texts()


def test_each_image_has_its_result(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    filled.service.gallery().change_settings(reject={"width": (None, 40.0)})
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    lines = add(
        page,
        jpeg("0009_c2s1_000001_00.jpg", make_image(50)),
        jpeg("again.jpg", make_image(3)),
        jpeg("wide.jpg", make_image(51, size=(64, 64))),
        jpeg("<b onclick=alert(1)>.jpg", b"nothing"),
    )
    assert lines[0] == "added 0009_c2s1_000001_00.jpg"
    assert lines[1] == "duplicate again.jpg"
    assert lines[2].startswith("rejected wide.jpg: ")
    assert "width" in lines[2]
    assert lines[3].startswith("failed <b onclick=alert(1)>.jpg: ")
    assert page.locator("#outcomes b[onclick]").count() == 0
    assert page.inner_text("#upload-summary") == "1 added, 1 duplicate, 1 rejected, 1 failed."
    page.wait_for_selector("#facts:has-text('9 images')")
    item = filled.service.gallery().items(after=8)[0]
    assert (item.person_id, item.camera_id) == ("0009", "c2")  # read from the name


def test_camera_and_local_time_go_along(page: Page, filled: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#upload summary")
    page.fill("#upload-camera", "gate")
    page.fill("#upload-time", "2026-12-01T12:00:30")  # in Berlin, in winter
    add(page, jpeg("0009_c2s1_000001_00.jpg", make_image(50)))
    page.wait_for_selector("#facts:has-text('9 images')")
    item = filled.service.gallery().items(after=8)[0]
    assert (item.person_id, item.camera_id) == ("0009", "gate")
    assert item.captured_at == datetime(2026, 12, 1, 11, 0, 30, tzinfo=UTC)
    page.wait_for_selector("#camera option[value=gate]", state="attached")


def test_labels_that_were_ignored_or_are_doubtful_are_reported(
    page: Page, filled: Served, make_image: Callable[..., bytes]
) -> None:
    page.goto(filled.address)
    page.wait_for_selector("#facts:has-text('8 images')")
    page.click("#upload summary")
    page.fill("#upload-camera", "gate")
    page.fill("#upload-time", "2096-12-01T12:00")
    lines = add(page, jpeg("again.jpg", make_image(3)), jpeg("new.jpg", make_image(50)))
    assert lines[0] == "duplicate again.jpg: existing camera_id, captured_at kept"
    assert lines[1].startswith("added new.jpg: ")
    assert "2096" in lines[1]


def test_many_images_go_in_several_requests(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(served.address)
    page.wait_for_selector("#empty:not([hidden])")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method) if "/v1/items" in request.url else None)
    add(page, *(jpeg(f"{seed}.jpg", make_image(seed)) for seed in range(19)))
    page.wait_for_selector("#facts:has-text('19 images')")
    assert requests.count("POST") == 3
    assert page.locator("#empty").is_hidden()
    assert page.inner_text("#upload-summary") == "19 added."


def test_unsent_images_stay_selected(page: Page, served: Served, make_image: Callable[..., bytes]) -> None:
    page.goto(served.address)
    page.wait_for_selector("#empty:not([hidden])")
    page.click("#upload summary")
    page.route(
        "**/v1/items*",
        lambda route: route.fulfill(status=503, json={"title": "Busy", "detail": "no"}, headers={"retry-after": "3"}),
    )
    page.set_input_files("#upload-files", [jpeg(f"{seed}.jpg", make_image(seed)) for seed in range(2)])
    page.click("#add")
    page.wait_for_selector("#outcomes .unsent")
    assert page.locator("#outcomes li").all_inner_texts() == ["not sent 0.jpg", "not sent 1.jpg"]
    assert "service is unavailable: no. Try again in 3 s." in page.inner_text("#upload-summary")
    page.unroute("**/v1/items*")
    page.click("#add")
    page.wait_for_selector("#outcomes .added")
    assert page.inner_text("#upload-summary") == "2 added."
