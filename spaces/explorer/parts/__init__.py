"""What the pages are made of: the store and its choices, charts, their sentences, tables and pictures."""
