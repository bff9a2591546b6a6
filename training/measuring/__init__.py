"""Scores and explanations of a model on test images, into the store. Imports `corpora` and `networks`."""
