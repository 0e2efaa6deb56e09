"""Maintenance: what happens to a gallery behind its requests, or by command."""
