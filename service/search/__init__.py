"""What a query asks of a gallery, and the answer: the same for the API and for `vitreid query`."""

from vitreid.service.search.answering import Found, find
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.combining import mean_embedding
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.request import SearchRequest

__all__ = ["Candidate", "Found", "PatchReranker", "SearchRequest", "find", "mean_embedding"]
