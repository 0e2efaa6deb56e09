from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from vitreid.synthetic import Person
from vitreid.synthetic.people import HAIRSTYLES, PATTERNS, PRINTS, SIMILAR_DISTANCE, SIMILAR_SHARE, vary
from vitreid.synthetic.randomness import stream

CROWD = [Person.sample(5, identity) for identity in range(1, 401)]


def changes(one: Person, other: Person) -> int:
    return sum(getattr(one.outfit, f.name) != getattr(other.outfit, f.name) for f in fields(one.outfit))


def test_a_person_depends_on_seed_and_identity_only() -> None:
    assert Person.sample(5, 300) == CROWD[299]
    assert Person.sample(6, 300) != CROWD[299]


def test_groups_in_similar_clothes_exist() -> None:
    followers = [person for person in CROWD if person.like is not None]
    assert len(followers) / len(CROWD) == pytest.approx(SIMILAR_SHARE, abs=0.08)
    for person in followers:
        assert person.like is not None
        assert 1 <= person.identity - person.like <= SIMILAR_DISTANCE
        assert 1 <= changes(person, CROWD[person.like - 1]) <= 2


def test_persons_in_clothes_of_their_own_differ_in_most_of_them() -> None:
    originals = [person for person in CROWD if person.like is None]
    assert np.mean([changes(a, b) for a, b in pairwise(originals)]) > 4


def test_vary_changes_one_or_two_parts() -> None:
    outfit = CROWD[0].outfit
    for n in range(50):
        varied = vary(outfit, stream(0, "vary", n))
        assert 1 <= sum(getattr(outfit, f.name) != getattr(varied, f.name) for f in fields(outfit)) <= 2


def test_every_kind_occurs() -> None:
    outfits = [person.outfit for person in CROWD]
    assert {outfit.top.pattern for outfit in outfits} == set(PATTERNS)
    assert {outfit.top.print for outfit in outfits} == set(PRINTS)
    assert {person.looks.hairstyle for person in CROWD} == set(HAIRSTYLES)
    assert {outfit.bottom.kind for outfit in outfits} == {"trousers", "shorts", "skirt"}
    assert {outfit.bag.kind for outfit in outfits if outfit.bag} == {"backpack", "shoulder", "hand"}
    assert {outfit.headwear.kind for outfit in outfits if outfit.headwear} == {"cap", "beanie", "hood", "scarf"}
    assert any(outfit.coat is not None and outfit.coat.open for outfit in outfits)
