"""From trained weights to a bundled model: averaged, cut down, calibrated. Imports `corpora` and `measuring`."""
