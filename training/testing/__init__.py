"""Models under test, and the images they are tested on. Imports `corpora` and `networks`."""
