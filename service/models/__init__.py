"""Models: images to embeddings, in batches, by one of several runtimes."""
