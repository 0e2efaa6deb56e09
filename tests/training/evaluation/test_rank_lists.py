from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ImageColor

from vitreid.scoring import Labelled
from vitreid.training.datasets import read_dataset
from vitreid.training.evaluation.rank_lists import (
    FRAME,
    GAP,
    QUERY,
    RIGHT,
    TILE,
    WRONG,
    answers,
    chosen_rows,
    draw_rank_lists,
)

WIDTH, HEIGHT = TILE[1] + 2 * FRAME, TILE[0] + 2 * FRAME


def test_best_answers_first_without_those_of_the_own_camera() -> None:
    query = Labelled.of("query", [[1.0, 0.0]], ["a"], ["c1"])
    rows = [[0.6, 0.8], [1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]
    gallery = Labelled.of("gallery", rows, ["b", "a", "a", "b"], ["c1", "c1", "c2", "c2"])
    assert answers(query, gallery, [0], 5).tolist() == [[2, 0, 3, -1, -1]]


def test_right_and_wrong_are_framed(people: Path) -> None:
    split = read_dataset("market1501", people)
    person = split.query[0].person
    right = next(i for i, sample in enumerate(split.gallery) if sample.person == person)
    wrong = next(i for i, sample in enumerate(split.gallery) if sample.person != person)
    sheet = draw_rank_lists(split.query, split.gallery, [0], np.array([[right, wrong, -1]]))
    middle = GAP + HEIGHT // 2
    lefts = [GAP, 2 * GAP + (WIDTH + GAP), 2 * GAP + 2 * (WIDTH + GAP)]
    colors = [sheet.getpixel((left + 1, middle)) for left in lefts]
    assert colors == [ImageColor.getrgb(name) for name in (QUERY, RIGHT, WRONG)]
    assert sheet.getpixel((2 * GAP + 3 * (WIDTH + GAP) + 1, middle)) == (255, 255, 255)  # there is no third answer


def test_the_same_queries_for_a_seed() -> None:
    assert chosen_rows(100, 5) == chosen_rows(100, 5)
    assert chosen_rows(3, 5) == [0, 1, 2]
