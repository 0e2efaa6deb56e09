"""Another model: embedded beside the old one, whatever happens in between, and swapped in one step."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import inspect, select

from tests.conftest import save_tiny_model
from vitreid.bundle import Bundle, ImageSpec, OutputSpec, read_image
from vitreid.service.errors import BadParameter
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.errors import BundleMismatch, GenerationNotFound, ImagesMissing
from vitreid.service.gallery.maintenance import reembedding as module
from vitreid.service.gallery.maintenance.reembedding import drop_generation, reembed
from vitreid.service.gallery.rows.erasure import unpurged_seq
from vitreid.service.gallery.rows.tables import generations, items
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@pytest.fixture(scope="module")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other weights, another dimension, other cameras."""
    folder = tmp_path_factory.mktemp("new")
    save_tiny_model(folder / "model.onnx", seed=1, dimension=24)
    image, output = ImageSpec(height=64, width=32), OutputSpec(dimension=24)
    Bundle.save(folder / "new", folder / "model.onnx", name="new", image=image, output=output, cameras=("n1", "n2"))
    return folder / "new"


@pytest.fixture(scope="module")
def old(tiny_bundle: Path) -> Embedder:
    return Embedder(Bundle.open(tiny_bundle), RuntimeChoice(threads=1))


@pytest.fixture(scope="module")
def new(new_bundle: Path) -> Embedder:
    return Embedder(Bundle.open(new_bundle), RuntimeChoice(threads=1))


@pytest.fixture
def items_of(old: Embedder) -> Callable[..., list[NewItem]]:
    def make(count: int, *, seed: int = 0, **values: Any) -> list[NewItem]:
        made = []
        for number in range(count):
            cells = np.random.default_rng((seed, number)).integers(0, 256, (8, 4, 3), dtype=np.uint8)
            content = io.BytesIO()
            Image.fromarray(cells).resize((32, 64), Image.Resampling.NEAREST).save(content, "JPEG")
            image = content.getvalue()
            [embedding] = old.embed([read_image(image)], [None])
            given = {"image": image, "camera_id": f"gate-{number % 3}"} | values
            made.append(NewItem(embedding, f"{seed:032x}{number:032x}", **given))
        return made

    return make


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Embedder], Gallery]:
    def open_(embedder: Embedder) -> Gallery:
        manifest = embedder.manifest
        return Gallery.open(
            tmp_path / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension, index="exact"
        )

    return open_


@pytest.fixture
def gallery(opened, old, items_of):
    with opened(old) as found:
        found.add(items_of(10))
        yield found


def states(gallery: Gallery) -> dict[int, str]:
    with gallery._store.database.reading() as connection:
        return {row.id: row.state for row in connection.execute(generations.select())}


def expected(gallery: Gallery, embedder: Embedder, cameras: dict[str, str]) -> np.ndarray:
    """One by one, from the images themselves."""
    rows = [
        embedder.embed([read_image(gallery.image(item.id))], [cameras.get(item.camera_id)])[0]
        for item in gallery.items(limit=1000)
    ]
    return np.stack(rows)


def test_every_item_is_embedded_by_the_new_model(gallery, opened, new):
    gallery.change_settings(cameras={"gate-0": "n2", "gate-1": "c1"})  # c1 is a camera of the old model only
    told = reembed(gallery, new, clock, batch_size=3)
    assert (told.generation, told.previous, told.items, told.dimension, told.dropped) == (2, 1, 10, 24, ())
    with opened(new) as again:
        assert again.dimension == 24
        assert again.info().generation == 2
        stored = again.embeddings(again.ids())
        np.testing.assert_allclose(stored, expected(again, new, {"gate-0": "n2"}), atol=1e-6)
        assert again.search(stored[[4]], 1)[0][0].item.id == 5
        assert {item.camera_id: item.model_camera for item in again.items()} == {
            "gate-0": "n2",
            "gate-1": None,
            "gate-2": None,
        }
        assert states(again) == {1: "kept", 2: "live"}


def test_who_still_has_the_old_model_open_neither_writes_nor_searches(gallery, opened, new, items_of):
    query = gallery.embeddings([1])
    assert len(gallery.search(query, 3)[0]) == 3
    reembed(gallery, new, clock)
    for use in (
        lambda: gallery.search(query, 3),
        lambda: gallery.add(items_of(1, seed=5)),
        lambda: gallery.update(1, {"person_id": "anna"}),
        lambda: gallery.erase([1]),
        lambda: gallery.embeddings([1]),
    ):
        with pytest.raises(BundleMismatch):
            use()
    with opened(new) as again:
        assert len(again) == 10
    with pytest.raises(BundleMismatch):
        Gallery.open(gallery.folder, bundle_id=gallery.bundle_id, dimension=gallery.dimension)


@pytest.mark.parametrize("step", ["_embed", "_store", "_swap", "_make_live"])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_ended_anywhere_goes_on(step, after, gallery, opened, old, new, monkeypatch):
    done, calls = getattr(module, step), 0

    def ended(*arguments: Any, **named: Any) -> object:
        nonlocal calls
        calls += 1
        end = calls == (2 if step in ("_embed", "_store") else 1)
        result = done(*arguments, **named) if after or not end else None
        if end:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(module, step, ended)
    with pytest.raises(KeyboardInterrupt):
        reembed(gallery, new, clock, batch_size=4)
    monkeypatch.undo()
    if (step, after) == ("_swap", True):
        assert states(gallery) == {1: "kept", 2: "live"}
    else:
        assert states(gallery) == {1: "live", 2: "making"}
        assert len(gallery.search(gallery.embeddings([1]), 20)[0]) == 10
        counted: list[tuple[int, int]] = []
        reembed(gallery, new, clock, batch_size=4, progress=lambda *done: counted.append(done))
        assert counted[0] == ({"_embed": 4, "_store": 4}.get(step, 10), 10)
    with opened(new) as again:
        np.testing.assert_allclose(again.embeddings(again.ids()), expected(again, new, {}), atol=1e-6)


def test_items_that_come_and_go_meanwhile_are_followed(gallery, opened, new, items_of):
    def meanwhile(done: int, total: int) -> None:
        if done == 4:
            gallery.erase([1, 9])
            gallery.add(items_of(3, seed=7))

    told = reembed(gallery, new, clock, batch_size=4, progress=meanwhile)
    assert told.items == 11
    with opened(new) as again:
        assert again.ids() == [2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]
        np.testing.assert_allclose(again.embeddings(again.ids()), expected(again, new, {}), atol=1e-6)


def test_what_is_added_after_the_last_look_is_embedded_under_the_lock(gallery, opened, new, items_of, monkeypatch):
    swap = module._swap

    def after_an_addition(*arguments: Any, **named: Any) -> object:
        gallery.add(items_of(2, seed=7))
        return swap(*arguments, **named)

    monkeypatch.setattr(module, "_swap", after_an_addition)
    assert reembed(gallery, new, clock).items == 12
    with opened(new) as again:
        assert len(again.search(again.embeddings([12]), 20)[0]) == 12


def test_items_without_a_image_are_listed_and_refused(gallery, old, new, items_of):
    gallery.add(items_of(2, seed=8, image=None))
    with pytest.raises(ImagesMissing, match=r"2 items .*\(11, 12\).*--drop-without-image"):
        reembed(gallery, new, clock)
    gallery.erase([11, 12])
    gallery.add(items_of(1, seed=9, image=b"\xff\xd8\xff not an image"))
    with pytest.raises(ImagesMissing, match=r"1 items .*\(13\)"):
        reembed(gallery, new, clock)
    assert states(gallery) == {1: "live", 2: "making"}
    assert len(gallery) == 11


def test_items_without_a_image_are_dropped_when_asked(gallery, opened, new, items_of):
    gallery.add(items_of(1, seed=8, image=None))
    gallery.add(items_of(1, seed=9, image=b"\xff\xd8\xff not an image"))
    told = reembed(gallery, new, clock, drop_without_image=True)
    assert (told.items, told.dropped) == (10, (11, 12))
    with opened(new) as again:
        assert again.ids() == list(range(1, 11))
        with again._store.database.reading() as connection:
            assert unpurged_seq(connection) is not None


def test_going_back_embeds_only_what_came_since(gallery, opened, old, new, items_of, monkeypatch):
    before = gallery.embeddings(gallery.ids())
    reembed(gallery, new, clock)
    with opened(new) as again:
        [embedding] = again.embeddings([1])
        again.add([NewItem(embedding, "f" * 64, again.image(1))])
    embedded: list[int] = []
    embed = module._embed
    monkeypatch.setattr(
        module, "_embed", lambda target, rows: embedded.extend(row.id for row in rows) or embed(target, rows)
    )
    told = reembed(gallery, old, clock)
    assert (told.generation, told.previous, embedded) == (1, 2, [11])
    with opened(old) as back:
        np.testing.assert_array_equal(back.embeddings(list(range(1, 11))), before)
        np.testing.assert_allclose(back.embeddings([11]), before[[0]], atol=1e-6)


def test_the_same_model_again_is_refused(gallery, old):
    with pytest.raises(BadParameter, match="already"):
        reembed(gallery, old, clock)
    assert states(gallery) == {1: "live"}


def test_an_empty_gallery_changes_its_model(opened, old, new):
    with opened(old) as empty:
        assert reembed(empty, new, clock).items == 0
    with opened(new) as again:
        assert len(again) == 0


def test_a_generation_that_does_not_answer_is_dropped(gallery, opened, new):
    gone = gallery.embeddings([3]).tobytes()
    reembed(gallery, new, clock)
    gallery.close()
    with opened(new) as again:
        for wrong, words in ((2, "is in use.*: 1"), (7, "does not exist")):
            with pytest.raises(GenerationNotFound, match=words):
                drop_generation(again, wrong)
        drop_generation(again, 1)
        assert states(again) == {2: "live"}
        with again._store.database.reading() as connection:
            assert "embeddings_1" not in inspect(connection).get_table_names()
            assert connection.execute(select(items.c.id)).scalars().all() == list(range(1, 11))
        again._store.database.truncate_log()
        assert gone not in (again.folder / "gallery.db").read_bytes()
        again.erase([1])


def test_no_embedding_is_lost_to_a_rival_run(gallery, opened, new, monkeypatch):
    embed, first = module._embed, True

    def after_a_rival(*arguments: Any) -> object:
        nonlocal first
        if first:
            first = False
            reembed(gallery, new, clock, batch_size=2)
        return embed(*arguments)

    monkeypatch.setattr(module, "_embed", after_a_rival)
    with pytest.raises(BundleMismatch):  # the rival has swapped already
        reembed(gallery, new, clock, batch_size=4)
    with opened(new) as again:
        assert len(again.search(again.embeddings([1]), 20)[0]) == 10
