"""A gallery's settings, and its count of rejected images."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import Connection, select

from vitreid.service.db import Unreadable
from vitreid.service.db.sqlite import upsert
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.items import GallerySettings
from vitreid.service.gallery.rows.tables import rejections, settings
from vitreid.service.values.messages import first_mistake


def read_settings(connection: Connection) -> GallerySettings:
    """Return the settings. Raises Unreadable."""
    found = dict(connection.execute(select(settings.c.key, settings.c.value)).all())
    try:
        return GallerySettings(**found)
    except ValidationError as error:
        raise Unreadable(f"a setting that cannot be: {error.errors()[0]['msg']}") from error


def write_settings(connection: Connection, changes: dict[str, object]) -> GallerySettings:
    """Change some settings by name; return all of them. Raises BadParameter and changes nothing."""
    now = read_settings(connection)
    try:
        changed = GallerySettings.model_validate(now.model_dump() | changes)
    except ValidationError as error:
        raise BadParameter(f"gallery setting {first_mistake(error)}; nothing was changed") from error
    values = changed.model_dump(mode="json")
    upsert(connection, settings, [{"key": name, "value": values[name]} for name in changes])
    return changed


def count_rejection(connection: Connection, camera_id: str | None, reason: str, n: int) -> None:
    """Count `n` images of a camera that were not taken for a reason."""
    key = {"camera_id": camera_id or "", "reason": reason}
    if not connection.execute(rejections.update().filter_by(**key).values(count=rejections.c.count + n)).rowcount:
        connection.execute(rejections.insert().values(**key, count=n))


def read_rejections(connection: Connection) -> dict[str | None, dict[str, int]]:
    """Return how many images were not taken, by camera (None: unknown) and reason."""
    counted: dict[str | None, dict[str, int]] = {}
    for camera, reason, count in connection.execute(rejections.select().order_by(*rejections.primary_key)):
        counted.setdefault(camera or None, {})[reason] = count
    return counted
