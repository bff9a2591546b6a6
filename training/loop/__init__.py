"""The training itself: settings, batches, augmentation, trainer. Imports `corpora` and `networks`."""
