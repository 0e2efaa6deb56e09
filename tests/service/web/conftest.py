"""Served galleries, and a real browser: script errors, blocked content and foreign requests fail a test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.web.actions import Served, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d|503|504) ")
"""Chromium's own message about each error response, which the page reports as well."""


@pytest.fixture
def served(tmp_path: Path, tiny_bundle: Path) -> Iterator[Served]:
    """An empty gallery without keys."""
    with serve(tmp_path / "data", tiny_bundle) as started:
        yield started


@pytest.fixture
def filled(served: Served, make_image: Callable[..., bytes]) -> Served:
    """Eight images without keys, for tests that change them."""
    served.add_eight(make_image)
    return served


@pytest.fixture
def two(filled: Served, make_image: Callable[..., bytes]) -> Served:
    """The eight images, and eight others with the same ids in the gallery `night`."""
    filled.service.galleries.create("night")
    labels = [{"person_id": f"night {seed}", "camera_id": "c2"} for seed in range(8)]
    filled.add([make_image(20 + seed) for seed in range(8)], labels, "night")
    return filled


@pytest.fixture
def locked(tmp_path: Path, tiny_bundle: Path, make_image: Callable[..., bytes]) -> Iterator[Served]:
    """Eight images behind keys."""
    with serve(tmp_path / "data", tiny_bundle, with_keys=True) as started:
        started.add_eight(make_image)
        yield started


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, make_image: Callable[..., bytes]
) -> Iterator[str]:
    """Address of eight images that no test changes."""
    with serve(tmp_path_factory.mktemp("shown"), tiny_bundle) as started:
        started.add_eight(make_image)
        yield started.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, stopped after each module: while it runs, an event loop runs in this thread."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or "/usr/bin/chromium"
    if not os.path.exists(executable):
        pytest.skip("there is no Chromium; install the package `chromium`")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """Source of axe-core; the debugger evaluates it, past the content security policy."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return next(Path(package.__file__).parent.rglob("axe.min.js")).read_text()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page in Berlin. Errors, script dialogs, blocked content and foreign requests fail the test."""
    for service in {"served", "locked"} & set(request.fixturenames):
        request.getfixturevalue(service)  # made before the page, and there until it is closed
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: _dismiss(dialog, complaints))
    opened.on("request", lambda request: _must_be_local(request.url, complaints))
    yield opened
    context.close()
    assert [text for text in complaints if not ANSWERED.match(text)] == []


def _dismiss(dialog: Dialog, complaints: list[str]) -> None:
    complaints.append(f"says {dialog.message}")
    dialog.dismiss()


def _must_be_local(url: str, complaints: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:")):
        complaints.append(f"loads {url}")
