"""The pages in a real browser: a picture in, candidates out, errors as one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.config import ServiceConfig
from service.serving import address_of, bound_socket, make_server, running
from service.state import open_service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or "/usr/bin/chromium"
    if not os.path.exists(executable):
        pytest.skip("there is no Chromium; install the package `chromium`")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def address(tmp_path: Path, tiny_bundle: Path) -> Iterator[str]:
    """A served, empty gallery."""
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", log_level="error")
    with (
        bound_socket("127.0.0.1", 0) as listener,
        open_service(config) as service,
        running(make_server(config, service), listener),
    ):
        yield address_of(listener)


@pytest.fixture
def filled(address: str, picture: Callable[..., bytes]) -> str:
    import httpx2

    files = [("images", (f"{1 + seed % 4:04d}_c{1 + seed // 4}s1_000001_00.jpg", picture(seed))) for seed in range(8)]
    assert httpx2.post(f"{address}/v1/items", files=files, trust_env=False).status_code == 200
    return address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing may be reported to the console and nothing may load from elsewhere."""
    opened = browser.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: _must_be_local(request.url, complaints))
    yield opened
    opened.close()
    assert [text for text in complaints if "422" not in text] == []  # Chromium reports each refused picture by itself


def _must_be_local(url: str, complaints: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "blob:", "data:")):
        complaints.append(f"loads {url}")


def upload(page: Page, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": content})


def test_a_chosen_picture_gives_candidates(page: Page, filled: str, picture: Callable[..., bytes]) -> None:
    page.goto(filled)
    page.wait_for_selector("#facts:has-text('8 pictures')")
    upload(page, "a.jpg", picture(3))
    page.wait_for_selector(".card")
    assert page.locator(".card").count() == 8
    first = page.locator(".card").first
    assert first.locator(".score").inner_text() == "1.000"
    assert "0004" in first.inner_text()
    assert "not an identity" in page.inner_text(".human")
    assert page.locator("#preview").is_visible()
    page.fill("#k", "3")
    page.click("#go")
    page.wait_for_selector("#summary:has-text('3 of 8')")
    assert page.locator(".card").count() == 3


def test_a_picture_of_the_gallery_is_not_its_own_candidate(page: Page, filled: str) -> None:
    page.goto(filled)
    page.locator("#samples button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    assert page.locator(".card").count() == 7
    assert page.input_value("#camera") == "c1"
    page.locator(".card .pic").nth(2).click()
    page.wait_for_selector("#summary:has-text('7 of 8')")


def test_a_bad_file_is_one_line(page: Page, filled: str, picture: Callable[..., bytes]) -> None:
    page.goto(filled)
    upload(page, "text.jpg", b"this is not a picture")
    page.wait_for_selector("#error:not([hidden])")
    assert "is not a picture in JPEG, PNG, WEBP" in page.inner_text("#error")
    assert page.locator(".card").count() == 0
    upload(page, "a.jpg", picture(3))
    page.wait_for_selector(".card")
    assert page.locator("#error").is_hidden()


def test_an_empty_gallery_says_how_to_fill_it(page: Page, address: str, picture: Callable[..., bytes]) -> None:
    page.goto(address)
    page.wait_for_selector("#empty:not([hidden])")
    assert "reid index" in page.inner_text("#empty")
    upload(page, "a.jpg", picture(3))
    page.wait_for_selector(".answer:not(.busy)")
    assert page.locator("#empty").is_visible()


def test_labels_are_text_and_never_markup(page: Page, address: str, picture: Callable[..., bytes]) -> None:
    import httpx2

    form = {"metadata": '{"camera_id": "<img src=x onerror=alert(1)>", "person_id": "<b>x</b>"}'}
    files = {"images": ("<script>alert(1)</script>.jpg", picture(1))}
    assert httpx2.post(f"{address}/v1/items", data=form, files=files, trust_env=False).status_code == 200
    page.goto(address)
    upload(page, "a.jpg", picture(2))
    page.wait_for_selector(".card")
    assert "<b>x</b>" in page.inner_text(".card")
    assert page.locator(".card b").count() == 0


def test_the_api_is_described(page: Page, address: str) -> None:
    import httpx2

    page.goto(f"{address}/docs")
    page.wait_for_selector(".operation")
    described = httpx2.get(f"{address}/openapi.json", trust_env=False).json()["paths"]
    assert page.locator(".operation").count() == sum(len(methods) for methods in described.values())
    assert f"'{address}/v1/query?k=5" in page.inner_text("main")
