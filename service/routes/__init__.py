"""The REST API. A route parses, calls one function and formats."""

from service.routes import galleries, items, page, query, system

ROUTERS = (query.router, items.router, galleries.router, system.router, page.router)
