from __future__ import annotations

import numpy as np

from benchmarks.made_embeddings import People
from benchmarks.reranking import FORMS, measure


def test_both_forms_rank_alike() -> None:
    people = People(4, 32)
    query, gallery = people.queries(20).embeddings, people.gallery(150).embeddings
    found = {form: np.concatenate(list(distances(query, gallery))) for form, distances in FORMS.items()}
    np.testing.assert_allclose(found["sparse"], found["dense"], atol=1e-4)


def test_a_measurement_has_what_the_results_show() -> None:
    told = measure("sparse", 10, 100)
    assert told["mAP"] >= told["mAP_plain"] - 0.1
    assert told["peak_mib"] >= told["before_mib"] > 0
