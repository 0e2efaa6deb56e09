from __future__ import annotations

from collections import Counter

import pytest

from training.errors import DataError
from training.sampler import PKSampler

LABELS = [0] * 9 + [1] * 4 + [2] * 1 + [3] * 6 + [4] * 3


def test_batches_hold_p_persons_with_k_pictures() -> None:
    sampler = PKSampler(LABELS, persons=3, images_per_person=4, samples_per_epoch=600)
    batches = list(sampler.epoch(0))
    assert len(batches) == len(sampler) == 50
    for batch in batches:
        assert Counter(Counter(LABELS[i] for i in batch).values()) == {4: 3}


@pytest.mark.parametrize("seed", range(5))
def test_all_pictures_of_a_person_are_dealt_before_any_comes_again(seed: int) -> None:
    labels = [person for person in range(8) for _ in range(8)]
    sampler = PKSampler(labels, persons=4, images_per_person=4, samples_per_epoch=320, seed=seed)
    seen = Counter(i for batch in sampler.epoch(0) for i in batch)
    for person in range(8):
        counts = [seen[i] for i in range(8 * person, 8 * person + 8)]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 3


def test_the_tail_is_not_dropped() -> None:
    """A person with many pictures is not cut short because the others have run out."""
    labels = [0] * 40 + [1] * 4 + [2] * 4
    sampler = PKSampler(labels, persons=2, images_per_person=4, samples_per_epoch=800)
    seen = Counter(i for batch in sampler.epoch(0) for i in batch)
    assert min(seen[i] for i in range(40)) >= 1


def test_epochs_differ_and_repeat_by_seed() -> None:
    def epochs(seed: int) -> list[list[list[int]]]:
        sampler = PKSampler(LABELS, persons=3, images_per_person=2, seed=seed)
        return [list(sampler.epoch(i)) for i in range(2)]

    assert epochs(1) == epochs(1)
    assert epochs(1)[0] != epochs(1)[1]
    assert epochs(1) != epochs(2)


def test_too_few_persons() -> None:
    with pytest.raises(DataError, match=r"data\.persons = 6.*5 persons.*--set data\.persons=5"):
        PKSampler(LABELS, persons=6, images_per_person=4)


def test_a_single_person() -> None:
    with pytest.raises(DataError, match="has 1 person; telling persons apart takes at least two"):
        PKSampler([0, 0, 0], persons=2, images_per_person=2)


def test_a_person_with_one_picture_comes_as_copies() -> None:
    batches = list(PKSampler([0, 1, 1, 1], persons=2, images_per_person=3).epoch(0))
    assert all(sorted(batch).count(0) == 3 for batch in batches)
