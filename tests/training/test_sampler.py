from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vitreid.training.errors import DataError
from vitreid.training.sampler import SAMPLERS, PKSampler, RandomIdentitySampler

LABELS = [0] * 9 + [1] * 4 + [2] * 1 + [3] * 6 + [4] * 3


def test_batches_hold_p_persons_with_k_images() -> None:
    sampler = PKSampler(LABELS, identities_per_batch=3, images_per_identity=4, samples_per_epoch=600)
    batches = sampler.epoch(0)
    assert len(batches) == 50
    for batch in batches:
        assert Counter(Counter(LABELS[i] for i in batch).values()) == {4: 3}


@pytest.mark.parametrize("seed", range(5))
def test_all_images_of_a_person_are_dealt_before_any_comes_again(seed: int) -> None:
    labels = [person for person in range(8) for _ in range(8)]
    sampler = PKSampler(labels, identities_per_batch=4, images_per_identity=4, samples_per_epoch=320, seed=seed)
    seen = Counter(i for batch in sampler.epoch(0) for i in batch)
    for person in range(8):
        counts = [seen[i] for i in range(8 * person, 8 * person + 8)]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 3


def test_the_tail_is_not_dropped() -> None:
    """A person with many images is not cut short because the others have run out."""
    labels = [0] * 40 + [1] * 4 + [2] * 4
    sampler = PKSampler(labels, identities_per_batch=2, images_per_identity=4, samples_per_epoch=800)
    seen = Counter(i for batch in sampler.epoch(0) for i in batch)
    assert min(seen[i] for i in range(40)) >= 1


def test_epochs_differ_and_repeat_by_seed() -> None:
    def epochs(seed: int) -> list[list[list[int]]]:
        sampler = PKSampler(LABELS, identities_per_batch=3, images_per_identity=2, seed=seed)
        return [list(sampler.epoch(i)) for i in range(2)]

    assert epochs(1) == epochs(1)
    assert epochs(1)[0] != epochs(1)[1]
    assert epochs(1) != epochs(2)


def test_too_few_persons() -> None:
    with pytest.raises(DataError, match=r"identities_per_batch = 6.*5 persons.*--set data\.identities_per_batch=5"):
        PKSampler(LABELS, identities_per_batch=6, images_per_identity=4)


def test_a_single_person() -> None:
    with pytest.raises(DataError, match="has 1 person; telling persons apart takes at least two"):
        PKSampler([0, 0, 0], identities_per_batch=2, images_per_identity=2)


def test_a_person_with_one_image_comes_as_copies() -> None:
    batches = list(PKSampler([0, 1, 1, 1], identities_per_batch=2, images_per_identity=3).epoch(0))
    assert all(sorted(batch).count(0) == 3 for batch in batches)


SETS = {
    "few": [person for person in range(60) for _ in range(1 + person % 3)],
    "market": [person for person in range(97) for _ in range(2 + 7 * person % 40)],
    "one has most": [0] * 90 + [person for person in range(1, 20) for _ in range(5)],
    "fewest persons": [0] * 11 + [1] * 2 + [2] * 3 + [3] * 4,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("labels", SETS.values(), ids=SETS)
def test_an_epoch_shows_every_image(labels: list[int], seed: int) -> None:
    batches = PKSampler(labels, identities_per_batch=4, images_per_identity=4, seed=seed).epoch(seed)
    hands = [-(-labels.count(person) // 4) for person in set(labels)]
    assert len(batches) == max(-(-sum(hands) // 4), *hands)  # no fewer would do
    assert {index for batch in batches for index in batch} == set(range(len(labels)))
    for batch in batches:
        assert Counter(Counter(labels[i] for i in batch).values()) == {4: 4}


def published_batches(labels: list[int], persons: int, images: int, seed: int) -> int:
    """Number of batches by TransReID's rule, from numbers alone."""
    random = np.random.default_rng(seed)
    hands = {person: max(1, count // images) for person, count in Counter(labels).items()}
    batches = 0
    while len(hands) >= persons:
        batches += 1
        for person in random.choice(list(hands), persons, replace=False):
            hands[person] -= 1
            if not hands[person]:
                del hands[person]
    return batches


@pytest.mark.slow
@pytest.mark.parametrize("labels", [labels for name, labels in SETS.items() if name != "few"])
def test_random_identity_takes_as_many_batches_as_transreid(labels: list[int]) -> None:
    sampler = RandomIdentitySampler(labels, identities_per_batch=4, images_per_identity=4)
    found = [len(sampler.epoch(epoch)) for epoch in range(100)]
    expected = [published_batches(labels, 4, 4, seed) for seed in range(100)]
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=max(0.5, 4 * float(np.std(expected)) / 10))


def test_random_identity_leaves_what_does_not_fill_a_hand() -> None:
    labels = [0] * 7 + [1] * 4 + [2] * 1
    for epoch in range(20):
        batches = RandomIdentitySampler(labels, identities_per_batch=3, images_per_identity=4).epoch(epoch)
        [drawn] = [Counter(batch) for batch in batches]
        assert drawn[11] == 4
        assert all(drawn[i] == 1 for i in range(7, 11))
        assert sum(drawn[i] for i in range(7)) == 4
        assert max(drawn[i] for i in range(7)) == 1


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_epoch_of_a_given_size(name: str) -> None:
    batches = SAMPLERS[name](LABELS, identities_per_batch=3, images_per_identity=4, samples_per_epoch=600).epoch(1)
    assert [len(batch) for batch in batches] == [12] * 50
