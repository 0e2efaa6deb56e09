"""From labelled images to a checkpoint: data sets, the model, its losses, and the loop that trains it."""
