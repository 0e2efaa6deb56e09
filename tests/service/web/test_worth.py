"""Probabilities on the page: shown with what they mean, asked for, and absent where nothing was measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.calibrations import PAIRS, made
from tests.service.web.acting import search, sent, serve
from vitreid.bundle import Bundle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

RATE = {"value": 0.5, "low": 0.4, "high": 0.6}
AT = [
    {"false_match_rate": rate, "score": score, "false_matches": RATE, "true_matches": RATE}
    for rate, score in ((0.01, 0.61), (0.001, 0.7254))
]


@pytest.fixture(scope="module")
def worthy(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, make_image: Callable[..., bytes]
) -> Iterator[str]:
    """The address of eight images and a calibrated model."""
    folder = tmp_path_factory.mktemp("worthy")
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, folder / "bundle")))
    thresholds = [{"cameras": None, "pairs": PAIRS, "unmeasured_rates": [0.0001], "at": AT}]
    bundle.extend(calibration=made(bundle_id=bundle.manifest.bundle_id, thresholds=thresholds))
    with serve(folder / "data", bundle.path) as started:
        started.add_eight(make_image)
        yield started.address


def test_candidates_of_other_cameras_have_a_probability_and_the_page_says_what_it_means(
    page: Page, worthy: str, make_image: Callable[..., bytes]
) -> None:
    search(page, f"{worthy}/?camera_id=c2", make_image(3))
    told = page.locator(".card .likely:visible").all_inner_texts()
    assert told[0] == "probability 92 %"
    assert len(told) == 4
    meaning = page.inner_text("#worth")
    assert "in the data “site”, where 1 in 10 pairs did" in meaning
    assert "proves no identity" in meaning
    page.locator(".card .pic").first.click()
    assert page.inner_text("#compare-score") == "score 1.000, probability 92 %"


def test_a_query_of_no_known_camera_gets_none(page: Page, worthy: str, make_image: Callable[..., bytes]) -> None:
    search(page, worthy, make_image(3))
    assert page.locator(".card").count() == 8
    assert page.locator(".card .likely:visible").count() == 0


def test_a_share_of_most_pairs_is_told_as_such(page: Page, worthy: str) -> None:
    page.goto(worthy)
    told = page.evaluate("async () => (await import('/web/worth.js')).oneIn(0.75)")
    assert told == "75 in 100"


def test_a_least_probability_is_asked_for_and_told_where_nobody_reaches_it(
    page: Page, worthy: str, make_image: Callable[..., bytes]
) -> None:
    search(page, f"{worthy}/?camera_id=c2", make_image(3))
    page.click("#conditions summary")
    assert page.inner_text("#least-help") == (
        "Of pairs of different persons 1 in 100 has 0.610 or more, 1 in 1,000 has 0.725 or more."
    )
    page.fill("#probable", "0.9")
    _, asked = sent(page, lambda: page.click("#go"))
    assert asked["min_probability"] == ["0.9"]
    assert page.locator(".card").count() == 1
    search(page, f"{worthy}/?camera_id=c2&min_probability=0.9", make_image(3))
    assert page.input_value("#probable") == "0.9"
    page.select_option("#camera", "c1")
    page.wait_for_selector("#none:not([hidden])")
    assert "the least score is 0.7825, as a probability of 90 % was asked for" in page.inner_text("#none-reason")


def test_candidates_of_the_querys_own_camera_have_none(
    page: Page, worthy: str, make_image: Callable[..., bytes]
) -> None:
    search(page, worthy, make_image(3))
    with page.expect_response("**/v1/query?*"):
        page.select_option("#camera", "c1")
    page.wait_for_selector(".answer:not(.busy)")
    assert page.locator(".card .likely:visible").count() == 4


def test_no_words_about_probability_without_a_calibration(
    page: Page, shown: str, make_image: Callable[..., bytes]
) -> None:
    search(page, shown, make_image(3))
    page.click("#conditions summary")
    assert page.locator(".card .likely:visible").count() == 0
    assert page.locator("#probable-field").is_hidden()
    assert page.locator("#worth").is_hidden()
    assert page.inner_text("#least-help") == ""
    assert "probab" not in page.inner_text("body").lower()


def test_no_score_is_certain(page: Page, shown: str) -> None:
    page.goto(shown)
    told = page.evaluate(
        "async () => { const { percent } = await import('/web/worth.js');"
        " return [0, 0.0099, 0.01, 0.125, 0.625, 0.99, 0.9901, 1].map(percent); }"
    )
    assert told == ["under 1 %", "under 1 %", "1 %", "13 %", "63 %", "99 %", "over 99 %", "over 99 %"]
