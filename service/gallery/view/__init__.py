"""The search view: an index over the embeddings and columns for filters, derived from the rows."""
