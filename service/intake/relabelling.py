"""Labels that come with images which a gallery has already: what they say otherwise, told or taken over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Item, ItemChanges
from vitreid.service.intake.labels import Label

FLUSHED_AT = 256


@dataclass(frozen=True)
class Differing:
    """An image that is there already, and which of its labels the gallery's item does not have."""

    path: str
    item_id: int
    labels: tuple[str, ...]


def differences(item: Item, label: Label) -> ItemChanges:
    """The labels that say something else than the item's. What is left out says nothing, so nothing is cleared."""
    changes: ItemChanges = {}
    if label.person_id not in (None, item.person_id):
        changes["person_id"] = label.person_id
    if label.camera_id not in (None, item.camera_id):
        changes["camera_id"] = label.camera_id
    if label.track_id not in (None, item.track_id):
        changes["track_id"] = label.track_id
    if label.captured_at not in (None, item.captured_at):
        changes["captured_at"] = label.captured_at
    if (metadata := {**item.metadata, **label.metadata}) != item.metadata:
        changes["metadata"] = metadata
    return changes


def relabelled(gallery: Gallery, labels: Mapping[int, Label], *, relabel: bool) -> dict[int, tuple[str, ...]]:
    """The names of the labels that differ, by item; with `relabel` the items have them on return."""
    found: dict[int, tuple[str, ...]] = {}
    for item_id, item in gallery.store.items_of(labels).items():
        changes = differences(item, labels[item_id])
        if changes:
            found[item_id] = tuple(changes)
            if relabel:
                with suppress(ItemNotFound):  # deleted meanwhile
                    gallery.patch(item_id, changes)
    return found


class Duplicates:
    """The duplicates of one run, compared a few hundred at a time."""

    def __init__(self, gallery: Gallery, *, relabel: bool) -> None:
        self.differing: list[Differing] = []
        self.relabel = relabel
        self._gallery = gallery
        self._waiting: dict[str, tuple[str, Label]] = {}

    def add(self, image_hash: str, path: str, label: Label) -> None:
        """Compare an image's labels with its item's, at the latest with `flush`."""
        self._waiting[image_hash] = (path, label)
        if len(self._waiting) >= FLUSHED_AT:
            self.flush()

    def flush(self) -> None:
        """Compare what waits; an image whose item is not committed yet waits on."""
        ids = self._gallery.ids_by_hash({each: label.camera_id for each, (_, label) in self._waiting.items()})
        of_item = {item_id: self._waiting.pop(image_hash) for image_hash, item_id in ids.items()}
        labels = {item_id: label for item_id, (_, label) in of_item.items()}
        found = relabelled(self._gallery, labels, relabel=self.relabel)
        self.differing += [Differing(of_item[item_id][0], item_id, names) for item_id, names in found.items()]
