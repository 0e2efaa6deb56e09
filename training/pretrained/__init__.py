"""Weights trained elsewhere: reading files, naming their tensors as ours, loading or converting them."""
