"""The networks that can be trained or compared with. Imports `corpora.schema`."""
