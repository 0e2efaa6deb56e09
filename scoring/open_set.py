"""Open-set identification: the share of enrolled persons that are missed at an allowed share of false alarms.

The gallery is a watch list: some persons are enrolled, and the queries of the others should match nobody. A match needs
a score above a threshold. By ISO/IEC 19795-1:

- false positive identification rate (FPIR): share of the queries of persons who are not enrolled that have any match;
- false negative identification rate (FNIR): share of the queries of enrolled persons that do not match their person.

The FNIR is measured at the lowest threshold with an allowed FPIR. At rank 1 the person must also score best: 1 - FNIR
is then the detection and identification rate of Liao et al., "Open-set Person Re-identification", 2014. The more
persons are enrolled, the more likely a stranger resembles one of them; therefore there is a row for each size.
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
    """Rates for a number of enrolled persons and an allowed FPIR: means over draws of the enrolled persons."""

    enrolled: int
    images: float  # gallery images of the enrolled persons
    allowed_fpir: float
    fpir: float  # the highest possible rate within the allowed one
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
    """Return rates by number of enrolled persons and allowed FPIR, both ascending.

    In each draw a random half of the persons may be enrolled, and the other half never is. Persons without a query
    that has a match are excluded with their images; of a query's own person only images from other cameras count.
    Sizes are limited to the half; rates that allow less than one query of a person who is not enrolled are omitted.

    Raises ScoringError if there are fewer than two persons, or no rate is left.
    """
    query, gallery = _with_matches(query, gallery)
    query_persons, gallery_persons = as_numbers(query.persons, gallery.persons)
    persons = len(np.unique(gallery_persons))
    half = persons // 2
    if not half:
        raise ScoringError(f"{persons} persons have a query with a match; open-set identification needs at least two")
    enrolled = np.array(sorted({min(size, half) for size in (*sizes, half)}))
    random = np.random.default_rng(seed)
    orders = np.stack([random.permutation(persons) for _ in range(draws)])
    positions = np.argsort(orders, axis=1)[:, query_persons]  # (draws, Q) of the query's person in each order
    strangers = positions >= half
    fewest = int(strangers.sum(1).min())
    if not (measurable := [rate for rate in sorted(rates) if fewest * rate >= 1]):
        raise ScoringError(
            f"{fewest} queries of persons who are not enrolled are too few to measure rates of {max(rates)} or less"
        )
    own, others = _best_scores(query, gallery, orders[:, :half], enrolled)
    images = np.cumsum(np.bincount(gallery_persons)[orders], axis=1).mean(0)
    found = []
    for i, size in enumerate(enrolled.tolist()):
        for rate in measurable:
            draw = [_rates(own, others[d, i], positions[d] < size, strangers[d], rate) for d in range(draws)]
            fpir, fnir, rank1 = np.mean(draw, 0).tolist()
            spread = float(np.std(draw, 0)[1])
            found.append(OpenSetScores(size, float(images[size - 1]), rate, fpir, fnir, rank1, spread))
    return found


def _rates(own: Floats, others: Floats, known: Mask, strangers: Mask, rate: float) -> tuple[float, float, float]:
    """Return FPIR, FNIR and FNIR at rank 1, at the lowest threshold with an FPIR of at most `rate`."""
    stray = np.sort(others[strangers])[::-1]
    allowed = int(rate * len(stray) + 1e-9)  # 0.29 * 100 is 28.999...
    threshold = stray[allowed] if allowed < len(stray) else -np.inf
    missed, beaten = own[known] <= threshold, own[known] <= others[known]
    return float((stray > threshold).mean()), float(missed.mean()), float((missed | beaten).mean())


def _best_scores(query: Labelled, gallery: Labelled, orders: Numbers, sizes: Numbers) -> tuple[Floats, Floats]:
    """Return the best scores of the queries: (Q,) with their own person, (draws, sizes, Q) with other enrolled ones.

    The gallery is ordered by person; `orders` (draws, persons) is the order of enrolment.
    """
    query_persons, gallery_persons = as_numbers(query.persons, gallery.persons)
    starts = np.searchsorted(gallery_persons, np.arange(gallery_persons.max() + 2))
    own = np.empty(len(query), np.float32)
    others = np.empty((len(orders), len(sizes), len(query)), np.float32)
    row = 0
    for block in cosine_blocks(query, gallery):
        rows = np.arange(row, row + len(block))
        best = np.maximum.reduceat(block, starts[:-1], axis=1)
        best[rows - row, query_persons[rows]] = -np.inf
        for draw, order in enumerate(orders):
            others[draw][:, rows] = np.maximum.accumulate(best[:, order], axis=1)[:, sizes - 1].T
        for scores in block:
            images = slice(starts[query_persons[row]], starts[query_persons[row] + 1])
            own[row] = scores[images][gallery.cameras[images] != query.cameras[row]].max()
            row += 1
    return own, others


def _with_matches(query: Labelled, gallery: Labelled) -> tuple[Labelled, Labelled]:
    """Return the queries with a match, and the gallery images of their persons, ordered by person."""
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
