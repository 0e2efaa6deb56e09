"""Random embeddings of persons, and all their pairs by a slow loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vitreid.scoring import Labelled


def made(seed: int = 0, *, persons: int = 8, cameras: int = 3, spread: float = 0.6) -> tuple[Labelled, Labelled]:
    """Return queries of all persons but the last two, which are distractors, and a gallery of all."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(persons), 2 * cameras)
    seen_by = np.tile(np.repeat([f"c{9 + camera}" for camera in range(cameras)], 2), persons)
    rows = random.standard_normal((persons, 16))[labels] + spread * random.standard_normal((len(labels), 16)) + 0.5
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    is_query = (np.arange(len(labels)) % 2 == 0) & (labels < persons - 2) & (random.random(len(labels)) < 0.8)
    names = np.array([f"p{label}" for label in labels])
    query, gallery = (Labelled.of("some", rows[part], names[part], seen_by[part]) for part in (is_query, ~is_query))
    return query, gallery


def slow_pairs(query: Labelled, gallery: Labelled) -> Iterator[tuple[float, str, str, str, str]]:
    """Yield score, both cameras (in order) and both persons of each pair across cameras that counts."""
    known = set(query.persons.tolist())
    rows = [
        (part.embeddings[i], str(part.persons[i]), str(part.cameras[i]))
        for part in (query, gallery)
        for i in range(len(part))
    ]
    for i, (one, person, camera) in enumerate(rows):
        for other, other_person, other_camera in rows[:i]:
            if camera == other_camera or not {person, other_person} & known:
                continue
            first, second = sorted([(len(camera), camera, person), (len(other_camera), other_camera, other_person)])
            yield float(one @ other), first[1], second[1], first[2], second[2]
