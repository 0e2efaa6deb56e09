"""Galleries: rows in SQL, which are the truth, and a search view over their embeddings, which is derived."""

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
from vitreid.service.gallery.rows.database import bundle_of

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
    "bundle_of",
]
