"""Folders of many images: what is in them, scores in batches, the journal, Ray. Imports all but `video`."""
