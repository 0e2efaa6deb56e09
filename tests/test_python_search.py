"""Galleries and searches from Python, against the commands of the same names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vitreid
from vitreid import cli
from vitreid.bundle import ImageError
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import BundleMismatch, GalleryNotFound


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    return vitreid.draw_dataset(folder / "drawn", identities=8, cameras=2, images=2, seed=4).path


@pytest.fixture(scope="module")
def embedder() -> vitreid.Embedder:
    return vitreid.Embedder("service/starter")


def test_a_search_gives_what_the_command_gives(
    people: Path, embedder: vitreid.Embedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = sorted((people / "query").glob("*.jpg"))[0]
    with vitreid.open_gallery(tmp_path / "gallery", embedder) as gallery:
        report = vitreid.index(people / "bounding_box_test", gallery, embedder)
        assert (report.added, report.bad) == (len(gallery), [])
        again = vitreid.index(people / "bounding_box_test", gallery, embedder)
        assert (again.added, again.duplicates) == (0, report.added)
        result = vitreid.search([image], gallery, embedder, camera_id="c1", k=4, exclude_same_camera=True)
    assert {each.match.item.camera_id for each in result.candidates} == {"c2"}
    options = ["--gallery", str(tmp_path / "gallery"), "-k", "4", "--camera", "c1", "--exclude-same-camera", "--json"]
    assert cli.run(["query", str(image), *options]) == 0
    [answer] = json.loads(capsys.readouterr().out)["queries"]
    assert [match["id"] for match in answer["matches"]] == [each.match.item.id for each in result.candidates]
    scores = [each.match.score for each in result.candidates]
    assert [match["score"] for match in answer["matches"]] == pytest.approx(scores, abs=1e-5)


def test_images_come_as_paths_bytes_and_arrays(people: Path, embedder: vitreid.Embedder, tmp_path: Path) -> None:
    image = sorted((people / "query").glob("*.jpg"))[0]
    with vitreid.open_gallery(tmp_path / "gallery", embedder) as gallery:
        vitreid.index(people / "query", gallery, embedder, camera_id="gate")
        for images in ([image], [str(image)], [image.read_bytes()], [image, image]):
            [best] = vitreid.search(images, gallery, embedder, k=1).candidates
            assert best.match.item.source == image.name
            assert best.match.score == pytest.approx(1, abs=1e-5)


def test_names_are_read_by_a_pattern_and_labels_replaced(
    people: Path, embedder: vitreid.Embedder, tmp_path: Path
) -> None:
    with vitreid.open_gallery(tmp_path / "gallery", embedder) as gallery:
        vitreid.index(people / "query", gallery, embedder)
        report = vitreid.index(people / "query", gallery, embedder, pattern="{person}_c{camera}s*", relabel=True)
        assert report.relabelled == len(gallery)
        assert {item.camera_id for item in gallery.items()} == {"1", "2"}


def test_mistakes_are_typed_errors(people: Path, embedder: vitreid.Embedder, tmp_path: Path, tiny_bundle: Path) -> None:
    with pytest.raises(GalleryNotFound):
        vitreid.open_gallery(tmp_path / "none", embedder, create=False)
    with vitreid.open_gallery(tmp_path / "gallery", embedder) as gallery:
        with pytest.raises(BadParameter, match="k is 0"):
            vitreid.search([next((people / "query").glob("*.jpg"))], gallery, embedder, k=0)
        with pytest.raises(ImageError, match=r"none\.jpg"):
            vitreid.search([tmp_path / "none.jpg"], gallery, embedder)
        with pytest.raises(BadParameter, match="no images"):
            vitreid.search([], gallery, embedder)
    with pytest.raises(BundleMismatch):
        vitreid.open_gallery(tmp_path / "gallery", vitreid.Embedder(tiny_bundle))
