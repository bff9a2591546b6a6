"""The classes, in a file without imports, so that reading results needs no torch; it travels with checkpoints."""

# The one label order of the project: index i of every score vector is EMOTIONS[i].
EMOTIONS: tuple[str, ...] = ("happiness", "surprise", "sadness", "anger", "disgust", "fear")
