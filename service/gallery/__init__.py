"""A gallery: rows in SQL, which are the truth, and an index over their embeddings, which is derived."""

from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import (
    AddResult,
    Box,
    GalleryInfo,
    GallerySettings,
    Item,
    ItemChanges,
    Match,
    NewItem,
    Quality,
)

__all__ = [
    "EVERYTHING",
    "AddResult",
    "Box",
    "Filter",
    "Gallery",
    "GalleryInfo",
    "GallerySettings",
    "Item",
    "ItemChanges",
    "Match",
    "NewItem",
    "Quality",
]
