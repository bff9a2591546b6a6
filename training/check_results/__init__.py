"""`python -m evaluation.check_results`, under the name that it had before."""
