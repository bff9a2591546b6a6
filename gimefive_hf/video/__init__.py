"""Videos and cameras: files, persons, their scores over time, annotated frames. Imports all but `folders`."""
