"""Kept patches: written, read, replaced, dropped; damage is noticed, and nothing outlives its item."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitreid.scoring.patches import Foreground
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.maintenance.backup import back_up
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.maintenance.verification import verify
from vitreid.service.gallery.rows.patches import drop_patches, has_patches, without_patches, write_patches
from vitreid.service.values.times import utc_now

MODEL, OTHER = "m" * 64, "o" * 64
Make = Callable[..., list[NewItem]]
Open = Callable[..., Gallery]


def seen(seed: int, count: int = 5) -> Foreground:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Foreground(np.sort(random.choice(300, count, replace=False)), vectors)


@pytest.fixture
def filled(open_gallery: Open, make_items: Make) -> Gallery:
    """Items 1 to 4, with images; patches of 1 to 3."""
    gallery = open_gallery()
    gallery.add(make_items(4))
    keep(gallery, {1: seen(1), 2: seen(2), 3: seen(3)})
    return gallery


def keep(gallery: Gallery, found: dict[int, Foreground], model: str = MODEL) -> None:
    with gallery._store.database.writing() as connection:
        write_patches(connection, model, found)


def missing(gallery: Gallery, model: str = MODEL, **values: int) -> list[int]:
    with gallery._store.database.reading() as connection:
        return [each.id for each in without_patches(connection, model, **{"after": 0, "limit": 9} | values)]


def execute(gallery: Gallery, statement: str) -> None:
    with gallery._store.database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_what_is_kept_comes_back_in_half_precision(filled: Gallery) -> None:
    found = filled.foregrounds([3, 1, 4, 99], MODEL)
    assert sorted(found) == [1, 3]
    for item_id, each in found.items():
        np.testing.assert_array_equal(each.patch_indices, seen(item_id).patch_indices)
        np.testing.assert_array_equal(each.vectors, seen(item_id).vectors.astype(np.float16))
        assert each.vectors.dtype == np.float32
    assert filled.foregrounds([1], OTHER) == {}


def test_another_model_replaces_them(filled: Gallery) -> None:
    keep(filled, {1: seen(9, count=7)}, OTHER)
    assert len(filled.foregrounds([1], OTHER)[1].patch_indices) == 7
    assert filled.foregrounds([1], MODEL) == {}
    assert missing(filled) == [1, 4]


def test_items_without_patches_are_found(filled: Gallery, make_items: Make) -> None:
    filled.add(make_items(1, seed=5, image=None))
    assert missing(filled) == [4]  # 5 has no image
    assert missing(filled, OTHER) == [1, 2, 3, 4]
    assert missing(filled, OTHER, after=2, limit=1) == [3]
    keep(filled, {4: seen(4), 77: seen(77)})  # 77 was deleted meanwhile
    assert missing(filled) == []
    assert filled.foregrounds([77], MODEL) == {}


def test_they_go_with_their_items(filled: Gallery) -> None:
    filled.delete(1)
    filled.erase([2])
    assert sorted(filled.foregrounds([1, 2, 3], MODEL)) == [3]


def test_all_are_dropped(filled: Gallery) -> None:
    with filled._store.database.writing() as connection:
        assert has_patches(connection)
        assert drop_patches(connection) == 3
        assert not has_patches(connection)


def test_a_backup_has_them(filled: Gallery, tmp_path: Path, open_gallery: Open) -> None:
    back_up(filled, tmp_path / "backup", utc_now())
    filled.erase([2])
    filled.close()
    restore(tmp_path / "backup", filled.folder, replace=True)
    again = open_gallery()
    assert sorted(again.foregrounds([1, 2, 3], MODEL)) == [1, 3]  # 2 was erased since


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE patches SET vectors = zeroblob(length(vectors)) WHERE item_id = 2", "do not match their checksum"),
        ("UPDATE patches SET patch_indices = x'0100', checksum = 0 WHERE item_id = 2", "do not match their checksum"),
        ("UPDATE patches SET patch_indices = x'', vectors = x'', checksum = 0 WHERE item_id = 2", "0 indices"),
    ],
)
def test_damage_is_noticed(filled: Gallery, statement: str, told: str) -> None:
    assert not verify(filled.folder).findings
    execute(filled, statement)
    with pytest.raises(GalleryDamaged, match=f"the patches of item 2 .*{told}"):
        filled.foregrounds([1, 2], MODEL)
    [finding] = verify(filled.folder).findings
    assert (finding.where, told in finding.what) == ("item 2", True)
