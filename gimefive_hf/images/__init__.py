"""Photos as they come, to pixels. Imports nothing of the library."""
