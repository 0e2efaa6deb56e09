"""What a query asks of a gallery, and the answer: the same for the API and for `vitreid query`."""

from vitreid.service.search.answering import Found, find
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.combining import mean_embedding
from vitreid.service.search.patches import Looking
from vitreid.service.search.request import Question

__all__ = ["Candidate", "Found", "Looking", "Question", "find", "mean_embedding"]
