"""One reader for each corpus: from its files to entries. Imports `files` and `schema`."""
