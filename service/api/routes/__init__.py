"""The REST API. A route parses, calls one function and formats."""

from vitreid.service.api.routes import audit, cameras, erasures, explain, galleries, items, page, persons, query, system

ROUTERS = (
    query.router,
    explain.router,
    items.router,
    galleries.router,
    cameras.router,
    persons.router,
    erasures.router,
    system.router,
    audit.router,
    page.router,
)
