"""Several pictures as one query: the queries that show one person by one camera become one.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, section 4.4: a person's pictures by the
camera of the query are pooled, here by their mean, and the pooled query is ranked as a single one would be.
"""

from __future__ import annotations

import numpy as np

from scoring.labelled import Labelled


def pool_queries(query: Labelled) -> Labelled:
    """One row for each person and camera, in the order of their first queries: the unit mean of the unit embeddings."""
    persons, cameras = (np.unique(labels, return_inverse=True)[1] for labels in (query.persons, query.cameras))
    groups = persons * (cameras.max() + 1) + cameras
    _, firsts, members = np.unique(groups, return_index=True, return_inverse=True)
    sums = np.zeros((len(firsts), query.embeddings.shape[1]))
    np.add.at(sums, members, query.embeddings)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means = np.divide(sums, lengths, out=sums, where=lengths > 0).astype(np.float32)
    order = np.argsort(firsts)
    rows = firsts[order]
    return Labelled(means[order], query.persons[rows], query.cameras[rows])
