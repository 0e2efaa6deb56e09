"""Re-embedding a gallery with another model, beside the embeddings in use, which it replaces in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection, Row, Select, Table, func, select

from vitreid.bundle import ImageError, read_image
from vitreid.bundle.manifest import Manifest
from vitreid.service.db import Database
from vitreid.service.db.sqlite import among, upsert
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import GenerationNotFound, ImagesMissing
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.rows import advance, embedding_row, remove
from vitreid.service.gallery.rows.settings import read_settings
from vitreid.service.gallery.rows.tables import embeddings_of, generations, images, items
from vitreid.service.gallery.rows.tables import gallery as header

SHOWN = 20  # ids that a message lists


class EmbeddingModel(Protocol):
    """A loaded model."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's description."""

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the pixels that the model takes of an RGB image."""

    def run(self, pixels: Sequence[NDArray[np.uint8]], model_cameras: Sequence[str | None], /) -> NDArray[np.float32]:
        """Return (N, D) embeddings of N prepared images."""


@dataclass(frozen=True)
class Reembedded:
    """Summary of a re-embedding."""

    generation: int
    """The embeddings in use now."""
    previous: int
    """Those in use before; they stay until they are dropped."""
    bundle_id: str
    dimension: int
    items: int
    dropped: tuple[int, ...]
    """Items without a usable image, which were deleted."""


@dataclass(frozen=True)
class _Target:
    """The generation that is being made, and how."""

    generation: int
    table: Table
    embedder: EmbeddingModel
    cameras: dict[str, str]
    """Camera of the gallery -> model camera."""


def reembed(
    gallery: Gallery,
    embedder: EmbeddingModel,
    clock: Callable[[], datetime],
    *,
    batch_size: int = 32,
    drop_without_image: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reembedded:
    """Embed every item's stored image with another model, whose embeddings are in use afterwards.

    Each batch is committed, so an interrupted run can be resumed. Items that are added meanwhile are embedded too. The
    last step is one transaction; who has the gallery open with the old model gets BundleMismatch from then on. Going
    back to a model whose embeddings are still there embeds only what came since.

    Raises ImagesMissing where items have no usable image and these are not to be dropped, BadParameter where the
    gallery is of this model already.
    """
    database = gallery._store.database
    target, live = _begin(database, embedder, clock)
    if not drop_without_image:
        _check_images(database, target.table)
    after = 0
    while True:
        with database.reading() as connection:
            rows = connection.execute(_missing(target.table, after).limit(batch_size)).all()
            total = connection.execute(select(func.count()).select_from(items)).scalar_one()
            done = connection.execute(select(func.count()).select_from(target.table)).scalar_one()
        progress(done, total)
        if not rows:
            break
        embedded = _embed(target, rows)
        with database.writing() as connection:
            _store(connection, target.table, embedded)
        after = rows[-1].id
    return _swap(database, target, live, clock, drop_without_image=drop_without_image)


def drop_generation(gallery: Gallery, generation: int) -> None:
    """Remove the embeddings of a model that is not in use any more. Raises GenerationNotFound."""
    with gallery._store.database.writing() as connection:
        state = connection.execute(select(generations.c.state).where(generations.c.id == generation)).scalar()
        if state is None or state == "live":
            there = connection.execute(select(generations.c.id).where(generations.c.state != "live")).scalars().all()
            found = "is in use" if state else "does not exist"
            raise GenerationNotFound(
                f"generation {generation} {found}; those that can be dropped: {', '.join(map(str, there)) or 'none'}"
            )
        embeddings_of(generation).drop(connection)
        connection.execute(generations.delete().where(generations.c.id == generation))


def _begin(database: Database, embedder: EmbeddingModel, clock: Callable[[], datetime]) -> tuple[_Target, int]:
    """Return the generation to fill, new or unfinished, and the one in use."""
    manifest = embedder.manifest
    with database.writing() as connection:
        found_header = connection.execute(header.select()).one()
        if found_header.bundle_id == manifest.bundle_id:
            raise BadParameter(f"the gallery is of bundle {manifest.bundle_id[:12]} already; nothing is to be done")
        found = connection.execute(
            select(generations.c.id).where(generations.c.bundle_id == manifest.bundle_id)
        ).scalar()
        number = found or connection.execute(select(func.max(generations.c.id))).scalar_one() + 1
        table = embeddings_of(number)
        if found is None:
            values = {"id": number, "bundle_id": manifest.bundle_id, "dimension": manifest.dimension}
            connection.execute(generations.insert().values(**values, state="making", created_at=clock()))
            table.create(connection)
        cameras = read_settings(connection).cameras
    mapped = {camera: name for camera, name in cameras.items() if name in manifest.cameras}
    return _Target(number, table, embedder, mapped), found_header.generation


def _check_images(database: Database, table: Table) -> None:
    without = _missing(table, 0).where(images.c.item_id.is_(None))
    with database.reading() as connection:
        ids = [row.id for row in connection.execute(without)]
    if ids:
        raise _images_missing(ids)


def _missing(table: Table, after: int) -> Select[Any]:
    """Select items without an embedding of the generation, with their images, in order of id."""
    joined = items.outerjoin(table, table.c.item_id == items.c.id).outerjoin(images, images.c.item_id == items.c.id)
    wanted = select(items.c.id, items.c.camera_id, images.c.image).select_from(joined)
    return wanted.where(table.c.item_id.is_(None), items.c.id > after).order_by(items.c.id)


def _embed(target: _Target, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return embedding rows of those items whose images can be read."""
    ids, pixels, cameras = [], [], []
    for row in rows:
        try:
            pixels.append(target.embedder.prepare(read_image(row.image or b"", name=f"item {row.id}")))
        except ImageError:
            continue
        ids.append(row.id)
        cameras.append(target.cameras.get(row.camera_id))
    vectors = np.asarray(target.embedder.run(pixels, cameras), dtype="<f4")
    return [embedding_row(item_id, vector.tobytes()) for item_id, vector in zip(ids, vectors, strict=True)]


def _store(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Store the rows of items that are still there; another run may have been faster with some."""
    ids = [row["item_id"] for row in rows]
    here = set(connection.execute(select(items.c.id).where(items.c.id.in_(among(ids)))).scalars())
    upsert(connection, table, [row for row in rows if row["item_id"] in here])


def _swap(
    database: Database, target: _Target, live: int, clock: Callable[[], datetime], *, drop_without_image: bool
) -> Reembedded:
    manifest: Manifest = target.embedder.manifest
    with database.writing() as connection:
        # What was added since the last batch: nobody adds more while this lasts.
        added = connection.execute(_missing(target.table, 0)).all()
        _store(connection, target.table, _embed(target, added))
        without = [row.id for row in connection.execute(_missing(target.table, 0))]
        if without and not drop_without_image:
            raise _images_missing(without)
        # One seq more than deletions: every process that has the gallery open notices.
        moment = advance(connection, len(without) + 1, now=clock(), generation=live)
        if without:
            remove(connection, without, moment._replace(seqs=moment.seqs[:-1]))
        _make_live(connection, target, manifest)
        size = connection.execute(select(func.count()).select_from(items)).scalar_one()
    return Reembedded(target.generation, live, manifest.bundle_id, manifest.dimension, size, tuple(without))


def _make_live(connection: Connection, target: _Target, manifest: Manifest) -> None:
    connection.execute(items.update().values(model_camera=None))
    for camera, model_camera in target.cameras.items():
        connection.execute(items.update().where(items.c.camera_id == camera).values(model_camera=model_camera))
    for state, which in (("kept", generations.c.state == "live"), ("live", generations.c.id == target.generation)):
        connection.execute(generations.update().where(which).values(state=state))
    connection.execute(
        header.update().values(generation=target.generation, bundle_id=manifest.bundle_id, dimension=manifest.dimension)
    )


def _images_missing(ids: Sequence[int]) -> ImagesMissing:
    shown = ", ".join(map(str, ids[:SHOWN])) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
    return ImagesMissing(
        f"{len(ids):,} items have no image that can be read ({shown}); nothing was swapped; add them again, or delete "
        "them on the way with --drop-without-image"
    )
