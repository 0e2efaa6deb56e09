"""What a ranking is worth: the measures of the Market-1501 protocol, in numpy."""

from scoring.labelled import Labelled, ScoringError
from scoring.metrics import QueryScores, RetrievalScores, score_retrieval

__all__ = ["Labelled", "QueryScores", "RetrievalScores", "ScoringError", "score_retrieval"]
