"""Speed, measured: each module is a command that writes its table to RESULTS-*.md beside it."""
