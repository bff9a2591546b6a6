"""Questions to the stored results that take more than a look-up; imports the store, its queries and metrics."""
