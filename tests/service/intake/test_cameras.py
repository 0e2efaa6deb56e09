"""Mapping of a gallery's cameras to those of the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import Bundle, Manifest
from vitreid.service.errors import UnknownName
from vitreid.service.gallery import Gallery, GallerySettings, NewItem
from vitreid.service.intake.cameras import CameraReport, camera_map, map_cameras, report_cameras


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    return Bundle.open(tiny_bundle).manifest


@pytest.fixture
def gallery(tmp_path: Path, manifest: Manifest) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "one", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as opened:
        yield opened


def item(number: int, camera_id: str | None, model_camera: str | None) -> NewItem:
    embedding = np.random.default_rng(number).standard_normal(48).astype(np.float32)
    embedding /= np.linalg.norm(embedding)
    return NewItem(embedding, f"{number:064x}", camera_id=camera_id, model_camera=model_camera)


def test_each_camera_has_items_mapping_and_rejections(gallery: Gallery, manifest: Manifest) -> None:
    seen = [("gate", "c1"), ("gate", "c1"), ("gate", None), ("yard", None), ("yard", "c2"), (None, None)]
    gallery.add([item(number, *cameras) for number, cameras in enumerate(seen)])
    gallery.count_rejection("roof", "min_height", 3)
    gallery.count_rejection(None, "max_outside")
    map_cameras(gallery, manifest, {"gate": "c1", "attic": "c2"})
    assert report_cameras(gallery, manifest) == [
        CameraReport("attic", "c2", items=0, stale=0, rejected={}),
        CameraReport("gate", "c1", items=3, stale=1, rejected={}),
        CameraReport("roof", None, items=0, stale=0, rejected={"min_height": 3}),
        CameraReport("yard", None, items=2, stale=1, rejected={}),
        CameraReport(None, None, items=1, stale=0, rejected={"max_outside": 1}),
    ]


def test_a_mapping_replaces_the_one_before(gallery: Gallery, manifest: Manifest) -> None:
    map_cameras(gallery, manifest, {"gate": "c1"})
    map_cameras(gallery, manifest, {"yard": "c1"})
    assert (gallery.model_camera("gate"), gallery.model_camera("yard")) == (None, "c1")
    map_cameras(gallery, manifest, {})
    assert report_cameras(gallery, manifest) == []


def test_what_the_model_did_not_learn_is_refused(gallery: Gallery, manifest: Manifest) -> None:
    map_cameras(gallery, manifest, {"gate": "c1"})
    with pytest.raises(UnknownName, match="'c9': choose one of c1, c2"):
        map_cameras(gallery, manifest, {"gate": "c2", "yard": "c9"})
    assert gallery.model_camera("gate") == "c1"
    with pytest.raises(UnknownName, match="learned none"):
        map_cameras(gallery, manifest.model_copy(update={"cameras": ()}), {"gate": "c1"})


def test_names_of_another_model_are_unknown(manifest: Manifest) -> None:
    settings = GallerySettings(cameras={"gate": "c2", "yard": "camera of another model"})
    assert camera_map(settings, manifest) == {"gate": "c2"}


def test_equal_names_map_nothing(manifest: Manifest, gallery: Gallery) -> None:
    gallery.add([item(1, "c1", None)])
    assert report_cameras(gallery, manifest) == [CameraReport("c1", None, items=1, stale=0, rejected={})]
