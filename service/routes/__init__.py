"""The REST API. A route parses, calls one function and formats."""

from service.routes import items, page, query, system

ROUTERS = (query.router, items.router, system.router, page.router)
