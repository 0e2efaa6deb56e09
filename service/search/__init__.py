"""What a query asks of a gallery, and the answer: the same for the API and for `reid query`."""

from service.search.answering import Found, find
from service.search.candidates import Candidate
from service.search.combining import mean_embedding
from service.search.patches import Looking
from service.search.question import Question

__all__ = ["Candidate", "Found", "Looking", "Question", "find", "mean_embedding"]
