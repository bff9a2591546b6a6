"""The results: their store, metrics, queries and checks. Imports `gimefive_hf`, never `training`."""
