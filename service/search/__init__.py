"""Search of a gallery for one person: the same for HTTP and for `vitreid query`."""

from vitreid.service.search.candidates import Candidate
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.pipeline import SearchResult, search
from vitreid.service.search.query import Query, mean_embedding, query_of_images, query_of_item
from vitreid.service.search.request import SearchRequest

__all__ = [
    "Candidate",
    "PatchReranker",
    "Query",
    "SearchRequest",
    "SearchResult",
    "mean_embedding",
    "query_of_images",
    "query_of_item",
    "search",
]
