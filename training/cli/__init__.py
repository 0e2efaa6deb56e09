"""The commands on data sets, recipes and checkpoints, one module each."""
