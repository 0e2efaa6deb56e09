"""ASGI layers around every request, one a file; api.app puts them in order."""
