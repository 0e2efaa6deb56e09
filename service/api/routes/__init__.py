"""The REST API. A route parses, calls one function and formats the result."""

from vitreid.service.api.routes import erasures, explain, galleries, items, page, query, system

ROUTERS = (
    query.router,
    explain.router,
    items.router,
    galleries.router,
    erasures.router,
    system.router,
    page.router,
)
