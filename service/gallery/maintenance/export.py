"""Export: a gallery's items as text that other programs read, and their embeddings as arrays."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from vitreid.bundle.cells import escape_cell
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Item
from vitreid.service.values.files import atomic_write

ROWS_AT_ONCE = 1000
QUALITY = ("height", "width", "sharpness", "brightness", "outside")
LABELS = ("id", "image_hash", "camera_id", "model_camera", "person_id", "track_id", "source")
FIELDS = (*LABELS, "captured_at", "created_at", "box", *QUALITY, "has_image", "metadata")


class Writer(Protocol):
    """Takes items one by one."""

    def __call__(self, values: Mapping[str, object]) -> None:
        """Write the fields of one item."""


def _json_lines(file: IO[str]) -> Writer:
    return lambda values: print(json.dumps(values, ensure_ascii=False), file=file)


def _csv(file: IO[str]) -> Writer:
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
    writer.writeheader()

    def write(values: Mapping[str, object]) -> None:
        nested = {name: json.dumps(values[name], ensure_ascii=False) for name in ("box", "metadata") if values[name]}
        texts = {name: escape_cell(value) for name, value in values.items() if isinstance(value, str)}
        writer.writerow({**values, **texts, "box": None, "metadata": None, **nested})

    return write


FORMATS: dict[str, Callable[[IO[str]], Writer]] = {".jsonl": _json_lines, ".csv": _csv}
"""By the end of the file's name."""


@dataclass(frozen=True)
class Exported:
    """Size of an export."""

    items: int
    dimension: int


def export_items(
    gallery: Gallery,
    out: Path,
    *,
    embeddings: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the items that are there now to `out`, and their embeddings to an .npz; both appear whole or not at all.

    The .npz has `id` (N,) int64 and `embedding` (N, D) float32 in the order of the items. Items that are deleted
    meanwhile are in neither. Raises BadParameter for a name that ends otherwise, CannotWrite.
    """
    if out.suffix not in FORMATS or (embeddings is not None and embeddings.suffix != ".npz"):
        raise BadParameter(
            f"{out.name if out.suffix not in FORMATS else embeddings} has an unknown ending; write items to "
            f"{' or '.join(FORMATS)}, embeddings to .npz"
        )
    ids = gallery.ids()
    found = np.empty((len(ids) if embeddings is not None else 0, gallery.dimension), dtype=np.float32)
    written: list[int] = []
    with ExitStack() as stack:
        file = stack.enter_context(atomic_write(out))
        arrays = None if embeddings is None else stack.enter_context(atomic_write(embeddings))
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        write = FORMATS[out.suffix](text)
        for page in _pages(gallery, ids):
            if arrays is not None:
                here, rows = gallery._store.embeddings_of([item.id for item in page])
                row_of = {item_id: row for row, item_id in enumerate(here)}
                page = [item for item in page if item.id in row_of]
                found[len(written) : len(written) + len(page)] = rows[[row_of[item.id] for item in page]]
            for item in page:
                write(_values(item))
            written += [item.id for item in page]
            progress(len(written), len(ids))
        text.flush()
        text.detach()
        if arrays is not None:
            np.savez(arrays, allow_pickle=False, id=np.array(written, dtype=np.int64), embedding=found[: len(written)])
    return Exported(len(written), gallery.dimension)


def _pages(gallery: Gallery, ids: list[int]) -> Iterator[list[Item]]:
    for start in range(0, len(ids), ROWS_AT_ONCE):
        found = gallery._store.items_of(ids[start : start + ROWS_AT_ONCE])
        yield [found[item_id] for item_id in sorted(found)]


def _values(item: Item) -> dict[str, Any]:
    quality = item.quality
    return {
        **{name: getattr(item, name) for name in (*LABELS, "box", "has_image", "metadata")},
        **{name: None if quality is None else getattr(quality, name) for name in QUALITY},
        "captured_at": None if item.captured_at is None else item.captured_at.isoformat(),
        "created_at": item.created_at.isoformat(),
    }
