"""Embedding a gallery again with another model: beside the embeddings that answer, which it replaces in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, Table, func, select
from sqlalchemy.dialects.sqlite import insert

from vitreid.bundle import ImageError, read_image
from vitreid.bundle.manifest import Manifest
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.database import Database
from vitreid.service.gallery.errors import GenerationNotFound, ImagesMissing
from vitreid.service.gallery.rows.conditions import among
from vitreid.service.gallery.rows.rows import advance, embedding_row, remove
from vitreid.service.gallery.rows.settings import read_settings
from vitreid.service.gallery.rows.tables import embeddings_of, gallery, generations, images, items
from vitreid.service.models.embedder import Embedder

SHOWN = 20  # ids that a message lists


@dataclass(frozen=True)
class Reembedded:
    """What became of a gallery."""

    generation: int
    """The embeddings that answer now."""
    previous: int
    """Those that did before; kept until they are dropped."""
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
    embedder: Embedder
    cameras: dict[str, str]
    """Camera of the gallery -> one that the model learned."""


def reembed(
    database: Database,
    embedder: Embedder,
    clock: Callable[[], datetime],
    *,
    batch_size: int = 32,
    drop_without_image: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reembedded:
    """Embed every item's stored image with another model; afterwards that model's embeddings answer.

    Each batch is committed, so a run that was ended goes on where it was. Items that are added meanwhile are embedded
    too. The last step is one transaction; who has the gallery open with the old model gets BundleMismatch from then
    on. Going back to a model whose embeddings are kept embeds only what came since.

    Raises ImagesMissing where items have no usable image and these are not to be dropped, BadParameter where the
    gallery is of this model already.
    """
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


def drop_generation(database: Database, generation: int) -> None:
    """Remove the embeddings of a model that does not answer any more. Raises GenerationNotFound."""
    with database.writing() as connection:
        state = connection.execute(select(generations.c.state).where(generations.c.id == generation)).scalar()
        if state is None or state == "live":
            there = connection.execute(select(generations.c.id).where(generations.c.state != "live")).scalars().all()
            found = "is the one that answers" if state else "does not exist"
            raise GenerationNotFound(
                f"generation {generation} {found}; those that can be dropped: {', '.join(map(str, there)) or 'none'}"
            )
        embeddings_of(generation).drop(connection)
        connection.execute(generations.delete().where(generations.c.id == generation))


def _begin(database: Database, embedder: Embedder, clock: Callable[[], datetime]) -> tuple[_Target, int]:
    """The generation to fill, made or found again, and the one that answers."""
    manifest = embedder.manifest
    with database.writing() as connection:
        header = connection.execute(gallery.select()).one()
        if header.bundle_id == manifest.bundle_id:
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
        mapped = read_settings(connection).cameras
    learned = {camera: name for camera, name in mapped.items() if name in manifest.cameras}
    return _Target(number, table, embedder, learned), header.generation


def _check_images(database: Database, table: Table) -> None:
    without = _missing(table, 0).where(images.c.item_id.is_(None))
    with database.reading() as connection:
        ids = [row.id for row in connection.execute(without)]
    if ids:
        raise _images_missing(ids)


def _missing(table: Table, after: int) -> Select[Any]:
    """Items without an embedding of the generation, with their images, in order of id."""
    joined = items.outerjoin(table, table.c.item_id == items.c.id).outerjoin(images, images.c.item_id == items.c.id)
    wanted = select(items.c.id, items.c.camera_id, images.c.image).select_from(joined)
    return wanted.where(table.c.item_id.is_(None), items.c.id > after).order_by(items.c.id)


def _embed(target: _Target, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Embedding rows of those items whose images can be read."""
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
    """Insert the rows of items that are still there; another run may have been faster with some."""
    ids = [row["item_id"] for row in rows]
    here = set(connection.execute(select(items.c.id).where(items.c.id.in_(among(ids)))).scalars())
    if kept := [row for row in rows if row["item_id"] in here]:
        connection.execute(insert(table).on_conflict_do_nothing(), kept)


def _swap(
    database: Database, target: _Target, live: int, clock: Callable[[], datetime], *, drop_without_image: bool
) -> Reembedded:
    manifest: Manifest = target.embedder.manifest
    with database.writing() as connection:
        # What was added since the last look: nobody adds more while this lasts.
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
    for camera, learned in target.cameras.items():
        connection.execute(items.update().where(items.c.camera_id == camera).values(model_camera=learned))
    for state, which in (("kept", generations.c.state == "live"), ("live", generations.c.id == target.generation)):
        connection.execute(generations.update().where(which).values(state=state))
    connection.execute(
        gallery.update().values(
            generation=target.generation, bundle_id=manifest.bundle_id, dimension=manifest.dimension
        )
    )


def _images_missing(ids: Sequence[int]) -> ImagesMissing:
    shown = ", ".join(map(str, ids[:SHOWN])) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
    return ImagesMissing(
        f"{len(ids):,} items have no image that can be read ({shown}); nothing was swapped: add them anew, or delete "
        "them on the way with --drop-without-image"
    )
