"""From a checkpoint to a bundle: the graph, its file, and the proof that it is the same model."""
