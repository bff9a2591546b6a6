"""Studies on top of training and evaluation, made once each; what they found stands in the results and in LOG.md."""
