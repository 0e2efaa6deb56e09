"""The calibration in a manifest: its arithmetic by hand, and values that are refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.calibrations import made
from vitreid.bundle import Bundle, BundleDamaged, ImageSpec


@pytest.mark.parametrize(
    ("score", "odds"), [(-1, 1 / 9), (0.3, 1 / 9), (0.6, math.sqrt(99) / 9), (0.8, 11), (1.0001, 11)]
)
def test_odds_are_those_of_the_prior_times_the_likelihood_ratio(score: float, odds: float) -> None:
    assert made().probability(score) == pytest.approx(odds / (1 + odds))


def test_another_prior_gives_the_same_evidence_another_probability() -> None:
    half, rare = made(prior=0.5), made(prior=1e-6)
    assert half.probability(0.8) == pytest.approx(0.99)
    assert rare.probability(0.8) == pytest.approx(99e-6, rel=1e-3)


def test_extreme_likelihood_ratios_do_not_overflow() -> None:
    sure = made(knots=[[0.2, -1e9], [0.8, 1e9]])
    assert (sure.probability(0), sure.probability(1)) == (0, 1)


def test_the_highest_probability() -> None:
    assert made().max_probability == made().probability(1) == pytest.approx(11 / 12)


@pytest.mark.parametrize("probability", [0.11, 0.2, 0.5, 0.9, 0.91])
def test_min_score_is_where_the_probability_is_reached(probability: float) -> None:
    score = made().min_score(probability)
    assert score is not None
    assert made().probability(score) == pytest.approx(probability)
    assert made().probability(score - 1e-6) < probability


def test_min_score_at_the_ends() -> None:
    assert made().min_score(0.1) == -1  # every score reaches the lowest
    assert made().min_score(0.01) == -1
    assert made().min_score(0.95) is None
    assert made(knots=[[0.5, 0.0]]).min_score(0.05) == -1
    assert made(knots=[[0.5, 0.0]]).min_score(0.2) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"knots": []},
        {"knots": [[0.2, 1.0], [0.4, 0.5]]},
        {"knots": [[0.4, 0.5], [0.4, 0.6]]},
        {"knots": [[0.4, math.nan]]},
        {"knots": [[0.4, math.inf]]},
        {"prior": 0},
        {"prior": 1},
        {"prior": math.nan},
        {"thresholds": []},
        {"unknown": 1},
    ],
)
def test_invalid_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**changes)


def test_a_bundle_keeps_its_calibration_and_its_id(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    calibration = made(bundle_id=bundle.manifest.bundle_id)
    bundle.extend(calibration=calibration)
    again = Bundle.open(bundle.path).manifest
    assert (again.calibration, again.bundle_id) == (calibration, bundle.manifest.bundle_id)


def test_a_bundle_exported_again_has_none(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    bundle.extend(calibration=made(bundle_id=bundle.manifest.bundle_id))
    model = Path(shutil.copy(bundle.model_path, tmp_path / "model.onnx"))
    spec = ImageSpec(height=65, width=32)
    saved = Bundle.save(bundle.path, model, name="x", image=spec, output=bundle.manifest.output)
    assert saved.manifest.calibration is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle_id": "0" * 64}, "calibration is of another bundle, 000000000000"),
        ({"knots": [[0.4, 0.5], [0.3, 0.6]]}, "calibration: knots are not ascending"),
        ({"knots": [[0.4]]}, r"calibration\.knots"),
        ({"prior": 2}, r"calibration\.prior"),
        ({"secret": 2}, r"calibration\.secret"),
    ],
)
def test_a_calibration_edited_by_hand(tiny_bundle: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    bundle.extend(calibration=made(bundle_id=bundle.manifest.bundle_id))
    file = bundle.path / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["calibration"] |= changes
    file.write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match=message) as error:
        Bundle.open(bundle.path)
    assert "\n" not in str(error.value)
