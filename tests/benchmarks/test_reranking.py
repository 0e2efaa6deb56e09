from __future__ import annotations

import numpy as np

from benchmarks.random_embeddings import Population
from benchmarks.reranking import FORMS, measure


def test_both_forms_rank_alike() -> None:
    people = Population(4, 32)
    query, gallery = people.queries(20).embeddings, people.gallery(150).embeddings
    found = {form: np.concatenate(list(distances(query, gallery))) for form, distances in FORMS.items()}
    np.testing.assert_allclose(found["sparse"], found["dense"], atol=1e-4)


def test_a_measurement_has_scores_and_memory() -> None:
    result = measure("sparse", 10, 100)
    assert result["mAP"] >= result["mAP_plain"] - 0.1
    assert result["peak_mib"] >= result["before_mib"] > 0
