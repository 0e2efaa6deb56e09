"""What a ranking is worth: the measures of the Market-1501 protocol and what surrounds them, in numpy."""

from scoring.camera_pairs import CameraPair, score_camera_pairs
from scoring.intervals import Difference, Interval, compare_scores, score_intervals
from scoring.labelled import Labelled, ScoringError
from scoring.metrics import QueryScores, RetrievalScores, score_queries, score_retrieval
from scoring.multi_query import pool_queries
from scoring.open_set import OpenSetScores, score_open_set

__all__ = [
    "CameraPair",
    "Difference",
    "Interval",
    "Labelled",
    "OpenSetScores",
    "QueryScores",
    "RetrievalScores",
    "ScoringError",
    "compare_scores",
    "pool_queries",
    "score_camera_pairs",
    "score_intervals",
    "score_open_set",
    "score_queries",
    "score_retrieval",
]
