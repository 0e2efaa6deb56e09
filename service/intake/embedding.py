"""A folder of crops into embeddings, without a gallery."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.service.intake.folders import Passed, scan_folder
from vitreid.service.intake.indexing import Progress
from vitreid.service.intake.preparing import Prepared, Rules
from vitreid.service.intake.reading import SkippedFile, crops_of, prepared, unreadable_of
from vitreid.service.models.embedder import Embedder


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The embeddings of a folder."""

    paths: list[str]
    """(N,) relative to the folder, with slashes."""
    embeddings: NDArray[np.float32]
    """(N, D), unit length."""
    bad: list[SkippedFile]
    ignored: list[Passed]
    """What is no image by its suffix, and what else was passed over."""


def embed_images(
    folder: Path, embedder: Embedder, *, batch_size: int = 32, progress: Progress | None = None
) -> EmbeddedImages:
    """Embed all images below a folder, each with the camera of its Market-style name, where the model learned it.

    Raises FolderNotFound, NoImages.
    """
    found = scan_folder(folder)
    tasks = crops_of(found)
    rules = Rules(embedder.prepare, keep_images=False)
    names: list[str] = []
    bad = unreadable_of(found)
    embeddings = [np.empty((0, embedder.dimension), dtype=np.float32)]

    def finish(batch: list[Prepared]) -> None:
        embeddings.append(embedder.run([each.pixels for each in batch], [each.label.camera_id for each in batch]))
        names.extend(each.name or "" for each in batch)
        if progress is not None:
            progress(len(names) + len(bad), len(tasks) + len(found.unreadable))

    batch: list[Prepared] = []
    with closing(prepared(tasks, rules, lambda hashes: set(), batch_size=batch_size)) as chunked:
        for result in (result for portion in chunked for result in portion):
            if isinstance(result, SkippedFile):
                bad.append(result)
            elif isinstance(result, Prepared):
                batch.append(result)
            if len(batch) == batch_size:
                finish(batch)
                batch = []
    finish(batch)
    return EmbeddedImages(names, np.concatenate(embeddings), bad, found.ignored)
