"""How far the corpora can be trusted: `python -m training.audit`. Imports `corpora`."""
