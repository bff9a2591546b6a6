"""Pictures of results and of explanations. Imports `recognizer`, `faces` and `explain`."""
