"""Multiple-query evaluation: the queries of one person from one camera become one query.

The protocol of Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015: the images of a person from a
camera are pooled, here by the mean, and ranked like a single query. Market-1501's query folder has one image for each
person and camera, and the others are in its gt_bbox; MSMT17 has several queries for each.
"""

from __future__ import annotations

import numpy as np

from vitreid.scoring.labelled import Labelled


def pool_queries(query: Labelled) -> Labelled:
    """Return a row for each person and camera, in the order of their first queries: the normalized mean embedding."""
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
