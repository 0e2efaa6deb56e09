"""Calibrated probabilities on the page: shown with their meaning, used as a minimum, absent without a calibration."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.calibrations import PAIRS, made
from tests.service.web.actions import search, sent, serve
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
def calibrated(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, make_image: Callable[..., bytes]
) -> Iterator[str]:
    """Address of eight images and a calibrated model."""
    folder = tmp_path_factory.mktemp("calibrated")
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, folder / "bundle")))
    thresholds = [{"cameras": None, "pairs": PAIRS, "unmeasured_rates": [0.0001], "at": AT}]
    bundle.extend(calibration=made(bundle_id=bundle.manifest.bundle_id, thresholds=thresholds))
    with serve(folder / "data", bundle.path) as started:
        started.add_eight(make_image)
        yield started.address


def test_candidates_of_other_cameras_have_a_probability_with_its_meaning(
    page: Page, calibrated: str, make_image: Callable[..., bytes]
) -> None:
    search(page, f"{calibrated}/?camera_id=c2", make_image(3))
    texts = page.locator(".card .probability:visible").all_inner_texts()
    assert texts[0] == "probability 92 %"
    assert len(texts) == 4
    meaning = page.inner_text("#calibration")
    assert "of the data set “site”, where 1 in 10 pairs did" in meaning
    assert "does not prove identity" in meaning
    page.locator(".card .pic").first.click()
    assert page.inner_text("#compare-score") == "score 1.000, probability 92 %"


def test_a_query_of_an_unknown_camera_has_no_probability(
    page: Page, calibrated: str, make_image: Callable[..., bytes]
) -> None:
    search(page, calibrated, make_image(3))
    assert page.locator(".card").count() == 8
    assert page.locator(".card .probability:visible").count() == 0


def test_a_large_share_is_per_hundred(page: Page, calibrated: str) -> None:
    page.goto(calibrated)
    texts = page.evaluate("async () => (await import('/web/calibration.js')).oneIn(0.75)")
    assert texts == "75 in 100"


def test_a_minimum_probability_is_sent_and_reported_if_no_candidate_reaches_it(
    page: Page, calibrated: str, make_image: Callable[..., bytes]
) -> None:
    search(page, f"{calibrated}/?camera_id=c2", make_image(3))
    page.click("#options summary")
    assert page.inner_text("#min-score-help") == (
        "Of pairs of different persons, 1 in 100 scores 0.610 or more, 1 in 1,000 scores 0.725 or more."
    )
    page.fill("#min-probability", "0.9")
    _, asked = sent(page, lambda: page.click("#go"))
    assert asked["min_probability"] == ["0.9"]
    assert page.locator(".card").count() == 1
    search(page, f"{calibrated}/?camera_id=c2&min_probability=0.9", make_image(3))
    assert page.input_value("#min-probability") == "0.9"
    page.select_option("#camera", "c1")
    page.wait_for_selector("#none:not([hidden])")
    assert "below the minimum of 0.7825 (a probability of 90 %)" in page.inner_text("#none-reason")


def test_candidates_of_the_same_camera_have_no_probability(
    page: Page, calibrated: str, make_image: Callable[..., bytes]
) -> None:
    search(page, calibrated, make_image(3))
    with page.expect_response("**/v1/query?*"):
        page.select_option("#camera", "c1")
    page.wait_for_selector(".answer:not(.busy)")
    assert page.locator(".card .probability:visible").count() == 4


def test_no_words_about_probability_without_a_calibration(
    page: Page, shown: str, make_image: Callable[..., bytes]
) -> None:
    search(page, shown, make_image(3))
    page.click("#options summary")
    assert page.locator(".card .probability:visible").count() == 0
    assert page.locator("#min-probability-field").is_hidden()
    assert page.locator("#calibration").is_hidden()
    assert page.inner_text("#min-score-help") == ""
    assert "probab" not in page.inner_text("body").lower()


def test_no_score_is_certain(page: Page, shown: str) -> None:
    page.goto(shown)
    texts = page.evaluate(
        "async () => { const { percent } = await import('/web/calibration.js');"
        " return [0, 0.0099, 0.01, 0.125, 0.625, 0.99, 0.9901, 1].map(percent); }"
    )
    assert texts == ["under 1 %", "under 1 %", "1 %", "13 %", "63 %", "99 %", "over 99 %", "over 99 %"]
