"""Where faces are: detection, aligned crops, landmarks, tracking. Imports `images`."""
