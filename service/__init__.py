"""bundle -> gallery -> answers: embeds pictures, keeps them in a gallery and finds the same person again."""
