"""Weights trained elsewhere: read files, map the names of their tensors, load or convert them."""
