"""A gallery in numbers, read from its rows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from vitreid.service.gallery.rows.tables import backups, gallery, generations, images, items, patches

_HEADER = ("bundle_id", "dimension", "format_version", "lineage", "generation", "created_at", "purged_seq")


def camera_counts(connection: Connection) -> dict[tuple[str | None, str | None], int]:
    """Return the number of items by camera and model camera."""
    by = (items.c.camera_id, items.c.model_camera)
    return {
        (camera, model_camera): n
        for camera, model_camera, n in connection.execute(select(*by, func.count()).group_by(*by))
    }


def list_generations(connection: Connection) -> list[dict[str, Any]]:
    """Return each model's embeddings."""
    return [row._asdict() for row in connection.execute(generations.select())]


def list_backups(connection: Connection) -> list[dict[str, Any]]:
    """Return the backups that are not dropped, oldest first."""
    wanted = select(*(column for column in backups.c if column is not backups.c.purged_at))
    wanted = wanted.where(backups.c.purged_at.is_(None)).order_by(backups.c.created_at)
    return [row._asdict() for row in connection.execute(wanted)]


def summary(connection: Connection, path: Path) -> dict[str, Any]:
    """Return the fields of GalleryInfo that the database knows; `path` is its file."""
    header = connection.execute(gallery.select()).one()
    by_camera = select(items.c.camera_id, func.count()).group_by(items.c.camera_id)
    cameras: dict[str | None, int] = dict(connection.execute(by_camera).all())
    return {
        "path": path.parent,
        **{name: getattr(header, name) for name in _HEADER},
        "seq": header.last_seq,
        "items": sum(cameras.values()),
        "images": connection.execute(select(func.count()).select_from(images)).scalar_one(),
        "patches": connection.execute(select(func.count()).select_from(patches)).scalar_one(),
        "persons": connection.execute(select(func.count(items.c.person_id.distinct()))).scalar_one(),
        "cameras": {camera: count for camera, count in sorted(cameras.items(), key=str) if camera is not None},
        "bytes": _size(path),
    }


def _size(path: Path) -> int:
    """Return the bytes of a database with its log, which whoever closes it last removes."""
    total = 0
    for file in path.parent.glob(f"{path.name}*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
