"""Photos as they come, to pixels: the file, its format and size, its pixels. Imports nothing of the library."""
