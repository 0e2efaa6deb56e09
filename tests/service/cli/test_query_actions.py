"""`vitreid query` with conditions, groups, several images together, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.commands import vitreid
from vitreid.bundle import Bundle, ImageError
from vitreid.service.api.params import FilterParams
from vitreid.service.cli.query import LISTS, search_params
from vitreid.service.errors import BadParameter
from vitreid.service.gallery import Gallery

Make = Callable[..., bytes]


def query(folder: Path, *arguments: Any) -> Result:
    options = ["--gallery", folder / "gallery", "--bundle", folder / "bundle"]
    return vitreid("query", *arguments, *options)


def answers(folder: Path, *arguments: Any) -> list[dict[str, Any]]:
    result = query(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    queries: list[dict[str, Any]] = json.loads(result.stdout)["queries"]
    return queries


@pytest.fixture
def folder(tmp_path: Path, make_image: Make, tiny_bundle: Path) -> Path:
    """Twelve images of three persons by two learned cameras in a gallery, and the images beside it."""
    (tmp_path / "bundle").symlink_to(tiny_bundle)
    for seed in range(12):
        file = tmp_path / "images" / f"{1 + seed % 3:04d}_c{1 + seed // 6}s1_0000{seed:02d}_00.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(make_image(seed))
    command = ("index", tmp_path / "images", "--gallery", tmp_path / "gallery", "--bundle", tmp_path / "bundle")
    assert vitreid(*command).exit_code == 0
    return tmp_path


def images(folder: Path) -> list[Path]:
    return sorted((folder / "images").glob("*.jpg"))


def opened(folder: Path) -> Gallery:
    manifest = Bundle.open(folder / "bundle").manifest
    return Gallery.open(folder / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension)


def test_conditions_hold_before_the_search(folder: Path) -> None:
    [answer] = answers(folder, images(folder)[0], "-k", 4, "--where", "cameras=c2", "--where", "cameras=c3")
    assert [match["camera_id"] for match in answer["matches"]] == ["c2"] * 4
    assert (answer["searched"], answer["gallery_size"], answer["no_match"]) == (6, 12, False)
    [answer] = answers(folder, images(folder)[0], "--exclude-same-camera", "--where", "person_id=0002")
    assert {(match["camera_id"], match["person_id"]) for match in answer["matches"]} == {("c2", "0002")}


def test_groups(folder: Path) -> None:
    [answer] = answers(folder, images(folder)[0], "--group-by", "person")
    assert sorted((match["group"]["label"], match["group"]["items"]) for match in answer["matches"]) == [
        ("0001", 4), ("0002", 4), ("0003", 4),
    ]  # fmt: skip
    table = query(folder, images(folder)[0], "--group-by", "person").stdout
    assert "items" in table
    assert "0003" in table


def test_reranking_and_expansion_reach_the_search(folder: Path) -> None:
    [plain] = answers(folder, images(folder)[0])
    [reranked] = answers(folder, images(folder)[0], "--rerank", "k-reciprocal", "--rerank-top", 5, "-k", 3)
    distances = [match["rerank_distance"] for match in reranked["matches"]]
    assert distances == sorted(distances)
    [expanded] = answers(folder, images(folder)[0], "--expand", 3)
    assert expanded["matches"][0]["score"] < plain["matches"][0]["score"]


def test_together_is_one_query_with_each_images_own_camera(folder: Path) -> None:
    chosen = [images(folder)[0], images(folder)[3]]
    [one] = answers(folder, *chosen, "--together", "--exclude-same-camera")
    assert one["images"] == [str(path) for path in chosen]
    assert (one["matches"], one["no_match_reason"]) == ([], "nothing-passed-the-filter")
    [one] = answers(folder, *chosen, "--together", "-k", 2)
    assert {match["source"] for match in one["matches"]} == {path.name for path in chosen}
    assert one["matches"][0]["score"] < 1 - 1e-3


def test_one_unreadable_image_of_several_ends_a_query_together(folder: Path) -> None:
    (folder / "bad.jpg").write_text("no image")
    result = query(folder, images(folder)[0], folder / "bad.jpg", "--together")
    assert isinstance(result.exception, ImageError)
    assert "bad.jpg" in str(result.exception)


def test_the_gallerys_cameras_and_minimum_score_count(folder: Path) -> None:
    image = images(folder)[0]
    assert answers(folder, image)[0]["matches"][0]["score"] == pytest.approx(1, abs=1e-5)
    with opened(folder) as gallery:
        gallery.change_settings(cameras={}, min_score=0.99999)
    [answer] = answers(folder, image, "--camera", "c1")
    unknown_now = answer["best_score"]
    assert (answer["no_match_reason"], unknown_now < 0.99999) in {("below-min-score", True), (None, False)}
    with opened(folder) as gallery:
        gallery.change_settings(cameras={"c1": "c2"}, min_score=None)
    assert answers(folder, image)[0]["best_score"] != unknown_now


def test_why_nothing_was_found_is_printed(folder: Path) -> None:
    printed = query(folder, images(folder)[0], "--where", "cameras=elsewhere").stdout
    assert "no item passes the conditions" in printed
    printed = query(folder, images(folder)[0], "--where", "cameras=c2", "--min-score", 1).stdout
    assert "none reaches the minimum score; the best has 0." in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "cameras"], "NAME=VALUE"),
        (["--where", "shoe=42"], "NAME one of cameras, "),
        (["--where", "track_id=a", "--where", "track_id=b"], "given twice"),
        (["--where", "since=yesterday"], "since is 'yesterday': "),
        (["--where", "metadata=[]"], "metadata is "),
        (["--where", "cameras=c1", "--where", "exclude_cameras=c1"], "excluded"),
        (["--group-by", "shoe"], "group_by is "),
        (["--rerank", "often"], "rerank is "),
        (["--rerank-top", "10"], "without rerank"),
        (["--expand", "1000"], "expand is "),
    ],
)
def test_what_cannot_be_asked_is_one_line(folder: Path, arguments: list[str], message: str) -> None:
    result = query(folder, images(folder)[0], *arguments)
    assert isinstance(result.exception, BadParameter)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_conditions_are_those_of_the_api() -> None:
    values = {
        "since": "2026-05-01T00:00:00Z", "until": "2026-05-02T00:00:00Z", "metadata": '{"gate": 3}', "cameras": "c1",
    }  # fmt: skip
    numbers = {name: "7" for name in FilterParams.model_fields if name.startswith(("min_", "max_"))}
    asked = search_params([f"{name}={value}" for name, value in (values | numbers).items()], {"k": 3})
    assert asked.model_dump(exclude_defaults=True).keys() == {*values, *numbers, "k"}
    repeatable = {name for name, field in FilterParams.model_fields.items() if "list" in str(field.annotation)}
    assert repeatable == LISTS
