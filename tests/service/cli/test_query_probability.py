"""`vitreid query` with a calibrated bundle: probabilities in its table and its JSON, and the minimum probability."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.calibrations import made
from tests.commands import vitreid
from vitreid.bundle import Bundle
from vitreid.service.errors import BadParameter, NotCalibrated

Make = Callable[..., bytes]
ASKED = "0001_c9s1_000000_00.jpg"


@pytest.fixture
def folder(tmp_path: Path, make_image: Make, tiny_bundle: Path) -> Path:
    """Six images of three persons by two cameras; the bundle is calibrated, and `plain` is not."""
    shutil.copytree(tiny_bundle, tmp_path / "plain")
    bundle = Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    bundle.extend(calibration=made(bundle_id=bundle.manifest.bundle_id))
    for seed in range(6):
        file = tmp_path / "images" / f"{1 + seed % 3:04d}_c{1 + seed // 3}s1_0000{seed:02d}_00.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(make_image(seed))
    (tmp_path / ASKED).write_bytes(make_image(0))
    assert run("index", tmp_path / "images", folder=tmp_path).exit_code == 0
    return tmp_path


def run(*arguments: Any, folder: Path, bundle: str = "bundle") -> Any:
    options = ["--gallery", folder / "gallery", "--bundle", folder / bundle]
    return vitreid(*arguments, *options)


def answers(folder: Path, *arguments: Any) -> list[dict[str, Any]]:
    result = run("query", *arguments, "--json", folder=folder)
    assert result.exit_code == 0, result.output
    queries: list[dict[str, Any]] = json.loads(result.stdout)["queries"]
    return queries


def test_each_candidate_has_one(folder: Path) -> None:
    [answer] = answers(folder, folder / ASKED)
    assert len(answer["matches"]) == 6
    for match in answer["matches"]:
        assert match["probability"] == pytest.approx(made().probability(match["score"]))
    table = run("query", folder / ASKED, folder=folder).stdout
    assert "probability" in table
    assert "91.7%" in table
    assert "in site, where 10% of all pairs do" in " ".join(table.split())


def test_a_least_probability(folder: Path) -> None:
    [every] = answers(folder, folder / ASKED)
    [some] = answers(folder, folder / ASKED, "--min-probability", 0.9)
    assert [match["id"] for match in some["matches"]] == [
        match["id"] for match in every["matches"] if match["probability"] >= 0.9
    ]
    [none] = answers(folder, folder / ASKED, "--min-probability", 0.9, "--camera", "c1")
    assert (none["matches"], none["no_match_reason"], none["searched"]) == ([], "below-min-score", 3)


def test_images_of_one_person_together_have_none(folder: Path) -> None:
    [answer] = answers(folder, folder / ASKED, folder / ASKED, "--together")
    assert {match["probability"] for match in answer["matches"]} == {None}
    each = answers(folder, folder / ASKED, folder / ASKED)
    assert None not in {match["probability"] for answer in each for match in answer["matches"]}


def test_it_is_refused_rather_than_guessed(folder: Path) -> None:
    asked = ["query", folder / ASKED, "--min-probability", 0.5]
    assert isinstance(run(*asked, folder=folder, bundle="plain").exception, NotCalibrated)
    for more in (["--expand", 2], [folder / ASKED, "--together"]):
        assert isinstance(run(*asked, *more, folder=folder).exception, BadParameter)
    result = run("query", folder / ASKED, "--min-probability", 1, folder=folder)
    assert isinstance(result.exception, BadParameter)
    assert str(result.exception).startswith("min_probability is 1.0")


def test_nothing_is_said_of_probability_without_a_calibration(folder: Path) -> None:
    printed = run("query", folder / ASKED, folder=folder, bundle="plain").stdout
    assert "robability" not in printed
