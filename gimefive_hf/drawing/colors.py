"""The one place of the colours of expressions and models, told apart also by the colour-blind (Okabe & Ito 2008)."""

EMOTION_COLORS: dict[str, tuple[int, int, int]] = {
    "happiness": (230, 159, 0),
    "surprise": (86, 180, 233),
    "sadness": (0, 114, 178),
    "anger": (213, 94, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
}
OTHER_COLOR = (153, 153, 153)

MODEL_COLORS: dict[str, tuple[int, int, int]] = {
    "gimefive": (0, 114, 178),
    "gimefive-fast": (230, 159, 0),
    "gimefive-7": (0, 158, 115),
    "gimefive-fast-7": (136, 104, 190),  # none of the eight: the last two of those are too pale or taken
    "gimefive-paper": (213, 94, 0),
    "face-api": (204, 121, 167),
    "fer-mini-xception": (86, 180, 233),
}
