"""Choice of the bundle: the given one, that of the gallery, or the starter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitreid.bundle import Bundle, BundleError
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.gallery import Gallery, bundle_of
from vitreid.service.gallery.errors import BundleMismatch
from vitreid.service.models.bundle_choice import BundleNeeded, find_bundle, is_starter, starter_path


@pytest.fixture
def data(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A data folder whose default gallery was made with the tiny bundle."""
    manifest = Bundle.open(tiny_bundle).manifest
    folder = gallery_folder(tmp_path)
    Gallery.open(folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, create=True).close()
    return tmp_path


def test_the_given_one_counts(data: Path, tiny_bundle: Path) -> None:
    assert find_bundle(tiny_bundle, gallery_folder(data)).path == tiny_bundle
    assert find_bundle(starter_path(), gallery_folder(data)).path == starter_path()


def test_without_a_gallery_it_is_the_starter(tmp_path: Path) -> None:
    assert find_bundle(None).path == starter_path()
    assert (
        find_bundle(None, gallery_folder(tmp_path), made_with=bundle_of(gallery_folder(tmp_path))).path
        == starter_path()
    )


def test_a_gallery_finds_its_bundle_beside_it(data: Path, tiny_bundle: Path) -> None:
    (data / "bundles" / "broken").mkdir(parents=True)
    (data / "bundles" / "broken" / "manifest.json").write_text("{")
    kept = shutil.copytree(tiny_bundle, data / "bundles" / "of-last-summer")
    assert find_bundle(None, gallery_folder(data), made_with=bundle_of(gallery_folder(data))).path == kept
    with open_service(ServiceConfig(data=data, runtime="fake")) as service:
        assert service.bundle.path == kept
        assert not service.starter


def test_a_gallery_whose_bundle_is_not_at_hand_names_the_remedies(data: Path) -> None:
    with pytest.raises(
        BundleNeeded, match=r"made with the bundle [0-9a-f]{12}, .*--bundle .* \.env\), or copy it into"
    ):
        find_bundle(None, gallery_folder(data), made_with=bundle_of(gallery_folder(data)))


def test_a_given_bundle_that_is_another_is_refused(data: Path) -> None:
    with (
        pytest.raises(BundleMismatch),
        open_service(ServiceConfig(data=data, bundle=starter_path(), runtime="fake")),
    ):
        pass


def test_a_gallery_that_cannot_be_read_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    folder = gallery_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "gallery.db").write_bytes(b"no database")
    assert find_bundle(None, folder, made_with=bundle_of(folder)).path == starter_path()


def test_the_starter_is_known_wherever_it_lies(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_starter(Bundle.open(Path(shutil.copytree(starter_path(), tmp_path / "copy"))))
    assert not is_starter(Bundle.open(tiny_bundle))
    monkeypatch.setattr("vitreid.service.models.bundle_choice.STARTER", tmp_path / "none")
    assert not is_starter(Bundle.open(tiny_bundle))


def test_a_given_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        find_bundle(tmp_path)
