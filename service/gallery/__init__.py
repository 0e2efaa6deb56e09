"""A gallery: rows in SQL, which are the truth, and an index over their embeddings, which is derived."""

from service.gallery.gallery import Gallery
from service.gallery.items import AddResult, Box, GalleryInfo, Item, Match, NewItem

__all__ = ["AddResult", "Box", "Gallery", "GalleryInfo", "Item", "Match", "NewItem"]
