"""What a training starts from, in words."""

# In words, the ways to start of `TrainingSettings.start`.
STARTS = {
    "random": "random weights",
    "face-identity": "face-identity weights",
    "vgg16": "ImageNet weights",
    "checkpoint": "the weights of an earlier run",
}
