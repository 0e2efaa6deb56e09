"""Images of rankings: each row a query and its best answers, framed by whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from vitreid.bundle import read_image
from vitreid.scoring import Labelled
from vitreid.training.datasets import Sample

TILE = (192, 96)  # height, width
FRAME, GAP = 5, 6
QUERY, RIGHT, WRONG = "#334155", "#15803d", "#b91c1c"


def answers(query: Labelled, gallery: Labelled, rows: Sequence[int], top: int) -> NDArray[np.int64]:
    """Places in the gallery (len(rows), top) of the best answers to some queries, best first; -1 where there are fewer.

    Images of the query's person by its own camera are left out, as when it is scored.
    """
    found = np.full((len(rows), top), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        own = (gallery.persons == query.persons[row]) & (gallery.cameras == query.cameras[row])
        scores = np.where(own, -np.inf, gallery.embeddings @ query.embeddings[row])
        best = np.argsort(-scores, kind="stable")[:top]
        best = best[np.isfinite(scores[best])]
        found[place, : len(best)] = best
    return found


def draw_rank_lists(
    query: Sequence[Sample], gallery: Sequence[Sample], rows: Sequence[int], found: NDArray[np.int64]
) -> Image.Image:
    """The queries in `rows`, each with the answers `found` (len(rows), top): right ones framed green, wrong ones red.

    Raises ImageError where an image cannot be read.
    """
    height, width = (side + 2 * FRAME for side in TILE)
    sheet = Image.new(
        "RGB", (GAP + (1 + found.shape[1]) * (width + GAP) + GAP, GAP + len(rows) * (height + GAP)), "white"
    )
    for line, (row, places) in enumerate(zip(rows, found, strict=True)):
        top = GAP + line * (height + GAP)
        sheet.paste(_tile(query[row].path, QUERY, f"query {query[row].person}"), (GAP, top))
        for rank, place in enumerate(places[places >= 0], 1):
            answer = gallery[place]
            color = RIGHT if answer.person == query[row].person else WRONG
            sheet.paste(_tile(answer.path, color, f"{rank}: {answer.person}"), (2 * GAP + rank * (width + GAP), top))
    return sheet


def chosen_rows(queries: int, count: int, seed: int = 0) -> list[int]:
    """Some of the queries, the same ones for a seed, in order."""
    picked = np.random.default_rng(seed).choice(queries, min(count, queries), replace=False)
    return sorted(picked.tolist())


def _tile(path: Path, color: str, label: str) -> Image.Image:
    image = ImageOps.pad(read_image(path), (TILE[1], TILE[0]), color="white")
    framed = ImageOps.expand(image, FRAME, color)
    draw = ImageDraw.Draw(framed)
    draw.rectangle((0, 0, framed.width, 15), fill=color)
    draw.text((4, 2), label, fill="white")
    return framed
