"""One way to name a data set, whatever the command does with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vitreid import cli


@pytest.fixture
def own(people: Path, tmp_path: Path) -> Path:
    """The test persons of `people` as folders of persons, with cameras by a pattern alone, and a stray image."""
    for part, folder in (("query", "query"), ("gallery", "bounding_box_test")):
        for path in sorted((people / folder).iterdir()):
            person, camera = path.name[:4], path.name[5:7]
            (tmp_path / "own" / part / f"p{person}").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "own" / part / f"p{person}" / f"{camera}-{part}.jpg")
    (tmp_path / "own" / "query" / "holiday.tif").touch()
    return tmp_path / "own"


PATTERN = ["--name-pattern", "{camera}-*"]


@pytest.mark.parametrize("how", [["folders=OWN"], ["OWN", "--dataset", "folders"], ["OWN"]])
def test_evaluate_reads_every_layout(
    how: list[str], own: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, *options = (each.replace("OWN", str(own)) for each in how)
    assert cli.run(["evaluate", str(tiny_bundle), "--data", data, *options, *PATTERN, "--json"]) == 0
    message = capsys.readouterr()
    scores = json.loads(message.out)
    assert (scores["queries"], scores["gallery"], scores["skipped"]) == (8, 8, 0)
    assert "note: left out: 1 images of other formats" in message.err


def test_what_is_reported_about_a_folder_per_person(
    own: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = (
        ["evaluate", str(tiny_bundle), "--data"],
        ["export", "calibrate", str(tiny_bundle), "--data"],
        ["train", "cuhk03-tiny", "--out", str(own.parent / "run"), "--data"],
        ["data", "check"],
    )
    for command in commands:
        assert cli.run([*command, str(own)]) == 2
        assert f"; read it as folders: folders={own}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "people"], "there is no data set 'people'; take one of market1501"),
        (["--name-pattern", "{cam}-*"], "has '{cam}'; fields are {person}, {camera}"),
        (["--name-pattern", "{camera}_*"], "8 of 8 names do not follow the name pattern '{camera}_*'"),
        (["--rerank-k1", "5"], "--rerank-k1, --rerank-k2 and --rerank-lambda need --rerank"),
        (["--rerank", "--rerank-k2", "0"], "re-ranking has k1 20, k2 0 and lambda 0.3; both k are at least 1"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], message: str, own: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["evaluate", str(tiny_bundle), "--data", str(own), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_calibrate_and_check_read_names_by_a_pattern(
    own: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["data", "check", str(own), *PATTERN, "--json"]) in (0, 1)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["dataset"], printed["parts"]["query"]["cameras"]) == ("folders", 2)
    assert cli.run(["export", "calibrate", str(tiny_bundle), "--data", str(own), *PATTERN]) == 2
    assert "pairs" in capsys.readouterr().err  # read, and too small to measure anything
