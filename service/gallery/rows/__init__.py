"""Rows: the SQL tables of a gallery, which are the truth about it."""
