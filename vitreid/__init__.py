"""Person re-identification: train a Vision Transformer, export it, search galleries with it."""
