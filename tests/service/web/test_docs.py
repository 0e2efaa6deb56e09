"""The page /docs draws /openapi.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_the_api_is_described(page: Page, shown: str) -> None:
    page.goto(f"{shown}/docs")
    page.wait_for_selector(".operation")
    api = httpx2.get(f"{shown}/openapi.json", trust_env=False).json()
    operations = [operation for methods in api["paths"].values() for operation in methods.values()]
    assert page.locator(".operation").count() == len(operations)
    assert page.locator(".operation small").count() == sum("401" in each["responses"] for each in operations)
    assert page.locator(".operation details").count() == sum("503" in each["responses"] for each in operations)
    text = page.inner_text("main")
    assert f"'{shown}/v1/query?k=5" in text
    assert f"'{shown}/v1/galleries/default/cameras'" in text
    assert "Authorization: Bearer" in text
    for operation in operations:
        section = page.locator(f"#{operation['operationId']}")
        assert operation["summary"] in section.inner_text()
        parameters = [each["name"] for each in operation.get("parameters", [])]
        shown_names = section.locator("table").first.locator("td:first-child").all_inner_texts() if parameters else []
        assert shown_names == parameters


def test_the_table_of_contents_links_to_every_operation(page: Page, shown: str) -> None:
    page.goto(f"{shown}/docs")
    page.wait_for_selector(".operation")
    targets = page.evaluate("[...document.querySelectorAll('#toc a')].map((link) => link.hash.slice(1))")
    drawn = page.evaluate("[...document.querySelectorAll('.operation')].map((section) => section.id)")
    assert targets == drawn
    page.goto(f"{shown}/docs#{drawn[-1]}")
    page.wait_for_selector(".operation")
    assert page.evaluate("scrollY") > 0


def test_a_description_that_cannot_be_loaded_is_reported(page: Page, shown: str) -> None:
    page.route("**/openapi.json", lambda route: route.fulfill(status=404, body="gone"))
    page.goto(f"{shown}/docs")
    page.wait_for_selector("#error:not([hidden])")
    assert "cannot be loaded" in page.inner_text("#error")
