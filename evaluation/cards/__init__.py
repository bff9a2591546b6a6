"""Results as Markdown: tables, model and dataset cards, the README. Imports `evaluation`."""
