"""From corpora to checkpoints: a script for each step; packages of their parts. Imports `evaluation`, `gimefive_hf`."""
