"""Several models in one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from vitreid import cli
from vitreid.synthetic import draw_dataset
from vitreid.training.evaluation.score_table import TABLES

SCORES = {"mAP": 0.8684, "rank1": 0.947, "rank5": 0.98, "rank10": 1.0, "mINP": 0.5}
TOLD = [(name, SCORES | {"queries": 7, "skipped": 1, "gallery": 20}) for name in ("run_a", "50% of|b")]


def test_markdown() -> None:
    lines = TABLES["md"](TOLD).splitlines()
    assert lines[0] == "| model | mAP | rank-1 | rank-5 | rank-10 | mINP |"
    assert lines[2] == "| run_a | 86.8 | 94.7 | 98.0 | 100.0 | 50.0 |"
    assert lines[3].startswith(r"| 50% of\|b | 86.8")


def test_latex() -> None:
    lines = TABLES["latex"](TOLD).splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{tabular}{lrrrrr}", r"\end{tabular}")
    assert lines[4] == r"run\_a & 86.8 & 94.7 & 98.0 & 100.0 & 50.0 \\"
    assert lines[5].startswith(r"50\% of|b & ")


def test_csv() -> None:
    rows = list(csv.DictReader(TABLES["csv"](TOLD).splitlines()))
    assert [row["model"] for row in rows] == ["run_a", "50% of|b"]
    assert (float(rows[0]["mAP"]), rows[0]["queries"], rows[0]["skipped"], rows[0]["gallery"]) == (
        0.8684,
        "7",
        "1",
        "20",
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "people"
    draw_dataset(folder, identities=4, cameras=2, images=1, seed=5, workers=1, size=(64, 32))
    return folder


def test_the_command(tiny_bundle: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.symlink_to(tiny_bundle)
    command = ["evaluate", str(tiny_bundle), str(other), "--data", str(small)]
    assert cli.run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each.pop("model") for each in told] == [str(tiny_bundle), str(other)]
    assert told[0] == told[1]
    assert cli.run([*command, "--table", "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [float(row["mAP"]) for row in rows] == [told[0]["mAP"]] * 2
    assert cli.run(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(tiny_bundle)
    assert lines[1].startswith("mAP ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--table", "xlsx"], "--table is one of md, latex, csv"),
        (["--table", "md", "--json"], "does not go with --json"),
        (["--compare", "c"], "--compare and --rank-lists take one model"),
        (["--rank-lists", "lists.png"], "--compare and --rank-lists take one model"),
    ],
)
def test_what_does_not_go_together(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", "a", "b", "--data", "nowhere", *options]) == 2
    assert message in capsys.readouterr().err
