"""bundle -> gallery -> answers: embeds images, keeps them in a gallery and finds the same person again."""
