"""Random embeddings have the stated structure."""

from __future__ import annotations

import numpy as np

from benchmarks.random_embeddings import CAMERAS, LOOK_ALIKES, TRACK_IMAGES, population_for

ROWS = 10_000


def test_cosines_are_those_of_people_look_alikes_and_tracks():
    people = population_for(ROWS)
    gallery, queries = people.gallery(ROWS), people.queries(100)
    scores = queries.embeddings @ gallery.embeddings.T
    same = queries.persons[:, None] == gallery.persons
    alike = (queries.persons[:, None] // LOOK_ALIKES == gallery.persons // LOOK_ALIKES) & ~same
    tracks = gallery.embeddings.reshape(-1, TRACK_IMAGES, 384)
    assert abs(scores[same].mean() - 0.63) < 0.02
    assert abs(scores[alike].mean() - 0.45) < 0.04
    assert abs(scores[~same & ~alike].mean()) < 0.05
    assert 0.1 < scores[~same & ~alike].std() < 0.16
    assert abs((tracks[:, 0] * tracks[:, 1]).sum(axis=1).mean() - 0.9) < 0.01


def test_every_camera_adds_a_shift():
    gallery = population_for(ROWS).gallery(ROWS)
    means = np.stack([gallery.embeddings[gallery.cameras == camera].mean(axis=0) for camera in range(CAMERAS)])
    distances = np.linalg.norm(means[:, None] - means, axis=2)
    assert (distances[~np.eye(CAMERAS, dtype=bool)] > 0.2).all()


def test_embeddings_have_unit_length_and_people_fifty_images():
    gallery = population_for(ROWS, 64).gallery(ROWS)
    assert gallery.embeddings.shape == (ROWS, 64)
    assert gallery.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(gallery.embeddings, axis=1), 1, atol=1e-5)
    assert np.unique(gallery.persons, return_counts=True)[1].tolist() == [50] * 200


def test_the_seed_determines_the_embeddings():
    first, again, other = (population_for(333, 16, seed=seed).gallery(333) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    np.testing.assert_array_equal(first.persons, again.persons)
    assert (first.embeddings != other.embeddings).any(axis=1).all()


def test_a_larger_gallery_begins_with_the_smaller_one():
    people = population_for(60_000, 8)
    small, large = people.gallery(25_003), people.gallery(60_000)
    np.testing.assert_array_equal(small.persons, large.persons[:25_003])
    np.testing.assert_array_equal(small.embeddings[:20_480], large.embeddings[:20_480])  # whole blocks


def test_queries_are_not_in_the_gallery():
    people = population_for(1000, 64)
    assert (people.queries(50).embeddings @ people.gallery(1000).embeddings.T).max() < 0.95
