"""Open-set identification: how many known persons are missed where few unknown ones may be taken for known.

The gallery is a watch list: a part of the persons is enrolled, the queries of the others must find nobody. An answer is
given only where the score is above a threshold. By ISO/IEC 19795-1:

- false positive identification rate (FPIR): share of the queries of persons who are not enrolled that get any answer;
- false negative identification rate (FNIR): share of the queries of enrolled persons who are not among the answers.

The threshold is the lowest one that keeps the FPIR within what is allowed, and the FNIR is read there. At rank 1 the
person must also score best: 1 - FNIR is then the detection and identification rate of Liao et al., "Open-set Person
Re-identification", 2014. The more persons are enrolled the easier a stranger resembles one, hence a row for each size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring.labelled import Labelled, ScoringError, as_numbers, cosine_blocks

SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
RATES = (0.001, 0.01, 0.1)
DRAWS = 20

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class OpenSetScores:
    """Rates at one number of enrolled persons and one allowed FPIR: means over draws of who is enrolled."""

    enrolled: int
    images: float  # gallery images of the enrolled persons
    allowed_fpir: float
    fpir: float  # what is reached: the last step that is allowed
    fnir: float
    fnir_rank1: float
    spread: float  # standard deviation of the FNIR over the draws


def score_open_set(
    query: Labelled,
    gallery: Labelled,
    *,
    sizes: tuple[int, ...] = SIZES,
    rates: tuple[float, ...] = RATES,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[OpenSetScores]:
    """Rates by number of enrolled persons and allowed FPIR, both ascending.

    In each draw a random half of the persons may be enrolled and the other half never is. Persons without a query that
    has a match take no part, nor do their images; of a query's own person only images by other cameras count. A
    size above the half becomes the half; a rate of less than one query of a person who is not enrolled is left out.

    Raises ScoringError where there are fewer than two persons, or no rate is left.
    """
    query, gallery = _taking_part(query, gallery)
    asked, offered = as_numbers(query.persons, gallery.persons)
    persons = len(np.unique(offered))
    half = persons // 2
    if not half:
        raise ScoringError(f"{persons} persons have a query with a match; open-set identification needs at least two")
    enrolled = np.array(sorted({min(size, half) for size in (*sizes, half)}))
    random = np.random.default_rng(seed)
    orders = np.stack([random.permutation(persons) for _ in range(draws)])
    places = np.argsort(orders, axis=1)[:, asked]  # (draws, Q): where the query's person stands in each order
    strangers = places >= half
    least = int(strangers.sum(1).min())
    if not (told := [rate for rate in sorted(rates) if least * rate >= 1]):
        raise ScoringError(f"{least} queries of persons who are not enrolled cannot tell rates of {max(rates)} or less")
    own, others = _best_scores(query, gallery, orders[:, :half], enrolled)
    images = np.cumsum(np.bincount(offered)[orders], axis=1).mean(0)
    found = []
    for i, size in enumerate(enrolled.tolist()):
        for rate in told:
            draw = [_rates(own, others[d, i], places[d] < size, strangers[d], rate) for d in range(draws)]
            fpir, fnir, rank1 = np.mean(draw, 0).tolist()
            spread = float(np.std(draw, 0)[1])
            found.append(OpenSetScores(size, float(images[size - 1]), rate, fpir, fnir, rank1, spread))
    return found


def _rates(own: Floats, others: Floats, known: Mask, strangers: Mask, rate: float) -> tuple[float, float, float]:
    """FPIR, FNIR and FNIR at rank 1, at the lowest threshold whose FPIR is not above `rate`."""
    stray = np.sort(others[strangers])[::-1]
    allowed = int(rate * len(stray) + 1e-9)  # 0.29 * 100 is 28.999...
    threshold = stray[allowed] if allowed < len(stray) else -np.inf
    missed, beaten = own[known] <= threshold, own[known] <= others[known]
    return float((stray > threshold).mean()), float(missed.mean()), float((missed | beaten).mean())


def _best_scores(query: Labelled, gallery: Labelled, orders: Numbers, sizes: Numbers) -> tuple[Floats, Floats]:
    """Best scores of the queries: (Q,) with their own person, (draws, sizes, Q) with others among the first enrolled.

    The gallery comes person by person; `orders` (draws, persons) says who is enrolled first.
    """
    asked, offered = as_numbers(query.persons, gallery.persons)
    starts = np.searchsorted(offered, np.arange(offered.max() + 2))
    own = np.empty(len(query), np.float32)
    others = np.empty((len(orders), len(sizes), len(query)), np.float32)
    row = 0
    for block in cosine_blocks(query, gallery):
        rows = np.arange(row, row + len(block))
        best = np.maximum.reduceat(block, starts[:-1], axis=1)
        best[rows - row, asked[rows]] = -np.inf
        for draw, order in enumerate(orders):
            others[draw][:, rows] = np.maximum.accumulate(best[:, order], axis=1)[:, sizes - 1].T
        for scores in block:
            images = slice(starts[asked[row]], starts[asked[row] + 1])
            own[row] = scores[images][gallery.cameras[images] != query.cameras[row]].max()
            row += 1
    return own, others


def _taking_part(query: Labelled, gallery: Labelled) -> tuple[Labelled, Labelled]:
    """The queries that have a match, and the gallery images of their persons, person by person."""
    persons, of_image = as_numbers(query.persons, gallery.persons)
    cameras, by_image = as_numbers(query.cameras, gallery.cameras)
    count = 1 + max(cameras.max(), by_image.max())
    of_person = _occurrences(persons, of_image)
    by_camera = _occurrences(persons * count + cameras, of_image * count + by_image)
    matched = of_person > by_camera
    by_person = np.argsort(of_image, kind="stable")
    return query.take(matched), gallery.take(by_person[np.isin(of_image[by_person], persons[matched])])


def _occurrences(values: Numbers, among: Numbers) -> Numbers:
    among = np.sort(among)
    return np.searchsorted(among, values, "right") - np.searchsorted(among, values, "left")
