"""Flipped bits and missing ends in every file of a gallery and of a backup: reported, or without effect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.service.crash.scenarios import PREPARED, prepare
from tests.service.crash.worker import BUNDLE_ID, DIMENSION, backups_of, embedding
from vitreid.service.errors import GalleryError
from vitreid.service.gallery import Filter, Gallery
from vitreid.service.gallery.errors import BackupDamaged
from vitreid.service.gallery.maintenance.backup import check_backup
from vitreid.service.gallery.maintenance.restoring import restore

FLIPS = 100
Damage = Callable[[bytearray, Random], bytearray]


def flip(content: bytearray, random: Random) -> bytearray:
    """One bit is another."""
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return content


def cut(content: bytearray, random: Random) -> bytearray:
    """The end is missing."""
    return content[: random.randrange(len(content))]


def blank(content: bytearray, random: Random) -> bytearray:
    """A block was never written."""
    start = random.randrange(len(content))
    end = min(start + 4096, len(content))
    content[start:end] = bytes(end - start)
    return content


def searched(gallery: Gallery) -> object:
    """Results of searches, and embeddings."""
    queries = [embedding(number) for number in range(3)]
    found = [[(match.item.id, match.score) for match in gallery.search(query[None], 20)[0]] for query in queries]
    return found, gallery.ids(), gallery.embeddings(gallery.ids()).tobytes()


def read_all(gallery: Gallery) -> None:
    """Read what has no checksum: labels, images, settings and receipts may differ by the bit, or are reported."""
    for item in gallery.items():
        gallery.image(item.id)
    gallery.ids(Filter(person_id="7", metadata={"number": 1}))
    gallery.search(embedding(1)[None], 20, where=Filter(cameras=frozenset({"c2"})))
    gallery.settings(), gallery.rejections(), gallery.info(), gallery.receipts()


def open_it(folder: Path) -> Gallery:
    """As a service does."""
    return Gallery.open(folder, bundle_id=BUNDLE_ID, dimension=DIMENSION, index="exact")


@pytest.mark.parametrize(("damage", "times"), [(flip, FLIPS), (cut, 20), (blank, 40)])
@pytest.mark.parametrize("snapshots", [True, False], ids=["with snapshots", "from rows"])
def test_a_damaged_database_is_reported_or_answers_right(
    damage: Damage, times: int, snapshots: bool, place: Path
) -> None:
    prepare(place)
    folder = place / "gallery"
    if not snapshots:
        shutil.rmtree(folder / "snapshots")
    with open_it(folder) as gallery:
        truth = searched(gallery)
    content = (folder / "gallery.db").read_bytes()
    random = Random(9)
    messages: list[str] = []
    for _ in range(times):
        (folder / "gallery.db").write_bytes(damage(bytearray(content), random))
        try:
            with open_it(folder) as gallery:
                assert searched(gallery) == truth
                read_all(gallery)
        except GalleryError as error:
            messages.append(str(error))
        for beside in folder.glob("gallery.db-*"):
            beside.unlink()
    assert len(messages) >= times / 40
    assert [message for message in messages if "\n" in message or str(folder) not in message] == []


@pytest.mark.parametrize("damage", [flip, cut, blank])
@pytest.mark.parametrize("name", ["gallery.db", "manifest.json"])
def test_a_damaged_backup_is_reported(name: str, damage: Damage, place: Path) -> None:
    prepare(place)
    kept = backups_of(place / "gallery") / "kept"
    content = (kept / name).read_bytes()
    random = Random(3)
    messages: list[str] = []
    for _ in range(20):
        (kept / name).write_bytes(damage(bytearray(content), random))
        try:
            manifest = check_backup(kept)
        except BackupDamaged as error:
            messages.append(str(error))
        else:  # only a space of the manifest may be another kind of space
            assert (name, manifest.seq) == ("manifest.json", PREPARED.backups["kept"].last_seq)
    assert len(messages) > 15
    assert all("\n" not in message and str(kept) in message for message in messages)
    (kept / name).write_bytes(b"")
    with pytest.raises(BackupDamaged):
        restore(kept, place / "gallery", replace=True)
    (kept / name).write_bytes(content)
    restore(kept, place / "gallery", replace=True)
