"""From corpora to checkpoints: a script for each step, their parts in packages. Imports `evaluation`, `gimefive_hf`."""
