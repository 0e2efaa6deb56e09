"""Folders indexed and embedded in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitreid.service.gallery import Gallery
from vitreid.service.intake.folders import read_folder
from vitreid.service.intake.indexing import EmbeddedImages, IndexReport, embed_folder, index_folder
from vitreid.service.models.embedder import Embedder

OF_FOLDERS = {"table", "boxes", "camera_id", "pattern"}


def index_images(folder: Path, gallery: Gallery | None, embedder: Embedder, **options: Any) -> IndexReport:
    """Read a folder and add its images to a gallery."""
    reading = {name: options.pop(name) for name in OF_FOLDERS & options.keys()}
    return index_folder(read_folder(folder, **reading), gallery, embedder, **options)


def embed_images(folder: Path, embedder: Embedder, **options: Any) -> EmbeddedImages:
    """Read a folder and embed its images."""
    return embed_folder(read_folder(folder), embedder, **options)
