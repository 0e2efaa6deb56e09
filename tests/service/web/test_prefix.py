"""The pages under a path prefix that a proxy removes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.proxying import PREFIX, proxy, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_pages_work_under_a_prefix(tmp_path: Path, tiny_bundle: Path, page: Page) -> None:
    with serve(tmp_path, tiny_bundle, root_path=PREFIX) as (_, port), proxy(port) as address:
        page.goto(f"{address}/")
        page.get_by_text("The gallery is empty").wait_for()
        page.goto(f"{address}/docs")
        page.get_by_text("Find candidates").first.wait_for()
        assert f"{address}/v1/query" in page.content()
