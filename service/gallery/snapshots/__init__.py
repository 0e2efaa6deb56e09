"""Snapshots: the search view on disk, so that opening a large gallery need not derive it again."""
