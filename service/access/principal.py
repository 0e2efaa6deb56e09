"""Callers and scopes: what the holder of a key may do and see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from vitreid.service.access.errors import Forbidden
from vitreid.service.errors import UnknownName
from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.items import Item

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# A scope holds all that stand before it: write includes read, and admin both.
HOLDS: dict[Scope, frozenset[Scope]] = {scope: frozenset(SCOPES[: at + 1]) for at, scope in enumerate(SCOPES)}


@dataclass(frozen=True)
class Principal:
    """The holder of a key, or anybody where no key was ever made.

    `galleries` and `cameras` are what the key is limited to; None is no limit. A key that is limited to cameras sees
    no item of another or an unknown camera.
    """

    key_id: str | None
    name: str
    scopes: frozenset[Scope]
    galleries: frozenset[str] | None = None
    cameras: frozenset[str] | None = None

    @property
    def unlimited(self) -> bool:
        """True if every gallery and every camera is allowed."""
        return self.galleries is None and self.cameras is None

    def filter(self, where: Filter) -> Filter:
        """Return `where` narrowed to the allowed cameras."""
        if self.cameras is None:
            return where
        return replace(where, cameras=self.cameras if where.cameras is None else self.cameras & where.cameras)

    def sees_gallery(self, name: str) -> bool:
        """Return whether the caller may know of a gallery of this name."""
        return self.galleries is None or name in self.galleries

    def sees_camera(self, camera_id: str | None) -> bool:
        """Return whether the caller may know of items of this camera."""
        return self.cameras is None or camera_id in self.cameras

    def check_scope(self, scope: Scope) -> None:
        """Raise Forbidden where the key does not hold the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope!r}; key {self.name!r} has {_listed(self.scopes)}")

    def check_gallery(self, name: str) -> None:
        """Raise Forbidden for a gallery outside of the key's, whether it exists or not."""
        if self.galleries is not None and name not in self.galleries:
            raise Forbidden(f"key {self.name!r} is for other galleries: {_listed(self.galleries)}")

    def check_camera(self, camera_id: str | None) -> None:
        """Raise Forbidden for an addition or change outside of the key's cameras; an unknown camera too."""
        if self.cameras is not None and camera_id not in self.cameras:
            shown = "an image without camera_id" if camera_id is None else f"camera {camera_id!r}"
            raise Forbidden(f"{shown} is outside of what key {self.name!r} is for: {_listed(self.cameras)}")

    def check_item(self, item: Item) -> Item:
        """Return the item. Raises ItemNotFound, as for one that never existed, if its camera is not allowed."""
        if not self.sees_camera(item.camera_id):
            raise ItemNotFound.of(item.id)
        return item

    def check_unlimited(self) -> None:
        """Raise Forbidden for a key that is limited to galleries or cameras."""
        if not self.unlimited:
            raise Forbidden(f"this needs a key without limits; key {self.name!r} is limited to galleries or cameras")


def scope_of(name: str) -> Scope:
    """Return the scope called `name`. Raises UnknownName."""
    for scope in SCOPES:
        if scope == name:
            return scope
    raise UnknownName.of("scope", name, SCOPES)


def held(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Return the given scopes with all that they include."""
    return frozenset().union(*(HOLDS[scope] for scope in scopes))


ANONYMOUS = Principal(None, "anonymous", HOLDS["admin"])
"""Anybody, while no key was ever made."""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
