"""PK batches: P persons with K images each, as the triplet loss needs them.

Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitreid.training.errors import DataError


class PKSampler:
    """Draws the batches of an epoch as lists of sample indices: all images of all persons.

    An epoch's batches depend on `seed` and `epoch` alone. A person's images are shuffled and dealt in hands of K,
    the last one filled with copies. All images of a person are dealt before any of them comes again. An epoch has as
    few batches as show every image, or `samples_per_epoch`.
    """

    def __init__(
        self,
        labels: Sequence[int],
        *,
        identities_per_batch: int,
        images_per_identity: int,
        samples_per_epoch: int | None = None,
        seed: int = 0,
    ) -> None:
        """Raises DataError where the data set has fewer than `identities_per_batch` persons, or a single one."""
        self._indices = [np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))]
        if len(self._indices) < 2:
            raise DataError(
                f"the training part has {len(self._indices)} person; telling persons apart takes at least two"
            )
        if len(self._indices) < identities_per_batch:
            raise DataError(
                f"data.identities_per_batch = {identities_per_batch}, but the training part has "
                f"{len(self._indices)} persons; lower it with --set data.identities_per_batch={len(self._indices)}"
            )
        self._persons, self._images, self._seed = identities_per_batch, images_per_identity, seed
        self._batches = (
            None
            if samples_per_epoch is None
            else max(1, samples_per_epoch // (identities_per_batch * images_per_identity))
        )

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, each P x K indices, the images of a person together."""
        random = np.random.default_rng([self._seed, epoch])
        hands = [self._deal(person, random) for person in range(len(self._indices))]
        batches = self._batches or self._needed(hands)
        unseen = np.array([len(dealt) for dealt in hands]) * (batches >= self._needed(hands))
        return [self._batch(hands, unseen, left, random) for left in range(batches, 0, -1)]

    def _needed(self, hands: list[list[list[int]]]) -> int:
        """How many batches show all hands: no person is twice in one of them."""
        counts = [len(dealt) for dealt in hands]
        return max(-(-sum(counts) // self._persons), *counts)

    def _batch(
        self, hands: list[list[list[int]]], unseen: NDArray[np.int64], left: int, random: np.random.Generator
    ) -> list[int]:
        """The next batch of those that are `left`; `unseen` counts the hands of each person's that must be in them."""
        waiting = [person for person, dealt in enumerate(hands) if dealt]
        due = np.flatnonzero(unseen >= left).tolist()  # else not all of theirs are shown
        others = [person for person in waiting if person not in due]
        count = min(self._persons - len(due), len(others))
        weights = np.array([len(hands[person]) for person in others])
        # A person comes as often as there are hands to deal, so that few are left over at the end.
        chosen = due + (
            random.choice(others, count, replace=False, p=weights / weights.sum()).tolist() if count else []
        )
        if len(chosen) < self._persons:  # all who wait are in it; everybody else is dealt anew
            others = random.permutation([person for person in range(len(hands)) if person not in chosen]).tolist()
            for person in others:
                hands[person] = self._deal(person, random)
            chosen += others[: self._persons - len(chosen)]
        unseen[chosen] -= 1
        return [index for person in chosen for index in hands[person].pop()]

    def _deal(self, person: int, random: np.random.Generator) -> list[list[int]]:
        images = random.permutation(self._indices[person]).tolist()
        missing = -len(images) % self._images
        images += random.choice(self._indices[person], missing).tolist()
        return [images[i : i + self._images] for i in range(0, len(images), self._images)]


class RandomIdentitySampler(PKSampler):
    """Batches as TransReID draws them, and in their number, which differs a little from epoch to epoch.

    What is left of a person after hands of K is not shown in the epoch, but a person with fewer than K images has
    copies. Persons are drawn alike, however many images they have, and the epoch ends when fewer than P have a hand.
    """

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, each P x K indices, the images of a person together."""
        random = np.random.default_rng([self._seed, epoch])
        batches = self._round(random)
        while self._batches is not None and len(batches) < self._batches:
            batches += self._round(random)
        return batches[: self._batches]

    def _round(self, random: np.random.Generator) -> list[list[int]]:
        hands = [self._deal(person, random) for person in range(len(self._indices))]
        waiting, batches = list(range(len(hands))), list[list[int]]()
        while len(waiting) >= self._persons:
            chosen = random.choice(waiting, self._persons, replace=False).tolist()
            batches.append([index for person in chosen for index in hands[person].pop()])
            waiting = [person for person in waiting if hands[person]]
        return batches

    def _deal(self, person: int, random: np.random.Generator) -> list[list[int]]:
        hands = super()._deal(person, random)
        return hands[: max(1, len(self._indices[person]) // self._images)]


SAMPLERS: dict[str, type[PKSampler]] = {"all_images": PKSampler, "random_identity": RandomIdentitySampler}
"""By name: which images an epoch has."""
