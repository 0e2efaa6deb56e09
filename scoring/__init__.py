"""What a ranking is worth: the measures of the Market-1501 protocol, in numpy."""

from scoring.metrics import RetrievalScores, ScoringError, score_retrieval

__all__ = ["RetrievalScores", "ScoringError", "score_retrieval"]
