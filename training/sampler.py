"""PK batches: P persons with K pictures each, as the triplet loss needs them.

Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.errors import DataError


class PKSampler:
    """Draws the batches of an epoch as lists of sample indices.

    An epoch's batches depend on `seed` and `epoch` alone. A person's pictures are shuffled and dealt in hands of K;
    a person with fewer than K pictures gets copies. All pictures of a person are dealt before any of them comes
    again, and the number of batches is exactly `len(sampler)`.
    """

    def __init__(
        self,
        labels: Sequence[int],
        *,
        persons: int,
        images_per_person: int,
        samples_per_epoch: int | None = None,
        seed: int = 0,
    ) -> None:
        """Raises DataError where the data set has fewer than `persons` persons, or a single one."""
        self._pictures = [np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))]
        if len(self._pictures) < 2:
            raise DataError(
                f"the training part has {len(self._pictures)} person; telling persons apart takes at least two"
            )
        if len(self._pictures) < persons:
            raise DataError(
                f"data.persons = {persons}, but the training part has {len(self._pictures)} persons; "
                f"lower it with --set data.persons={len(self._pictures)}"
            )
        self._persons, self._images, self._seed = persons, images_per_person, seed
        self._batches = max(1, (samples_per_epoch or len(labels)) // (persons * images_per_person))

    def __len__(self) -> int:
        return self._batches

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch, each P x K indices, the pictures of a person together."""
        random = np.random.default_rng([self._seed, epoch])
        hands: list[list[list[int]]] = [[] for _ in self._pictures]
        for _ in range(self._batches):
            waiting = [person for person, dealt in enumerate(hands) if dealt]
            hands_left = np.array([len(hands[person]) for person in waiting])
            count = min(self._persons, len(waiting))
            # A person comes as often as there are hands to deal, so that few are left over at the end.
            chosen = (
                random.choice(waiting, count, replace=False, p=hands_left / hands_left.sum()).tolist() if count else []
            )
            if len(chosen) < self._persons:
                # Those still waiting go first; then everybody else is dealt anew.
                others = random.permutation([person for person in range(len(hands)) if person not in chosen])
                for person in others:
                    hands[person] = self._deal(person, random)
                chosen += others[: self._persons - len(chosen)].tolist()
            yield [index for person in chosen for index in hands[person].pop()]

    def _deal(self, person: int, random: np.random.Generator) -> list[list[int]]:
        pictures = random.permutation(self._pictures[person]).tolist()
        missing = -len(pictures) % self._images
        pictures += random.choice(self._pictures[person], missing).tolist()
        return [pictures[i : i + self._images] for i in range(0, len(pictures), self._images)]
