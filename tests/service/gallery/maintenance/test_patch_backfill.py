"""Patch backfill: patches of new images are stored a few per run, and dropped where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.bundle import Bundle, read_image
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.maintenance.patch_backfill import AT_ONCE, PatchBackfill
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
from vitreid.service.models.runtimes import RuntimeChoice


@pytest.fixture
def explainer(explained_bundle: Path) -> Explainer:
    return Explainer(Bundle.open(explained_bundle), threads=1)


@pytest.fixture
def embedder(explained_bundle: Path) -> Embedder:
    return Embedder(Bundle.open(explained_bundle), RuntimeChoice(runtime="fake"))


@pytest.fixture
def job(explainer: Explainer, embedder: Embedder) -> PatchBackfill:
    return PatchBackfill(explainer, embedder.prepare)


@pytest.fixture
def gallery(tmp_path: Path, embedder: Embedder) -> Iterator[Gallery]:
    manifest = embedder.manifest
    with Gallery.open(tmp_path / "gate", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as opened:
        opened.acquire_maintenance_lock("test")
        yield opened


@pytest.fixture
def add(gallery: Gallery, embedder: Embedder, make_image: Callable[..., bytes]) -> Callable[..., None]:
    def add_items(seeds: range, **values: Any) -> None:
        images = [make_image(seed) for seed in seeds]
        rows = embedder.embed([read_image(each) for each in images], [None] * len(images))
        new = zip(seeds, rows, images, strict=True)
        gallery.add([NewItem(row, f"{seed:064d}", **{"image": each} | values) for seed, row, each in new])

    return add_items


def kept(gallery: Gallery, explainer: Explainer) -> list[int]:
    assert explainer.model is not None
    return sorted(gallery.foregrounds(gallery.ids(), explainer.model))


def test_nothing_is_kept_where_nobody_asked(gallery: Gallery, job: PatchBackfill, explainer: Explainer, add) -> None:
    add(range(3))
    job(gallery)
    assert kept(gallery, explainer) == []


def test_items_are_looked_at_a_few_at_a_time(gallery: Gallery, job: PatchBackfill, explainer: Explainer, add) -> None:
    gallery.change_settings(store_patches=True)
    add(range(AT_ONCE + 3), model_camera="c1")
    job(gallery)
    assert kept(gallery, explainer) == list(range(1, AT_ONCE + 1))
    assert gallery.info().patches == AT_ONCE
    job(gallery)
    assert kept(gallery, explainer) == gallery.ids()
    add(range(100, 102))
    job(gallery)
    assert kept(gallery, explainer) == gallery.ids()
    pixels = np.asarray(read_image(gallery.image(2) or b""))
    [expected] = explainer.foreground([pixels], ["c1"])  # with the camera that the item was embedded with
    found = gallery.foregrounds([2], explainer.model or "")[2]
    np.testing.assert_array_equal(found.patch_indices, expected.patch_indices)
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-3)


def test_items_without_a_image_are_passed_over(
    gallery: Gallery, job: PatchBackfill, explainer: Explainer, add, caplog: pytest.LogCaptureFixture
) -> None:
    gallery.change_settings(store_patches=True)
    add(range(1), image=None)
    add(range(1, 2), image=b"no image")
    add(range(2, 3))
    job(gallery)
    assert kept(gallery, explainer) == [3]
    assert "stores no patches of item 2" in caplog.text
    caplog.clear()
    job(gallery)
    assert not caplog.records  # told once


def test_they_are_dropped_when_the_setting_is(
    gallery: Gallery, job: PatchBackfill, explainer: Explainer, add, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gallery.change_settings(store_patches=True)
    add(range(3))
    job(gallery)
    gallery.change_settings(store_patches=False)
    version = gallery._store.version()
    job(gallery)
    assert kept(gallery, explainer) == []
    assert "dropped the patches of 3 items" in caplog.text
    assert gallery._store.version() != version
    version = gallery._store.version()
    job(gallery)
    assert gallery._store.version() == version  # nothing is written where nothing is to be dropped
    gallery.change_settings(store_patches=True)
    job(gallery)
    assert kept(gallery, explainer) == gallery.ids()


def test_a_model_without_evidence_keeps_none(gallery: Gallery, tiny_bundle: Path, embedder: Embedder, add) -> None:
    gallery.change_settings(store_patches=True)
    add(range(2))
    PatchBackfill(Explainer(Bundle.open(tiny_bundle)), embedder.prepare)(gallery)
    with gallery._store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM patches").scalar_one() == 0


def test_as_a_maintenance_job(gallery: Gallery, job: PatchBackfill, explainer: Explainer, add) -> None:
    gallery.change_settings(store_patches=True)
    add(range(2))
    Scheduler(lambda: [gallery], jobs={"patches": job}).run_due_jobs()
    assert kept(gallery, explainer) == [1, 2]
