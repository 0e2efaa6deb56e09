"""Metrics of rankings: mAP, CMC and mINP by the Market-1501 protocol, open set, re-ranking, calibration."""

from vitreid.scoring.camera_pairs import CameraPair, score_camera_pairs
from vitreid.scoring.intervals import Difference, Interval, compare_scores, score_intervals
from vitreid.scoring.labelled import Labelled, ScoringError
from vitreid.scoring.metrics import QueryScores, RetrievalScores, score_queries, score_retrieval
from vitreid.scoring.multi_query import pool_queries
from vitreid.scoring.open_set import OpenSetScores, score_open_set

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
