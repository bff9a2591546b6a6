"""
What puts checkpoints, cards and Spaces on the Hugging Face Hub: what goes there, and how the Hub is spoken to.

Builds on `runtimes` and on the files that travel with a checkpoint; nothing but commands and programs builds on it.
"""
