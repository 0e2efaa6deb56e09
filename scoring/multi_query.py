"""Several images as one query: the queries that show one person by one camera become one.

The multiple-query protocol of Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015: what a camera
saw of a person is pooled, here by the mean, and ranked as a single query is. Market-1501's own query folder holds one
image of each person and camera, the further ones lie in its gt_bbox; MSMT17 has several queries of each.
"""

from __future__ import annotations

import numpy as np

from vitreid.scoring.labelled import Labelled


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
