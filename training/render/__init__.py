"""`python -m evaluation.cards.render`, under the name that it had before."""
