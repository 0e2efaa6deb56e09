"""Scores of a model on a data set, and what reports make of them."""
