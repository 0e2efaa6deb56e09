"""Snapshots: what is opened from them is what the rows say, whatever happens to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vitreid.service.gallery import Filter, Gallery
from vitreid.service.gallery.errors import GalleryBusy
from vitreid.service.gallery.snapshots import snapshot
from vitreid.service.gallery.view.search_view import COLUMNS_FILE, INDEX_FILE, SearchView

QUERY = np.eye(1, 16, dtype=np.float32)
FILES = (INDEX_FILE, COLUMNS_FILE, snapshot.MANIFEST)


@pytest.fixture
def folder(open_gallery, make_items, tmp_path) -> Path:
    """A gallery with 40 items, of which some changed after each of its two snapshots."""
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(30, person_id="7"))
        gallery.delete(3)
        gallery.write_snapshot()
        gallery.add(make_items(5, seed=1, camera_id="c2"))
        gallery.update(1, {"camera_id": "c2", "person_id": None})
        gallery.write_snapshot()
        gallery.add(make_items(5, seed=2))
        gallery.delete(2)
        gallery.update(4, {"camera_id": "c3"})
    return tmp_path / "gallery"


def answers(gallery: Gallery) -> list[list[tuple[int, float]]]:
    """Answers of the gallery to some searches."""
    cameras = [None, *(frozenset({camera}) for camera in ("c1", "c2", "c3"))]
    found = [gallery.search(QUERY, 100, where=Filter(cameras=each))[0] for each in cameras]
    return [[(match.item.id, match.score) for match in matches] for matches in found]


@pytest.fixture
def built(monkeypatch) -> list[str]:
    """Grows with every mirror that is built from rows."""
    calls: list[str] = []
    build = vars(SearchView)["build"].__func__

    def counted(cls, store, kind):
        calls.append(kind)
        return build(cls, store, kind)

    monkeypatch.setattr(SearchView, "build", classmethod(counted))
    return calls


def from_rows(folder: Path, open_gallery) -> list[list[tuple[int, float]]]:
    bare = folder.with_name("bare")
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns(snapshot.FOLDER))
    with open_gallery(bare, index="exact") as gallery:
        return answers(gallery)


def test_a_snapshot_and_the_later_rows_are_what_the_rows_say(folder, open_gallery, built):
    expected = from_rows(folder, open_gallery)
    assert built.pop() == "exact"
    with open_gallery(index="exact") as gallery:
        assert not built
        assert answers(gallery) == expected
        assert len(gallery) == 38
        info = gallery.info()
        assert (info.seq, info.snapshot_seq) == (44, 37)
        gallery.add([])
        gallery.delete(40)
        assert 40 not in [match.item.id for match in gallery.search(QUERY, 100)[0]]


def test_two_generations_are_kept_and_described(folder, open_gallery):
    assert [path.name for path in snapshot.snapshots(folder)] == ["snapshot-000002", "snapshot-000001"]
    with open_gallery(index="exact") as gallery:
        gallery.write_snapshot()
        lineage = gallery.info().lineage
    found = snapshot.snapshots(folder)
    assert [path.name for path in found] == ["snapshot-000003", "snapshot-000002"]
    manifest = json.loads((found[0] / snapshot.MANIFEST).read_text())
    assert manifest["lineage"] == lineage
    assert (manifest["seq"], manifest["count"], manifest["dimension"], manifest["index"]) == (44, 38, 16, "exact")
    assert (
        set(manifest["files"])
        == {INDEX_FILE, COLUMNS_FILE}
        == {path.name for path in found[0].iterdir()} - {"manifest.json"}
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_no_changed_byte_is_believed(name, folder, open_gallery, built, caplog):
    expected = from_rows(folder, open_gallery)
    built.clear()
    newest, older = snapshot.snapshots(folder)
    content = (newest / name).read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(content), 12):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        (newest / name).write_bytes(flipped)
        with open_gallery(index="exact") as gallery:
            assert answers(gallery) == expected
    assert not built  # the one before was good
    (older / name).write_bytes(b"")
    (newest / name).write_bytes(content[: len(content) // 2])
    with open_gallery(index="exact") as gallery:
        assert answers(gallery) == expected
    assert built == ["exact"]
    assert any(f"{newest} is not used" in message for message in caplog.messages)
    assert all("\n" not in message for message in caplog.messages)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_passed_over(name, folder, open_gallery, built):
    expected = from_rows(folder, open_gallery)
    built.clear()
    for path in snapshot.snapshots(folder):
        (path / name).unlink()
    with open_gallery(index="exact") as gallery:
        assert answers(gallery) == expected
    assert built == ["exact"]


@pytest.mark.parametrize(
    "change",
    [
        {"lineage": "of another gallery"},
        {"bundle_id": "b" * 64},
        {"generation": 2},
        {"seq": 10_000},
        {"count": 1},
        {"faiss": "0.1"},
        {"format_version": 99},
        {"dimension": 17},
        {"index": "flat"},
        {"index": "unheard of"},
        {"colour": "red"},
    ],
)
def test_a_snapshot_of_something_else_is_passed_over(change, folder, open_gallery, built):
    expected = from_rows(folder, open_gallery)
    built.clear()
    for path in snapshot.snapshots(folder):
        manifest = json.loads((path / snapshot.MANIFEST).read_text())
        (path / snapshot.MANIFEST).write_text(json.dumps(manifest | change | {"checksum": ""}))
    with open_gallery(index="exact") as gallery:
        assert answers(gallery) == expected
    assert built == ["exact"]


def test_replacing_leaves_nothing_of_what_was_deleted(folder, open_gallery, make_items):
    gone = make_items(1, seed=50, person_id="somebody very special")[0]
    with open_gallery(index="exact") as gallery:
        [added] = gallery.add([gone])
        gallery.write_snapshot()
        gallery.delete(added.id)
        assert contains(folder, gone.embedding.tobytes())
        gallery.replace_snapshots()
        assert [path.name for path in snapshot.snapshots(folder)] == ["snapshot-000004"]
        assert not contains(folder, gone.embedding.tobytes())
        assert not contains(folder, b"very special")
        expected = answers(gallery)
    with open_gallery(index="exact") as gallery:
        assert answers(gallery) == expected
    with open_gallery(index="exact", load=False) as gallery:
        gallery.replace_snapshots()
    assert not snapshot.snapshots(folder)


def contains(folder: Path, content: bytes) -> bool:
    """True if any file of the snapshots has these bytes."""
    return any(content in path.read_bytes() for path in (folder / snapshot.FOLDER).rglob("*") if path.is_file())


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from vitreid.service.gallery.errors import GalleryFull
from vitreid.service.gallery import Gallery
with Gallery.open(Path(sys.argv[1]), bundle_id="a" * 64, dimension=16, index=sys.argv[2]) as gallery:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        gallery.write_snapshot()
    except GalleryFull as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(len(gallery.search(np.eye(1, 16, dtype=np.float32), 100)[0]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("index", ["exact", "ivf"])
def test_a_snapshot_that_does_not_fit_leaves_the_old_ones(index, folder, open_gallery):
    before = sorted(path.name for path in (folder / snapshot.FOLDER).iterdir())
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), index], capture_output=True, text=True, timeout=60, check=True
    )
    told, found = done.stdout.splitlines()
    assert "snapshots cannot be written" in told
    assert "free some disk space" in told
    assert found == "38"
    assert sorted(path.name for path in (folder / snapshot.FOLDER).iterdir()) == before


def test_only_the_holder_of_the_lock_writes_snapshots(folder, open_gallery, monkeypatch):
    monkeypatch.setattr("vitreid.service.gallery.live_view.SNAPSHOT_CHANGES", 5)
    with open_gallery(index="exact") as service, open_gallery(index="exact") as command:
        service.acquire_maintenance_lock("vitreid serve")
        with pytest.raises(GalleryBusy, match="vitreid serve"):
            command.write_snapshot(only_if_due=True)
        service.write_snapshot(only_if_due=True)
        assert service.info().snapshot_seq == 44
        command.write_snapshot(only_if_due=True)  # nothing is due any more, so nobody is asked
    with open_gallery(index="exact") as command:
        command.write_snapshot()


def test_snapshots_are_written_once_enough_has_changed(open_gallery, make_items, tmp_path, monkeypatch):
    monkeypatch.setattr("vitreid.service.gallery.live_view.SNAPSHOT_CHANGES", 20)
    with open_gallery(index="exact") as gallery:
        for number, seq in enumerate([None, 20, 20, 40]):
            gallery.add(make_items(10, seed=number))
            gallery.write_snapshot(only_if_due=True)
            assert gallery.info().snapshot_seq == seq
